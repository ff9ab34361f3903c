/*
 * Event subscriptions, kept as they are wanted (issue of the platform: they are lost,
 * doubled and dropped without a word; facts/kick.md 4).
 *
 * What is wanted for a channel comes from the API when it was told there, also when
 * that is nothing, else from the configuration. Each channel is compared with the
 * platform at start, after a login, after new credentials, when what is wanted changes,
 * on the timer and when somebody asks, one channel at a time. What a comparison changed
 * is read back after SUBS_READ_BACK_MS.
 */
#ifndef BROKER_SUBSCRIPTIONS_SUBS_H
#define BROKER_SUBSCRIPTIONS_SUBS_H

#include "broker/broker.h"
#include "broker/dispatch.h"
#include "broker/store/store_account.h"
#include "broker/subscriptions/sub_state.h"

struct subscriptions;

/* After a change: the first look back, then three times as long after each that finds
 * something to change. */
#define SUBS_READ_BACK_MS 5000

/* How what is wanted stands, over all channels. */
enum subscriptions_health {
	SUBSCRIPTIONS_fine,
	SUBSCRIPTIONS_helped,  /* all in force, by the app token instead of a login */
	SUBSCRIPTIONS_trouble, /* something that is wanted is not in force */
};

/* Says which; with a sentence about the channel that needs it most, and what to do,
 * unless all is fine. `out` takes SUBSCRIPTIONS_SENTENCE_SIZE bytes. */
#define SUBSCRIPTIONS_SENTENCE_SIZE 400
enum subscriptions_health subscriptions_health(
    const struct broker *broker, char out[static SUBSCRIPTIONS_SENTENCE_SIZE]);

/* Loads what is stored and begins; needs the accounts. 0, or a negative errno when the
 * database cannot be read. */
int subscriptions_start(struct broker *broker);

/* With subscriptions.clear_on_shutdown: removes ours at the platform, within the given
 * time. Turns the loop; call it while everything still works. */
void subscriptions_leave(struct broker *broker, unsigned limit_ms);

/* After the flows have ended. */
void subscriptions_stop(struct broker *broker);

/* The configuration was read again. */
void subscriptions_reload(struct broker *broker);

/* A login was stored or erased, or its state changed. The platform's name decides
 * whether that matters here. */
void subscriptions_account_changed(
    struct broker *broker, const char *platform, const char *username);

/* Client id and secret of a platform were stored or removed. */
void subscriptions_credentials_changed(struct broker *broker, const char *platform);

/* Whether events of a channel are wanted: by its id, or where one side does not know it
 * by name or slug without regard to ASCII case. Each may be "". */
bool subscriptions_have_channel(const struct broker *broker, const char *user_id,
    const char *name, const char *slug);

/* Whether API or configuration say of any channel what is wanted, be it nothing. */
bool subscriptions_are_said(const struct broker *broker);

/* The events that are wanted of the channel of an account, NULL when none are. Good
 * until the loop is returned to. */
const struct config_list *
subscriptions_wanted(const struct broker *broker, const struct store_account *row);

/* The events that are wanted of a channel, found as above: an empty list when that is
 * nothing, NULL when nobody says. Good until the loop is returned to. */
const struct config_list *subscriptions_wanted_of(
    const struct broker *broker, const char *user_id, const char *name);

/* Whether an event of a channel came by a subscription that is not on record, though
 * there are records of the channel. The names are as in subscriptions_have_channel. */
bool subscriptions_is_stranger(const struct broker *broker, const char *user_id,
    const char *name, const char *slug, const char *id);

/* What reports, health and metrics say. */
struct subscriptions_stats {
	size_t channels;              /* with wanted events */
	size_t wanted;                /* events of all channels */
	size_t active;                /* of these, in force */
	size_t strangers;             /* listed ones that are not ours */
	size_t states[SUB_STATE_MAX]; /* channels by state */
	uint64_t passes;              /* comparisons since the start */
	uint64_t failures;            /* of these, those without a usable answer */
	uint64_t created;
	uint64_t removed;
	uint64_t refused; /* creations */
	uint64_t lost;    /* records that the platform listed no more */
	int64_t last_at;  /* wall clock ms of the last comparison, 0: never */
};
void
subscriptions_stats(const struct broker *broker, struct subscriptions_stats *ret_stats);

/* The most urgent state of all channels, and whose it is (borrowed, NULL when there is
 * no channel). */
enum sub_state
subscriptions_worst(const struct broker *broker, const char **ret_username);

/* What dispatch.c calls for the messages of the same names. */
dispatch_fn on_subscriptions_list;
dispatch_fn on_subscription_put;
dispatch_fn on_subscriptions_sync;

#endif
