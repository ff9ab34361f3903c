/*
 * When the public key is asked for: no flood of deliveries makes it more often than the
 * allowance, and failures spread out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/events/kick_upkeep_plan.h"

#define START 1000000
#define DAY_MS (24 * 60 * 60 * 1000)

static void
it_is_asked_at_start_and_daily(void **state)
{
	struct kick_plan plan;
	uint32_t random;

	(void)state;
	kick_plan_start(&plan, START);
	assert_false(kick_plan_is_due(&plan, START + KICK_ASK_START_MS - 1));
	assert_true(kick_plan_is_due(&plan, START + KICK_ASK_START_MS));
	for (random = 0; random < 100; random++) {
		kick_plan_ended(&plan, START, true, 3600, random * 1234567U);
		assert_false(
		    kick_plan_is_due(&plan, START + DAY_MS - KICK_ASK_SPREAD_MS));
		assert_true(kick_plan_is_due(&plan, START + DAY_MS));
	}
}

static void
failures_spread_out(void **state)
{
	struct kick_plan plan;
	int64_t most = KICK_ASK_RETRY_FIRST_MS;
	int i;

	(void)state;
	kick_plan_start(&plan, START);
	for (i = 0; i < 20; i++) {
		kick_plan_ended(&plan, START, false, 0, UINT32_MAX);
		assert_false(kick_plan_is_due(&plan, START + most / 2 - 1));
		assert_true(kick_plan_is_due(&plan, START + most));
		most = most * 2 > KICK_ASK_RETRY_LAST_MS ? KICK_ASK_RETRY_LAST_MS
							 : most * 2;
	}
	kick_plan_ended(&plan, START, false, 7200, 0);
	assert_false(kick_plan_is_due(&plan, START + 7200 * 1000 - 1));
	assert_true(kick_plan_is_due(&plan, START + 7200 * 1000));
	kick_plan_ended(&plan, START, true, 0, 0);
	kick_plan_ended(&plan, START, false, 0, 0);
	assert_true(kick_plan_is_due(&plan, START + KICK_ASK_RETRY_FIRST_MS));
}

/* A thousand a second for a day, each of which would like to have it asked. */
static void
junk_has_an_allowance(void **state)
{
	struct kick_plan plan;
	int64_t last = 0;
	int64_t now;
	unsigned asked = 0;

	(void)state;
	kick_plan_start(&plan, START);
	for (now = START; now < START + DAY_MS; now++) {
		if (!kick_plan_suspect(&plan, now))
			continue;
		if (asked++ > 0)
			assert_true(now - last >= KICK_SUSPECT_GAP_MS);
		last = now;
		kick_plan_ended(&plan, now, asked % 2, 0, 0);
	}
	assert_in_range(asked, DAY_MS / KICK_SUSPECT_REFILL_MS,
	    KICK_SUSPECT_BURST + DAY_MS / KICK_SUSPECT_REFILL_MS);
}

static void
a_quiet_time_fills_the_allowance_and_no_more(void **state)
{
	struct kick_plan plan;
	int64_t now = START;
	unsigned asked = 0;
	int i;

	(void)state;
	kick_plan_start(&plan, START);
	assert_true(kick_plan_suspect(&plan, now));
	now += 30LL * DAY_MS;
	for (i = 0; i < 10; i++, now += KICK_SUSPECT_GAP_MS) {
		asked += kick_plan_suspect(&plan, now);
		plan.ended_at = now;
	}
	assert_int_equal(asked, KICK_SUSPECT_BURST);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_asked_at_start_and_daily),
		cmocka_unit_test(failures_spread_out),
		cmocka_unit_test(junk_has_an_allowance),
		cmocka_unit_test(a_quiet_time_fills_the_allowance_and_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
