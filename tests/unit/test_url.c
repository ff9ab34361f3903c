/*
 * The URL decoder: segments and parameters are decoded once, and what has two readings
 * or none is refused.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "httpd/url.h"

static struct url_path path;
static struct url_query query;

/* Decode from an allocation of exactly these bytes, so that over-reads are seen. */
static int
path_decode(const char *text, unsigned flags)
{
	size_t length = strlen(text);
	char *copy = malloc(length + (length == 0));
	assert_non_null(copy);
	memcpy(copy, text, length);
	int result = url_path_decode(copy, length, flags, &path);
	free(copy);
	return result;
}

static int
query_decode(const char *text)
{
	size_t length = strlen(text);
	char *copy = malloc(length + (length == 0));
	assert_non_null(copy);
	memcpy(copy, text, length);
	int result = url_query_decode(copy, length, &query);
	free(copy);
	return result;
}

static void
assert_text(struct url_text text, const char *expected)
{
	assert_string_equal(text.data, expected);
	assert_int_equal(text.length, strlen(expected));
}

static void
test_path_is_split_then_decoded_once(void **state)
{
	(void)state;
	assert_int_equal(path_decode("/oauth/start/kick/a%20b%2520+", 0), 0);
	assert_int_equal(path.count, 4);
	assert_text(path.segments[0], "oauth");
	assert_text(path.segments[2], "kick");
	assert_text(path.segments[3], "a b%20+");
	assert_int_equal(path_decode("/", 0), 0);
	assert_int_equal(path.count, 0);
	assert_int_equal(path_decode("/caf%C3%a9/...", 0), 0);
	assert_text(path.segments[0], "caf\xc3\xa9");
	assert_text(path.segments[1], "...");
}

static void
test_illegal_paths_are_refused(void **state)
{
	static const char *const illegal[] = { "", "a", "a/b", "/.", "/..", "/a/../b",
		"/a/.", "/%2e", "/%2E%2e", "/.%2e/a", "/a%", "/a%2", "/a%zz", "/%00",
		"/a%00b", "/a%2fb", "/a%2Fb", "/%2f", "/a%0ab", "/%0d", "/%1b", "/%7f",
		"/%ff", "/%c0%ae", "/%c3", "/%ed%a0%80", "//..", "/a//%00" };
	(void)state;
	for (size_t i = 0; i < sizeof(illegal) / sizeof(illegal[0]); i++) {
		if (path_decode(illegal[i], 0) != -EINVAL)
			fail_msg("'%s' is not refused", illegal[i]);
	}
}

static void
test_empty_segments_match_nothing(void **state)
{
	(void)state;
	assert_int_equal(path_decode("//", 0), -ENOENT);
	assert_int_equal(path_decode("//a", 0), -ENOENT);
	assert_int_equal(path_decode("/a/", 0), -ENOENT);
	assert_int_equal(path_decode("/a//b", 0), -ENOENT);
}

static void
test_slash_in_a_segment_is_let_through_on_demand(void **state)
{
	(void)state;
	assert_int_equal(path_decode("/a%2Fb/c", URL_SLASH_IN_SEGMENT), 0);
	assert_int_equal(path.count, 2);
	assert_text(path.segments[0], "a/b");
	assert_int_equal(path_decode("/%2e%2e", URL_SLASH_IN_SEGMENT), -EINVAL);
}

static void
test_segments_are_limited(void **state)
{
	char text[2 * (URL_SEGMENTS_MAX + 1) + 1] = "";
	(void)state;
	for (int i = 1; i <= URL_SEGMENTS_MAX + 1; i++) {
		(void)strncat(text, "/a", sizeof(text) - strlen(text) - 1);
		assert_int_equal(
		    path_decode(text, 0), i <= URL_SEGMENTS_MAX ? 0 : -ENOENT);
	}
}

static void
test_length_is_limited(void **state)
{
	char text[URL_TEXT_MAX + 3];
	(void)state;
	memset(text, 'a', sizeof(text));
	text[0] = '/';
	text[URL_TEXT_MAX] = '\0';
	assert_int_equal(path_decode(text, 0), 0);
	assert_int_equal(path.segments[0].length, URL_TEXT_MAX - 1);
	assert_int_equal(query_decode(text), 0);
	text[URL_TEXT_MAX] = 'a';
	text[URL_TEXT_MAX + 1] = '\0';
	assert_int_equal(path_decode(text, 0), -EINVAL);
	assert_int_equal(query_decode(text), -EINVAL);
}

static void
test_query_is_decoded_once_with_plus_as_space(void **state)
{
	struct url_text value;
	(void)state;
	assert_int_equal(
	    query_decode("code=4%2F0Ab%2B+c&state=x=y&&flag&e=&%61%26=%3D"), 0);
	assert_int_equal(query.count, 5);
	assert_int_equal(url_query_find(&query, "code", &value), 0);
	assert_text(value, "4/0Ab+ c");
	assert_int_equal(url_query_find(&query, "state", &value), 0);
	assert_text(value, "x=y");
	assert_int_equal(url_query_find(&query, "flag", &value), 0);
	assert_text(value, "");
	assert_int_equal(url_query_find(&query, "e", &value), 0);
	assert_text(value, "");
	assert_int_equal(url_query_find(&query, "a&", &value), 0);
	assert_text(value, "=");
	assert_int_equal(query_decode("a=%252B"), 0);
	assert_int_equal(url_query_find(&query, "a", &value), 0);
	assert_text(value, "%2B");
}

