/*
 * Sets of scopes. Pure; called by credentials.c, the logins and token_reply.c.
 */
#include <stdlib.h>
#include <string.h>

#include "broker/oauth/scopes.h"
#include "common/alloc.h"
#include "common/buf.h"

static bool
is_separator(char c)
{
	return c == ' ' || c == ',' || c == '\t' || c == '\n' || c == '\r';
}

/* NQCHAR of RFC 6749, appendix A.4. */
static bool
is_token(const char *token, size_t length)
{
	size_t i;

	for (i = 0; i < length; i++) {
		unsigned char c = (unsigned char)token[i];

		if (c < 0x21 || c > 0x7e || c == '"' || c == '\\')
			return false;
	}
	return length > 0;
}

static bool
has(const char *scopes, size_t scopes_length, const char *token, size_t length)
{
	const char *at = scopes;
	const char *end = scopes + scopes_length;

	while (at < end) {
		const char *space = memchr(at, ' ', (size_t)(end - at));
		size_t size = (size_t)((space ? space : end) - at);

		if (size == length && memcmp(at, token, length) == 0)
			return true;
		at += size + 1;
	}
	return false;
}

/* Adds a token to a set. False when it cannot be part of one. */
static bool
add(struct buf *set, const char *token, size_t length)
{
	size_t used = buf_length(set);

	if (!is_token(token, length) || used + 1 + length > SCOPES_SIZE_MAX)
		return false;
	if (used > 0 && has((const char *)buf_bytes(set), used, token, length))
		return true;
	if (used > 0)
		buf_add(set, " ", 1);
	buf_add(set, token, length);
	return true;
}

static char *
take(struct buf *set)
{
	size_t length = buf_length(set);
	char *text = xstrndup((const char *)buf_bytes(set), length);

	buf_clear(set);
	return text;
}

char *
scopes_of_text(const char *text, size_t length, bool *ret_complete)
{
	struct buf set = BUF_EMPTY;
	bool complete = true;
	size_t i = 0;

	while (i < length) {
		size_t start;

		while (i < length && is_separator(text[i]))
			i++;
		start = i;
		while (i < length && !is_separator(text[i]))
			i++;
		if (i > start && !add(&set, text + start, i - start))
			complete = false;
	}
	if (ret_complete)
		*ret_complete = complete;
	return take(&set);
}

char *
scopes_of_list(const struct config_list *list)
{
	struct buf set = BUF_EMPTY;
	size_t i;

	for (i = 0; i < list->count; i++)
		(void)add(&set, list->items[i], strlen(list->items[i]));
	return take(&set);
}

bool
scopes_has(const char *scopes, const char *token, size_t length)
{
	return has(scopes, strlen(scopes), token, length);
}

char *
scopes_missing(const char *asked, const char *granted)
{
	struct buf set = BUF_EMPTY;
	const char *at = asked;

	while (*at) {
		size_t length = strcspn(at, " ");

		if (!scopes_has(granted, at, length))
			(void)add(&set, at, length);
		at += length;
		at += *at == ' ';
	}
	return take(&set);
}
