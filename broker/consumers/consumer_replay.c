/*
 * Handing an event to one named consumer again (event_replay with `consumer`):
 *
 *   read    the event as it is stored
 *   store   for one that is pushed to: as a letter that its pusher sends next
 *   answer  for one that asks: its next page has it, until it acknowledges something
 *
 * What waits for a consumer that asks is in memory and ends with the broker; a letter
 * is durable. Called by replay.c and consumer_read.c.
 */
#include <stdio.h>
#include <stdlib.h>

#include "broker/consumers/consumers.h"
#include "broker/consumers/push.h"
#include "broker/consumers/push_send.h"
#include "broker/consumers/push_sign.h"
#include "broker/events/events.h"
#include "broker/events/read.h"
#include "broker/oauth/steps.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/time.h"

#define LETTER_REASON "replayed by hand"

struct consumer_replay {
	struct store_event event;
	bool handed; /* at least once */
	TAILQ_ENTRY(consumer_replay) entry;
};

struct replay_flow {
	struct flow flow;
	uint64_t consumer; /* the number of its life */
};

struct letter_job {
	struct steps_job steps;
	uint64_t consumer;
	char *name;
	struct store_dead letter;
	uint64_t dropped;
	uint64_t dead;
	uint64_t retry;
};

static void on_read(void *, int, const struct events_page *);
static void keep(struct flow *, struct consumer *, struct store_event *);
static void send_letter(struct flow *, struct consumer *, const struct store_event *);
static void on_stored(struct store_job *, int);

/* ---- What waits for a consumer that asks ---- */

static void
drop(struct consumer *consumer, struct consumer_replay *replay)
{
	TAILQ_REMOVE(&consumer->replays, replay, entry);
	consumer->replay_count--;
	consumer->replay_bytes -= buf_length(&replay->event.body);
	store_event_clear(&replay->event);
	free(replay);
}

void
consumer_replays_clear(struct consumer *consumer)
{
	while (consumer->replay_count > 0)
		drop(consumer, TAILQ_FIRST(&consumer->replays));
}

void
consumer_replays_send(struct consumer *consumer, struct flow *flow)
{
	struct store_event_query query;
	struct consumer_replay *replay;

	consumer_query(consumer, 1, &query);
	TAILQ_FOREACH (replay, &consumer->replays, entry) {
		if (store_event_fits(&replay->event, &query))
			events_send(flow, &replay->event, EVENT_REDELIVERED);
		replay->handed = true;
	}
}

void
consumer_replays_acked(struct consumer *consumer)
{
	struct consumer_replay *replay = TAILQ_FIRST(&consumer->replays);

	while (replay) {
		struct consumer_replay *next = TAILQ_NEXT(replay, entry);

		if (replay->handed)
			drop(consumer, replay);
		replay = next;
	}
}

static struct consumer_replay *
find_replay(struct consumer *consumer, uint64_t seq)
{
	struct consumer_replay *replay;

	TAILQ_FOREACH (replay, &consumer->replays, entry)
		if (replay->event.seq == seq)
			return replay;
	return NULL;
}

/* ---- The request ---- */

static void
release(struct flow *flow)
{
	free(flow);
}

static void
cancel(void *arg)
{
	events_read_cancel(arg);
}

void
consumer_replay(struct client *client, struct proto_msg *msg)
{
	const struct proto_event_replay *wanted = &msg->event_replay;
	struct consumer *consumer = consumers_find(client->broker, wanted->consumer);
	struct replay_flow *replay;

	if (!consumer) {
		consumer_fail_unknown(client, msg->rid, wanted->consumer);
		return;
	}
	if (consumer->row.disabled_at) {
		client_fail(client, msg->rid, ERR_conflict,
		    "This consumer is switched off; enable it first");
		return;
	}
	replay = xcalloc(1, sizeof(*replay));
	flow_init(&replay->flow, client->broker, client, msg->rid, "event_replay",
	    STEPS_DEADLINE_MS, release);
	replay->consumer = consumer->id;
	flow_step(&replay->flow, "read");
	flow_wait(&replay->flow, cancel,
	    events_read_one(client->broker, wanted->seq, wanted->id, on_read, replay));
}

/* Whether the consumer may have it now; else the flow has failed. */
static bool
is_for(
    struct flow *flow, const struct consumer *consumer, const struct store_event *event)
{
	struct store_event_query query;
	char sentence[200];

