/*
 * Form encoding, of every byte.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "broker/oauth/form.h"

static void
assert_form(struct buf *form, const char *expected)
{
	assert_int_equal(buf_length(form), strlen(expected));
	assert_memory_equal(buf_bytes(form), expected, strlen(expected));
	buf_clear(form);
}

static void
test_every_byte_is_either_unreserved_or_escaped(void **state)
{
	static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrs"
					 "tuvwxyz0123456789-._~";
	unsigned i;

	(void)state;
	for (i = 0; i < 256; i++) {
		const unsigned char byte = (unsigned char)i;
		struct buf out = BUF_EMPTY;
		char expected[4] = { (char)byte, '\0' };

		if (!i || !strchr(unreserved, (int)i))
			snprintf(expected, sizeof(expected), "%%%02X", i);
		form_escape(&out, &byte, 1);
		assert_form(&out, expected);
	}
}

static void
test_fields_are_joined_and_a_refresh_token_survives(void **state)
{
	struct secret token = secret_copy("a/b%2B+c=&|", 11);
	struct buf form = BUF_EMPTY;

	(void)state;
	form_add(&form, "grant_type", "refresh_token");
	form_add_secret(&form, "refresh_token", &token);
	form_add(&form, "empty", "");
	secret_clear(&token);
	assert_form(&form,
	    "grant_type=refresh_token&refresh_token="
	    "a%2Fb%252B%2Bc%3D%26%7C&empty=");
}

static void
test_scopes_are_written_as_the_contract_shows_them(void **state)
{
	struct buf form = BUF_EMPTY;

	(void)state;
	form_add_scope(&form, "channel:read:subscriptions chat:read");
	assert_form(&form, "scope=channel:read:subscriptions+chat:read");
	form = BUF_EMPTY;
	form_add_scope(&form, "https://www.googleapis.com/auth/youtube a+b&c");
	assert_form(&form, "scope=https://www.googleapis.com/auth/youtube+a%2Bb%26c");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_byte_is_either_unreserved_or_escaped),
		cmocka_unit_test(test_fields_are_joined_and_a_refresh_token_survives),
		cmocka_unit_test(test_scopes_are_written_as_the_contract_shows_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
