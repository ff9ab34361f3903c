/*
 * When stored tokens are checked with their platforms: what a platform demands (at
 * start and every hour), and now and then to follow renames. One at a time.
 */
#ifndef BROKER_OAUTH_VALIDATE_H
#define BROKER_OAUTH_VALIDATE_H

#include "broker/broker.h"
#include "broker/oauth/account_check.h"

struct validation;

/* Begins; accounts are loaded. */
void validate_start(struct broker *broker);

/* After the flows have ended. */
void validate_stop(struct broker *broker);

/* An account has just been seen to work: it is checked an interval after that. The time
 * is set when this is called, since the timer may look only after a suspend. */
void validate_in_turn(struct broker *broker, const struct account *account);

/* Checks an account as soon as it is its turn: its expiry is not known, or it has come
 * into doubt. */
void validate_soon(struct broker *broker, const struct account *account);

/* The clock was set: every token is checked soon, spread over a while. */
void validate_clock_set(struct broker *broker);

/* For account_check.c: keeps what came of a check. */
void validate_note(struct broker *broker, const struct account_check_end *end);

/* For account_check.c: the platform refused the token of this generation. */
void validate_rejected(
    struct broker *broker, const struct account *account, uint64_t generation);

/* What reports say. Times are wall clock ms, 0: never. */
struct validate_stats {
	uint64_t verdicts[CHECK_VERDICT_MAX];
	int64_t last_at;
	size_t waiting; /* accounts whose time has come */
};
void validate_stats(const struct broker *broker, struct validate_stats *ret_stats);

#endif
