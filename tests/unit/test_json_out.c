/*
 * The JSON writer and the HTML escaper: nothing that is written can be taken for
 * anything but the text it came from.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "httpd/html.h"

/* Both jansson and the writer are wanted here; their names do not clash. */
#include "common/json_out.h"

static const char *
text_of(struct buf *buf)
{
	buf_add(buf, "", 1);
	return (const char *)buf_bytes(buf);
}

static void
expect_text(const char *text, const char *written)
{
	struct buf buf = BUF_EMPTY;
	struct json_out json = json_out_on(&buf);

	out_text(&json, NULL, text);
	assert_string_equal(text_of(&buf), written);
	buf_clear(&buf);
}

static void
test_texts_are_escaped(void **state)
{
	(void)state;
	expect_text("", "\"\"");
	expect_text("plain", "\"plain\"");
	expect_text("\"\\/", "\"\\\"\\\\/\"");
	expect_text("\b\f\n\r\t", "\"\\b\\f\\n\\r\\t\"");
	expect_text("bfnrt", "\"bfnrt\"");
	expect_text("\x01\x1f\x7f", "\"\\u0001\\u001f\\u007f\"");
	expect_text("a<b>&c", "\"a\\u003cb\\u003e&c\"");
	expect_text("\xc3\xa9\xf0\x9f\x98\x80", "\"\xc3\xa9\xf0\x9f\x98\x80\"");
	expect_text(NULL, "null");
}

static void
test_bytes_that_are_no_utf8_are_replaced(void **state)
{
	(void)state;
	expect_text("a\xff"
		    "b",
	    "\"a\xef\xbf\xbd"
	    "b\"");
	expect_text("\xc3", "\"\xef\xbf\xbd\"");
	expect_text("\xc0\xaf", "\"\xef\xbf\xbd\xef\xbf\xbd\"");
	expect_text("\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
}

/* Every two-byte text is written as JSON that jansson reads; valid ones unchanged. */
static void
test_every_pair_of_bytes_is_readable(void **state)
{
	struct buf buf = BUF_EMPTY;
	json_t *value;
	char text[3] = "";
	int i;

	(void)state;
	for (i = 0x0101; i < 0x10000; i++) {
		struct json_out json = json_out_on(&buf);

		text[0] = (char)(i >> 8);
		text[1] = (char)i;
		out_text(&json, NULL, text);
		value = json_loadb((const char *)buf_bytes(&buf), buf_length(&buf),
		    JSON_DECODE_ANY, NULL);
		assert_non_null(value);
		if ((i & 0x8080) == 0)
			assert_string_equal(json_string_value(value), text);
		json_decref(value);
		buf_consume(&buf, buf_length(&buf));
	}
	buf_clear(&buf);
}

static void
test_members_have_their_commas(void **state)
{
	struct buf buf = BUF_EMPTY;
	struct json_out json = json_out_on(&buf);

	(void)state;
	out_object(&json, NULL);
	out_number(&json, "zero", 0);
	out_number(&json, "most", UINT64_MAX);
	out_array(&json, "list");
	out_flag(&json, NULL, true);
	out_flag(&json, NULL, false);
	out_null(&json, NULL);
	out_array(&json, NULL);
	out_array_end(&json);
	out_object(&json, NULL);
	out_object_end(&json);
	out_array_end(&json);
	out_time(&json, "time", 1768730400000);
	out_time(&json, "far", UINT64_MAX);
	out_object_end(&json);
	assert_string_equal(text_of(&buf),
	    "{\"zero\":0,\"most\":18446744073709551615,\"list\":[true,false,null,[],{}]"
	    ","
	    "\"time\":\"2026-01-18T10:00:00.000Z\",\"far\":\"9999-12-31T23:59:59."
	    "999Z\"}");
	buf_clear(&buf);
}

static void
expect_words(const char *words, const char *written)
{
	struct buf buf = BUF_EMPTY;
	struct json_out json = json_out_on(&buf);

	out_words(&json, NULL, words);
	assert_string_equal(text_of(&buf), written);
	buf_clear(&buf);
}

static void
test_words_become_arrays(void **state)
{
	(void)state;
	expect_words("", "[]");
	expect_words("  ", "[]");
	expect_words("a", "[\"a\"]");
	expect_words(" a:b  c ", "[\"a:b\",\"c\"]");
	expect_words("\"", "[\"\\\"\"]");
}

static void
test_html_is_escaped(void **state)
{
	struct buf buf = BUF_EMPTY;

	(void)state;
	html_text(&buf, "<a href=\"x\">&'\n\x7f\xc3\xa9");
	assert_string_equal(
	    text_of(&buf), "&lt;a href=&quot;x&quot;&gt;&amp;&#39;??\xc3\xa9");
	buf_clear(&buf);
	html_text(&buf, "\xc3<\xff");
	assert_string_equal(text_of(&buf), "?&lt;?");
	buf_clear(&buf);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_texts_are_escaped),
		cmocka_unit_test(test_bytes_that_are_no_utf8_are_replaced),
		cmocka_unit_test(test_every_pair_of_bytes_is_readable),
		cmocka_unit_test(test_members_have_their_commas),
		cmocka_unit_test(test_words_become_arrays),
		cmocka_unit_test(test_html_is_escaped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
