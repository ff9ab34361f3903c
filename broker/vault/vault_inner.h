/*
 * The vault's insides, shared by the files vault*.c of this folder only.
 */
#ifndef BROKER_VAULT_VAULT_INNER_H
#define BROKER_VAULT_VAULT_INNER_H

#include <sys/queue.h>

#include "broker/store/store_secret.h"
#include "broker/vault/vault.h"

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

struct vault_call {
	struct vault *vault;
	struct event *event;             /* answers from the loop */
	struct vault_child_call *asking; /* or the keyring does */
	int result;
	struct buf sealed;
	struct secret plain;
	vault_sealed_fn *on_sealed; /* one of the two is set */
	vault_opened_fn *on_opened;
	void *arg;
	LIST_ENTRY(vault_call) entry;
};

struct vault {
	struct event_base *base;
	struct store *store;
	const struct config *config;
	const struct paths *paths;
	enum vault_kind kind;      /* the one that is remembered */
	struct vault_file *file;   /* NULL: nothing is sealed under a key */
	struct vault_child *child; /* NULL: nothing is in a keyring */
	char database[VAULT_DATABASE_SIZE];
	LIST_HEAD(vault_calls, vault_call) calls;
};

/* The name in the configuration and the database; static. */
const char *vault_kind_name(enum vault_kind kind);

/* Runs a keystore job before the loop; its result. `error` says what failed. */
int vault_ask_store(struct vault *vault, struct store_keystore *keystore,
    store_run_fn *run, char *error);

#endif
