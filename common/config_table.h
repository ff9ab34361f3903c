/*
 * Between the files of the configuration: members by row, event names, problems.
 * Nobody else includes this.
 */
#ifndef COMMON_CONFIG_TABLE_H
#define COMMON_CONFIG_TABLE_H

#include "common/config.h"

/* The member of a row. */
void *config_member(struct config *config, const struct config_option *option);
const void *
config_member_const(const struct config *config, const struct config_option *option);

/* The number, flag (0 or 1) or enum index of a row. */
uint32_t config_number(const struct config *config, const struct config_option *option);
void config_set_number(
    struct config *config, const struct config_option *option, uint32_t value);

/* The text of a row, NULL when unset. config_set_text takes the memory over and frees
 * what was there. */
const char *
config_text(const struct config *config, const struct config_option *option);
void
config_set_text(struct config *config, const struct config_option *option, char *text);

/* Frees what they hold and empties them. */
void config_list_clear(struct config_list *list);
void config_subscriptions_clear(struct config_subscriptions *subscriptions);

/* Appends a copy; the list grows by one. */
void config_list_add(struct config_list *list, const char *text);
bool config_list_has(const struct config_list *list, const char *text);

/* Cuts a text at its spaces into entries. */
struct config_list config_list_of_words(const char *text);

/* off, shadow, on. */
const char *const *config_feature_words(size_t *ret_count);

/* How many words of a row may be configured: test builds have one more keystore. */
size_t config_words_allowed(const struct config_option *option);

/* ---- Problems: config_problem.c ---- */

/*
 * A place in the document: a key of an object or an index of an array, and where that
 * object or array is. The root has neither; parents live on the stack of the reader.
 */
struct config_place {
	const struct config_place *parent; /* NULL for the root */
	const char *key;                   /* NULL for an index */
	size_t index;
};

/* What is being read, for the sentences. */
struct config_source {
	const char *name; /* of the file */
	const char *text; /* with NUL, comments blanked; NULL when there is none */
	struct config_error *error;
};

/* "server.port", "subscriptions.kick[2].events"; escaped and cut. */
void config_place_name(const struct config_place *place, char name[CONFIG_KEY_MAX]);

/* Adds an error or warning about a place; what is formatted follows the name of the
 * place in quotes. */
__attribute__((format(printf, 3, 4))) void
config_problem_at(const struct config_source *source, const struct config_place *place,
    const char *format, ...);
__attribute__((format(printf, 3, 4))) void
config_warning_at(const struct config_source *source, const struct config_place *place,
    const char *format, ...);

/* Adds an error about a line (0: the file as a whole). */
__attribute__((format(printf, 3, 4))) void config_problem_line(
    const struct config_source *source, unsigned line, const char *format, ...);

/* The same about the key or value at an offset of a text that may break off there. */
__attribute__((format(printf, 3, 4))) void config_problem_offset(
    const struct config_source *source, size_t offset, const char *format, ...);

/* Writes printable ASCII: other bytes as \xNN, quotes and backslashes with a
 * backslash, cut to fit with "..." at the end. */
void config_escape(const char *text, char *escaped, size_t size);

#endif
