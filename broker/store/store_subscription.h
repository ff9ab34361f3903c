/*
 * Tables of event subscriptions, for the `run` functions of jobs:
 *
 *	subscription_sets      what the API was told to subscribe to, by channel; counts
 *	                       instead of the configuration, also when it is empty
 *	subscription_channels  what is known of a channel: its id at the platform, and a
 *	                       creation whose outcome is not known
 *	subscriptions          those that Streamhold created or was told to adopt
 *
 * Channels are known by the user name in ASCII lower case.
 */
#ifndef BROKER_STORE_STORE_SUBSCRIPTION_H
#define BROKER_STORE_STORE_SUBSCRIPTION_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/store/store.h"

/* Texts are borrowed. */
struct store_subscription_set {
	const char *username_key;
	const char *username;
	const char *events; /* separated by spaces, "" for none */
	int64_t updated_at; /* wall clock ms */
};

struct store_subscription_channel {
	const char *username_key;
	const char *username;
	const char *broadcaster_id; /* NULL: not known */
	const char *asked; /* events of a creation without an answer; NULL: none */
	int64_t asked_at;  /* wall clock ms */
};

struct store_subscription {
	const char *id; /* the platform's */
	const char *username_key;
	const char *event;
	uint32_t version;
	int64_t made_at;   /* wall clock ms, when it was created or adopted */
	int64_t listed_at; /* when the platform last listed it, 0: never */
	bool adopted;
	bool removed; /* its removal was asked for */
};

/* Each stores or replaces a row. 0 or a negative errno. */
int store_subscription_set_put(struct db *db, const struct store_subscription_set *set);

/* Forgets what the API was told of a channel; the configuration counts again. 0 or a
 * negative errno. */
int store_subscription_set_delete(struct db *db, const char *username_key);
int store_subscription_channel_put(
    struct db *db, const struct store_subscription_channel *channel);
int store_subscription_put(struct db *db, const struct store_subscription *row);

/* 0 or a negative errno; the row may be absent. */
int store_subscription_delete(struct db *db, const char *id);

/* Call `each` for every row. 0 or a negative errno. */
typedef void
store_subscription_set_fn(void *arg, const struct store_subscription_set *set);
typedef void store_subscription_channel_fn(
    void *arg, const struct store_subscription_channel *channel);
typedef void store_subscription_fn(void *arg, const struct store_subscription *row);
int
store_subscription_sets_load(struct db *db, store_subscription_set_fn *each, void *arg);
int store_subscription_channels_load(
    struct db *db, store_subscription_channel_fn *each, void *arg);
int store_subscriptions_load(struct db *db, store_subscription_fn *each, void *arg);

#endif
