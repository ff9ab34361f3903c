/*
 * Durations in buckets: nothing is lost, quantiles are right to an eighth, and bounds
 * that are powers of two are exact.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "broker/histogram.h"

#define DAY_US (24LL * 3600 * 1000000)

static void
nothing_is_in_an_empty_one(void **state)
{
	const struct histogram empty = { .count = 0 };

	(void)state;
	assert_int_equal(histogram_quantile(&empty, 0.5), 0);
	assert_int_equal(histogram_quantile(&empty, 1), 0);
	assert_int_equal(histogram_below(&empty, INT64_MAX), 0);
}

/* Every size from 1 us to far beyond a day, by itself. */
static void
one_duration_is_found_again_to_an_eighth(void **state)
{
	int64_t us;

	(void)state;
	for (us = 1; us < 40 * DAY_US; us += us / 7 + 1) {
		struct histogram one = { .count = 0 };

		histogram_add(&one, us);
		/* The longest bounds the bucket, so one alone is exact. */
		assert_int_equal(histogram_quantile(&one, 0.5), us);
		histogram_add(&one, 40 * DAY_US);
		assert_in_range(histogram_quantile(&one, 0.5), us, us + us / 8);
		assert_int_equal(one.sum_us, us + 40 * DAY_US);
		assert_int_equal(one.count, 2);
	}
}

static void
odd_durations_are_counted_too(void **state)
{
	struct histogram odd = { .count = 0 };

	(void)state;
	histogram_add(&odd, -5);
	histogram_add(&odd, 0);
	histogram_add(&odd, INT64_MAX);
	assert_int_equal(odd.count, 3);
	assert_int_equal(histogram_quantile(&odd, 0.5), 0);
	assert_int_equal(odd.most_us, INT64_MAX);
}

static void
quantiles_are_those_of_a_sorted_list(void **state)
{
	struct histogram all = { .count = 0 };
	struct histogram half[2] = { { .count = 0 }, { .count = 0 } };
	int64_t us;

	(void)state;
	for (us = 1; us <= 100000; us++)
		histogram_add(&half[us % 2], us);
	histogram_merge(&all, &half[0]);
	histogram_merge(&all, &half[1]);
	assert_int_equal(all.count, 100000);
	assert_in_range(histogram_quantile(&all, 0.5), 50000, 56250);
	assert_in_range(histogram_quantile(&all, 0.95), 95000, 100000);
	assert_int_equal(histogram_quantile(&all, 1), 100000);
	assert_int_equal(all.most_us, 100000);
}

static void
powers_of_two_are_exact_bounds(void **state)
{
	struct histogram all = { .count = 0 };
	unsigned power;
	int64_t us;

	(void)state;
	for (us = 0; us < 1 << 17; us++)
		histogram_add(&all, us);
	for (power = 0; power <= 17; power++)
		assert_int_equal(histogram_below(&all, 1LL << power), 1LL << power);
	assert_int_equal(histogram_below(&all, INT64_MAX), all.count);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_in_an_empty_one),
		cmocka_unit_test(one_duration_is_found_again_to_an_eighth),
		cmocka_unit_test(odd_durations_are_counted_too),
		cmocka_unit_test(quantiles_are_those_of_a_sorted_list),
		cmocka_unit_test(powers_of_two_are_exact_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
