/*
 * Scopes are sets.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/oauth/scopes.h"

static void
test_texts_become_sets(void **state)
{
	static const struct {
		const char *text;
		const char *set;
		bool complete;
	} cases[] = {
		{ "", "", true },
		{ "   ", "", true },
		{ "a", "a", true },
		{ " b  a b\ta ", "b a", true },
		{ "a,b, c", "a b c", true },
		{ "chat:read https://x/y", "chat:read https://x/y", true },
		{ "a \"b\" c", "a c", false },
		{ "a b\\c", "a", false },
		{ "a \x01 b", "a b", false },
		{ "a \xc3\xa4", "a", false },
		{ "aa a", "aa a", true },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool complete;
		char *set =
		    scopes_of_text(cases[i].text, strlen(cases[i].text), &complete);

		assert_string_equal(set, cases[i].set);
		assert_int_equal(complete, cases[i].complete);
		free(set);
	}
}

static void
test_missing_is_asked_without_granted_in_any_order(void **state)
{
	static const struct {
		const char *asked;
		const char *granted;
		const char *missing;
	} cases[] = {
		{ "", "", "" },
		{ "a b c", "c b a", "" },
		{ "a b c", "b", "a c" },
		{ "chat:read", "chat:reader", "chat:read" },
		{ "a", "a b c", "" },
		{ "user:read chat:write", "", "user:read chat:write" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *missing = scopes_missing(cases[i].asked, cases[i].granted);

		assert_string_equal(missing, cases[i].missing);
		free(missing);
	}
}

static void
test_sets_end_at_their_limit_between_two_tokens(void **state)
{
	size_t length = SCOPES_SIZE_MAX * 2;
	char *text = malloc(length);
	bool complete;
	char *set;
	size_t i;

	(void)state;
	/* "aaaa aaab aaac ..." */
	for (i = 0; i < length; i += 5) {
		text[i] = (char)('a' + i / 5 / 17576 % 26);
		text[i + 1] = (char)('a' + i / 5 / 676 % 26);
		text[i + 2] = (char)('a' + i / 5 / 26 % 26);
		text[i + 3] = (char)('a' + i / 5 % 26);
		if (i + 4 < length)
			text[i + 4] = ' ';
		if (i + 5 + 4 > length)
			break;
	}
	set = scopes_of_text(text, i + 4, &complete);
	assert_false(complete);
	assert_true(strlen(set) <= SCOPES_SIZE_MAX);
	assert_true(strlen(set) > SCOPES_SIZE_MAX - 6);
	assert_int_equal(strlen(set) % 5, 4);
	free(set);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_texts_become_sets),
		cmocka_unit_test(test_missing_is_asked_without_granted_in_any_order),
		cmocka_unit_test(test_sets_end_at_their_limit_between_two_tokens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
