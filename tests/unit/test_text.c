/*
 * Text: UTF-8, user names, case, numbers, base64 and hex, each by a table of what is
 * well-formed and what is not.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/alloc.h"
#include "common/text.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* A text with its length, so that it may hold a NUL. */
#define T(literal) literal, sizeof(literal) - 1

struct text_case {
	const char *text;
	size_t length;
	bool good;
};

static void
utf8_is_judged_as_rfc_3629_says(void **state)
{
	static const struct text_case cases[] = {
		{ T(""), true },
		{ T("plain"), true },
		{ T("a\0b"), true },
		{ T("\x7f"), true },
		{ T("\xc2\x80"), true },
		{ T("\xdf\xbf"), true },
		{ T("\xe0\xa0\x80"), true },
		{ T("\xed\x9f\xbf"), true },
		{ T("\xee\x80\x80"), true },
		{ T("\xef\xbf\xbf"), true },
		{ T("\xf0\x90\x80\x80"), true },
		{ T("\xf4\x8f\xbf\xbf"), true },
		{ T("\x80"), false },
		{ T("\xbf"), false },
		{ T("a\xc3"), false },
		{ T("\xc0\x80"), false },
		{ T("\xc1\xbf"), false },
		{ T("\xc2\x41"), false },
		{ T("\xc2\xc2"), false },
		{ T("\xe0\x80\x80"), false },
		{ T("\xe0\x9f\xbf"), false },
		{ T("\xe1\x80"), false },
		{ T("\xe1\x80\x41"), false },
		{ T("\xe1\x41\x80"), false },
		{ T("\xed\xa0\x80"), false },
		{ T("\xed\xbf\xbf"), false },
		{ T("\xf0\x80\x80\x80"), false },
		{ T("\xf0\x8f\xbf\xbf"), false },
		{ T("\xf1\x80\x80"), false },
		{ T("\xf1\x80\x80\xc0"), false },
		{ T("\xf1\x80\x41\x80"), false },
		{ T("\xf1\x41\x80\x80"), false },
		{ T("\xf4\x90\x80\x80"), false },
		{ T("\xf5\x80\x80\x80"), false },
		{ T("\xf8\x88\x80\x80\x80"), false },
		{ T("\xfe"), false },
		{ T("\xff"), false },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++)
		if (text_is_utf8(cases[i].text, cases[i].length) != cases[i].good)
			fail_msg("case %zu: '%s'", i, cases[i].text);
}

/* Every code point in its own form is accepted, every surrogate is refused. */
static void
every_code_point_is_utf8(void **state)
{
	uint32_t point;
	char text[4];

	(void)state;
	for (point = 0x800; point < 0x10000; point++) {
		text[0] = (char)(0xe0 | point >> 12);
		text[1] = (char)(0x80 | (point >> 6 & 63));
		text[2] = (char)(0x80 | (point & 63));
		assert_int_equal(
		    text_is_utf8(text, 3), point < 0xd800 || point > 0xdfff);
	}
	for (point = 0x10000; point < 0x140000; point += 7) {
		text[0] = (char)(0xf0 | point >> 18);
		text[1] = (char)(0x80 | (point >> 12 & 63));
		text[2] = (char)(0x80 | (point >> 6 & 63));
		text[3] = (char)(0x80 | (point & 63));
		assert_int_equal(text_is_utf8(text, 4), point <= 0x10ffff);
	}
}

static void
user_names_are_one_to_a_hundred_bytes_without_controls_or_slash(void **state)
{
	static const struct text_case cases[] = {
		{ T("a"), true },
		{ T("streamer123"), true },
		{ T("with space"), true },
		{ T("..%2f"), true },
		{ T("J\xc3\xbcrgen"), true },
		{ T("\xf0\x9f\x8e\xae"), true },
		{ T("\xc2\xa0"), true },
		{ T(""), false },
		{ T("a/b"), false },
		{ T("/"), false },
		{ T("a\0b"), false },
		{ T("a\nb"), false },
		{ T("a\tb"), false },
		{ T("\x1b[31m"), false },
		{ T("a\x7f"), false },
		{ T("\xc2\x80"), false },
		{ T("\xc2\x85"), false },
		{ T("\xc2\x9f"), false },
		{ T("a\xff"), false },
		{ T("\xc2"), false },
	};
	char longest[TEXT_USERNAME_MAX + 1];
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++)
		if (text_is_username(cases[i].text, cases[i].length) != cases[i].good)
			fail_msg("case %zu: '%s'", i, cases[i].text);
	memset(longest, 'x', sizeof(longest));
	assert_true(text_is_username(longest, TEXT_USERNAME_MAX));
	assert_false(text_is_username(longest, TEXT_USERNAME_MAX + 1));
}

