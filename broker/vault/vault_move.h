/*
 * Moving all secrets into another keystore, or under another key, one by one.
 *
 * The database notes where they are moved to before the first one is, so that a move is
 * taken up again after a crash. Each secret is moved in a transaction of its own, which
 * happens only while nobody else has changed it; until then its old value stands.
 */
#ifndef BROKER_VAULT_VAULT_MOVE_H
#define BROKER_VAULT_VAULT_MOVE_H

#include <stdint.h>

struct vault;

/* How a move is called: the name of a keystore, or this for a new key file. */
#define VAULT_MOVE_ROTATE "rotate"

#define VAULT_TROUBLE_SIZE 500

struct vault_move_state {
	const char *to;      /* NULL: nothing is being moved; static */
	uint64_t moved;      /* by the move under way or the last one */
	uint64_t unreadable; /* left as they are, since nothing opens them */
	const char *trouble; /* why it waits, or why the last one did not begin; "" */
};

/* Starts to move to "file", "secret-service", or VAULT_MOVE_ROTATE. 0, or a negative
 * errno and a sentence in `error` (VAULT_ERROR_SIZE bytes). What comes of it is told by
 * vault_move_state. */
int vault_move_start(struct vault *vault, const char *to, char *error);

void vault_move_state(const struct vault *vault, struct vault_move_state *ret_state);

#endif
