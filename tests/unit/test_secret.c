/*
 * Secrets: owned, moved, compared; and wiping, on memory that can be looked at
 * afterwards.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/alloc.h"
#include "common/secret.h"

static void
a_secret_is_a_copy_that_ends_in_nul(void **state)
{
	char text[] = "token-123";
	struct secret secret = secret_copy(text, strlen(text));

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	assert_int_equal(secret.length, 9);
	assert_string_equal(secret_text(&secret), "token-123");
	secret_clear(&secret);
	assert_null(secret.bytes);
	assert_int_equal(secret.length, 0);
}

static void
clearing_takes_nothing_and_clears_twice(void **state)
{
	struct secret none = SECRET_NONE;
	struct secret empty = secret_copy("", 0);

	(void)state;
	secret_clear(NULL);
	secret_clear(&none);
	assert_string_equal(secret_text(&none), "");
	assert_non_null(empty.bytes);
	secret_clear(&empty);
	secret_clear(&empty);
}

static void
moving_leaves_nothing_behind(void **state)
{
	struct secret from = secret_copy("abc", 3);
	struct secret to = secret_move(&from);

	(void)state;
	assert_null(from.bytes);
	assert_int_equal(from.length, 0);
	assert_string_equal(secret_text(&to), "abc");
	secret_clear(&to);
}

static void
equal_means_every_byte(void **state)
{
	struct secret a = secret_copy("a\0bcdefgh", 9);
	struct secret none = SECRET_NONE;
	struct secret empty = secret_copy("", 0);
	size_t bit;

	(void)state;
	assert_true(secret_equal(&a, &a));
	assert_true(secret_equal(&none, &empty));
	assert_false(secret_equal(&a, &none));
	for (bit = 0; bit < 8 * a.length; bit++) {
		struct secret b = secret_copy(a.bytes, a.length);

		assert_true(secret_equal(&a, &b));
		b.bytes[bit / 8] ^= (unsigned char)(1U << bit % 8);
		assert_false(secret_equal(&a, &b));
		secret_clear(&b);
	}
	secret_clear(&a);
	secret_clear(&empty);
}

static void
text_is_visible_ascii(void **state)
{
	struct secret none = SECRET_NONE;
	unsigned byte;

	(void)state;
	assert_true(secret_is_text(&none));
	for (byte = 0; byte < 256; byte++) {
		unsigned char bytes[3] = { 'a', (unsigned char)byte, 'z' };
		struct secret secret = secret_copy(bytes, sizeof(bytes));

		assert_int_equal(secret_is_text(&secret), byte > 0x20 && byte < 0x7f);
		secret_clear(&secret);
	}
}

static void
wiping_overwrites_all_and_takes_nothing(void **state)
{
	char bytes[64];
	size_t i;

	(void)state;
	memset(bytes, 's', sizeof(bytes));
	wipe(bytes + 1, sizeof(bytes) - 2);
	assert_int_equal(bytes[0], 's');
	assert_int_equal(bytes[sizeof(bytes) - 1], 's');
	for (i = 1; i < sizeof(bytes) - 1; i++)
		assert_int_equal(bytes[i], 0);
	wipe(NULL, 5);
	wipe(bytes, 0);
	assert_int_equal(bytes[0], 's');
	wipe_free(NULL);
	wipe_free(xstrdup("secret"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_secret_is_a_copy_that_ends_in_nul),
		cmocka_unit_test(clearing_takes_nothing_and_clears_twice),
		cmocka_unit_test(moving_leaves_nothing_behind),
		cmocka_unit_test(equal_means_every_byte),
		cmocka_unit_test(text_is_visible_ascii),
		cmocka_unit_test(wiping_overwrites_all_and_takes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
