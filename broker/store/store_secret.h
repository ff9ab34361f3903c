/*
 * Table `secrets`, and what table `meta` says about the keystore.
 *
 * The store_secret_ functions are for the `run` functions of jobs, on the database's
 * thread; the jobs below are for vault.c.
 */
#ifndef BROKER_STORE_STORE_SECRET_H
#define BROKER_STORE_STORE_SECRET_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/store/store.h"
#include "common/buf.h"

/* Stores or replaces the sealed value of a name. 0 or a negative errno. */
int store_secret_put(
    struct db *db, const char *name, uint64_t generation, const struct buf *sealed);

/* Reads it: *ret_found, and then generation and bytes (appended). 0 or a negative
 * errno. */
int store_secret_get(struct db *db, const char *name, bool *ret_found,
    uint64_t *ret_generation, struct buf *sealed);

/* Removes it; it may be absent. 0 or a negative errno. */
int store_secret_delete(struct db *db, const char *name);

/* A value of table meta. *ret_found and then the bytes (appended). 0 or a negative
 * errno. */
int store_meta_get(struct db *db, const char *name, bool *ret_found, struct buf *value);
int store_meta_put(struct db *db, const char *name, const void *value, size_t length);

/* What the database remembers of its keystore. A job: fill in `run` with
 * store_keystore_load or store_keystore_save, submit `job`. */
struct store_keystore {
	struct store_job job;
	struct buf backend;    /* name of the backend in use, empty: none yet */
	struct buf check;      /* a sealed value that only the right key opens */
	struct buf check_next; /* the same for the key that a rotation leads to */
	struct buf move;       /* where secrets are being moved to, empty: nowhere */
	struct buf database;   /* id of this database in a keyring */
	uint64_t sealed_count; /* sealed values that are still of use */
	uint64_t file_count;   /* of these, values sealed under a key */
	int64_t now;           /* load: wall clock ms */
	int result;
};
store_run_fn store_keystore_load;
store_run_fn store_keystore_save; /* stores all texts; the empty ones are removed */
void store_keystore_clear(struct store_keystore *keystore);

/* A sealed value and where it stands: table secrets, or the verifier of a login under
 * the name that login_verifier_name gives it. */
struct store_sealed {
	char *name;
	uint64_t generation;
	struct buf sealed;
	bool passed; /* next: look after this name, else from it on */
};
void store_sealed_clear(struct store_sealed *row);

/* Replaces *row by the next one in the order of names; `name` must not be NULL. */
int store_sealed_next(struct db *db, struct store_sealed *row, bool *ret_found);

/* Puts `fresh` in the place of a value that is still as it is in `row`. *ret_changed
 * tells whether it was. */
int store_sealed_swap(struct db *db, const struct store_sealed *row,
    const struct buf *fresh, bool *ret_changed);

/* Whether a row refers to the keyring item of a name and generation: as a sealed value,
 * or as a refresh or a login in flight that the item may be the fresh tokens of. */
int store_sealed_refers(
    struct db *db, const char *name, uint64_t generation, bool *ret_refers);

/* The first byte of sealed values: what made them. */
#define STORE_SEALED_FILE 1    /* AES-256-GCM under the key file */
#define STORE_SEALED_KEYRING 2 /* a reference to a keyring item */

#endif
