/*
 * Tokens as one secret, and text of others in sentences.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/oauth/foreign.h"
#include "broker/oauth/tokens.h"

static void
test_tokens_come_back_as_they_went_in(void **state)
{
	struct tokens in = { .access = secret_copy("access", 6),
		.refresh = secret_copy("refresh!", 8) };
	struct secret packed = tokens_pack(&in);
	struct tokens out;

	(void)state;
	assert_int_equal(tokens_unpack(&packed, &out), 0);
	assert_true(secret_equal(&in.access, &out.access));
	assert_true(secret_equal(&in.refresh, &out.refresh));
	tokens_clear(&in);
	tokens_clear(&out);
	secret_clear(&packed);
}

static void
test_cut_or_longer_bytes_are_refused(void **state)
{
	struct tokens in = { .access = secret_copy("a", 1),
		.refresh = secret_copy("bc", 2) };
	struct secret packed = tokens_pack(&in);
	size_t whole = packed.length;
	struct tokens out;
	size_t length;

	(void)state;
	for (length = 0; length <= whole; length++) {
		struct secret cut = secret_copy(packed.bytes, length);

		assert_int_equal(
		    tokens_unpack(&cut, &out), length == whole ? 0 : -EBADMSG);
		if (length == whole)
			tokens_clear(&out);
		secret_clear(&cut);
	}
	packed.bytes[0] = TOKENS_FORMAT + 1;
	assert_int_equal(tokens_unpack(&packed, &out), -EBADMSG);
	packed.bytes[0] = TOKENS_FORMAT;
	memset(packed.bytes + 1, 0xff, 4);
	assert_int_equal(tokens_unpack(&packed, &out), -EBADMSG);
	tokens_clear(&in);
	secret_clear(&packed);
}

static void
test_a_third_token_is_read_over(void **state)
{
	static const unsigned char bytes[] = "\1\0\0\0\1a\0\0\0\2bc\0\0\0\1d";
	struct secret packed = secret_copy(bytes, sizeof(bytes) - 1);
	struct tokens out;

	(void)state;
	assert_int_equal(tokens_unpack(&packed, &out), 0);
	assert_string_equal(secret_text(&out.access), "a");
	assert_string_equal(secret_text(&out.refresh), "bc");
	tokens_clear(&out);
	secret_clear(&packed);
}

static void
test_foreign_text_is_plain_and_cut(void **state)
{
	static const struct {
		const char *text;
		const char *plain;
	} cases[] = {
		{ NULL, "" },
		{ "", "" },
		{ "access_denied", "access_denied" },
		{ "a\r\nb\x1b[2J", "a\\x0d\\x0ab\\x1b[2J" },
		{ "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f" },
		{ "x\xc2\x9by", "x\\xc2\\x9by" },
		{ "\xc2\xa0", "\xc2\xa0" },
		{ "bad\xff\xc3\xbc", "bad\\xff\\xc3\\xbc" },
		{ "<b>&", "<b>&" },
	};
	char out[FOREIGN_SIZE];
	char text[1000];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		foreign_text(cases[i].text, out);
		assert_string_equal(out, cases[i].plain);
	}
	for (i = 0; i < sizeof(text) - 1; i++) {
		memset(text, 'a', i);
		text[i] = '\0';
		foreign_text(text, out);
		assert_true(strlen(out) < FOREIGN_SIZE);
		memset(text, '\x01', i);
		foreign_text(text, out);
		assert_true(strlen(out) < FOREIGN_SIZE);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tokens_come_back_as_they_went_in),
		cmocka_unit_test(test_cut_or_longer_bytes_are_refused),
		cmocka_unit_test(test_a_third_token_is_read_over),
		cmocka_unit_test(test_foreign_text_is_plain_and_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
