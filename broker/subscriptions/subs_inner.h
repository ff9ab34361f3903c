/*
 * Between the files of this folder: channels, passes, and the whole.
 */
#ifndef BROKER_SUBSCRIPTIONS_SUBS_INNER_H
#define BROKER_SUBSCRIPTIONS_SUBS_INNER_H

#include <sys/queue.h>

#include "broker/flow.h"
#include "broker/oauth/accounts.h"
#include "broker/subscriptions/kick_subs.h"
#include "broker/subscriptions/subs.h"
#include "broker/store/store_subscription.h"

struct event;
struct sub_pass;

/* After a failure: doubling from the first to the last, with full jitter above half. */
#define SUBS_BACKOFF_FIRST_MS (30 * 1000)
#define SUBS_BACKOFF_LAST_MS (30 * 60 * 1000)
/* After a refusal of an event. */
#define SUBS_REFUSED_FIRST_MS (60 * 1000)
#define SUBS_REFUSED_LAST_MS (60 * 60 * 1000)
/* Channels of the API's own making, beside those of the configuration. */
#define SUBS_CHANNELS_MAX 1000
/* Subscriptions of a channel that are read and kept on record. */
#define SUBS_LISTED_MAX 2000
#define SUBS_DETAIL_SIZE 512

enum sub_source { SUB_FROM_NOWHERE, SUB_FROM_CONFIG, SUB_FROM_API };

/* One wanted event of a channel. */
struct sub_event {
	char *name;
	enum sub_state state;
	bool covered; /* in force by a subscription that is not ours */
	bool doubled; /* and by one that is */
	char id[SUB_ID_SIZE];
	int64_t created_at;             /* wall clock ms, 0: not said */
	char said[KICK_SUBS_SAID_SIZE]; /* by the platform, of the last refusal */
	unsigned refusals;              /* one after the other */
	int64_t not_before;             /* boot-time ms */
};

/* How the login of a channel does, as far as it matters here. */
enum sub_login { SUB_LOGIN_none, SUB_LOGIN_good, SUB_LOGIN_lost, SUB_LOGIN_scope };

struct sub_channel {
	char *username; /* as first written */
	char *key;      /* in ASCII lower case */
	enum sub_source source;
	struct sub_event *events;
	size_t event_count;
	struct config_list names; /* of the events, borrowed from them */
	bool stored;              /* the API was told a set */
	char *set;                /* that set, separated by spaces */
	char *broadcaster_id;     /* NULL: not known */
	char *asked;              /* events of a creation without an answer */
	int64_t asked_at;
	struct sub_owned *owned;
	size_t owned_count;

	enum sub_state state;
	char detail[SUBS_DETAIL_SIZE];
	const char *token; /* "user" or "app" at the last pass, NULL: none */
	enum sub_login login;
	uint64_t login_refused; /* generation of the tokens that may not, 0: none */
	size_t strangers;
	int64_t checked_at; /* wall clock ms of the last good list, 0: never */
	int64_t changed_at; /* wall clock ms of the last creation or removal */
	int64_t due;      /* boot-time ms, 0: nothing to do; set anew during a pass when
			   * what is wanted changes */
	int64_t ended_at; /* boot-time ms of the last pass's end */
	unsigned failures; /* passes without a usable answer, one after the other */
	unsigned settling; /* passes that changed something, one after the other */
	bool one_by_one;   /* the limit refused several at once */
	bool demanded;     /* somebody waits: refusals are forgotten */
	bool adopt;
	bool left;       /* was cleared for the shutdown */
	uint64_t number; /* passes begun */
	LIST_ENTRY(sub_channel) entry;
};

/* Somebody who waits for passes: subscriptions_sync. */
struct sub_waiter {
	struct flow flow;
	bool dry_run;
	bool adopt;
	bool listed; /* in `waiters` */
	struct sub_awaited_pass {
		char *key;       /* of the channel */
		uint64_t number; /* of the pass that is waited for, or a later one */
		bool over;
	} * passes;
	size_t count;
	LIST_ENTRY(sub_waiter) entry;
};

struct subscriptions {
	struct broker *broker;
	LIST_HEAD(sub_channels, sub_channel) channels;
	LIST_HEAD(sub_waiters, sub_waiter) waiters;
	size_t count;
	struct event *timer;
	struct sub_pass *running;
	const struct sub_channel *running_channel;
	bool looked;                      /* it has asked for the list */
	bool dry_run;                     /* it changes nothing */
	bool leaving;                     /* everything is to go, nothing is created */
	struct subscriptions_stats stats; /* the counts since the start */
};

