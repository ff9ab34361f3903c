/*
 * The vault: turns secrets into sealed bytes that the database may hold, and back.
 *
 * A secret has a name (`token/kick/streamer`, `client/twitch`, `login/<hash>`) and a
 * generation, a number that grows with every value of that name. The caller stores the
 * sealed bytes in its own transaction, so that a secret and what is said about it
 * change together; sealed bytes open only under the name and generation they were made
 * for.
 *
 * With the backend `file` the bytes are AES-256-GCM under the key in a key file. With
 * `secret-service` the secret is an item in the keyring of the desktop and the bytes
 * only say so; therefore calls answer through the loop, and vault_forget says when a
 * value is not referred to any more. Bytes of both kinds open whichever backend is in
 * use, so that secrets can be moved one by one.
 */
#ifndef BROKER_VAULT_VAULT_H
#define BROKER_VAULT_VAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/secret.h"

struct config;
struct event_base;
struct paths;
struct store;
struct vault;
struct vault_call;

#define VAULT_NAME_MAX 255    /* bytes of a name */
#define VAULT_PLAIN_MAX 65536 /* bytes of a secret */
#define VAULT_ERROR_SIZE 1536

enum vault_condition {
	VAULT_ready,
	VAULT_locked,      /* a keyring that a person has to unlock */
	VAULT_unavailable, /* away, stuck, or without a place for items */
};

/*
 * Opens the keystore that the configuration asks for and the database remembers. Runs
 * before the loop, with the store open. A key file is made only when it is ours to
 * make and nothing is sealed yet.
 *
 * 0, or a negative errno and a sentence in `error` (VAULT_ERROR_SIZE bytes) that names
 * the file and what to do; the broker then ends with EXIT_INIT.
 */
int
vault_open(struct event_base *base, struct store *store, const struct config *config,
    const struct paths *paths, struct vault **ret_vault, char *error);

/* Cancels calls, wipes the key and frees. NULL is allowed. */
void vault_close(struct vault *vault);

/* "file", "secret-service", "memory". */
const char *vault_backend(const struct vault *vault);

/* Whether secrets can be sealed and opened at present. A keyring is looked at every
 * second, and is used again by itself. */
enum vault_condition vault_condition(const struct vault *vault);

/* "healthy", "keystore_locked", "keystore_unavailable". */
const char *vault_state(const struct vault *vault);

/* NULL when secrets can be sealed and opened, else a sentence why not. */
const char *vault_trouble(const struct vault *vault);

/* What came of sealing: 0 and the bytes, or a negative errno (-EAGAIN: the keystore is
 * locked, away or too slow; nothing is lost, try again later). The bytes are good until
 * the callback returns. */
typedef void vault_sealed_fn(void *arg, int result, const struct buf *sealed);

/* What came of opening: 0 and the secret, which may be moved out; -EBADMSG when the
 * bytes were not sealed by this vault under this name and generation; -ENOENT when the
 * keyring is open and somebody has removed the item; -EAGAIN as above. None of them
 * says anything about the platform's view of a token. */
typedef void vault_opened_fn(void *arg, int result, struct secret *plain);

/* Both copy what they are given. The callback runs once from the loop, never before
 * the function has returned and not after vault_cancel. */
struct vault_call *vault_seal(struct vault *vault, const char *name,
    uint64_t generation, const struct secret *plain, vault_sealed_fn *done, void *arg);
struct vault_call *
vault_unseal(struct vault *vault, const char *name, uint64_t generation,
    const void *sealed, size_t length, vault_opened_fn *done, void *arg);

/* What came of looking: 0, a generation and its secret, which may be moved out; -ENOENT
 * when there is none; -EAGAIN as above. */
typedef void
vault_found_fn(void *arg, int result, uint64_t generation, struct secret *plain);

/* Looks for the newest value of a name, of a generation above `after`, that a keyring
 * holds whether or not the database refers to it: what was written before a crash came
 * in between. Under a key there is never one, since value and reference are the same
 * row. The callback runs as those of the others. */
struct vault_call *vault_find(struct vault *vault, const char *name, uint64_t after,
    vault_found_fn *done, void *arg);

/* Stops waiting for a call. */
void vault_cancel(struct vault_call *call);

/* What came of asking: 0 when secrets can be sealed at this moment; -EAGAIN as above,
 * and vault_trouble says why. */
typedef void vault_asked_fn(void *arg, int result);

/* Asks the keyring anew: vault_condition may be a second old, and items can often be
 * read where none can be written. The callback runs as those of the others. */
struct vault_call *vault_ask(struct vault *vault, vault_asked_fn *done, void *arg);

/* Erases a value that the database does not refer to, and tells when that is done: 0, or
 * -EAGAIN as above. Values under a key are nowhere but in the database. */
struct vault_call *vault_erase(struct vault *vault, const char *name,
    uint64_t generation, vault_asked_fn *done, void *arg);

/* The database does not refer to this value any more (after the commit). Nobody waits
 * for it. */
void vault_forget(struct vault *vault, const char *name, uint64_t generation);

#endif
