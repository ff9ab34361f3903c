/*
 * Tables of answers to pushed events (Standard Webhooks, facts D.11). Called by
 * push_send.c.
 */
#include <stddef.h>

#include "broker/consumers/push_verdict.h"

/* The first row that fits counts. */
static const struct {
	unsigned least;
	unsigned most;
	enum push_verdict verdict;
} statuses[] = {
	{ 200, 299, PUSH_taken }, { 400, 400, PUSH_unwanted }, /* bad request */
	{ 408, 408, PUSH_away }, /* it waited in vain for the request */
	{ 410, 410, PUSH_gone },
	{ 411, 411, PUSH_unwanted }, /* a length is always sent */
	{ 413, 415, PUSH_unwanted }, /* too large, address too long, type */
	{ 422, 422, PUSH_unwanted }, /* understood, and not wanted */
	{ 425, 425, PUSH_away },     /* too early */
	{ 429, 429, PUSH_away },     /* too many requests */
	{ 431, 431, PUSH_unwanted }, /* header too large */
	{ 451, 451, PUSH_unwanted },
	{ 502, 504, PUSH_away }, /* a proxy whose program is away; too busy */
};

/* What is in no row: redirects (never followed), logins, wrong paths, defects. The
 * event may be the reason or not. */
#define STATUS_ELSE PUSH_failed

/* No answer. Where nothing can have arrived, the event cannot be the reason. */
static const enum push_verdict results[FETCH_RESULT_MAX] = {
	[FETCH_answered] = PUSH_failed,
	[FETCH_unreachable] = PUSH_away,
	[FETCH_untrusted] = PUSH_away,
	[FETCH_forbidden] = PUSH_away,
	[FETCH_timed_out] = PUSH_failed,
	[FETCH_too_large] = PUSH_failed,
	[FETCH_broken] = PUSH_failed,
};

enum push_verdict
push_judge(enum fetch_result result, unsigned status)
{
	size_t i;

	if (result != FETCH_answered)
		return results[result];
	for (i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		if (status >= statuses[i].least && status <= statuses[i].most)
			return statuses[i].verdict;
	return STATUS_ELSE;
}

unsigned
push_attempts(enum push_verdict verdict, unsigned most)
{
	if (verdict == PUSH_failed)
		return most;
	if (verdict == PUSH_unwanted)
		return most < PUSH_UNWANTED_ATTEMPTS ? most : PUSH_UNWANTED_ATTEMPTS;
	return 0;
}

uint64_t
push_delay_ms(unsigned attempt, uint64_t first_ms, uint64_t most_ms,
    uint32_t retry_after_s, uint32_t chance)
{
	uint64_t asked = (uint64_t)retry_after_s * 1000;
	uint64_t delay = first_ms;

	while (attempt > 1 && delay < most_ms) {
		delay *= 2;
		attempt--;
	}
	if (delay > most_ms)
		delay = most_ms;
	delay -= (delay / 2) * chance / UINT32_MAX;
	return delay > asked ? delay : asked;
}
