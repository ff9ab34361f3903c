/*
 * The consumers in memory. Owned by broker->consumers; changed by the done functions of
 * the jobs that made a change durable, except for how far a consumer is, which is ahead
 * of the disk.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "broker/consumers/consumers.h"
#include "broker/consumers/push.h"
#include "broker/consumers/target.h"
#include "broker/flow.h"
#include "broker/metrics.h"
#include "common/alloc.h"
#include "common/event_filter.h"
#include "common/log.h"
#include "common/time.h"

struct load_job {
	struct store_job job;
	struct broker *broker;
	int result;
};

struct mark_job {
	struct store_job job;
	struct store_mark mark;
};

static int run_load(struct store_job *, struct db *);
static void load_row(void *, struct store_consumer *);
static void on_load(struct store_job *, int);
static void on_stored(void *, uint64_t);
static void write_metrics(struct metrics *, void *);

int
consumers_start(struct broker *broker)
{
	const struct metric_source source = { write_metrics, broker };
	struct load_job load = { .job = { .run = run_load, .done = on_load },
		.broker = broker };
	struct consumer *consumer;

	broker->consumers = xcalloc(1, sizeof(*broker->consumers));
	LIST_INIT(&broker->consumers->list);
	store_run_now(broker->store, &load.job);
	if (load.result < 0)
		return load.result;
	LIST_FOREACH (consumer, &broker->consumers->list, entry)
		if (consumer->row.url)
			consumer->push = push_new(broker, consumer);
	broker->consumers->listener.stored = on_stored;
	broker->consumers->listener.arg = broker;
	hub_listen(broker, &broker->consumers->listener);
	consumer_secrets_watch(broker);
	metrics_add(broker, &source);
	return 0;
}

static int
run_load(struct store_job *store_job, struct db *db)
{
	struct load_job *load = (struct load_job *)store_job;
	struct consumer *consumer;
	int result = store_consumer_load(db, load_row, load->broker);

	LIST_FOREACH (consumer, &load->broker->consumers->list, entry)
		if (result == 0)
			result = store_dead_count(db, consumer->row.name,
			    &consumer->dead, &consumer->dead_retry);
	return result;
}

static void
on_load(struct store_job *store_job, int result)
{
	((struct load_job *)store_job)->result = result;
}

static void
insert(struct consumers *consumers, struct consumer *consumer)
{
	struct consumer *before = NULL;
	struct consumer *other;

	LIST_FOREACH (other, &consumers->list, entry)
		if (strcmp(other->row.name, consumer->row.name) < 0)
			before = other;
	if (before)
		LIST_INSERT_AFTER(before, consumer, entry);
	else
		LIST_INSERT_HEAD(&consumers->list, consumer, entry);
	consumers->count++;
}

static struct consumer *
add(struct broker *broker, struct store_consumer *row)
{
	struct consumer *consumer = xcalloc(1, sizeof(*consumer));

	consumer->row = *row;
	consumer->id = ++broker->consumers->last_id;
	consumer->given_durable = row->given;
	TAILQ_INIT(&consumer->replays);
	*row = (struct store_consumer){ .name = NULL };
	insert(broker->consumers, consumer);
	return consumer;
}

static void
load_row(void *arg, struct store_consumer *row)
{
	(void)add(arg, row);
}

static void
forget(struct broker *broker, struct consumer *consumer)
{
	LIST_REMOVE(consumer, entry);
	broker->consumers->count--;
	push_free(consumer->push);
	consumer_replays_clear(consumer);
	store_consumer_clear(&consumer->row);
	free(consumer);
}

void
consumers_stop(struct broker *broker)
{
	struct consumer *consumer;

	if (!broker->consumers)
		return;
	hub_unlisten(&broker->consumers->listener);
	while ((consumer = LIST_FIRST(&broker->consumers->list))) {
		consumer_flush(broker, consumer);
		forget(broker, consumer);
	}
	if (broker->consumers->old_secrets)
		event_free(broker->consumers->old_secrets);
	free(broker->consumers);
	broker->consumers = NULL;
}

static void
on_stored(void *arg, uint64_t last_seq)
{
	struct broker *broker = arg;
	struct consumer *consumer;

	(void)last_seq;
	LIST_FOREACH (consumer, &broker->consumers->list, entry)
		push_kick(consumer->push);
}

struct consumer *
consumers_find(const struct broker *broker, const char *name)
{
	struct consumer *consumer;

	LIST_FOREACH (consumer, &broker->consumers->list, entry)
		if (strcmp(consumer->row.name, name) == 0)
			return consumer;
	return NULL;
}

struct consumer *
consumers_find_id(const struct broker *broker, uint64_t id)
{
	struct consumer *consumer;

	if (!broker->consumers)
		return NULL;
	LIST_FOREACH (consumer, &broker->consumers->list, entry)
		if (consumer->id == id)
			return consumer;
	return NULL;
}

size_t
consumers_pushed(const struct broker *broker)
{
	struct consumer *consumer;
	size_t count = 0;

	LIST_FOREACH (consumer, &broker->consumers->list, entry)
		count += consumer->push != NULL;
	return count;
}

uint64_t
consumers_needed_from(const struct broker *broker)
{
	struct consumer *consumer;
	uint64_t least = UINT64_MAX;

	if (!broker->consumers)
		return least;
	LIST_FOREACH (consumer, &broker->consumers->list, entry)
		if (consumer->row.cursor + 1 < least)
			least = consumer->row.cursor + 1;
	return least;
}

bool
consumer_name_good(const char *name)
{
	size_t length = strlen(name);
	size_t i;

	for (i = 0; i < length; i++)
		if (!isascii(name[i]) ||
		    (!isalnum((unsigned char)name[i]) && !strchr(".-_", name[i])))
			return false;
	return length > 0 && length <= CONSUMER_NAME_MAX && name[0] != '.';
}

struct consumer *
consumers_set(struct broker *broker, struct store_consumer *row, uint64_t given_durable)
{
	struct consumer *consumer = consumers_find(broker, row->name);

	if (consumer) {
		push_free(consumer->push);
		consumer->push = NULL;
		store_consumer_clear(&consumer->row);
		consumer->row = *row;
		consumer->id = ++broker->consumers->last_id;
		*row = (struct store_consumer){ .name = NULL };
	} else {
		consumer = add(broker, row);
	}
	consumer->given_durable = given_durable;
	if (consumer->row.url) {
		consumer_replays_clear(consumer);
		consumer->push = push_new(broker, consumer);
	}
	return consumer;
}

void
consumers_remove(struct broker *broker, struct consumer *consumer)
{
	forget(broker, consumer);
}

/* The words were looked at when they were stored. */
static uint32_t
include_bits(const char *list)
{
	const char *word;
	size_t length;
	uint32_t bits = 0;

	while (event_list_next(&list, &word, &length))
		bits |= event_include_bit(word, length);
	return bits;
}

