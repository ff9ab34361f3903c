/*
 * When the platform is asked for its public key: at start, daily, again after failures,
 * and when deliveries do not verify. Pure; times are boot-time ms.
 *
 * Everybody who reaches the webhook listener can send deliveries that do not verify, so
 * these have an allowance of their own: however many come, the platform is asked no
 * more than KICK_SUSPECT_BURST times at once and once every KICK_SUSPECT_REFILL_MS in
 * the long run.
 */
#ifndef BROKER_EVENTS_KICK_UPKEEP_PLAN_H
#define BROKER_EVENTS_KICK_UPKEEP_PLAN_H

#include <stdbool.h>
#include <stdint.h>

/* After the start; a broker that dies at once asks nobody. */
#define KICK_ASK_START_MS 500
/* After an answer; up to KICK_ASK_SPREAD_MS less, at random. */
#define KICK_ASK_DAILY_MS (24 * 60 * 60 * 1000)
#define KICK_ASK_SPREAD_MS (60 * 60 * 1000)
/* After no usable answer: doubling from the first to the last, half of it at random. */
#define KICK_ASK_RETRY_FIRST_MS (60 * 1000)
#define KICK_ASK_RETRY_LAST_MS (60 * 60 * 1000)

/* Questions that deliveries can cause at once, the time in which one is allowed again,
 * and the least between two. */
#define KICK_SUSPECT_BURST 3
#define KICK_SUSPECT_REFILL_MS (5 * 60 * 1000)
#define KICK_SUSPECT_GAP_MS 1000

struct kick_plan {
	int64_t due; /* of the next question that nobody causes */
	int64_t ended_at;
	int64_t refilled_at;
	unsigned allowed;  /* questions that deliveries may cause */
	unsigned failures; /* one after the other */
};

void kick_plan_start(struct kick_plan *plan, int64_t now);

/* Whether it is time to ask. */
bool kick_plan_is_due(const struct kick_plan *plan, int64_t now);

/* A delivery does not verify: whether to ask because of it, which uses the allowance
 * up by one. */
bool kick_plan_suspect(struct kick_plan *plan, int64_t now);

/* A question ended. `retry_after_s` as the platform said it, 0: not at all; `random` is
 * any number. */
void kick_plan_ended(struct kick_plan *plan, int64_t now, bool good,
    uint32_t retry_after_s, uint32_t random);

#endif
