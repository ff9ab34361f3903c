/*
 * Between config_parse.c and config_value.c; nobody else includes this.
 */
#ifndef COMMON_CONFIG_READER_H
#define COMMON_CONFIG_READER_H

#include <jansson.h>

#include "common/config_table.h"

/* One document being read. */
struct config_reader {
	struct config_source source;
	struct config *config; /* initialised, being filled */
};

/* Bytes of the description of a value, with its NUL. */
#define CONFIG_FOUND_SIZE 100

/* What a value is, to follow "found"; escaped and cut. Returns `found`. */
const char *config_describe(const json_t *value, char found[CONFIG_FOUND_SIZE]);

/* Words in quotes with commas: "a", "b", "c". */
void config_list_words(const char *const *words, size_t count, char *text, size_t size);

/* Checks the value of a row and takes it over. */
void config_read_value(struct config_reader *reader, const struct config_place *place,
    const struct config_option *option, json_t *value);

#endif