void
consumer_query(
    const struct consumer *consumer, uint32_t limit, struct store_event_query *query)
{
	const struct store_consumer *row = &consumer->row;

	*query = (struct store_event_query){ .after = row->cursor,
		.limit = limit,
		.type = row->type,
		.platform = row->platform,
		.kind = row->kind,
		.broadcaster = row->broadcaster,
		.include = include_bits(row->include ? row->include : "") };
}

/* Nothing needs to be durable: after a crash it is looked through once more. What was
 * handed out and fits no more counts as done; `handed` keeps that it was. */
void
consumer_skip(struct consumer *consumer, uint64_t seen)
{
	struct store_consumer *row = &consumer->row;

	if (seen <= row->cursor)
		return;
	row->cursor = seen;
	consumer_give(consumer, seen);
}

void
consumer_give(struct consumer *consumer, uint64_t last)
{
	struct store_consumer *row = &consumer->row;

	if (row->given < last)
		row->given = last;
	if (row->handed < last)
		row->handed = last;
}

static int
run_mark(struct store_job *store_job, struct db *db)
{
	const struct mark_job *job = (const struct mark_job *)store_job;

	return store_consumer_mark(db, &job->mark);
}

static void
on_marked(struct store_job *store_job, int result)
{
	struct mark_job *job = (struct mark_job *)store_job;

	if (result < 0)
		log_warning("consumers",
		    "how far '%s' is could not be stored (%s); continuing",
		    job->mark.name, strerror(-result));
	free(job->mark.name);
	free(job);
}

