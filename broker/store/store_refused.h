/*
 * Table `refused_logins`: the last login of a name that was turned away, because
 * another account logged in than the one that was asked for; for the `run` functions of
 * jobs.
 */
#ifndef BROKER_STORE_STORE_REFUSED_H
#define BROKER_STORE_STORE_REFUSED_H

#include <stdint.h>

#include "broker/store/store.h"

/* Rows that are kept; the oldest go. */
#define STORE_REFUSED_MAX 100

/* Texts are borrowed. */
struct store_refused {
	const char *platform;
	const char *username_key; /* the name that was asked for, in ASCII lower case */
	const char *username;     /* the same as it was written */
	const char *logged_in;    /* who logged in */
	int64_t at;               /* wall clock ms */
};

/* Stores or replaces the row of its name. 0 or a negative errno. */
int store_refused_put(struct db *db, const struct store_refused *refused);

/* 0 or a negative errno; the row may be absent. */
int store_refused_delete(struct db *db, const char *platform, const char *username_key);

/* Removes what was before a time. 0 or a negative errno. */
int store_refused_purge(struct db *db, int64_t before);

/* Calls `each` for every row, oldest first. 0 or a negative errno. */
typedef void store_refused_fn(void *arg, const struct store_refused *refused);
int store_refused_load(struct db *db, store_refused_fn *each, void *arg);

#endif
