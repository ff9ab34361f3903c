/*
 * "Did you mean": near words are found, far ones are not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/suggest.h"

static void
suggestions_are_near_or_absent(void **state)
{
	static const char *const words[] = { "status", "start", "login", "on" };

	(void)state;
	assert_int_equal(suggest_distance("", "abc"), 3);
	assert_int_equal(suggest_distance("abc", "acb"), 1);
	assert_int_equal(suggest_distance("kitten", "sitting"), 3);
	assert_int_equal(suggest_distance("A", "a"), 0);
	assert_string_equal(suggest_nearest("stauts", words, 4), "status");
	assert_string_equal(suggest_nearest("logn", words, 4), "login");
	assert_null(suggest_nearest("x", words, 4));
	assert_null(suggest_nearest("", words, 4));
	assert_null(suggest_nearest("wholly-else", words, 4));
	assert_null(
	    suggest_nearest("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
			    "aaaaaaaaa",
		words, 4));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(suggestions_are_near_or_absent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
