/*
 * consumer_events, from request to answer:
 *
 *   read    what follows the cursor; when the search is long, how far it came is kept
 *   mark    that it may have been handed out, durable before it leaves
 *   answer  what was replayed to it (consumer_replay.c), then the events; those that
 *           were marked before are `redelivered`
 *
 * consumer_ack is one job. Between mark and acknowledgement nothing is lost by any
 * crash: what was not acknowledged follows the cursor and is handed out again, marked.
 * When the consumer's place is set while an acknowledgement is under way, the place
 * counts (store_consumer_mark).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/consumers/consumers.h"
#include "broker/events/events.h"
#include "broker/events/latency.h"
#include "broker/events/read.h"
#include "broker/oauth/steps.h"
#include "common/alloc.h"
#include "common/time.h"

struct read_flow {
	struct flow flow;
	uint64_t consumer; /* number of its life */
	struct store_event *events;
	size_t count;
	uint64_t handed_before; /* events up to this seq were marked before */
};

struct mark_job {
	struct steps_job steps;
	uint64_t consumer;
	struct store_mark mark;
};

static void read_release(struct flow *);
static void cancel_read(void *);
static void on_read(void *, int, const struct events_page *);
static void mark(struct read_flow *, struct consumer *);
static int run_mark(struct store_job *, struct db *);
static void on_marked(struct store_job *, int);
static void answer(struct read_flow *, struct consumer *, uint64_t);
static void on_acked(struct store_job *, int);

static struct mark_job *
mark_new(const struct consumer *consumer)
{
	struct mark_job *job = xcalloc(1, sizeof(*job));

	job->consumer = consumer->id;
	job->mark = store_consumer_mark_of(&consumer->row);
	return job;
}

static void
mark_free(struct mark_job *job)
{
	free(job->mark.name);
	free(job);
}

/* A consumer that asks by itself, or NULL after the request was answered. */
static struct consumer *
find_asking(struct client *client, uint32_t rid, const char *name)
{
	struct consumer *consumer = consumers_find(client->broker, name);

	if (!consumer) {
		consumer_fail_unknown(client, rid, name);
	} else if (consumer->row.url) {
		client_fail(client, rid, ERR_conflict,
		    "Events are pushed to this consumer; it does not ask for them");
		return NULL;
	}
	return consumer;
}

/* ---- Handing out ---- */

void
on_consumer_events(struct client *client, struct proto_msg *msg)
{
	struct consumer *consumer =
	    find_asking(client, msg->rid, msg->consumer_events.name);
	struct store_event_query query;
	struct events_read *page;
	struct read_flow *read;

	if (!consumer)
		return;
	read = xcalloc(1, sizeof(*read));
	flow_init(&read->flow, client->broker, client, msg->rid, "consumer_events",
	    STEPS_DEADLINE_MS, read_release);
	read->consumer = consumer->id;
	consumer->row.seen_at = time_now_ms();
	consumer_query(consumer, msg->consumer_events.limit, &query);
	query.bytes_max = EVENTS_PAGE_BYTES;
	flow_step(&read->flow, "read");
	page = events_read(client->broker, &query, on_read, read);
	events_read_no_longer_than(page, EVENTS_SEARCH_MS);
	flow_wait(&read->flow, cancel_read, page);
}

static void
cancel_read(void *arg)
{
	events_read_cancel(arg);
}

static void
fail_changed(struct read_flow *read)
{
	flow_fail(&read->flow, ERR_conflict,
	    "The consumer was changed or removed at the same time; ask again");
}

static void
take(struct read_flow *read, const struct events_page *page)
{
	read->count = page->count;
	read->events = xcalloc(page->count, sizeof(*read->events));
	memcpy(read->events, page->events, page->count * sizeof(*read->events));
	memset(page->events, 0, page->count * sizeof(*page->events));
}

static void
on_read(void *arg, int result, const struct events_page *page)
{
	struct read_flow *read = arg;
	struct consumer *consumer =
	    consumers_find_id(read->flow.broker, read->consumer);

	flow_resume(&read->flow);
	if (result < 0) {
		steps_fail_store(&read->flow, result);
	} else if (!consumer) {
		fail_changed(read);
	} else if (page->count == 0) {
		consumer_skip(consumer, page->seen);
		answer(read, consumer, consumer->row.cursor);
	} else {
		take(read, page);
		mark(read, consumer);
	}
}

/* Another request of the same consumer may be between mark and answer as well; memory
 * is ahead of the disk so that the later of them sees the mark of the earlier. */
static void
mark(struct read_flow *read, struct consumer *consumer)
{
	const uint64_t last = read->events[read->count - 1].seq;
	struct mark_job *job;

	read->handed_before = consumer->row.handed;
	consumer_give(consumer, last);
	if (last <= consumer->given_durable) {
		answer(read, consumer, last);
		return;
	}
	flow_step(&read->flow, "mark");
	job = mark_new(consumer);
	steps_submit(&read->flow, &job->steps, run_mark, on_marked);
}

