/*
 * What becomes of an event after an attempt to push it, and when to try again. Pure.
 */
#ifndef BROKER_CONSUMERS_PUSH_VERDICT_H
#define BROKER_CONSUMERS_PUSH_VERDICT_H

#include <stdint.h>

#include "broker/outbound/fetch.h"

enum push_verdict {
	PUSH_taken,    /* 2xx: the event is done */
	PUSH_gone,     /* 410: the consumer is switched off */
	PUSH_away,     /* the target is away or busy: again and again, however long */
	PUSH_failed,   /* again; a dead letter after consumers.push_attempts */
	PUSH_unwanted, /* the event itself is refused: again only a few times */
	PUSH_VERDICT_MAX
};

/* Attempts for an event that is refused itself. */
#define PUSH_UNWANTED_ATTEMPTS 3

/* Judges an answer, or that there was none. */
enum push_verdict push_judge(enum fetch_result result, unsigned status);

/* Attempts before an event becomes a dead letter; 0: it never does. `most` is
 * consumers.push_attempts. */
unsigned push_attempts(enum push_verdict verdict, unsigned most);

/* Milliseconds to wait after the attempt number `attempt` (from 1) failed: first_ms,
 * doubling, at most most_ms, of which `chance` (0 to UINT32_MAX) takes off up to the
 * half, so that targets are not all called at once; never less than what the target
 * asked for in Retry-After. */
uint64_t push_delay_ms(unsigned attempt, uint64_t first_ms, uint64_t most_ms,
    uint32_t retry_after_s, uint32_t chance);

#endif
