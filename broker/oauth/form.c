/*
 * Form encoding. Pure; called by whatever asks a platform something.
 */
#include <stdbool.h>
#include <string.h>

#include "broker/oauth/form.h"

static bool
is_unreserved(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
}

static void
add_escaped(struct buf *out, unsigned char c)
{
	static const char digits[] = "0123456789ABCDEF";
	char text[3] = { '%', digits[c >> 4], digits[c & 15] };

	buf_add(out, text, sizeof(text));
}

void
form_escape(struct buf *out, const void *text, size_t length)
{
	const unsigned char *bytes = text;
	size_t i;

	for (i = 0; i < length; i++) {
		if (is_unreserved(bytes[i]))
			buf_add(out, &bytes[i], 1);
		else
			add_escaped(out, bytes[i]);
	}
}

static void
add_name(struct buf *out, const char *name)
{
	if (buf_length(out) > 0)
		buf_add(out, "&", 1);
	form_escape(out, name, strlen(name));
	buf_add(out, "=", 1);
}

void
form_add(struct buf *out, const char *name, const char *value)
{
	add_name(out, name);
	form_escape(out, value, strlen(value));
}

void
form_add_secret(struct buf *out, const char *name, const struct secret *value)
{
	add_name(out, name);
	form_escape(out, value->bytes, value->length);
}

void
form_add_scope(struct buf *out, const char *scopes)
{
	const char *at;

	add_name(out, "scope");
	for (at = scopes; *at; at++) {
		if (*at == ' ')
			buf_add(out, "+", 1);
		else if (*at == ':' || *at == '/')
			buf_add(out, at, 1);
		else
			form_escape(out, at, 1);
	}
}

struct buf
form_new(void)
{
	return BUF_LOCKED;
}

struct secret
form_take(struct buf *form)
{
	struct secret body = secret_copy(buf_bytes(form), buf_length(form));

	buf_wipe(form);
	return body;
}
