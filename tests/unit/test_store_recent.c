/*
 * What the table of contents has got not long ago: what was added is never denied, what
 * was there before is never denied, and most of what is new is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/store/store_recent.h"
#include "common/crypto.h"

#define MANY (4 * STORE_RECENT_KEYS + 1000)
#define THEN 1768730400U

static struct store_recent *recent;

/* A key of a second; the rest is a digest of the number, as contents have it. */
static void
make_key(uint32_t second, uint32_t number, uint8_t key[static STORE_CONTENT_KEY_SIZE])
{
	uint8_t digest[CRYPTO_SHA256_SIZE];
	int i;

	crypto_sha256((const uint8_t *)&number, sizeof(number), digest);
	for (i = 0; i < 4; i++)
		key[i] = (uint8_t)(second >> (24 - 8 * i));
	memcpy(key + 4, digest, STORE_CONTENT_KEY_SIZE - 4);
}

static void
add(uint32_t second, uint32_t number)
{
	uint8_t key[STORE_CONTENT_KEY_SIZE];

	make_key(second, number, key);
	assert_int_equal(store_recent_time(key), second);
	store_recent_add(recent, key);
}

static bool
may_have(uint32_t second, uint32_t number)
{
	uint8_t key[STORE_CONTENT_KEY_SIZE];

	make_key(second, number, key);
	return store_recent_may_have(recent, key);
}

static void
what_was_there_before_is_not_denied(void **state)
{
	(void)state;
	store_recent_begin(recent, THEN);
	assert_true(may_have(THEN, 1));
	assert_true(may_have(THEN - 1, 1));
	assert_true(may_have(0, 1));
	assert_false(may_have(THEN + 1, 1));
	assert_false(may_have(UINT32_MAX, 1));
	store_recent_begin(recent, 0);
	assert_false(may_have(THEN, 1));
}

static void
what_was_added_is_forgotten_with_all(void **state)
{
	(void)state;
	store_recent_begin(recent, 0);
	add(THEN, 1);
	add(THEN + 5, 2);
	assert_true(may_have(THEN, 1));
	assert_true(may_have(THEN + 5, 2));
	assert_false(may_have(THEN, 3));
	assert_false(may_have(THEN + 6, 3));
	store_recent_begin(recent, THEN + 5);
	assert_true(may_have(THEN, 1));
	assert_true(may_have(THEN + 5, 2));
	assert_false(may_have(THEN + 6, 3));
}

/* The seconds in which they happened, as they come: mostly the latest, some late. */
static uint32_t
second_of(uint32_t number, uint32_t in_a_second)
{
	uint32_t late = number % 7 == 0 ? number % 13 : 0;

	return THEN + number / in_a_second - late;
}

/* However many come, and however long a second is beside a generation. */
static void
nothing_that_was_added_is_denied(uint32_t in_a_second)
{
	uint32_t wrong = 0;
	uint32_t i;

	store_recent_begin(recent, THEN - 100);
	for (i = 0; i < MANY; i++) {
		add(second_of(i, in_a_second), i);
		if (i % 50000 == 0 || i == MANY - 1)
			for (uint32_t j = 0; j <= i; j++)
				wrong += !may_have(second_of(j, in_a_second), j);
	}
	assert_int_equal(wrong, 0);
}

static void
nothing_is_denied_in_a_burst(void **state)
{
	(void)state;
	nothing_that_was_added_is_denied(1000000);
}

static void
nothing_is_denied_in_the_long_run(void **state)
{
	(void)state;
	nothing_that_was_added_is_denied(40000);
	nothing_that_was_added_is_denied(10);
}

static void
most_of_what_is_new_is_denied(void **state)
{
	unsigned taken_for_another = 0;
	uint32_t i;

	(void)state;
	store_recent_begin(recent, THEN - 1);
	for (i = 0; i < MANY; i++) {
		taken_for_another += may_have(THEN + i / 40000, MANY + i);
		add(THEN + i / 40000, i);
	}
	assert_in_range(taken_for_another, 1, MANY / 16);
}

static int
set_up(void **state)
{
	(void)state;
	recent = calloc(1, sizeof(*recent));
	return recent ? 0 : -1;
}

static int
tear_down(void **state)
{
	(void)state;
	free(recent);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_was_there_before_is_not_denied),
		TEST(what_was_added_is_forgotten_with_all),
		TEST(nothing_is_denied_in_a_burst),
		TEST(nothing_is_denied_in_the_long_run),
		TEST(most_of_what_is_new_is_denied),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
