/*
 * Named consumers: who follows the events, how far each is, and what it has been given.
 * docs/consumers.md says what is promised.
 *
 * Kept in memory and written through. Two numbers say how far a consumer is: `cursor`,
 * up to which everything is done, and `handed`, up to which anything may have been
 * handed out. `handed` is durable before an event leaves, so whatever is handed out a
 * second time is known to be so, a crash in between included.
 *
 * A consumer's place may be set, back as well; `epoch` counts that. `given` is what was
 * handed out since then, and nothing beyond it can be acknowledged: what was handed out
 * before is not done, whoever says so.
 */
#ifndef BROKER_CONSUMERS_CONSUMERS_H
#define BROKER_CONSUMERS_CONSUMERS_H

#include "broker/dispatch.h"
#include "broker/events/hub.h"
#include "broker/store/store_consumer.h"
#include "broker/store/store_event.h"

struct push;
struct consumer_replay;

/* Consumers in all, and those that are pushed to: each of these may have one call
 * running, so that none ever waits for another. */
#define CONSUMERS_MAX 100
#define CONSUMERS_PUSHED_MAX 32

#define CONSUMER_NAME_MAX 64

/* Replayed events that wait for a consumer which asks, and bytes of their bodies. */
#define CONSUMER_REPLAYS_MAX 64
#define CONSUMER_REPLAY_BYTES_MAX (1024 * 1024)

struct consumer {
	struct store_consumer row; /* how far it is may be ahead of the disk */
	uint64_t id;               /* of this life of the name, never 0 */
	uint64_t given_durable;    /* what the disk has of row.given */
	bool old_dropping;         /* a job has been given the end of its old secret */
	uint64_t dead;             /* dead letters */
	uint64_t dead_retry;       /* of these, to be tried again */
	struct push *push;         /* NULL when it asks by itself */
	TAILQ_HEAD(consumer_replays, consumer_replay) replays; /* oldest first */
	size_t replay_count;
	size_t replay_bytes;
	LIST_ENTRY(consumer) entry;
};

struct consumers {
	LIST_HEAD(consumer_list, consumer) list; /* in the order of names */
	size_t count;
	uint64_t last_id;
	struct hub_listener listener;
	struct event *old_secrets; /* pending while there is an old secret */
};

/* Reads the consumers and begins to push. Once, before the loop runs, after the
 * accounts. 0 or a negative errno. */
int consumers_start(struct broker *broker);

/* Ends what is running and stores how far it came. Before the store is closed. */
void consumers_stop(struct broker *broker);

/* Finds one by name, or by the number of its life. NULL when there is none. */
struct consumer *consumers_find(const struct broker *broker, const char *name);
struct consumer *consumers_find_id(const struct broker *broker, uint64_t id);

/* How many are pushed to. */
size_t consumers_pushed(const struct broker *broker);

/* The lowest seq that some consumer still needs, UINT64_MAX when none needs any.
 * Retention keeps from there on, up to its limit. */
uint64_t consumers_needed_from(const struct broker *broker);

/* Whether a text may be the name of a consumer: 1 to CONSUMER_NAME_MAX letters, digits,
 * '.', '-' and '_', not beginning with a dot. */
bool consumer_name_good(const char *name);

/* Adds one, or puts a row in the place of that of the same name. *row is emptied; its
 * `given` may be ahead of the disk, which has `given_durable`. The pushing of one
 * that has a target begins anew. */
struct consumer *consumers_set(
    struct broker *broker, struct store_consumer *row, uint64_t given_durable);

/* Forgets one, after its row was removed. */
void consumers_remove(struct broker *broker, struct consumer *consumer);

/* Asks for what a consumer wants, after its cursor. Texts are borrowed from it. */
void consumer_query(
    const struct consumer *consumer, uint32_t limit, struct store_event_query *query);

/* Nothing between cursor and `seen` is for this consumer, by the filters that it has
 * now: moves the cursor on. */
void consumer_skip(struct consumer *consumer, uint64_t seen);

/* Stores cursor and handed as they are; nobody waits for it. */
void consumer_flush(struct broker *broker, const struct consumer *consumer);

/* What a consumer may have been handed: up to this seq, at least. */
void consumer_give(struct consumer *consumer, uint64_t last);

/* The names of its secret, and of the one before it, in the vault; the caller frees. */
char *consumer_secret_name(const char *name);
char *consumer_old_secret_name(const char *name);

/* consumer_secret.c: looks after old secrets from now on: each is removed when its time
 * is over. To be called when one came or went. */
void consumer_secrets_watch(struct broker *broker);

/* Answers a request about a consumer that does not exist. */
void consumer_fail_unknown(struct client *client, uint32_t rid, const char *name);

/* Fills in the message that shows a consumer. Texts are borrowed from the consumer and
 * from `origin`, which takes CONSUMER_ORIGIN_SIZE bytes. `whole` shows the whole
 * address that is pushed to, else only its scheme, host and port. */
#define CONSUMER_ORIGIN_SIZE 320
void consumer_show(const struct broker *broker, const struct consumer *consumer,
    bool whole, char origin[static CONSUMER_ORIGIN_SIZE], struct proto_msg *msg);

/* Answers a flow with that message. */
void consumer_answer(struct flow *flow, const struct consumer *consumer, bool whole);

/* consumer_replay.c: message `event_replay` that names a consumer; exactly one of seq
 * and id is given. */
void consumer_replay(struct client *client, struct proto_msg *msg);

/* Puts what was replayed to a consumer into an answer, as rows. */
void consumer_replays_send(struct consumer *consumer, struct flow *flow);

/* The consumer has acknowledged something: what was handed to it of these is done. */
void consumer_replays_acked(struct consumer *consumer);

/* Forgets them all. */
void consumer_replays_clear(struct consumer *consumer);

/* The messages. */
dispatch_fn on_consumer_put; /* consumer_put.c */
dispatch_fn on_consumer_forward;
dispatch_fn on_consumer_events; /* consumer_read.c */
dispatch_fn on_consumer_ack;
dispatch_fn on_consumers_list; /* consumer_manage.c */
dispatch_fn on_consumer_delete;
dispatch_fn on_consumer_enable;
dispatch_fn on_dead_list;
dispatch_fn on_dead_retry;
dispatch_fn on_consumer_test;   /* consumer_test.c */
dispatch_fn on_consumer_rotate; /* consumer_secret.c */

#endif
