/*
 * event_replay, from request to answer:
 *
 *   read    the event as it is stored
 *   answer  it is kept, readers are told, and get it with their next answer
 *
 * With `consumer` it goes to that named consumer instead (consumer_replay.c).
 *
 * Owns broker->replays.
 */
#include <stdlib.h>
#include <sys/queue.h>

#include "broker/consumers/consumers.h"
#include "broker/events/hub.h"
#include "broker/events/read.h"
#include "broker/events/replay.h"
#include "broker/flow.h"
#include "common/alloc.h"
#include "common/log.h"

#define DEADLINE_MS 4500

struct replay {
	uint64_t number;
	struct store_event event;
	TAILQ_ENTRY(replay) entry;
};

struct replays {
	TAILQ_HEAD(replay_list, replay) list; /* oldest first */
	size_t count;
	size_t bytes;
	uint64_t last;
};

struct replay_flow {
	struct flow flow;
};

static void
drop_oldest(struct replays *replays)
{
	struct replay *replay = TAILQ_FIRST(&replays->list);

	TAILQ_REMOVE(&replays->list, replay, entry);
	replays->count--;
	replays->bytes -= buf_length(&replay->event.body);
	store_event_clear(&replay->event);
	free(replay);
}

void
replays_free(struct replays *replays)
{
	if (!replays)
		return;
	while (replays->count > 0)
		drop_oldest(replays);
	free(replays);
}

static struct replays *
replays_of(struct broker *broker)
{
	if (!broker->replays) {
		broker->replays = xcalloc(1, sizeof(*broker->replays));
		TAILQ_INIT(&broker->replays->list);
	}
	return broker->replays;
}

/* Takes the event over and empties it. */
static uint64_t
keep(struct broker *broker, struct store_event *event)
{
	struct replays *replays = replays_of(broker);
	struct replay *replay = xcalloc(1, sizeof(*replay));

	replay->number = ++replays->last;
	replay->event = *event;
	*event = (struct store_event){ .seq = 0 };
	TAILQ_INSERT_TAIL(&replays->list, replay, entry);
	replays->count++;
	replays->bytes += buf_length(&replay->event.body);
	while (replays->count > REPLAYS_MAX ||
	    (replays->count > 1 && replays->bytes > REPLAY_BYTES_MAX))
		drop_oldest(replays);
	return replay->number;
}

uint64_t
replay_last(const struct broker *broker)
{
	return broker->replays ? broker->replays->last : 0;
}

const struct store_event *
replay_after(const struct broker *broker, uint64_t number, uint64_t *ret_number)
{
	const struct replay *replay;

	if (!broker->replays)
		return NULL;
	TAILQ_FOREACH (replay, &broker->replays->list, entry)
		if (replay->number > number) {
			*ret_number = replay->number;
			return &replay->event;
		}
	return NULL;
}

/* The request. */

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

static void
on_read(void *arg, int result, const struct events_page *page)
{
	struct replay_flow *flow = arg;
	struct broker *broker = flow->flow.broker;
	struct proto_msg answer = { .type = MSG_event_replayed };
	const struct store_event *event;

	flow_resume(&flow->flow);
	if (result < 0) {
		flow_fail(
		    &flow->flow, ERR_storage_failed, "the event could not be read");
		return;
	}
	if (page->count == 0) {
		flow_fail(
		    &flow->flow, ERR_not_found, "No event with that number or id");
		return;
	}
	flow_step(&flow->flow, "answer");
	answer.event_replayed.replay = keep(broker, &page->events[0]);
	event = replay_after(
	    broker, answer.event_replayed.replay - 1, &answer.event_replayed.replay);
	answer.event_replayed.seq = event->seq;
	answer.event_replayed.type = event->type;
	log_info("replay", "event %llu is handed to live readers again",
	    (unsigned long long)event->seq);
	flow_answer(&flow->flow, &answer);
	hub_tell(broker);
}

void
on_event_replay(struct client *client, struct proto_msg *msg)
{
	const struct proto_event_replay *wanted = &msg->event_replay;
	struct replay_flow *flow;

	if ((wanted->seq == 0) == (wanted->id == NULL)) {
		client_fail(
		    client, msg->rid, ERR_not_found, "No event with that number or id");
		return;
	}
	if (wanted->consumer) {
		consumer_replay(client, msg);
		return;
	}
	flow = xcalloc(1, sizeof(*flow));
	flow_init(&flow->flow, client->broker, client, msg->rid, "event_replay",
	    DEADLINE_MS, release);
	flow_step(&flow->flow, "read");
	flow_wait(&flow->flow, cancel,
	    events_read_one(client->broker, wanted->seq, wanted->id, on_read, flow));
}
