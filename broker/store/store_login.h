/*
 * Table `logins`: authorizations that were started and have not come back, for the
 * `run` functions of jobs.
 */
#ifndef BROKER_STORE_STORE_LOGIN_H
#define BROKER_STORE_STORE_LOGIN_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/store/store.h"
#include "common/buf.h"
#include "common/crypto.h"

struct store_login {
	uint8_t state_hash[CRYPTO_SHA256_SIZE]; /* SHA-256 of the state's text */
	char *platform;
	char *username;
	char *client_id;
	char *redirect_uri;         /* as it was sent, but for the state (redirect.h) */
	char *scopes;               /* asked for */
	struct buf verifier_sealed; /* empty: the platform has no PKCE */
	bool adopt;
	int64_t created_at;
	int64_t expires_at;
};

void store_login_clear(struct store_login *login);

/* Inserts a row. 0 or a negative errno. */
int store_login_put(struct db *db, const struct store_login *login);

/*
 * Takes the login with login->state_hash and login->platform out of the table, which
 * can be done once: *ret_found is false when there is none, or it expired before
 * `now`. A login of another platform stays. 0 or a negative errno.
 */
int store_login_take(
    struct db *db, struct store_login *login, int64_t now, bool *ret_found);

/* Removes those that expired before `now`. 0 or a negative errno. */
int store_login_purge(struct db *db, int64_t now);

/* Calls `each` for every row, without its verifier. What is left in the row is cleared.
 * 0 or a negative errno. */
typedef void store_login_fn(void *arg, struct store_login *login);
int store_login_load(struct db *db, store_login_fn *each, void *arg);

#endif
