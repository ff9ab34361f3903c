/*
 * Escaping for HTML. Called by page_callback.c.
 */
#include <string.h>

#include "common/text.h"
#include "httpd/html.h"

static const char *
entity(unsigned char byte)
{
	switch (byte) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '"':
		return "&quot;";
	case '\'':
		return "&#39;";
	default:
		return byte < 0x20 || byte == 0x7f ? "?" : NULL;
	}
}

void
html_text(struct buf *out, const char *text)
{
	html_text_n(out, text, strlen(text));
}

void
html_text_n(struct buf *out, const char *text, size_t length)
{
	const bool utf8 = text_is_utf8(text, length);
	const char *end = text + length;
	const char *replaced;

	for (; text < end; text++) {
		replaced = entity((unsigned char)*text);
		if (!replaced && !utf8 && (unsigned char)*text >= 0x80)
			replaced = "?";
		if (replaced)
			buf_add_text(out, replaced);
		else
			buf_add(out, text, 1);
	}
}
