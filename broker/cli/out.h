/*
 * What the command writes on standard output: text for a person, or JSON for a program.
 */
#ifndef BROKER_CLI_OUT_H
#define BROKER_CLI_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"

/* The form of --json answers; raised when a key changes its meaning or goes. */
#define OUT_FORMAT_VERSION 1

/* A copy of foreign text that a terminal only shows: control characters (C0, DEL, C1),
 * bytes that are no UTF-8, and marks that reorder or hide text are written as escapes.
 * The caller frees. */
char *out_escape(const void *text, size_t length);

/* Columns of a terminal that escaped text takes: one for each character. */
size_t out_width(const char *text);

/* ---- Tables ---- */

#define OUT_COLUMNS_MAX 10

/* Rows of text, aligned when they are printed. */
struct out_table {
	size_t columns;
	char **cells; /* escaped */
	size_t count;
};

/* A table with the given headings; the number of columns is theirs. NULL ends them. */
void out_table_init(struct out_table *table, const char *const *headings);

/* Adds the next cell, row by row; NULL is shown as "-". */
void out_table_add(struct out_table *table, const char *text);

/* Prints headings and rows, and frees. */
void out_table_print(struct out_table *table);

/* Frees without printing. */
void out_table_clear(struct out_table *table);

/* ---- JSON ---- */

/* Writes one JSON document, two blanks for each level, or all on one line. */
struct out_json {
	struct buf text;
	unsigned depth;
	bool empty; /* nothing was written at this level */
	bool line;
};

/* Begins with { "format_version": ... and ends with } and a line end, printed on
 * standard output. out_json_start_line is for answers of several documents, one a line.
 */
void out_json_start(struct out_json *json);
void out_json_start_line(struct out_json *json);
void out_json_finish(struct out_json *json);

/* Members of an object; `name` is NULL in a list. An absent text (NULL) is null. */
void out_json_open(struct out_json *json, const char *name, char bracket);
void out_json_close(struct out_json *json, char bracket);
void out_json_text(struct out_json *json, const char *name, const char *text);
void out_json_number(struct out_json *json, const char *name, uint64_t number);
void out_json_flag(struct out_json *json, const char *name, bool flag);
void out_json_null(struct out_json *json, const char *name);

/* A member whose JSON is there already. */
void
out_json_raw(struct out_json *json, const char *name, const void *text, size_t length);

/* Words separated by blanks as a list of texts. */
void out_json_words(struct out_json *json, const char *name, const char *words);

/* Milliseconds since 1970 as RFC 3339 text; 0 is null. */
void out_json_time(struct out_json *json, const char *name, uint64_t ms);

#endif