void
consumer_flush(struct broker *broker, const struct consumer *consumer)
{
	struct mark_job *job = xcalloc(1, sizeof(*job));

	job->job = (struct store_job){ .run = run_mark, .done = on_marked };
	job->mark = store_consumer_mark_of(&consumer->row);
	store_submit(broker->store, &job->job);
}

char *
consumer_secret_name(const char *name)
{
	return xasprintf("push/%s", name);
}

char *
consumer_old_secret_name(const char *name)
{
	return xasprintf("push-before/%s", name);
}

void
consumer_fail_unknown(struct client *client, uint32_t rid, const char *name)
{
	char sentence[CONSUMER_NAME_MAX + 64];

	(void)snprintf(sentence, sizeof(sentence), "There is no consumer named %.*s",
	    CONSUMER_NAME_MAX, name);
	client_fail(client, rid, ERR_not_found, sentence);
}

void
consumer_show(const struct broker *broker, const struct consumer *consumer, bool whole,
    char origin[static CONSUMER_ORIGIN_SIZE], struct proto_msg *msg)
{
	const struct store_consumer *row = &consumer->row;
	const uint64_t last = hub_last_seq(broker);

	*msg = (struct proto_msg){ .type = MSG_consumer };
	msg->consumer = (struct proto_consumer){ .name = row->name,
		.type = row->type,
		.platform = row->platform,
		.kind = row->kind,
		.broadcaster = row->broadcaster,
		.include = row->include ? row->include : "",
		.state = row->disabled_at ? "disabled" : "ready",
		.trouble = row->disabled_reason,
		.since = (uint64_t)row->disabled_at,
		.cursor = row->cursor,
		.handed = row->handed,
		.lag = last > row->cursor ? last - row->cursor : 0,
		.dead = consumer->dead,
		.created_at = (uint64_t)row->created_at,
		.seen_at = (uint64_t)row->seen_at };
	if (!row->url)
		return;
	target_origin(row->url, origin);
	msg->consumer.url = whole ? row->url : origin;
	msg->consumer.private_too = row->private_too;
	msg->consumer.old_until = (uint64_t)row->old_until;
	if (!row->disabled_at)
		push_show(consumer->push, &msg->consumer);
}

void
consumer_answer(struct flow *flow, const struct consumer *consumer, bool whole)
{
	char origin[CONSUMER_ORIGIN_SIZE];
	struct proto_msg msg;

	consumer_show(flow->broker, consumer, whole, origin, &msg);
	flow_answer(flow, &msg);
}

static void
write_metrics(struct metrics *metrics, void *arg)
{
	struct broker *broker = arg;
	struct consumer *consumer;
	uint64_t last = hub_last_seq(broker);

	metric_family(metrics, "streamhold_consumer_lag_events", METRIC_GAUGE,
	    "Events stored after what a consumer has done, its filters aside.");
	LIST_FOREACH (consumer, &broker->consumers->list, entry)
		metric_put(metrics,
		    last > consumer->row.cursor ? last - consumer->row.cursor : 0,
		    "consumer", consumer->row.name, NULL);
	metric_family(metrics, "streamhold_consumer_seen_seconds", METRIC_GAUGE,
	    "When a consumer last asked for events or took one, Unix time.");
	LIST_FOREACH (consumer, &broker->consumers->list, entry)
		metric_put_us(metrics, consumer->row.seen_at * 1000, "consumer",
		    consumer->row.name, NULL);
	metric_family(metrics, "streamhold_consumer_dead_letters", METRIC_GAUGE,
	    "Events that could not be pushed and are kept to be tried again.");
	LIST_FOREACH (consumer, &broker->consumers->list, entry)
		metric_put(
		    metrics, consumer->dead, "consumer", consumer->row.name, NULL);
	metric_family(metrics, "streamhold_consumer_disabled", METRIC_GAUGE,
	    "1 while a consumer is switched off, else 0.");
	LIST_FOREACH (consumer, &broker->consumers->list, entry)
		metric_put(metrics, consumer->row.disabled_at != 0, "consumer",
		    consumer->row.name, NULL);
	push_write_metrics(metrics, broker);
}
