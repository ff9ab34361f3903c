/*
 * Standard output: escaping for terminals, aligned tables, JSON.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/cli/out.h"
#include "common/alloc.h"
#include "common/text.h"
#include "common/time.h"

/* Bytes of the well-formed UTF-8 character at `text`, 0 when it is none. */
static size_t
character(const unsigned char *text, size_t length, uint32_t *ret_code)
{
	size_t size = text[0] < 0x80 ? 1 : text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : 4;
	uint32_t code = size == 1 ? text[0] : text[0] & (0x7fU >> size);
	size_t i;

	if (size > length || !text_is_utf8((const char *)text, size))
		return 0;
	for (i = 1; i < size; i++)
		code = code << 6 | (text[i] & 0x3fU);
	*ret_code = code;
	return size;
}

/* Control characters; marks of direction (UAX 9) and invisible ones can make a line
 * look like another. */
static bool
is_shown(uint32_t code)
{
	return code >= 0x20 && !(code >= 0x7f && code < 0xa0) && code != 0xad &&
	    code != 0x61c && !(code >= 0x200b && code <= 0x200f) &&
	    !(code >= 0x2028 && code <= 0x202e) &&
	    !(code >= 0x2060 && code <= 0x206f) && code != 0xfeff &&
	    !(code >= 0xe0000 && code <= 0xe007f);
}

char *
out_escape(const void *text, size_t length)
{
	const unsigned char *bytes = text;
	struct buf out = BUF_EMPTY;
	size_t i = 0;

	while (i < length) {
		uint32_t code = 0;
		size_t size = character(bytes + i, length - i, &code);

		if (size == 0)
			buf_printf(&out, "\\x%02x", bytes[i]);
		else if (is_shown(code))
			buf_add(&out, bytes + i, size);
		else if (code == '\n')
			buf_add_text(&out, "\\n");
		else
			buf_printf(&out, "\\u%04x", (unsigned)code);
		i += size ? size : 1;
	}
	buf_add(&out, "", 1);
	return (char *)buf_bytes(&out);
}

size_t
out_width(const char *text)
{
	size_t width = 0;

	for (; *text; text++)
		width += ((unsigned char)*text & 0xc0) != 0x80;
	return width;
}

/* ---- Tables ---- */

void
out_table_init(struct out_table *table, const char *const *headings)
{
	*table = (struct out_table){ .columns = 0 };
	while (headings[table->columns] && table->columns < OUT_COLUMNS_MAX)
		table->columns++;
	while (table->count < table->columns)
		out_table_add(table, headings[table->count]);
}

void
out_table_add(struct out_table *table, const char *text)
{
	table->cells =
	    xrealloc(table->cells, (table->count + 1) * sizeof(*table->cells));
	table->cells[table->count++] =
	    text ? out_escape(text, strlen(text)) : xstrdup("-");
}

/* Blanks are owed until something follows them, so that no line ends with one. */
static void
print_row(const struct out_table *table, size_t first, const size_t *widths)
{
	size_t owed = 0;
	size_t column;

	for (column = 0; column < table->columns; column++) {
		const char *cell = table->cells[first + column];

		if (*cell) {
			(void)printf("%*s%s", (int)owed, "", cell);
			owed = 0;
		}
		owed += widths[column] + 2 - out_width(cell);
	}
	(void)putchar('\n');
}

void
out_table_print(struct out_table *table)
{
	size_t widths[OUT_COLUMNS_MAX] = { 0 };
	size_t i;

	for (i = 0; i < table->count; i++) {
		size_t width = out_width(table->cells[i]);

		if (width > widths[i % table->columns])
			widths[i % table->columns] = width;
	}
	for (i = 0; i + table->columns <= table->count; i += table->columns)
		print_row(table, i, widths);
	out_table_clear(table);
}

void
out_table_clear(struct out_table *table)
{
	size_t i;

	for (i = 0; i < table->count; i++)
		free(table->cells[i]);
	free(table->cells);
	*table = (struct out_table){ .columns = 0 };
}

/* ---- JSON ---- */

