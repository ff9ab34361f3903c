/*
 * Scopes as sets: texts of scope tokens (RFC 6749 3.3) separated by single spaces, no
 * token twice, in the order in which they were first written.
 */
#ifndef BROKER_OAUTH_SCOPES_H
#define BROKER_OAUTH_SCOPES_H

#include <stdbool.h>
#include <stddef.h>

#include "common/config.h"

/* Bytes of a set, with which it fits into every message. */
#define SCOPES_SIZE_MAX 8192

/* Makes a set of what somebody wrote: separated by spaces, or leniently by commas,
 * tabs or line ends. Tokens with characters that RFC 6749 does not allow are left out,
 * as is what would make the set longer than SCOPES_SIZE_MAX; *ret_complete (may be
 * NULL) is false then. The caller frees the result. */
char *scopes_of_text(const char *text, size_t length, bool *ret_complete);

/* The same of a list of configuration. */
char *scopes_of_list(const struct config_list *list);

/* Whether a set holds a token of `length` bytes. */
bool scopes_has(const char *scopes, const char *token, size_t length);

/* What is in `asked` and not in `granted`; "" when nothing is missing. The caller
 * frees. */
char *scopes_missing(const char *asked, const char *granted);

#endif
