/*
 * The arithmetic of refresh times. Pure; called by the files of
 * refresh_run.h.
 *
 * A time is kept on the boot-time clock, which goes on during suspend and which nobody
 * sets; what is stored is on the wall clock, which a person or a time server may move.
 */
#include <stdlib.h>
#include <string.h>

#include "broker/oauth/refresh.h"
#include "broker/oauth/refresh_plan.h"

#define BACKOFF_LEAST_MS 500
#define BACKOFF_DOUBLINGS_MAX 10

void
refresh_plan_clear(struct refresh_plan *plan)
{
	free(plan->trouble);
	*plan = (struct refresh_plan){ .error = ERR_none };
}

/* The same for the same tokens, and spread over accounts (a Fibonacci hash). */
static int64_t
vary(const struct store_account *row, int64_t below)
{
	uint64_t seed = (row->generation + ((uint64_t)row->id << 32)) *
	    UINT64_C(0x9E3779B97F4A7C15);

	return below > 0 ? (int64_t)((seed >> 33) % (uint64_t)below) : 0;
}

static bool
is_kept_alive(const struct store_account *row)
{
	return row->refreshable && strcmp(row->status, STORE_ACCOUNT_OK) == 0;
}

/* What is left of the tokens' life by the wall clock. A clock that is behind the moment
 * at which they were obtained is wrong by at least that, so nothing is left longer than
 * a whole life. */
static int64_t
left_ms(const struct store_account *row, int64_t wall, int64_t *ret_life)
{
	int64_t life = row->expires_at - row->obtained_at;
	int64_t left = row->expires_at - wall;

	*ret_life = life > 0 ? life : 0;
	return left < *ret_life ? left : *ret_life;
}

static int64_t
lead_ms(const struct store_account *row, int64_t margin_ms, int64_t life)
{
	int64_t margin = margin_ms;

	if (margin > life / PLAN_MARGIN_PART)
		margin = life / PLAN_MARGIN_PART;
	return margin + vary(row, margin / PLAN_JITTER_PART);
}

void
refresh_plan_make(struct refresh_plan *plan, const struct store_account *row,
    int64_t margin_ms, int64_t wall, int64_t boot)
{
	int64_t life;
	int64_t left = left_ms(row, wall, &life);
	int64_t due = boot + left - lead_ms(row, margin_ms, life);

	plan->generation = row->generation;
	plan->expires = boot + left;
	plan->due = due > boot ? due : boot;
	if (!is_kept_alive(row))
		plan->due = 0;
}

void
refresh_plan_correct(struct refresh_plan *plan, const struct store_account *row,
    int64_t margin_ms, int64_t wall, int64_t boot)
{
	int64_t due = plan->due;
	bool keep = !due || plan->trouble || plan->in_doubt;

	if (plan->generation != row->generation)
		return;
	refresh_plan_make(plan, row, margin_ms, wall, boot);
	if (keep)
		plan->due = due;
}

void
refresh_plan_clock_set(struct refresh_plan *plan, const struct store_account *row,
    int64_t margin_ms, int64_t wall, int64_t boot)
{
	int64_t life;
	int64_t left = left_ms(row, wall, &life);
	int64_t due = boot + left - lead_ms(row, margin_ms, life);

	if (plan->expires > boot + left)
		plan->expires = boot + left;
	if (due <= boot)
		due = boot + vary(row, PLAN_SPREAD_MS);
	if (plan->due > due)
		plan->due = due;
}

bool
refresh_plan_is_undecided(const struct refresh_plan *plan)
{
	return plan->in_doubt && plan->sends > REFRESH_RETRIES_MAX;
}

int64_t
refresh_backoff_ms(unsigned failures, uint32_t random)
{
	unsigned doublings = failures > 0 ? failures - 1 : 0;
	int64_t most;

	if (doublings > BACKOFF_DOUBLINGS_MAX)
		doublings = BACKOFF_DOUBLINGS_MAX;
	most = (int64_t)REFRESH_BACKOFF_MS << doublings;
	if (most > REFRESH_BACKOFF_MAX_MS)
		most = REFRESH_BACKOFF_MAX_MS;
	return BACKOFF_LEAST_MS +
	    (int64_t)(random % (uint64_t)(most - BACKOFF_LEAST_MS));
}