	consumer_query(consumer, 1, &query);
	if (event->seq > consumer->row.cursor)
		(void)snprintf(sentence, sizeof(sentence),
		    "Event %llu is not done by this consumer; it gets it without a "
		    "replay",
		    (unsigned long long)event->seq);
	else if (!store_event_fits(event, &query))
		(void)snprintf(sentence, sizeof(sentence),
		    "Event %llu is not one of those that this consumer's filters let "
		    "through",
		    (unsigned long long)event->seq);
	else
		return true;
	flow_fail(flow, ERR_conflict, sentence);
	return false;
}

static void
on_read(void *arg, int result, const struct events_page *page)
{
	struct replay_flow *replay = arg;
	struct flow *flow = &replay->flow;
	struct consumer *consumer = consumers_find_id(flow->broker, replay->consumer);

	flow_resume(flow);
	if (result < 0)
		flow_fail(flow, ERR_storage_failed, "the event could not be read");
	else if (page->count == 0)
		flow_fail(flow, ERR_not_found, "No event with that number or id");
	else if (!consumer)
		flow_fail(flow, ERR_conflict,
		    "The consumer was changed or removed at the same time; ask again");
	else if (!is_for(flow, consumer, &page->events[0]))
		return;
	else if (consumer->row.url)
		send_letter(flow, consumer, &page->events[0]);
	else
		keep(flow, consumer, &page->events[0]);
}

static void
answer(struct flow *flow, uint64_t seq, const char *type, const char *name)
{
	log_info("replay", "event %llu is handed to '%s' again",
	    (unsigned long long)seq, name);
	flow_answer(flow,
	    &(const struct proto_msg){ .type = MSG_event_replayed,
		.event_replayed = { .seq = seq, .type = type } });
}

/* Takes the event over and empties it, unless it waits already. */
static void
keep(struct flow *flow, struct consumer *consumer, struct store_event *event)
{
	struct consumer_replay *replay = find_replay(consumer, event->seq);
	size_t bytes = consumer->replay_bytes + buf_length(&event->body);

	if (!replay &&
	    (consumer->replay_count >= CONSUMER_REPLAYS_MAX ||
		(consumer->replay_count && bytes > CONSUMER_REPLAY_BYTES_MAX))) {
		flow_fail(flow, ERR_conflict,
		    "This consumer has to take and acknowledge what was replayed to it "
		    "before");
		return;
	}
	flow_step(flow, "answer");
	if (!replay) {
		replay = xcalloc(1, sizeof(*replay));
		replay->event = *event;
		*event = (struct store_event){ .seq = 0 };
		TAILQ_INSERT_TAIL(&consumer->replays, replay, entry);
		consumer->replay_count++;
		consumer->replay_bytes = bytes;
	}
	answer(flow, replay->event.seq, replay->event.type, consumer->row.name);
}

/* ---- One that is pushed to ---- */

static int
run_store(struct store_job *store_job, struct db *db)
{
	struct letter_job *job = (struct letter_job *)store_job;
	int result = store_dead_put(db, job->name, &job->letter, &job->dropped);

	return result < 0 ? result
			  : store_dead_count(db, job->name, &job->dead, &job->retry);
}

static void
send_letter(
    struct flow *flow, struct consumer *consumer, const struct store_event *event)
{
	char id[PUSH_ID_SIZE];
	struct letter_job *job;

	if (consumer->dead >= STORE_DEAD_MAX) {
		flow_fail(flow, ERR_conflict,
		    "This consumer has as many dead letters as are kept; have them "
		    "tried again first");
		return;
	}
	push_id(event->platform, event->message_id, id);
	job = xcalloc(1, sizeof(*job));
	job->consumer = consumer->id;
	job->name = xstrdup(consumer->row.name);
	job->letter = (struct store_dead){ .seq = event->seq,
		.type = xstrdup(event->type),
		.id = xstrdup(id),
		.died_at = time_now_ms(),
		.reason = xstrdup(LETTER_REASON),
		.retry = true };
	push_compose(event, EVENT_REDELIVERED, &job->letter.body);
	flow_step(flow, "store");
	steps_submit(flow, &job->steps, run_store, on_stored);
}

static void
on_stored(struct store_job *store_job, int result)
{
	struct letter_job *job = (struct letter_job *)store_job;
	struct flow *flow = steps_done(&job->steps);
	struct consumer *consumer = consumers_find_id(job->steps.broker, job->consumer);

	if (result == 0 && consumer) {
		consumer->dead = job->dead;
		consumer->dead_retry = job->retry;
		push_kick(consumer->push);
	}
	if (flow && result < 0)
		steps_fail_store(flow, result);
	else if (flow)
		answer(flow, job->letter.seq, job->letter.type, job->name);
	store_dead_clear(&job->letter);
	free(job->name);
	free(job);
}