static int
run_mark(struct store_job *store_job, struct db *db)
{
	const struct mark_job *job = (const struct mark_job *)store_job;

	return store_consumer_mark(db, &job->mark);
}

static void
note_durable(const struct mark_job *job)
{
	struct consumer *consumer = consumers_find_id(job->steps.broker, job->consumer);

	if (consumer && consumer->given_durable < job->mark.given)
		consumer->given_durable = job->mark.given;
}

static void
on_marked(struct store_job *store_job, int result)
{
	struct mark_job *job = (struct mark_job *)store_job;
	struct read_flow *read = (struct read_flow *)steps_done(&job->steps);
	struct consumer *consumer = consumers_find_id(job->steps.broker, job->consumer);

	if (result == 0)
		note_durable(job);
	if (read && result < 0)
		steps_fail_store(&read->flow, result);
	else if (read && !consumer)
		fail_changed(read);
	else if (read)
		answer(read, consumer, read->events[read->count - 1].seq);
	mark_free(job);
}

/* `next` is what an acknowledgement of the whole page would name. */
static void
answer(struct read_flow *read, struct consumer *consumer, uint64_t next)
{
	const struct proto_msg end = { .type = MSG_list_end,
		.list_end = { .next = next } };
	size_t i;

	if (chan_backlog(read->flow.client->chan) > EVENTS_BACKLOG_MAX) {
		flow_fail(&read->flow, ERR_busy, NULL);
		return;
	}
	flow_step(&read->flow, "answer");
	consumer_replays_send(consumer, &read->flow);
	for (i = 0; i < read->count; i++) {
		latency_handed(read->flow.broker, &read->events[i], time_now_ms());
		events_send(&read->flow, &read->events[i],
		    read->events[i].seq <= read->handed_before ? EVENT_REDELIVERED : 0);
	}
	flow_answer(&read->flow, &end);
}

static void
read_release(struct flow *flow)
{
	struct read_flow *read = (struct read_flow *)flow;
	size_t i;

	for (i = 0; i < read->count; i++)
		store_event_clear(&read->events[i]);
	free(read->events);
	free(read);
}

/* ---- Acknowledging ---- */

static void
ack_release(struct flow *flow)
{
	free(flow);
}

/* Of something that was handed out before its place was set, or never. */
static void
refuse_ack(struct client *client, const struct proto_msg *msg,
    const struct store_consumer *row)
{
	const uint64_t seq = msg->consumer_ack.seq;
	const bool before = seq <= row->handed;
	char sentence[200];

	(void)snprintf(sentence, sizeof(sentence),
	    "Event %llu was not handed out to this consumer%s; the last one that "
	    "was is %llu",
	    (unsigned long long)seq, before ? " since its place was set" : "",
	    (unsigned long long)row->given);
	client_fail(client, msg->rid, ERR_conflict, sentence);
}

void
on_consumer_ack(struct client *client, struct proto_msg *msg)
{
	struct consumer *consumer =
	    find_asking(client, msg->rid, msg->consumer_ack.name);
	const uint64_t seq = msg->consumer_ack.seq;
	struct mark_job *job;
	struct flow *flow;

	if (!consumer)
		return;
	if (seq > consumer->row.given) {
		refuse_ack(client, msg, &consumer->row);
		return;
	}
	flow = xcalloc(1, sizeof(*flow));
	flow_init(flow, client->broker, client, msg->rid, "consumer_ack",
	    STEPS_DEADLINE_MS, ack_release);
	consumer->row.seen_at = time_now_ms();
	consumer_replays_acked(consumer);
	/* Said before: it is durable. */
	if (seq <= consumer->row.cursor) {
		consumer_answer(flow, consumer, false);
		return;
	}
	flow_step(flow, "store");
	job = mark_new(consumer);
	job->mark.cursor = seq;
	steps_submit(flow, &job->steps, run_mark, on_acked);
}

/* The consumer that was acknowledged; its filters may have been changed meanwhile. */
static struct consumer *
find_acked(const struct mark_job *job)
{
	struct broker *broker = job->steps.broker;

	return broker->consumers ? consumers_find(broker, job->mark.name) : NULL;
}

static void
on_acked(struct store_job *store_job, int result)
{
	struct mark_job *job = (struct mark_job *)store_job;
	struct flow *flow = steps_done(&job->steps);
	struct consumer *consumer = find_acked(job);
	const bool moved = consumer && consumer->row.epoch != job->mark.epoch;

	if (result == 0)
		note_durable(job);
	if (result == 0 && consumer && !moved &&
	    job->mark.cursor > consumer->row.cursor)
		consumer->row.cursor = job->mark.cursor;
	if (flow && result < 0)
		steps_fail_store(flow, result);
	else if (flow && !consumer)
		flow_fail(flow, ERR_not_found, "The consumer was removed meanwhile");
	else if (flow && moved)
		flow_fail(flow, ERR_conflict,
		    "The place of this consumer was set at the same time; ask for its "
		    "events first");
	else if (flow)
		consumer_answer(flow, consumer, false);
	mark_free(job);
}
