/*
 * The JSON writer under every answer of the API and every event. Used by the pages and
 * respond.c of httpd, and by the broker where it composes events.
 */
#include <stdio.h>
#include <string.h>

#include "common/text.h"
#include "common/time.h"
#include "common/json_out.h"

/* U+FFFD in UTF-8, for bytes that are none. */
#define REPLACEMENT "\xef\xbf\xbd"

struct json_out
json_out_on(struct buf *buf)
{
	return (struct json_out){ .buf = buf };
}

void
out_key(struct json_out *json, const char *key)
{
	if (json->comma)
		buf_add(json->buf, ",", 1);
	json->comma = true;
	if (!key)
		return;
	buf_add(json->buf, "\"", 1);
	buf_add_text(json->buf, key);
	buf_add(json->buf, "\":", 2);
}

static void
open_with(struct json_out *json, const char *key, const char *bracket)
{
	out_key(json, key);
	buf_add(json->buf, bracket, 1);
	json->comma = false;
}

static void
close_with(struct json_out *json, const char *bracket)
{
	buf_add(json->buf, bracket, 1);
	json->comma = true;
}

void
out_object(struct json_out *json, const char *key)
{
	open_with(json, key, "{");
}

void
out_object_end(struct json_out *json)
{
	close_with(json, "}");
}

void
out_array(struct json_out *json, const char *key)
{
	open_with(json, key, "[");
}

void
out_array_end(struct json_out *json)
{
	close_with(json, "]");
}

/* The bytes of the UTF-8 character that starts here, 0 when there is none. */
static size_t
character_length(const char *text, size_t left)
{
	size_t length;

	for (length = 2; length <= 4 && length <= left; length++)
		if (text_is_utf8(text, length))
			return length;
	return 0;
}

/* Writes the escape of a byte that must have one. */
static void
add_escape(struct buf *buf, unsigned char byte)
{
	static const char letters[] = "\bb\ff\nn\rr\tt\"\"\\\\";
	const char *found = byte ? strchr(letters, byte) : NULL;
	char text[8];

	if (found && (found - letters) % 2 == 0) {
		(void)snprintf(text, sizeof(text), "\\%c", found[1]);
		buf_add(buf, text, 2);
		return;
	}
	(void)snprintf(text, sizeof(text), "\\u%04x", byte);
	buf_add(buf, text, 6);
}

/* '<' and '>' are escaped as well, so that an answer that some old program takes for
 * HTML holds no markup. '&' is not: addresses are copied out of answers by hand. */
static bool
is_plain(unsigned char byte)
{
	return byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\' &&
	    byte != '<' && byte != '>';
}

static void
add_text(struct buf *buf, const char *text, size_t length)
{
	size_t start = 0;
	size_t i = 0;
	size_t wide;

	buf_add(buf, "\"", 1);
	while (i < length) {
		if (is_plain((unsigned char)text[i])) {
			i++;
			continue;
		}
		wide = (unsigned char)text[i] >= 0x80
		    ? character_length(text + i, length - i)
		    : 0;
		if (wide) {
			i += wide;
			continue;
		}
		buf_add(buf, text + start, i - start);
		if ((unsigned char)text[i] >= 0x80)
			buf_add_text(buf, REPLACEMENT);
		else
			add_escape(buf, (unsigned char)text[i]);
		start = ++i;
	}
	buf_add(buf, text + start, length - start);
	buf_add(buf, "\"", 1);
}

void
out_text(struct json_out *json, const char *key, const char *text)
{
	if (!text) {
		out_null(json, key);
		return;
	}
	out_key(json, key);
	add_text(json->buf, text, strlen(text));
}

void
out_text_n(struct json_out *json, const char *key, const char *text, size_t length)
{
	out_key(json, key);
	add_text(json->buf, text, length);
}

void
out_number(struct json_out *json, const char *key, uint64_t number)
{
	char text[24];
	size_t at = sizeof(text);

	do
		text[--at] = (char)('0' + number % 10);
	while ((number /= 10) > 0);
	out_key(json, key);
	buf_add(json->buf, text + at, sizeof(text) - at);
}

void
out_integer(struct json_out *json, const char *key, int64_t number)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%lld", (long long)number);
	out_key(json, key);
	buf_add_text(json->buf, text);
}

void
out_flag(struct json_out *json, const char *key, bool flag)
{
	out_key(json, key);
	buf_add_text(json->buf, flag ? "true" : "false");
}

void
out_null(struct json_out *json, const char *key)
{
	out_key(json, key);
	buf_add(json->buf, "null", 4);
}

void
out_time(struct json_out *json, const char *key, uint64_t ms)
{
	char text[TIME_TEXT_SIZE];

	time_format(ms > INT64_MAX ? INT64_MAX : (int64_t)ms, text);
	out_text(json, key, text);
}

void
out_words(struct json_out *json, const char *key, const char *words)
{
	size_t length;

	out_array(json, key);
	while (*words) {
		length = strcspn(words, " ");
		if (length) {
			out_key(json, NULL);
			add_text(json->buf, words, length);
		}
		words += length;
		words += strspn(words, " ");
	}
	out_array_end(json);
}
