/*
 * What the command writes: text that a terminal only shows, and JSON.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "broker/cli/out.h"

static void
assert_escaped(const char *text, size_t length, const char *expected)
{
	char *escaped = out_escape(text, length);

	assert_string_equal(escaped, expected);
	free(escaped);
}

static void
harmless_text_stays_as_it_is(void **state)
{
	static const char *const texts[] = { "", "plain text ~!\\\"",
		"Gr\xc3\xbc\xc3\x9f", "\xe2\x9c\x93", "\xf0\x9f\x98\x80" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_escaped(texts[i], strlen(texts[i]), texts[i]);
}

static void
what_drives_a_terminal_is_escaped(void **state)
{
	static const struct {
		const char *text;
		const char *expected;
	} rows[] = { { "\033[2J", "\\u001b[2J" }, { "a\nb", "a\\nb" },
		{ "\r", "\\u000d" }, { "\x7f", "\\u007f" },
		{ "\xc2\x9b", "\\u009b" },     /* CSI in one character */
		{ "\xe2\x80\xae", "\\u202e" }, /* right-to-left override */
		{ "\xe2\x80\x8b", "\\u200b" }, /* zero width space */
		{ "\xef\xbb\xbf", "\\ufeff" }, /* byte order mark */
		{ "\xf3\xa0\x80\x81", "\\ue0001" } /* a tag */ };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_escaped(rows[i].text, strlen(rows[i].text), rows[i].expected);
	assert_escaped("a\0b", 3, "a\\u0000b");
}

static void
bytes_that_are_no_utf8_are_escaped_one_by_one(void **state)
{
	static const struct {
		const char *text;
		const char *expected;
	} rows[] = { { "\xff", "\\xff" }, { "\x80", "\\x80" }, { "\xc3", "\\xc3" },
		{ "\xc3(", "\\xc3(" }, { "\xc0\xaf", "\\xc0\\xaf" },
		{ "\xed\xa0\x80", "\\xed\\xa0\\x80" },
		{ "\xf0\x9f\x98", "\\xf0\\x9f\\x98" },
		{ "\xf8\x88\x80\x80\x80", "\\xf8\\x88\\x80\\x80\\x80" } };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_escaped(rows[i].text, strlen(rows[i].text), rows[i].expected);
}

static void
width_counts_characters(void **state)
{
	(void)state;
	assert_int_equal(out_width(""), 0);
	assert_int_equal(out_width("abc"), 3);
	assert_int_equal(out_width("Gr\xc3\xbc\xc3\x9f"), 4);
}

/* Every byte as a text: what comes out is JSON whatever goes in. */
static void
any_text_becomes_valid_json(void **state)
{
	unsigned byte;

	(void)state;
	for (byte = 1; byte < 256; byte++) {
		char text[4] = { 'a', (char)byte, 'b', '\0' };
		struct out_json json;
		json_t *read;
		const char *back;

		out_json_start_line(&json);
		out_json_text(&json, text, text);
		buf_add_text(&json.text, "}");
		read = json_loadb((const char *)buf_bytes(&json.text),
		    buf_length(&json.text), JSON_REJECT_DUPLICATES, NULL);
		assert_non_null(read);
		assert_int_equal(json_object_size(read), 2);
		if (byte < 0x80) {
			back = json_string_value(json_object_get(read, text));
			assert_non_null(back);
			assert_string_equal(back, text);
		}
		json_decref(read);
		buf_clear(&json.text);
	}
}

static void
nested_json_is_valid_in_both_forms(void **state)
{
	int form;

	(void)state;
	for (form = 0; form < 2; form++) {
		struct out_json json;
		json_t *read;
		json_t *expected = json_loads(
		    "{\"format_version\":1,\"list\":[{\"a\":true,\"b\":null},{}],"
		    "\"empty\":[],\"words\":[\"x\",\"y\"],\"none\":[],"
		    "\"n\":18446744073709551,\"t\":\"2026-01-18T10:00:00.000Z\","
		    "\"zero\":null,\"raw\":{\"k\":[1]}}",
		    0, NULL);

		(form ? out_json_start_line : out_json_start)(&json);
		out_json_open(&json, "list", '[');
		out_json_open(&json, NULL, '{');
		out_json_flag(&json, "a", true);
		out_json_text(&json, "b", NULL);
		out_json_close(&json, '}');
		out_json_open(&json, NULL, '{');
		out_json_close(&json, '}');
		out_json_close(&json, ']');
		out_json_open(&json, "empty", '[');
		out_json_close(&json, ']');
		out_json_words(&json, "words", "x  y ");
		out_json_words(&json, "none", "");
		out_json_number(&json, "n", 18446744073709551U);
		out_json_time(&json, "t", 1768730400000);
		out_json_time(&json, "zero", 0);
		out_json_raw(&json, "raw", "{\"k\":[1]}", 9);
		buf_add_text(&json.text, "}");
		read = json_loadb((const char *)buf_bytes(&json.text),
		    buf_length(&json.text), JSON_REJECT_DUPLICATES, NULL);
		assert_true(json_equal(read, expected));
		assert_int_equal(
		    memchr(buf_bytes(&json.text), '\n', buf_length(&json.text)) == NULL,
		    form);
		json_decref(read);
		json_decref(expected);
		buf_clear(&json.text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(harmless_text_stays_as_it_is),
		cmocka_unit_test(what_drives_a_terminal_is_escaped),
		cmocka_unit_test(bytes_that_are_no_utf8_are_escaped_one_by_one),
		cmocka_unit_test(width_counts_characters),
		cmocka_unit_test(any_text_becomes_valid_json),
		cmocka_unit_test(nested_json_is_valid_in_both_forms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
