/*
 * The cache of accounts: found by name and id, also among a hundred thousand.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "broker/oauth/accounts.h"
#include "common/alloc.h"
#include "common/time.h"

#define MANY 100000
/* Look-ups that must fit into a second; a walk through the list would take minutes. */
#define LOOKUPS 100000

static void
put(struct accounts *accounts, const char *platform, const char *name, const char *id)
{
	struct store_account row = {
		.platform = xstrdup(platform),
		.username_key = xstrdup(name),
		.username = xstrdup(name),
		.user_id = id ? xstrdup(id) : NULL,
		.status = xstrdup(STORE_ACCOUNT_OK),
	};

	accounts_put(accounts, platform_find(platform), &row);
	assert_null(row.platform);
}

static void
test_accounts_come_and_go_by_name_and_id(void **state)
{
	struct accounts *accounts = accounts_new();
	struct account **sorted;
	size_t count;

	(void)state;
	put(accounts, "kick", "b", "1");
	put(accounts, "kick", "a", NULL);
	put(accounts, "twitch", "b", "1");
	assert_int_equal(accounts->count, 3);
	assert_int_equal(accounts_platform_count(accounts, "kick"), 2);
	assert_non_null(accounts_find(accounts, platform_find("kick"), "B"));
	assert_null(accounts_find(accounts, platform_find("youtube"), "b"));
	assert_true(accounts_have_channel(accounts, "kick", "1", NULL, NULL));
	assert_true(accounts_have_channel(accounts, "kick", "9", "A", "x"));
	assert_true(accounts_have_channel(accounts, "kick", NULL, NULL, "a"));
	assert_false(accounts_have_channel(accounts, "kick", "9", "x", "y"));
	/* The name of one whose id is another. */
	assert_false(accounts_have_channel(accounts, "kick", "9", "b", "b"));
	assert_true(accounts_have_channel(accounts, "kick", "", "b", NULL));
	assert_true(accounts_have_channel(accounts, "kick", NULL, NULL, "B"));
	assert_false(accounts_have_channel(accounts, "kick", NULL, NULL, NULL));
	put(accounts, "kick", "b", "2"); /* in its own place */
	assert_int_equal(accounts->count, 3);
	assert_false(accounts_have_channel(accounts, "kick", "1", NULL, NULL));
	assert_true(accounts_have_channel(accounts, "kick", "2", NULL, NULL));
	sorted = accounts_sorted(accounts, NULL, &count);
	assert_int_equal(count, 3);
	assert_string_equal(sorted[0]->row.username, "a");
	assert_string_equal(sorted[2]->row.platform, "twitch");
	free(sorted);
	accounts_remove(accounts, platform_find("kick"), "B");
	accounts_remove(accounts, platform_find("kick"), "B");
	assert_int_equal(accounts->count, 2);
	assert_false(accounts_have_channel(accounts, "kick", "2", NULL, NULL));
	accounts_free(accounts);
}

static void
test_a_hundred_thousand_accounts_do_not_slow_a_look_up(void **state)
{
	struct accounts *accounts = accounts_new();
	char name[32];
	clock_t start;
	unsigned i;

	(void)state;
	for (i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "user%u", i);
		put(accounts, "kick", name, name + 4);
	}
	start = clock();
	for (i = 0; i < LOOKUPS; i++) {
		snprintf(name, sizeof(name), "USER%u", i * 7 % MANY);
		assert_non_null(accounts_find(accounts, platform_find("kick"), name));
		assert_true(
		    accounts_have_channel(accounts, "kick", name + 4, "x", "y"));
	}
	assert_true(clock() - start < CLOCKS_PER_SEC); /* of CPU */
	accounts_free(accounts);
}

static void
test_generations_only_grow(void **state)
{
	struct accounts *accounts = accounts_new();
	uint64_t last = (uint64_t)time_now_ms() + 1000000;
	unsigned i;

	(void)state;
	assert_true(accounts_next_generation(accounts) > 1000);
	accounts->generation = last; /* the clock was set back */
	for (i = 0; i < 100; i++) {
		uint64_t next = accounts_next_generation(accounts);

		assert_true(next > last);
		last = next;
	}
	accounts_free(accounts);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accounts_come_and_go_by_name_and_id),
		cmocka_unit_test(
		    test_a_hundred_thousand_accounts_do_not_slow_a_look_up),
		cmocka_unit_test(test_generations_only_grow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
