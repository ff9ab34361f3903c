/*
 * application/x-www-form-urlencoded: bodies for token endpoints, and queries.
 */
#ifndef BROKER_OAUTH_FORM_H
#define BROKER_OAUTH_FORM_H

#include <stddef.h>

#include "common/buf.h"
#include "common/secret.h"

/* Appends `text` with everything but letters, digits and "-._~" (the unreserved
 * characters of RFC 3986) as %XX. Readers of forms and of queries understand it. */
void form_escape(struct buf *out, const void *text, size_t length);

/* Appends "name=value" to a form or query, after a '&' when something is there. The
 * value is escaped. */
void form_add(struct buf *out, const char *name, const char *value);
void form_add_secret(struct buf *out, const char *name, const struct secret *value);

/* The same for `scope`: spaces become '+', and ':' and '/' stay, which a query allows
 * (RFC 3986 3.4), so that people can read the scopes. */
void form_add_scope(struct buf *out, const char *scopes);

/* Makes the buffer a secret and wipes it. */
struct secret form_take(struct buf *form);

/* An empty form in locked memory. */
struct buf form_new(void);

#endif
