/*
 * Getting a consumer's secrets out of the vault.
 */
#ifndef BROKER_CONSUMERS_PUSH_KEY_H
#define BROKER_CONSUMERS_PUSH_KEY_H

#include "broker/broker.h"
#include "common/secret.h"

struct consumer;
struct push_key;

/* What a consumer's events are signed with. */
struct push_secrets {
	struct secret now;
	struct secret before; /* the one before it, empty: there is none */
	int64_t before_until; /* which signs as well until then, ms since 1970 */
};

/* Gives *to what *from has, and leaves that empty. */
void push_secrets_move(struct push_secrets *to, struct push_secrets *from);

/* Wipes both. */
void push_secrets_clear(struct push_secrets *secrets);

/* `secrets` may be moved out; `now` is one that push_secret_check has passed. NULL, and
 * a sentence why it cannot be had, otherwise. Never called before push_key_load has
 * returned, nor after push_key_cancel. */
typedef void push_key_fn(void *arg, struct push_secrets *secrets, const char *trouble);

/* Loads the secrets of a consumer. */
struct push_key *push_key_load(struct broker *broker, const struct consumer *consumer,
    push_key_fn *done, void *arg);

/* Ends it without a callback. */
void push_key_cancel(struct push_key *key);

#endif
