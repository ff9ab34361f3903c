/*
 * When a channel is compared again: after a failure, a refusal, a change, and when all
 * is as it should be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/subscriptions/subs_inner.h"
#include "common/time.h"

#define SECOND 1000LL
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DRAWS 300
#define INTERVAL_S 3600

static struct broker broker;
static struct subscriptions subs = { .broker = &broker };

static int
begin(void **state)
{
	(void)state;
	broker.config.subscriptions.reconcile_interval_s = INTERVAL_S;
	return 0;
}

/* Every draw is from half of `most` on and below it, and they differ. */
static void
check_backoff(int64_t first, int64_t last, unsigned failures, int64_t most)
{
	int64_t least_seen = INT64_MAX;
	int64_t most_seen = 0;
	int i;

	for (i = 0; i < DRAWS; i++) {
		int64_t wait = subs_backoff_ms(first, last, failures);

		assert_in_range(wait, most / 2, most - 1);
		least_seen = wait < least_seen ? wait : least_seen;
		most_seen = wait > most_seen ? wait : most_seen;
	}
	/* Over most of the room that there is. */
	assert_true(most_seen - least_seen > most / 4);
}

static void
a_back_off_doubles_up_to_its_most(void **state)
{
	static const struct {
		unsigned failures;
		int64_t passes;
		int64_t refusals;
	} cases[] = {
		{ 0, 30 * SECOND, 1 * MINUTE },
		{ 1, 1 * MINUTE, 2 * MINUTE },
		{ 2, 2 * MINUTE, 4 * MINUTE },
		{ 5, 16 * MINUTE, 32 * MINUTE },
		{ 6, 30 * MINUTE, 1 * HOUR },
		{ 7, 30 * MINUTE, 1 * HOUR },
		{ UINT32_MAX, 30 * MINUTE, 1 * HOUR },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		check_backoff(SUBS_BACKOFF_FIRST_MS, SUBS_BACKOFF_LAST_MS,
		    cases[i].failures, cases[i].passes);
		check_backoff(SUBS_REFUSED_FIRST_MS, SUBS_REFUSED_LAST_MS,
		    cases[i].failures, cases[i].refusals);
	}
}

static void
failures_one_after_the_other_wait_longer_and_a_success_ends_that(void **state)
{
	const struct sub_pass_end failed = { .failed = true };
	const struct sub_pass_end fine = { .failed = false };
	struct sub_channel channel = { .failures = 0 };
	int64_t most = SUBS_BACKOFF_FIRST_MS;
	int i;

	(void)state;
	for (i = 0; i < 10; i++) {
		assert_in_range(
		    subs_wait_after(&subs, &channel, &failed), most / 2, most - 1);
		assert_int_equal(channel.failures, i + 1);
		most =
		    most * 2 < SUBS_BACKOFF_LAST_MS ? most * 2 : SUBS_BACKOFF_LAST_MS;
	}
	(void)subs_wait_after(&subs, &channel, &fine);
	assert_int_equal(channel.failures, 0);
	assert_in_range(subs_wait_after(&subs, &channel, &failed),
	    SUBS_BACKOFF_FIRST_MS / 2, SUBS_BACKOFF_FIRST_MS - 1);
}

static void
what_the_platform_says_is_waited_for_and_no_less(void **state)
{
	const struct sub_pass_end told = { .failed = true, .retry_after_s = 120 };
	const struct sub_pass_end soon = { .failed = true, .retry_after_s = 1 };
	struct sub_channel channel = { .failures = 0 };
	int i;

	(void)state;
	/* Longer than the back-off: exactly that. Shorter: the back-off. */
	for (i = 0; i < 2; i++)
		assert_int_equal(subs_wait_after(&subs, &channel, &told), 120 * SECOND);
	channel.failures = 10;
	assert_in_range(
	    subs_wait_after(&subs, &channel, &told), 15 * MINUTE, 30 * MINUTE - 1);
	channel.failures = 0;
	assert_in_range(
	    subs_wait_after(&subs, &channel, &soon), 15 * SECOND, 30 * SECOND - 1);
}

static void
when_all_is_well_it_is_the_interval_or_a_little_less(void **state)
{
	const struct sub_pass_end fine = { .failed = false };
	struct sub_channel channel = { .settling = 3 };
	int i;

	(void)state;
	for (i = 0; i < DRAWS; i++)
		assert_in_range(subs_wait_after(&subs, &channel, &fine),
		    INTERVAL_S * SECOND * 9 / 10, INTERVAL_S * SECOND);
	assert_int_equal(channel.settling, 0);
}

static void
what_was_refused_is_tried_when_its_time_comes(void **state)
{
	const struct sub_pass_end fine = { .failed = false };
	struct sub_event events[3] = { { .not_before = 0 } };
	struct sub_channel channel = { .events = events, .event_count = 3 };

	(void)state;
	events[1].not_before = time_boot_ms() + 10 * MINUTE;
	events[2].not_before = time_boot_ms() + 2 * MINUTE;
	assert_in_range(subs_wait_after(&subs, &channel, &fine), MINUTE, 2 * MINUTE);
	/* Later than the interval: with that. Overdue: soon, and in no tight loop. */
	events[1].not_before = events[2].not_before = time_boot_ms() + 24 * HOUR;
	assert_in_range(subs_wait_after(&subs, &channel, &fine),
	    INTERVAL_S * SECOND * 9 / 10, INTERVAL_S * SECOND);
	events[1].not_before = 1;
	assert_in_range(subs_wait_after(&subs, &channel, &fine), 20, 100);
}

static void
changes_are_read_back_ever_later(void **state)
{
	const struct sub_pass_end changed = { .changed = true };
	const struct sub_pass_end awaiting = { .awaiting = true };
	const struct sub_pass_end fine = { .failed = false };
	struct sub_channel channel = { .settling = 0 };
	int64_t wanted = SUBS_READ_BACK_MS;
	int i;

	(void)state;
	assert_int_equal(SUBS_READ_BACK_MS, 5 * SECOND);
	for (i = 0; i < 5; i++) {
		assert_int_equal(
		    subs_wait_after(&subs, &channel, i % 2 ? &awaiting : &changed),
		    wanted);
		wanted *= 3;
	}
	/* But not later than the interval, however often. */
	for (i = 0; i < 100; i++)
		assert_in_range(subs_wait_after(&subs, &channel, &changed),
		    SUBS_READ_BACK_MS, INTERVAL_S * SECOND);
	(void)subs_wait_after(&subs, &channel, &fine);
	assert_int_equal(subs_wait_after(&subs, &channel, &changed), SUBS_READ_BACK_MS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_back_off_doubles_up_to_its_most),
		cmocka_unit_test(
		    failures_one_after_the_other_wait_longer_and_a_success_ends_that),
		cmocka_unit_test(what_the_platform_says_is_waited_for_and_no_less),
		cmocka_unit_test(when_all_is_well_it_is_the_interval_or_a_little_less),
		cmocka_unit_test(what_was_refused_is_tried_when_its_time_comes),
		cmocka_unit_test(changes_are_read_back_ever_later),
	};

	return cmocka_run_group_tests(tests, begin, NULL);
}
