/*
 * The address that a person types back at a login.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "broker/cli/paste.h"

static const char *
read_text(const char *text, struct paste *paste)
{
	struct secret address = secret_copy(text, strlen(text));
	const char *problem = paste_read(&address, paste);

	secret_clear(&address);
	return problem;
}

static void
addresses_of_every_form_are_read(void **state)
{
	static const char *const good[] = {
		"http://localhost:3000/oauth/callback/kick?code=c%2F1+2&state=s-t_8",
		"  https://x.example/?state=s-t_8&code=c/1%202&scope=a#frag?code=no\n",
		"?code=c%2f1%202&state=s-t_8",
		"state=s-t_8&code=c/1+2&iss=",
		"http://localhost/oauth/callback/kick/s-t_8?code=c/1+2",
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct paste paste;

		assert_null(read_text(good[i], &paste));
		assert_string_equal(secret_text(&paste.code), "c/1 2");
		assert_string_equal(secret_text(&paste.state), "s-t_8");
		assert_null(paste.error);
		assert_null(paste.iss);
		paste_clear(&paste);
		assert_int_equal(paste.code.length, 0);
	}
}

static void
a_refusal_of_the_platform_is_read(void **state)
{
	struct paste paste;

	(void)state;
	assert_null(
	    read_text("http://localhost/cb?error=access_denied&"
		      "error_description=The+user+said+no&state=S&iss=https://i",
		&paste));
	assert_string_equal(paste.error, "access_denied");
	assert_string_equal(paste.error_description, "The user said no");
	assert_string_equal(paste.iss, "https://i");
	paste_clear(&paste);
}

static void
what_is_no_such_address_is_refused(void **state)
{
	static const char *const bad[] = { "", "   ", "?", "&&&", "hello",
		"http://localhost/cb", "http://localhost/cb?state=S", "code=c",
		"code=a&code=b&state=S", "code=a&state=S&state=T", "code=a%0&state=S",
		"code=a%zz&state=S", "code=a%00b&state=S", "error=a&error=b&state=S",
		"code=%&state=S", "http://localhost/cb/?code=c" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct paste paste;

		assert_non_null(read_text(bad[i], &paste));
		paste_clear(&paste);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_of_every_form_are_read),
		cmocka_unit_test(a_refusal_of_the_platform_is_read),
		cmocka_unit_test(what_is_no_such_address_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