static void
add_string(struct buf *out, const char *text)
{
	const unsigned char *bytes = (const unsigned char *)text;
	size_t length = strlen(text);
	size_t i = 0;

	buf_add_text(out, "\"");
	while (i < length) {
		uint32_t code = 0;
		size_t size = character(bytes + i, length - i, &code);

		if (size == 0) /* a replacement character, as JSON is UTF-8 */
			buf_add_text(out, "\xef\xbf\xbd");
		else if (code == '"' || code == '\\')
			buf_printf(out, "\\%c", (int)code);
		else if (code < 0x20 || (code >= 0x7f && code < 0xa0))
			buf_printf(out, "\\u%04x", (unsigned)code);
		else
			buf_add(out, bytes + i, size);
		i += size ? size : 1;
	}
	buf_add_text(out, "\"");
}

static void
add_break(struct out_json *json)
{
	unsigned i;

	if (json->line)
		return;
	buf_add_text(&json->text, "\n");
	for (i = 0; i < json->depth; i++)
		buf_add_text(&json->text, "  ");
}

static void
add_name(struct out_json *json, const char *name)
{
	if (!json->empty)
		buf_add_text(&json->text, ",");
	json->empty = false;
	add_break(json);
	if (!name)
		return;
	add_string(&json->text, name);
	buf_add_text(&json->text, ": ");
}

void
out_json_start(struct out_json *json)
{
	*json = (struct out_json){ .text = BUF_EMPTY, .depth = 1, .empty = true };
	buf_add_text(&json->text, "{");
	out_json_number(json, "format_version", OUT_FORMAT_VERSION);
}

void
out_json_start_line(struct out_json *json)
{
	*json = (struct out_json){
		.text = BUF_EMPTY, .depth = 1, .empty = true, .line = true
	};
	buf_add_text(&json->text, "{");
	out_json_number(json, "format_version", OUT_FORMAT_VERSION);
}

void
out_json_finish(struct out_json *json)
{
	buf_add_text(&json->text, json->line ? "}\n" : "\n}\n");
	(void)fwrite(buf_bytes(&json->text), 1, buf_length(&json->text), stdout);
	buf_wipe(&json->text); /* A token may be in it. */
}

void
out_json_open(struct out_json *json, const char *name, char bracket)
{
	add_name(json, name);
	buf_add(&json->text, &bracket, 1);
	json->depth++;
	json->empty = true;
}

void
out_json_close(struct out_json *json, char bracket)
{
	json->depth--;
	if (!json->empty)
		add_break(json);
	buf_add(&json->text, &bracket, 1);
	json->empty = false;
}

void
out_json_text(struct out_json *json, const char *name, const char *text)
{
	add_name(json, name);
	if (text)
		add_string(&json->text, text);
	else
		buf_add_text(&json->text, "null");
}

void
out_json_number(struct out_json *json, const char *name, uint64_t number)
{
	add_name(json, name);
	buf_printf(&json->text, "%llu", (unsigned long long)number);
}

void
out_json_flag(struct out_json *json, const char *name, bool flag)
{
	add_name(json, name);
	buf_add_text(&json->text, flag ? "true" : "false");
}

void
out_json_null(struct out_json *json, const char *name)
{
	add_name(json, name);
	buf_add_text(&json->text, "null");
}

void
out_json_raw(struct out_json *json, const char *name, const void *text, size_t length)
{
	add_name(json, name);
	buf_add(&json->text, text, length);
}

void
out_json_words(struct out_json *json, const char *name, const char *words)
{
	out_json_open(json, name, '[');
	while (*words) {
		size_t length = strcspn(words, " ");
		char *word = xstrndup(words, length);

		if (length > 0)
			out_json_text(json, NULL, word);
		free(word);
		words += length;
		words += *words == ' ';
	}
	out_json_close(json, ']');
}

void
out_json_time(struct out_json *json, const char *name, uint64_t ms)
{
	char text[TIME_TEXT_SIZE];

	if (ms == 0 || ms > INT64_MAX) {
		out_json_null(json, name);
		return;
	}
	time_format((int64_t)ms, text);
	out_json_text(json, name, text);
}
