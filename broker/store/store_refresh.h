/*
 * Table `refreshes`: refresh tokens that are about to be sent or have been, and whose
 * fate is not known yet, for the `run` functions of jobs. A row is durable before the
 * token leaves and goes in the transaction that stores what came of it, so that a row
 * found at start tells of a refresh that was cut off.
 */
#ifndef BROKER_STORE_STORE_REFRESH_H
#define BROKER_STORE_STORE_REFRESH_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/store/store.h"

/* Texts are borrowed. */
struct store_refresh {
	const char *platform;
	const char *username_key; /* the name in ASCII lower case */
	uint64_t generation;      /* of the tokens in use */
	uint32_t attempt;         /* how often the token was sent, with this time */
	bool previous;            /* not the refresh token in use but the one before */
	int64_t started_at;       /* wall clock ms */
};

/* Stores or replaces the row of its account. 0 or a negative errno. */
int store_refresh_put(struct db *db, const struct store_refresh *refresh);

/* 0 or a negative errno; the row may be absent. */
int store_refresh_delete(struct db *db, const char *platform, const char *username_key);

/* Calls `each` for every row. 0 or a negative errno. */
typedef void store_refresh_fn(void *arg, const struct store_refresh *refresh);
int store_refresh_load(struct db *db, store_refresh_fn *each, void *arg);

/* Removes the rows whose account is gone or has other tokens. 0 or a negative errno. */
int store_refresh_purge(struct db *db);

/* Whether the account is there with the tokens of this generation. 0 or a negative
 * errno. */
int store_refresh_is_current(struct db *db, const char *platform,
    const char *username_key, uint64_t generation, bool *ret_current);

#endif
