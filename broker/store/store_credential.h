/*
 * Table `credentials`: client ids, for the `run` functions of jobs. The client secret
 * is a sealed value of table `secrets`.
 */
#ifndef BROKER_STORE_STORE_CREDENTIAL_H
#define BROKER_STORE_STORE_CREDENTIAL_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/store/store.h"

struct store_credential {
	char *platform;
	char *client_id;
	char *scopes; /* NULL: the defaults */
	int64_t created_at;
	int64_t updated_at;
};

void store_credential_clear(struct store_credential *credential);

/* Stores or replaces the row of its platform. created_at is kept when there was one,
 * and written into *credential. 0 or a negative errno. */
int store_credential_put(struct db *db, struct store_credential *credential);

/* 0 or a negative errno; the row may be absent. */
int store_credential_delete(struct db *db, const char *platform);

/* Calls `each` for every row. The row belongs to the callback, which may move its
 * texts out; what is left is cleared. 0 or a negative errno. */
typedef void store_credential_fn(void *arg, struct store_credential *credential);
int store_credential_load(struct db *db, store_credential_fn *each, void *arg);

#endif