static void
case_is_that_of_ascii_only(void **state)
{
	char *folded = text_fold("AZaz09[\\]^_`@{J\xc3\x9c");

	(void)state;
	assert_string_equal(folded, "azaz09[\\]^_`@{j\xc3\x9c");
	free(folded);
	assert_true(text_equal_nocase("", ""));
	assert_true(text_equal_nocase("Kick", "kICK"));
	assert_false(text_equal_nocase("kick", "kicks"));
	assert_false(text_equal_nocase("kicks", "kick"));
	assert_false(text_equal_nocase("@", "`"));
	assert_false(text_equal_nocase("[", "{"));
	assert_false(text_equal_nocase("\xc3\x9c", "\xc3\xbc"));
}

static void
numbers_are_digits_up_to_the_bound(void **state)
{
	static const struct {
		const char *text;
		uint64_t most;
		bool good;
		uint64_t value;
	} cases[] = {
		{ "0", 0, true, 0 },
		{ "1", 0, false, 0 },
		{ "007", 7, true, 7 },
		{ "65535", 65535, true, 65535 },
		{ "65536", 65535, false, 0 },
		{ "18446744073709551614", UINT64_MAX, true, UINT64_MAX - 1 },
		{ "18446744073709551615", UINT64_MAX, true, UINT64_MAX },
		{ "18446744073709551616", UINT64_MAX, false, 0 },
		{ "18446744073709551620", UINT64_MAX, false, 0 },
		{ "99999999999999999999", UINT64_MAX, false, 0 },
		{ "100000000000000000000000000000001", UINT64_MAX, false, 0 },
		{ "000000000000000000000000000000001", UINT64_MAX, true, 1 },
		{ "", UINT64_MAX, false, 0 },
		{ "+1", UINT64_MAX, false, 0 },
		{ "-1", UINT64_MAX, false, 0 },
		{ " 1", UINT64_MAX, false, 0 },
		{ "1 ", UINT64_MAX, false, 0 },
		{ "0x1", UINT64_MAX, false, 0 },
		{ "1e3", UINT64_MAX, false, 0 },
		{ "1:", UINT64_MAX, false, 0 },
		{ "1/", UINT64_MAX, false, 0 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		uint64_t value = 4711;
		bool good = text_to_u64(
		    cases[i].text, strlen(cases[i].text), cases[i].most, &value);

		if (good != cases[i].good)
			fail_msg("'%s'", cases[i].text);
		assert_int_equal(value, good ? cases[i].value : 4711);
	}
	assert_false(text_to_u64(T("1\0"), UINT64_MAX, &(uint64_t){ 0 }));
}

static void
base64_of_rfc_4648_comes_out_and_goes_in(void **state)
{
	static const char *const vectors[][2] = { { "", "" }, { "f", "Zg==" },
		{ "fo", "Zm8=" }, { "foo", "Zm9v" }, { "foob", "Zm9vYg==" },
		{ "fooba", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy" } };
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(vectors); i++) {
		char *text = base64_encode(vectors[i][0], strlen(vectors[i][0]));
		uint8_t bytes[8];
		size_t length;

		assert_string_equal(text, vectors[i][1]);
		assert_int_equal(
		    base64_decode(text, strlen(text), bytes, sizeof(bytes), &length),
		    0);
		assert_int_equal(length, strlen(vectors[i][0]));
		assert_memory_equal(bytes, vectors[i][0], length);
		free(text);
	}
}

static void
base64_that_is_not_strict_is_refused(void **state)
{
	static const struct text_case cases[] = {
		{ T("Zm9v"), true },
		{ T("+/+/"), true },
		{ T("Zg=="), true },
		{ T("Z"), false },     /* no whole group */
		{ T("Zg"), false },    /* padding left out */
		{ T("Zg="), false },   /* padding cut */
		{ T("Zm8"), false },   /* padding left out */
		{ T("Zg==="), false }, /* padding too long */
		{ T("Zg==Zg=="), false },
		{ T("Zm9v===="), false },
		{ T("===="), false },
		{ T("Z==="), false },
		{ T("Z=g="), false },
		{ T("Zg=A"), false },
		{ T("=Zg="), false },
		{ T("Zh=="), false }, /* unused bits of one byte */
		{ T("Zi=="), false },
		{ T("Zk=="), false },
		{ T("Zo=="), false },
		{ T("Zm9="), false }, /* unused bits of two bytes */
		{ T("Zm+="), false },
		{ T("-_-_"), false }, /* the other alphabet */
		{ T("Zm9v\n"), false },
		{ T("Zm9v\r\n\r\n"), false },
		{ T(" Zm9"), false },
		{ T("Zm 9v   "), false },
		{ T("Zm9\0"), false },
		{ T("\0\0\0\0"), false },
		{ T("Zm9\xc3"), false },
		{ T("\xff\xff\xff\xff"), false },
		{ T("Zm9."), false },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		uint8_t bytes[16];
		size_t length = 4711;
		int result = base64_decode(
		    cases[i].text, cases[i].length, bytes, sizeof(bytes), &length);

		if (result != (cases[i].good ? 0 : -EINVAL))
			fail_msg("case %zu: '%s'", i, cases[i].text);
		assert_true(cases[i].good || length == 4711);
	}
}

/* What decodes encodes to the same text: there is one text for each value. */
static void
every_group_of_base64_has_one_text(void **state)
{
	static const char bytes[] = "AQgwfQEI=+/-_ \n\x80z9";
	char text[4];
	unsigned i;

	(void)state;
	for (i = 0; i < 19 * 19 * 19 * 19; i++) {
		uint8_t out[3];
		size_t length;
		char *again;

		text[0] = bytes[i % 19];
		text[1] = bytes[i / 19 % 19];
		text[2] = bytes[i / 361 % 19];
		text[3] = bytes[i / 6859 % 19];
		if (base64_decode(text, 4, out, sizeof(out), &length) < 0)
			continue;
		again = base64_encode(out, length);
		assert_int_equal(strlen(again), 4);
		assert_memory_equal(again, text, 4);
		free(again);
	}
}

static void
base64_keeps_to_the_room_it_is_given(void **state)
{
	uint8_t bytes[6] = { 0, 0, 0, 0, 0, 0xee };
	size_t length;

	(void)state;
	assert_int_equal(base64_decode(T("Zm9vYmE="), bytes, 5, &length), 0);
	assert_int_equal(length, 5);
	assert_int_equal(bytes[5], 0xee);
	assert_int_equal(base64_decode(T("Zm9vYmE="), bytes, 4, &length), -ENOSPC);
	assert_int_equal(base64_decode(T("Zg=="), bytes, 0, &length), -ENOSPC);
	assert_int_equal(base64_decode(T(""), bytes, 0, &length), 0);
	assert_int_equal(length, 0);
}

static void
base64_comes_back_for_every_length(void **state)
{
	uint8_t bytes[300];
	uint8_t back[300];
	size_t length;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 167 + 13);
	for (i = 0; i <= sizeof(bytes); i++) {
		char *text = base64_encode(bytes, i);

		assert_int_equal(
		    base64_decode(text, strlen(text), back, sizeof(back), &length), 0);
		assert_int_equal(length, i);
		assert_memory_equal(bytes, back, i);
		/* In the place of the text as well. */
		assert_int_equal(base64_decode(text, strlen(text), (uint8_t *)text,
				     strlen(text), &length),
		    0);
		assert_int_equal(length, i);
		assert_memory_equal(bytes, text, i);
		free(text);
	}
}

static void
base64url_has_its_own_alphabet_and_no_padding(void **state)
{
	static const uint8_t bytes[] = { 0xfb, 0xff, 0xbf, 0xfb, 0xff };
	char text[BASE64URL_SIZE(sizeof(bytes))];
	size_t length;

	(void)state;
	base64url_encode(bytes, 0, text);
	assert_string_equal(text, "");
	base64url_encode(bytes, 1, text);
	assert_string_equal(text, "-w");
	base64url_encode(bytes, 2, text);
	assert_string_equal(text, "-_8");
	base64url_encode(bytes, 3, text);
	assert_string_equal(text, "-_-_");
	base64url_encode(bytes, 5, text);
	assert_string_equal(text, "-_-_-_8");
	for (length = 0; length < 100; length++) {
		char *exact = xmalloc(BASE64URL_SIZE(length));
		uint8_t *zeros = xcalloc(1, length);

		base64url_encode(zeros, length, exact);
		assert_int_equal(strlen(exact) + 1, BASE64URL_SIZE(length));
		free(exact);
		free(zeros);
	}
}

static void
hex_is_lower_case(void **state)
{
	static const uint8_t bytes[] = { 0x00, 0x0f, 0xf0, 0xab, 0xff };
	char text[2 * sizeof(bytes) + 1];

	(void)state;
	hex_encode(bytes, sizeof(bytes), text);
	assert_string_equal(text, "000ff0abff");
	hex_encode(bytes, 0, text);
	assert_string_equal(text, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(utf8_is_judged_as_rfc_3629_says),
		cmocka_unit_test(every_code_point_is_utf8),
		cmocka_unit_test(
		    user_names_are_one_to_a_hundred_bytes_without_controls_or_slash),
		cmocka_unit_test(case_is_that_of_ascii_only),
		cmocka_unit_test(numbers_are_digits_up_to_the_bound),
		cmocka_unit_test(base64_of_rfc_4648_comes_out_and_goes_in),
		cmocka_unit_test(base64_that_is_not_strict_is_refused),
		cmocka_unit_test(every_group_of_base64_has_one_text),
		cmocka_unit_test(base64_keeps_to_the_room_it_is_given),
		cmocka_unit_test(base64_comes_back_for_every_length),
		cmocka_unit_test(base64url_has_its_own_alphabet_and_no_padding),
		cmocka_unit_test(hex_is_lower_case),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
