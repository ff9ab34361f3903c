/*
 * PKCE: the vector of RFC 7636 appendix B, and what a verifier looks like.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "broker/oauth/pkce.h"

static void
test_challenge_is_that_of_rfc_7636_appendix_b(void **state)
{
	static const char text[] = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
	struct secret verifier = secret_copy(text, strlen(text));
	char challenge[PKCE_CHALLENGE_SIZE];

	(void)state;
	pkce_challenge(&verifier, challenge);
	assert_string_equal(challenge, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
	secret_clear(&verifier);
}

static void
test_verifiers_are_43_unreserved_characters_and_never_the_same(void **state)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuv"
				      "wxyz0123456789-._~";
	struct secret one = pkce_verifier();
	struct secret other = pkce_verifier();

	(void)state;
	assert_int_equal(one.length, 43);
	assert_int_equal(strspn(secret_text(&one), allowed), 43);
	assert_false(secret_equal(&one, &other));
	secret_clear(&one);
	secret_clear(&other);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_challenge_is_that_of_rfc_7636_appendix_b),
		cmocka_unit_test(
		    test_verifiers_are_43_unreserved_characters_and_never_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
