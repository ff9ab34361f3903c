/*
 * Table `accounts`: what is known of each login besides its tokens, for the `run`
 * functions of jobs. The tokens are a sealed value of table `secrets`.
 */
#ifndef BROKER_STORE_STORE_ACCOUNT_H
#define BROKER_STORE_STORE_ACCOUNT_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/store/store.h"

/* Texts of the column `status`. */
#define STORE_ACCOUNT_OK "ok"
#define STORE_ACCOUNT_LOST "reauth_required"

struct store_account {
	int64_t id;
	char *platform;
	char *username_key; /* the name in ASCII lower case */
	char *username;     /* as first written */
	char *user_id;      /* NULL: not known */
	char *login;        /* NULL: not known */
	char *display_name; /* NULL: not known */
	char *identity;     /* "verified", "unverified" */
	char *scopes;       /* granted */
	char *scopes_asked;
	int64_t obtained_at;
	int64_t expires_at;
	bool refreshable;
	uint64_t generation;        /* of the sealed tokens */
	char *status;               /* STORE_ACCOUNT_OK, STORE_ACCOUNT_LOST */
	char *reason;               /* of the loss, NULL: none */
	int64_t since;              /* of the loss, 0: none */
	char *client_id;            /* whose tokens these are, NULL: not known */
	int64_t refresh_expires_at; /* of the refresh token, 0: not told */
};

void store_account_clear(struct store_account *account);

/* Stores or replaces the row of its platform and name; the name is kept as first
 * written and *account is given it, and its id. 0 or a negative errno. */
int store_account_put(struct db *db, struct store_account *account);

/* Stores user id, names, identity and expiry of the row of this platform and key, if it
 * still has the tokens of this generation: *ret_changed. 0 or a negative errno. */
int store_account_learn(
    struct db *db, const struct store_account *account, bool *ret_changed);

/* 0 or a negative errno; the row may be absent. */
int store_account_delete(struct db *db, const char *platform, const char *username_key);

/* Calls `each` for every row, oldest first. The row belongs to the callback, which may
 * move its texts out; what is left is cleared. 0 or a negative errno. */
typedef void store_account_fn(void *arg, struct store_account *account);
int store_account_load(struct db *db, store_account_fn *each, void *arg);

/* Table `login_notes`: rows that are about to be stored together with their tokens. A
 * note is durable before the tokens go to the keystore and goes in the transaction that
 * stores the row, so that one found at start tells of a login that was cut off. They
 * are used as their likes above. */
int store_account_note(struct db *db, const struct store_account *account);
int store_account_note_delete(
    struct db *db, const char *platform, const char *username_key);
int store_account_note_load(struct db *db, store_account_fn *each, void *arg);

#endif
