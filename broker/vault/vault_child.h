/*
 * The backend `secret-service`: one keyring item for each secret, through the helper
 * streamhold-vault.
 *
 * Calls go out one at a time and each is over within VAULT_CALL_MS of having been
 * asked: a helper that is stuck is killed and started again. The state is looked at
 * every second, so that a keyring that is locked, stopped, gone or back again is known
 * within VAULT_CALL_MS and used again by itself.
 */
#ifndef BROKER_VAULT_VAULT_CHILD_H
#define BROKER_VAULT_VAULT_CHILD_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/vault/vault.h"
#include "common/secret.h"
#include "proto/proto.h"

struct event_base;
struct vault_child;
struct vault_child_call;

#define VAULT_CALL_MS 3000

/* Starts the helper. `database` names this database in the items. */
struct vault_child *vault_child_new(struct event_base *base, const char *database);

/* Kills the helper; calls get no callback. NULL is allowed. */
void vault_child_free(struct vault_child *child);

/* How the keyring does; VAULT_ready also while it is not known yet. */
enum vault_condition vault_child_condition(const struct vault_child *child);

/* Whether the first answer about it is here. */
bool vault_child_is_known(const struct vault_child *child);

/* A sentence why, "" when it is ready. */
const char *vault_child_detail(const struct vault_child *child);

/* Asks a keyring once, on a loop of its own, within VAULT_CALL_MS. Whether it is there
 * and unlocked; if not `detail` (`size` bytes) says why. */
bool vault_child_probe(char *detail, size_t size);

/*
 * What came of a call. `result` is 0 and `answer` the answer (taken with proto_move or
 * cleared afterwards), or a negative errno and NULL: -EAGAIN (locked, away or too
 * slow), -ENOENT (the keyring is open and has no such item). Rows of a list come with
 * result 1 before that.
 */
typedef void vault_child_fn(void *arg, int result, struct proto_msg *answer);

/*
 * Queues a call of type MSG_vault_store, _load, _erase, _list or _state_get; everything
 * is copied. What is said of the state is vault_child_condition when `done` runs.
 * `name` and `value` may be NULL where the message has none. NULL when nobody answers
 * on the bus at present: then no callback runs and the result is -EAGAIN. `done` never
 * runs before this has returned; it may be NULL.
 */
struct vault_child_call *
vault_child_ask(struct vault_child *child, enum proto_type type, const char *name,
    uint64_t generation, const struct secret *value, vault_child_fn *done, void *arg);

/* The call goes on, without its callback. */
void vault_child_cancel(struct vault_child_call *call);

/* The helper's path; the caller frees it. */
char *vault_child_program(void);

#endif
