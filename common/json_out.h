/*
 * Writes JSON (RFC 8259) into a buffer, member by member.
 *
 * `key` is NULL inside arrays and for the outermost value. Keys are ours and written as
 * they are; texts are escaped, and bytes that are not UTF-8 become U+FFFD.
 */
#ifndef COMMON_JSON_OUT_H
#define COMMON_JSON_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"

struct json_out {
	struct buf *buf;
	bool comma; /* the next member needs one before it */
};

/* Starts writing at the end of *buf, which the caller owns. */
struct json_out json_out_on(struct buf *buf);

void out_object(struct json_out *json, const char *key);
void out_object_end(struct json_out *json);
void out_array(struct json_out *json, const char *key);
void out_array_end(struct json_out *json);

/* A text; NULL is written as null. With a length, it is not NULL and may hold anything.
 */
void out_text(struct json_out *json, const char *key, const char *text);
void
out_text_n(struct json_out *json, const char *key, const char *text, size_t length);
void out_number(struct json_out *json, const char *key, uint64_t number);
void out_integer(struct json_out *json, const char *key, int64_t number);
void out_flag(struct json_out *json, const char *key, bool flag);
void out_null(struct json_out *json, const char *key);

/* Milliseconds since 1970 as RFC 3339 with milliseconds. */
void out_time(struct json_out *json, const char *key, uint64_t ms);

/* A text of words with spaces between, as array of texts. */
void out_words(struct json_out *json, const char *key, const char *words);

/* Only comma and key: the caller appends a value of its own to the buffer. */
void out_key(struct json_out *json, const char *key);

#endif
