/*
 * Getting a consumer's secret out of the vault.
 */
#ifndef BROKER_CONSUMERS_PUSH_KEY_H
#define BROKER_CONSUMERS_PUSH_KEY_H

#include "broker/broker.h"
#include "common/secret.h"

struct push_key;

/* `secret` may be moved out; NULL, and a sentence why it cannot be had, otherwise.
 * Never called before push_key_load has returned, nor after push_key_cancel. */
typedef void push_key_fn(void *arg, struct secret *secret, const char *trouble);

/* Loads the secret of a consumer. */
struct push_key *push_key_load(
    struct broker *broker, const char *consumer, push_key_fn *done, void *arg);

/* Ends it without a callback. */
void push_key_cancel(struct push_key *key);

#endif
