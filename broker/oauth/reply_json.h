/*
 * JSON from outside, read strictly: one object, valid UTF-8, no name twice, no NUL, not
 * nested deeper than REPLY_JSON_DEPTH_MAX.
 */
#ifndef BROKER_OAUTH_REPLY_JSON_H
#define BROKER_OAUTH_REPLY_JSON_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "common/secret.h"

#define REPLY_JSON_DEPTH_MAX 16

/* Reads an object; the caller calls json_decref. NULL when it is none. With
 * `numbers_as_real` every number becomes a real, so that an integer beyond 64 bits does
 * not make the whole reply unreadable. */
json_t *reply_json_read(const struct secret *body, bool numbers_as_real);

/* A member that is a non-empty string of at most `most` bytes, else NULL; borrowed from
 * the object. NULL as object is allowed. */
const char *reply_json_text(const json_t *object, const char *name, size_t most);

/* A member that is a text or a whole number, as text; "" becomes NULL. The caller
 * frees. NULL when it is absent, of another type or longer than `most`. */
char *reply_json_id(const json_t *object, const char *name, size_t most);

/* The first element of a member that is an array of objects, else NULL. */
const json_t *reply_json_first(const json_t *object, const char *name);

#endif
