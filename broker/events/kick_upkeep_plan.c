/*
 * Plans questions for the public key. Called by kick_upkeep.c, which owns the plan.
 */
#include "broker/events/kick_upkeep_plan.h"

void
kick_plan_start(struct kick_plan *plan, int64_t now)
{
	*plan = (struct kick_plan){ .due = now + KICK_ASK_START_MS,
		.ended_at = now - KICK_SUSPECT_GAP_MS,
		.refilled_at = now,
		.allowed = KICK_SUSPECT_BURST };
}

bool
kick_plan_is_due(const struct kick_plan *plan, int64_t now)
{
	return now >= plan->due;
}

static void
refill(struct kick_plan *plan, int64_t now)
{
	while (plan->allowed < KICK_SUSPECT_BURST &&
	    now - plan->refilled_at >= KICK_SUSPECT_REFILL_MS) {
		plan->refilled_at += KICK_SUSPECT_REFILL_MS;
		plan->allowed++;
	}
	if (plan->allowed == KICK_SUSPECT_BURST)
		plan->refilled_at = now;
}

bool
kick_plan_suspect(struct kick_plan *plan, int64_t now)
{
	refill(plan, now);
	if (plan->allowed == 0 || now - plan->ended_at < KICK_SUSPECT_GAP_MS)
		return false;
	plan->allowed--;
	return true;
}

static int64_t
retry_ms(unsigned failures, uint32_t random)
{
	int64_t most = KICK_ASK_RETRY_FIRST_MS;

	while (--failures > 0 && most < KICK_ASK_RETRY_LAST_MS)
		most *= 2;
	if (most > KICK_ASK_RETRY_LAST_MS)
		most = KICK_ASK_RETRY_LAST_MS;
	return most / 2 + (int64_t)(random % (uint64_t)(most / 2));
}

void
kick_plan_ended(struct kick_plan *plan, int64_t now, bool good, uint32_t retry_after_s,
    uint32_t random)
{
	int64_t said = (int64_t)retry_after_s * 1000;
	int64_t wait;

	plan->ended_at = now;
	if (good) {
		plan->failures = 0;
		plan->due =
		    now + KICK_ASK_DAILY_MS - (int64_t)(random % KICK_ASK_SPREAD_MS);
		return;
	}
	plan->failures++;
	wait = retry_ms(plan->failures, random);
	plan->due = now + (said > wait ? said : wait);
}
