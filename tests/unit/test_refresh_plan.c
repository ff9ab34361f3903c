/*
 * When tokens are refreshed: margins, jitter, clocks that are set, back-off.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "broker/oauth/refresh.h"
#include "broker/oauth/refresh_plan.h"

#define MINUTE INT64_C(60000)
#define HOUR (60 * MINUTE)
#define WALL INT64_C(1700000000000)
#define BOOT (5 * HOUR)
#define MARGIN (5 * MINUTE)

static struct store_account
row_of(int64_t life, uint64_t generation)
{
	return (struct store_account){ .id = 1,
		.obtained_at = WALL,
		.expires_at = WALL + life,
		.refreshable = true,
		.generation = generation,
		.status = (char *)(uintptr_t)STORE_ACCOUNT_OK };
}

static void
test_long_lives_keep_the_margin_and_vary(void **state)
{
	int64_t least = INT64_MAX;
	int64_t most = 0;
	uint64_t i;

	(void)state;
	for (i = 1; i <= 1000; i++) {
		struct store_account row = row_of(2 * HOUR, i);
		struct refresh_plan plan = { .due = 0 };

		refresh_plan_make(&plan, &row, MARGIN, WALL, BOOT);
		assert_int_equal(plan.expires, BOOT + 2 * HOUR);
		least = plan.due < least ? plan.due : least;
		most = plan.due > most ? plan.due : most;
	}
	assert_true(most <= BOOT + 2 * HOUR - MARGIN);
	assert_true(least > BOOT + 2 * HOUR - MARGIN - MINUTE - 1);
	assert_true(most - least > MINUTE / 2);
}

static void
test_short_lives_are_refreshed_at_80_percent(void **state)
{
	struct store_account row = row_of(100000, 7);
	struct refresh_plan plan = { .due = 0 };

	(void)state;
	refresh_plan_make(&plan, &row, MARGIN, WALL, BOOT);
	assert_in_range(plan.due - BOOT, 76000, 80000);
}

static void
test_what_cannot_be_refreshed_has_no_time(void **state)
{
	struct store_account row = row_of(HOUR, 7);
	struct refresh_plan plan = { .due = 5 };

	(void)state;
	row.refreshable = false;
	refresh_plan_make(&plan, &row, MARGIN, WALL, BOOT);
	assert_int_equal(plan.due, 0);
	row.refreshable = true;
	row.status = (char *)(uintptr_t)STORE_ACCOUNT_LOST;
	refresh_plan_make(&plan, &row, MARGIN, WALL, BOOT);
	assert_int_equal(plan.due, 0);
}

static void
test_a_clock_behind_the_login_adds_nothing_to_a_life(void **state)
{
	struct store_account row = row_of(2 * HOUR, 7);
	struct refresh_plan plan = { .due = 0 };

	(void)state;
	refresh_plan_make(&plan, &row, MARGIN, WALL - 24 * HOUR, BOOT);
	assert_int_equal(plan.expires, BOOT + 2 * HOUR);
	refresh_plan_make(&plan, &row, MARGIN, WALL + 24 * HOUR, BOOT);
	assert_int_equal(plan.due, BOOT);
}

static void
test_clock_set_forward_spreads_and_backward_delays_nothing(void **state)
{
	unsigned at_once = 0;
	uint64_t i;

	(void)state;
	for (i = 1; i <= 1000; i++) {
		struct store_account row = row_of(2 * HOUR, i);
		struct refresh_plan plan = { .due = 0 };
		int64_t due;

		refresh_plan_make(&plan, &row, MARGIN, WALL, BOOT);
		due = plan.due;
		refresh_plan_clock_set(&plan, &row, MARGIN, WALL - 24 * HOUR, BOOT);
		assert_int_equal(plan.due, due);
		assert_int_equal(plan.expires, BOOT + 2 * HOUR);
		refresh_plan_clock_set(&plan, &row, MARGIN, WALL + 24 * HOUR, BOOT);
		assert_in_range(plan.due - BOOT, 0, PLAN_SPREAD_MS);
		at_once += plan.due - BOOT < 5000;
		due = plan.due;
		refresh_plan_clock_set(&plan, &row, MARGIN, WALL, BOOT + 1);
		assert_int_equal(plan.due, due);
	}
	assert_true(at_once < 200);
}

static void
test_backoff_doubles_with_full_jitter_and_ends_at_15_minutes(void **state)
{
	unsigned failures;
	uint32_t random;

	(void)state;
	assert_int_equal(refresh_backoff_ms(1, 0), 500);
	for (failures = 1; failures < 100; failures++) {
		int64_t most = 0;

		for (random = 0; random < 2000000; random += 997) {
			int64_t wait = refresh_backoff_ms(failures, random);

			assert_in_range(wait, 500, REFRESH_BACKOFF_MAX_MS);
			most = wait > most ? wait : most;
		}
		if (failures < 8)
			assert_true(
			    most <= (int64_t)REFRESH_BACKOFF_MS << (failures - 1));
		if (failures > 9)
			assert_true(most > REFRESH_BACKOFF_MAX_MS / 2);
	}
}

/* A corrected expiry moves what nobody waits for. */
static void
test_a_corrected_expiry_moves_only_a_free_time(void **state)
{
	static const struct {
		struct refresh_plan plan;
		bool moves;
	} cases[] = {
		{ { .generation = 1, .due = BOOT + HOUR }, true },
		{ { .generation = 1,
		      .due = BOOT + HOUR,
		      .trouble = (char *)(uintptr_t) "away" },
		    false },
		{ { .generation = 1, .due = BOOT + HOUR, .in_doubt = true }, false },
		{ { .generation = 1, .due = 0 }, false }, /* one runs */
		{ { .generation = 0, .due = 0 }, false }, /* not made yet */
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct store_account row = row_of(20 * MINUTE, 1);
		struct refresh_plan plan = cases[i].plan;

		refresh_plan_correct(&plan, &row, MARGIN, WALL, BOOT);
		assert_int_equal(plan.generation, cases[i].plan.generation);
		assert_int_equal(
		    plan.expires, plan.generation ? BOOT + 20 * MINUTE : 0);
		if (cases[i].moves)
			assert_in_range(
			    plan.due, BOOT + 14 * MINUTE, BOOT + 16 * MINUTE);
		else
			assert_int_equal(plan.due, cases[i].plan.due);
	}
}

/* One retry; what is not in doubt counts nothing. */
static void
test_a_doubt_is_undecided_after_its_one_retry(void **state)
{
	struct refresh_plan plan = { .in_doubt = true, .sends = 1 };

	(void)state;
	assert_false(refresh_plan_is_undecided(&plan));
	plan.sends = 2;
	assert_true(refresh_plan_is_undecided(&plan));
	plan.in_doubt = false;
	assert_false(refresh_plan_is_undecided(&plan));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_long_lives_keep_the_margin_and_vary),
		cmocka_unit_test(test_short_lives_are_refreshed_at_80_percent),
		cmocka_unit_test(test_what_cannot_be_refreshed_has_no_time),
		cmocka_unit_test(test_a_clock_behind_the_login_adds_nothing_to_a_life),
		cmocka_unit_test(
		    test_clock_set_forward_spreads_and_backward_delays_nothing),
		cmocka_unit_test(test_a_corrected_expiry_moves_only_a_free_time),
		cmocka_unit_test(test_a_doubt_is_undecided_after_its_one_retry),
		cmocka_unit_test(
		    test_backoff_doubles_with_full_jitter_and_ends_at_15_minutes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
