/*
 * The vault's insides, shared by the files vault*.c of this folder only.
 */
#ifndef BROKER_VAULT_VAULT_INNER_H
#define BROKER_VAULT_VAULT_INNER_H

#include <sys/queue.h>

#include "broker/store/store_secret.h"
#include "broker/vault/vault.h"
#include "broker/vault/vault_move.h"

enum vault_kind {
	KIND_NONE,
	KIND_FILE,
	KIND_KEYRING,
	KIND_MEMORY, /* of test builds */
	KIND_MAX
};

#define VAULT_DATABASE_SIZE 33

struct event;
struct vault_child;
struct vault_child_call;
struct vault_file;
struct vault_move;
struct vault_sweep;

struct vault_call {
	struct vault *vault;
	struct event *event;             /* answers from the loop */
	struct vault_child_call *asking; /* or the keyring does */
	int result;
	struct buf sealed;
	struct secret plain;
	vault_sealed_fn *on_sealed; /* one of the four is set */
	vault_opened_fn *on_opened;
	vault_found_fn *on_found;
	vault_asked_fn *on_asked;
	char *name;          /* that is looked for, NULL: none */
	uint64_t generation; /* found, or the one that it must be above */
	bool found;
	void *arg;
	LIST_ENTRY(vault_call) entry;
};

struct vault {
	struct event_base *base;
	struct store *store;
	const struct config *config;
	const struct paths *paths;
	enum vault_kind kind;      /* the one that is remembered */
	enum vault_kind target;    /* where new values go */
	enum vault_kind move_to;   /* KIND_NONE: nothing is being moved */
	bool rotate;               /* it is moved under a new key */
	struct vault_file *file;   /* NULL: nothing is sealed under a key */
	struct vault_child *child; /* NULL: nothing is in a keyring */
	char database[VAULT_DATABASE_SIZE];
	LIST_HEAD(vault_calls, vault_call) calls;
	struct vault_move *move;   /* NULL: none */
	struct vault_sweep *sweep; /* NULL: none */
	struct event *close_child; /* ends a helper that is not needed any more */
	struct event *sweep_timer; /* looks for items that nobody refers to */
	uint64_t moved;
	uint64_t move_unreadable;
	char move_trouble[VAULT_TROUBLE_SIZE];
};

/* Starts the move to vault->move_to, or goes on with one that has begun. */
void vault_move_begin(struct vault *vault, bool begun);
void vault_move_free(struct vault_move *move);

/* Removes items older than `age_s` that no row refers to; then ends the helper if
 * that is asked for and all of them are gone. */
void vault_sweep(struct vault *vault, uint64_t age_s, bool then_close);
void vault_sweep_free(struct vault_sweep *sweep);

/* What the configuration asks for; KIND_NONE is "auto". */
enum vault_kind vault_configured(const struct config *config);

/* Opens or makes the key file while nothing is sealed under it. 0, or a negative errno
 * and a sentence. */
int vault_open_file_now(struct vault *vault, char *error);

/* The name in the configuration and the database; static. */
const char *vault_kind_name(enum vault_kind kind);

/* Runs a keystore job before the loop; its result. `error` says what failed. */
int vault_ask_store(struct vault *vault, struct store_keystore *keystore,
    store_run_fn *run, char *error);

#endif