/* ---- sub_channel.c ---- */

/* NULL when it is not known. */
struct sub_channel *
sub_channel_find(const struct subscriptions *subs, const char *username);

/* Finds or makes. */
struct sub_channel *sub_channel_get(struct subscriptions *subs, const char *username);

void sub_channel_free(struct subscriptions *subs, struct sub_channel *channel);

/* Whether a channel is that of an account: by its name here or at the platform. */
bool
sub_channel_is_of(const struct sub_channel *channel, const struct store_account *row);

/* The login of a channel, NULL when there is none. */
struct account *
sub_channel_account(const struct broker *broker, const struct sub_channel *channel);

/* Takes what is wanted from the stored set or the configuration, and keeps what is
 * known of events that stay. */
void sub_channel_want(struct subscriptions *subs, struct sub_channel *channel);

/* The record of an id, NULL when there is none; put replaces. */
struct sub_owned *sub_channel_owned(struct sub_channel *channel, const char *id);
void sub_channel_own(struct sub_channel *channel, const struct sub_owned *owned);
void sub_channel_disown(struct sub_channel *channel, const char *id);

/* Whether there is anything to compare: wanted events, or records. */
bool sub_channel_has_work(const struct sub_channel *channel);

/* Whether it is to be shown. */
bool sub_channel_is_known(const struct sub_channel *channel);

/* Sorted by name; the caller frees the array. */
struct sub_channel **
sub_channels_sorted(const struct subscriptions *subs, size_t *ret_count);

/* ---- sub_pass.c ---- */

struct sub_pass_end {
	struct sub_channel *channel; /* NULL: it is gone */
	bool failed;                 /* no usable answer */
	uint32_t retry_after_s;      /* 0: not said */
	bool changed;                /* created, adopted or removed something */
	bool awaiting;               /* something is not listed yet */
	bool dry_run;
};

typedef void sub_pass_done_fn(void *arg, const struct sub_pass_end *end);

/* Compares one channel with the platform and acts, unless `dry_run`. `done` is called
 * once from the loop, never before this has returned. */
struct sub_pass *sub_pass_start(struct subscriptions *subs, struct sub_channel *channel,
    bool dry_run, bool adopt, sub_pass_done_fn *done, void *arg);

/* Something was done, or would be: told to everybody who waits for the channel. */
void subs_tell_action(struct subscriptions *subs, const struct sub_channel *channel,
    const char *what, const char *event, const char *id, bool dry_run);

/* ---- subs.c ---- */

/* The channel is to be compared in so many milliseconds, or earlier if that is planned
 * already. */
void
subs_plan(struct subscriptions *subs, struct sub_channel *channel, int64_t wait_ms);

/* Times between, with jitter: `most` and half of it. */
int64_t subs_backoff_ms(int64_t first, int64_t last, unsigned failures);

/* The time until the next pass of a channel after one that has ended so, ms; counts its
 * failures and what it changed one after the other. */
int64_t subs_wait_after(const struct subscriptions *subs, struct sub_channel *channel,
    const struct sub_pass_end *end);

/* Somebody asks: the channel is compared as soon as may be, refusals are forgotten. */
void subs_demand(struct subscriptions *subs, struct sub_channel *channel, bool adopt);

/* Whether the pass under way is of this channel and has not looked yet. */
bool subs_may_join(const struct subscriptions *subs, const struct sub_channel *channel);

/* Looks for work from the loop, soon. */
void subs_look(struct subscriptions *subs);

/* ---- sub_sync.c ---- */

/* A pass of the channel ended: answers those who waited for the last of theirs. */
void subs_pass_over(
    struct subscriptions *subs, const struct sub_channel *channel, bool dry_run);

/* The next channel that a dry run waits for; NULL when there is none. */
struct sub_channel *subs_next_dry(struct subscriptions *subs, bool *ret_adopt);

/* ---- sub_figures.c ---- */

/* `arg` is the broker. */
struct metrics;
void sub_figures_write(struct metrics *metrics, void *arg);

/* ---- sub_messages.c ---- */

/* The channel that a request names. False: the request was answered that there is
 * none. */
bool subs_find_asked(struct client *client, uint32_t rid, const char *username,
    struct sub_channel **ret_channel);

/* The rows of a channel. */
void sub_rows(struct flow *flow, const struct sub_channel *channel);

#endif