static void
test_doubled_and_absent_parameters_are_told(void **state)
{
	struct url_text value = { "untouched", 9 };
	(void)state;
	assert_int_equal(query_decode("state=1&code=2&st%61te=3"), 0);
	assert_int_equal(url_query_find(&query, "state", &value), -EEXIST);
	assert_int_equal(url_query_find(&query, "State", &value), -ENOENT);
	assert_int_equal(url_query_find(&query, "", &value), -ENOENT);
	assert_text(value, "untouched");
	assert_int_equal(query_decode(""), 0);
	assert_int_equal(query.count, 0);
	assert_int_equal(query_decode("=v"), 0);
	assert_int_equal(url_query_find(&query, "", &value), 0);
	assert_text(value, "v");
}

static void
test_illegal_queries_are_refused(void **state)
{
	static const char *const illegal[] = { "a=%", "a=%4", "a=%4g", "%", "a=%00",
		"%00=a", "a=%ff", "%ff=a", "a=%c3&b=%a9", "a=%c3=%a9" };
	(void)state;
	for (size_t i = 0; i < sizeof(illegal) / sizeof(illegal[0]); i++) {
		if (query_decode(illegal[i]) != -EINVAL)
			fail_msg("'%s' is not refused", illegal[i]);
	}
	assert_int_equal(url_query_decode("a=\0b", 4, &query), -EINVAL);
}

static void
test_parameters_are_limited(void **state)
{
	char text[2 * (URL_PARAMETERS_MAX + 1) + 1] = "";
	(void)state;
	for (int i = 1; i <= URL_PARAMETERS_MAX + 1; i++) {
		(void)strncat(text, "a&", sizeof(text) - strlen(text) - 1);
		assert_int_equal(
		    query_decode(text), i <= URL_PARAMETERS_MAX ? 0 : -E2BIG);
	}
}

static void
test_clear_wipes_values(void **state)
{
	struct url_text value;
	(void)state;
	assert_int_equal(query_decode("code=topsecret"), 0);
	url_query_clear(&query);
	assert_int_equal(url_query_find(&query, "code", &value), -ENOENT);
	for (size_t i = 0; i < sizeof(query.text); i++)
		assert_int_equal(query.text[i], 0);
}

/* RFC 3629, checked against a decoder written from its definition. */
static bool
utf8_by_definition(const unsigned char *text, size_t length)
{
	uint32_t value = text[0];
	size_t more = value < 0x80 ? 0 : value < 0xe0 ? 1 : value < 0xf0 ? 2 : 3;
	static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };
	if ((value >= 0x80 && value < 0xc0) || value >= 0xf8 || length != more + 1)
		return false;
	value &= more == 0 ? 0x7fu : 0x3fu >> more;
	for (size_t i = 1; i <= more; i++) {
		if (text[i] >> 6 != 2)
			return false;
		value = value << 6 | (text[i] & 0x3fu);
	}
	return value >= least[more] && value <= 0x10ffff &&
	    (value < 0xd800 || value > 0xdfff);
}

static void
test_utf8_is_judged_as_rfc_3629_does(void **state)
{
	(void)state;
	assert_true(url_utf8_valid("", 0));
	assert_true(url_utf8_valid("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z", 11));
	assert_false(url_utf8_valid("a\xc3", 2));
	assert_false(url_utf8_valid("\xc3\xa9\xa9", 3));
	for (unsigned lead = 0x80; lead < 0x100; lead++) {
		for (unsigned second = 0x00; second < 0x100; second++) {
			unsigned char text[] = { (unsigned char)lead,
				(unsigned char)second, 0x80, 0xbf };
			for (size_t length = 2; length <= 4; length++) {
				bool expected = utf8_by_definition(text, length);
				/* Two bytes and an ASCII rest are other sequences. */
				if (!expected && second < 0x80)
					continue;
				assert_int_equal(
				    url_utf8_valid((const char *)text, length),
				    expected);
			}
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_path_is_split_then_decoded_once),
		cmocka_unit_test(test_illegal_paths_are_refused),
		cmocka_unit_test(test_empty_segments_match_nothing),
		cmocka_unit_test(test_slash_in_a_segment_is_let_through_on_demand),
		cmocka_unit_test(test_segments_are_limited),
		cmocka_unit_test(test_length_is_limited),
		cmocka_unit_test(test_query_is_decoded_once_with_plus_as_space),
		cmocka_unit_test(test_doubled_and_absent_parameters_are_told),
		cmocka_unit_test(test_illegal_queries_are_refused),
		cmocka_unit_test(test_parameters_are_limited),
		cmocka_unit_test(test_clear_wipes_values),
		cmocka_unit_test(test_utf8_is_judged_as_rfc_3629_does),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
