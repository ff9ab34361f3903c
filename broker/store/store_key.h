/*
 * Public keys of platforms in the database: each that was ever in use, so that an old
 * one that a program ships does not come back to life.
 */
#ifndef BROKER_STORE_STORE_KEY_H
#define BROKER_STORE_STORE_KEY_H

#include <stdint.h>

#include "broker/store/store.h"

/* Rows of a platform that are kept; the oldest that are over go. */
#define STORE_KEY_MAX 100

/* A key. Texts are borrowed. Times are ms since 1970. */
struct store_key {
	const char *platform;
	const char *id;  /* hex SHA-256 */
	const char *pem; /* as it was received */
	int64_t since;   /* since when it has been in use */
	int64_t until;   /* after which it proves nothing, 0: no end */
};

/* Makes a key the one in use; every other one of the platform that has no end gets
 * `others_until`. 0 or a negative errno. On the database's thread. */
int store_key_adopt(struct db *db, const struct store_key *key, int64_t others_until);

/* Stores a key as it is unless its id is known. */
int store_key_note(struct db *db, const struct store_key *key);

/* Calls `each` for every key of a platform, the one in use last. 0 or a negative
 * errno. */
typedef void store_key_fn(void *arg, const struct store_key *key);
int store_key_load(struct db *db, const char *platform, store_key_fn *each, void *arg);

#endif
