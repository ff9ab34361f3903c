/*
 * When an account is to be refreshed, and what is known of its last refreshes. Part of
 * struct account; pure but for what it is given. Only for the files of this folder.
 */
#ifndef BROKER_OAUTH_REFRESH_PLAN_H
#define BROKER_OAUTH_REFRESH_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/store/store_account.h"
#include "proto/proto.h"

/* Of a life, the part that is kept as margin when the configured margin is longer:
 * tokens are refreshed at 80 % of their life at the latest. */
#define PLAN_MARGIN_PART 5
/* Of a margin, the part by which the time varies between accounts. */
#define PLAN_JITTER_PART 5
/* Refreshes that a step of the clock made due at once are spread over so long. */
#define PLAN_SPREAD_MS 60000

/* Times are boot-time ms, 0: never or none. */
struct refresh_plan {
	uint64_t generation; /* of the tokens it was made for, 0: not made */
	int64_t due;
	int64_t expires;
	int64_t refreshed;      /* when the last refresh succeeded */
	int64_t ended;          /* when the last refresh ended */
	int64_t not_before;     /* the platform asked to wait until then */
	unsigned failures;      /* in a row */
	unsigned doubts;        /* refusals without a word that count, in a row */
	int64_t doubted;        /* when the last of them came */
	uint64_t rejected;      /* generation that was refreshed after a 401 */
	uint64_t proven;        /* generation whose access token has worked */
	bool in_doubt;          /* a refresh token was sent and nothing came back */
	unsigned sends;         /* of the token in doubt, those that got no answer */
	bool previous;          /* the token in doubt is the one before */
	int64_t noted_at;       /* wall clock ms; of a note found at start, 0: none */
	enum proto_error error; /* of the last refresh */
	char *trouble;          /* what it failed with, NULL: it did not; owned */
};

/* Frees what the plan owns and empties it. */
void refresh_plan_clear(struct refresh_plan *plan);

/* Makes the plan of fresh tokens from the clocks' values; keeps what is known of
 * refreshes. */
void refresh_plan_make(struct refresh_plan *plan, const struct store_account *row,
    int64_t margin_ms, int64_t wall, int64_t boot);

/* The expiry was corrected: the same, but for a time that somebody waits for (a
 * back-off, a refresh in doubt) and for a refresh that runs. A plan that was not made
 * stays so. */
void refresh_plan_correct(struct refresh_plan *plan, const struct store_account *row,
    int64_t margin_ms, int64_t wall, int64_t boot);

/* The clock was set: the account is refreshed earlier when the new time says so, at a
 * moment that differs between accounts, and never later. */
void refresh_plan_clock_set(struct refresh_plan *plan, const struct store_account *row,
    int64_t margin_ms, int64_t wall, int64_t boot);

/* The retry of a refresh in doubt was made and got no usable answer either: nothing is
 * sent any more until somebody asks for it. */
bool refresh_plan_is_undecided(const struct refresh_plan *plan);

/* Back-off with full jitter after `failures` (1 and more): ms from 500 to
 * REFRESH_BACKOFF_MAX_MS. `random` is any number. */
int64_t refresh_backoff_ms(unsigned failures, uint32_t random);

#endif
