/*
 * What a token endpoint answers, read tolerantly where platforms differ and strictly
 * where it matters (facts/twitch-google-standards.md E.4).
 */
#ifndef BROKER_OAUTH_TOKEN_REPLY_H
#define BROKER_OAUTH_TOKEN_REPLY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/secret.h"

/* Bytes of a token. */
#define TOKEN_SIZE_MAX 16384
/* A lifetime beyond ten years is a mistake. */
#define TOKEN_LIFE_MAX_S (INT64_C(10) * 366 * 86400)

struct token_reply {
	struct secret access;
	struct secret refresh; /* empty: none was given */
	bool expires_known;
	int64_t expires_in_s;       /* 0 and more, when known */
	bool expires_odd;           /* it was given in a form that cannot be believed */
	bool refresh_expires_known; /* how long the refresh token lives was told */
	int64_t refresh_expires_in_s; /* 1 and more, when known */
	bool scopes_known;
	char *scopes; /* a set (scopes.h); "" when not known */
};

/*
 * Reads the body of a reply with status 200. 0, or -EBADMSG and static text in
 * *ret_what: no JSON object, no usable access token, a token type other than Bearer, a
 * refresh token that cannot be one. *ret_reply is the caller's to clear after success.
 */
int token_reply_read(
    const struct secret *body, struct token_reply *ret_reply, const char **ret_what);

/* Wipes and frees. */
void token_reply_clear(struct token_reply *reply);

/* When tokens that were asked for at `started_at` (wall clock ms, before the request
 * was sent) expire; `assumed_s` is the lifetime to assume when none is known. */
int64_t token_reply_expires_at(
    const struct token_reply *reply, int64_t started_at, int64_t assumed_s);

/* Reads expires_in in any of its forms (integer, integral real, digits). False when it
 * is absent or null; then *ret_odd is false too, or true when it is there and
 * senseless. `member` is a json_t and may be NULL; numbers were read as reals. For
 * token replies and what else carries the field. */
struct json_t;
bool
token_reply_lifetime(const struct json_t *member, int64_t *ret_seconds, bool *ret_odd);

#endif
