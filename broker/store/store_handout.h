/*
 * Tables `handouts` (whose access tokens may be handed out) and `audit` (what was asked
 * of that), for the `run` functions of jobs.
 */
#ifndef BROKER_STORE_STORE_HANDOUT_H
#define BROKER_STORE_STORE_HANDOUT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "broker/store/store.h"

/* Rows of `audit` that are kept; older ones go. */
#define STORE_AUDIT_MAX 10000

struct store_audit {
	int64_t number; /* increasing; given by the database */
	int64_t at;     /* wall clock ms */
	uid_t uid;      /* who asked */
	pid_t pid;
	char *what;
	char *platform;
	char *username;
	char *outcome;
};

void store_audit_clear(struct store_audit *audit);

/* Adds a row and removes those that are too many. 0 or a negative errno. */
int store_audit_put(struct db *db, const struct store_audit *audit);

/* Calls `each` for the newest `limit` rows, oldest first. What is left in the row is
 * cleared. 0 or a negative errno. */
typedef void store_audit_fn(void *arg, struct store_audit *audit);
int store_audit_load(struct db *db, uint32_t limit, store_audit_fn *each, void *arg);

/* Whether the access token of an account may be handed out. Off unless it was switched
 * on, and off again when the account is erased. 0 or a negative errno. */
int store_handout_get(
    struct db *db, const char *platform, const char *username_key, bool *ret_allowed);
int store_handout_set(struct db *db, const char *platform, const char *username_key,
    bool allowed, int64_t now);

#endif
