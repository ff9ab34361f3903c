/*
 * The Secret Service of the desktop as the keystore helper uses it: blocking calls,
 * one after the other. Never asks a person for anything: a locked keyring stays locked.
 *
 * Items have the schema org.streamhold.Secret with the attributes `name`, `generation`
 * and `database`; the last keeps two installations of one user apart. A value under a
 * name and a generation is never changed.
 */
#ifndef BROKER_VAULT_VAULT_HELPER_KEYRING_H
#define BROKER_VAULT_VAULT_HELPER_KEYRING_H

#include <stdbool.h>
#include <stdint.h>

#include "common/secret.h"
#include "proto/proto.h"

#define KEYRING_DETAIL_SIZE 400

/* Which item is meant; texts are borrowed. */
struct keyring_item {
	const char *database;
	const char *name;
	uint64_t generation;
};

struct keyring_state {
	const char *state; /* "ready", "locked", "unavailable"; static */
	bool answers;      /* a service is there and answers */
	char detail[KEYRING_DETAIL_SIZE];
};

/* Looks, within a second or two. */
void keyring_state(struct keyring_state *ret_state);

/*
 * 0, or an error of errors.def with a sentence in `detail` (KEYRING_DETAIL_SIZE):
 * keystore_locked, keystore_unavailable, and for keyring_load not_found, which is said
 * only while the keyring is open and can be searched. *ret_value is the caller's to
 * clear.
 */
enum proto_error keyring_store(
    const struct keyring_item *item, const struct secret *value, char *detail);
enum proto_error
keyring_load(const struct keyring_item *item, struct secret *ret_value, char *detail);
enum proto_error keyring_erase(const struct keyring_item *item, char *detail);

/* Calls for each item of a database, for none when one of them is locked; what is given
 * is borrowed. `created` is in s. */
typedef void
keyring_each_fn(void *arg, const char *name, uint64_t generation, uint64_t created);
enum proto_error
keyring_list(const char *database, keyring_each_fn *each, void *arg, char *detail);

#endif
