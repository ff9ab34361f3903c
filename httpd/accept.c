/*
 * Which of the ranges of an Accept header fits a media type. Called by page_stream.c.
 */
#include <string.h>
#include <strings.h>

#include "httpd/accept.h"

static struct http_text
trim(struct http_text text)
{
	while (text.length > 0 && (*text.data == ' ' || *text.data == '\t')) {
		text.data++;
		text.length--;
	}
	while (text.length > 0 &&
	    (text.data[text.length - 1] == ' ' || text.data[text.length - 1] == '\t'))
		text.length--;
	return text;
}

/* Cuts off what comes before the separator; the rest stays in *text. */
static struct http_text
cut(struct http_text *text, char separator)
{
	const char *end = memchr(text->data, separator, text->length);
	struct http_text part = *text;

	if (!end) {
		*text = (struct http_text){ text->data + text->length, 0 };
		return part;
	}
	part.length = (size_t)(end - text->data);
	*text = (struct http_text){ end + 1, text->length - part.length - 1 };
	return part;
}

static bool
is(struct http_text text, const char *word, size_t length)
{
	return text.length == length && strncasecmp(text.data, word, length) == 0;
}

/* How exactly a range fits: 3 itself, 2 "text/" and a star, 1 both stars, 0 not. */
static int
fit(struct http_text range, const char *type)
{
	size_t group = strcspn(type, "/") + 1;

	if (is(range, type, strlen(type)))
		return 3;
	if (range.length == group + 1 && range.data[group] == '*' &&
	    strncasecmp(range.data, type, group) == 0)
		return 2;
	return is(range, "*/*", 3) ? 1 : 0;
}

static bool
is_zero(struct http_text text)
{
	size_t i;

	for (i = 0; i < text.length; i++)
		if (text.data[i] != '0' && text.data[i] != '.')
			return false;
	return true;
}

/* Whether the parameters say q=0: "not this". */
static bool
is_refused(struct http_text parameters)
{
	struct http_text part;

	while (parameters.length > 0) {
		part = trim(cut(&parameters, ';'));
		if (part.length < 3 || strncasecmp(part.data, "q=", 2) != 0)
			continue;
		part.data += 2;
		part.length -= 2;
		return is_zero(part);
	}
	return false;
}

bool
accept_allows(struct http_text accept, const char *type)
{
	struct http_text item;
	bool allowed = false;
	int best = 0;
	int exact;

	while (accept.length > 0) {
		item = cut(&accept, ',');
		exact = fit(trim(cut(&item, ';')), type);
		if (exact <= best)
			continue;
		best = exact;
		allowed = !is_refused(item);
	}
	return allowed;
}
