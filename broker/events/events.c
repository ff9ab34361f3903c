/*
 * events_list, from request to answer:
 *
 *   read    a page of rows (read.h)
 *   wait    with `wait_ms`, when there was none: until one is stored, then read again
 *   answer  an `event` row each, composed (event_json.h), its further bytes as
 *           `event_part`, then `list_end`
 *
 * event_get does the same for one event. events_handed tells which of the events that
 * were only offered somebody got.
 */
#include <stdlib.h>

#include <event2/event.h>

#include "broker/events/event_json.h"
#include "broker/events/event_kind.h"
#include "broker/events/events.h"
#include "broker/events/hub.h"
#include "broker/events/latency.h"
#include "broker/events/read.h"
#include "broker/events/replay.h"
#include "broker/flow.h"
#include "broker/store/store_event.h"
#include "common/alloc.h"
#include "common/time.h"

#define DEADLINE_MS 4500
#define PART_MAX 32768 /* messages.def, event.json */

struct events_flow {
	struct flow flow;
	const char *trouble; /* what is said when the database fails */

	/* Of a page. */
	uint64_t after;                 /* as it was asked for */
	struct store_event_query query; /* `after` moves on while waiting */
	bool follow;
	bool offer;       /* the asker tells later what somebody got */
	uint64_t replays; /* one more than the last that is known, 0: none wanted */
	uint64_t run;     /* of the broker that it followed before, 0: none */
	uint64_t oldest;
	int64_t until; /* boot-time ms, how long to wait for an event */
	struct hub_listener listener;
	struct event *timer;
};

static void
cancel(void *arg)
{
	events_read_cancel(arg);
}

static void
release(struct flow *base)
{
	struct events_flow *flow = (struct events_flow *)base;

	store_event_query_clear(&flow->query);
	if (flow->timer)
		event_free(flow->timer);
	free(flow);
}

/* Answer. */

void
events_send(struct flow *flow, const struct store_event *event, uint32_t extra_flags)
{
	struct proto_msg part = { .type = MSG_event_part };
	char flags[EVENT_FLAGS_SIZE];
	struct buf json = BUF_EMPTY;
	const uint8_t *bytes;
	size_t length;
	size_t sent;

	(void)event_json_write(event, extra_flags, &json);
	event_flags_text(event->flags | extra_flags, flags);
	bytes = buf_bytes(&json);
	length = buf_length(&json);
	sent = length < PART_MAX ? length : PART_MAX;
	flow_row(flow,
	    &(const struct proto_msg){ .type = MSG_event,
		.event = { .seq = event->seq,
		    .platform = event->platform,
		    .type = event->type,
		    .kind = event_kind(
			event->platform, event->type, event->version, event->flags),
		    .broadcaster_id = event->broadcaster_id,
		    .broadcaster_name = event->broadcaster_name,
		    .flags = flags,
		    .flag_bits = event->flags | extra_flags,
		    .length = (uint32_t)length,
		    .json = { .data = bytes, .length = sent } } });
	for (; sent < length; sent += part.event_part.json.length) {
		part.event_part.json = (struct proto_bytes){ .data = bytes + sent,
			.length = length - sent < PART_MAX ? length - sent : PART_MAX };
		flow_row(flow, &part);
	}
	buf_clear(&json);
}

static void
answer(struct events_flow *flow, const struct events_page *page, uint64_t next)
{
	const struct proto_msg last = { .type = MSG_list_end,
		.list_end = { .next = next } };
	size_t i;

	flow_step(&flow->flow, "answer");
	for (i = 0; i < page->count; i++)
		events_send(&flow->flow, &page->events[i], 0);
	flow_answer(&flow->flow, &last);
}

/* Whether there is something to answer with, and somebody who takes it; else the flow
 * has failed. */
static bool
is_fine(struct events_flow *flow, int result)
{
	if (result < 0)
		flow_fail(&flow->flow, ERR_storage_failed, flow->trouble);
	else if (chan_backlog(flow->flow.client->chan) > EVENTS_BACKLOG_MAX)
		flow_fail(&flow->flow, ERR_busy, NULL);
	else
		return true;
	return false;
}

static struct events_flow *
events_flow_new(struct client *client, const struct proto_msg *msg, const char *kind,
    unsigned deadline_ms)
{
	struct events_flow *flow = xcalloc(1, sizeof(*flow));

	flow_init(
	    &flow->flow, client->broker, client, msg->rid, kind, deadline_ms, release);
	flow_step(&flow->flow, "read");
	return flow;
}

/* A page. */

static void read_page(struct events_flow *flow);

/* The first replay that this follower does not know. Numbers begin anew with the
 * broker, and what it knew before means nothing then. */
static const struct store_event *
next_replay(const struct events_flow *flow, uint64_t *number)
{
	if (flow->replays == 0 || flow->replays - 1 > replay_last(flow->flow.broker))
		return NULL;
	return replay_after(flow->flow.broker, *number, number);
}

static bool
has_replays(const struct events_flow *flow)
{
	uint64_t number = flow->replays - 1;

	return next_replay(flow, &number) != NULL;
}

static void
send_replays(struct events_flow *flow)
{
	uint64_t number = flow->replays - 1;
	const struct store_event *event;

	while ((event = next_replay(flow, &number)))
		if (store_event_fits(event, &flow->query))
			events_send(&flow->flow, event, EVENT_REDELIVERED);
}

/* Everything up to `seen` was looked at. A follower is told so, and what there is. */
static void
answer_page(struct events_flow *flow, const struct events_page *page, uint64_t seen)
{
	struct broker *broker = flow->flow.broker;
	const uint64_t stored = hub_last_seq(broker);
	const struct proto_msg span = { .type = MSG_events_span,
		.events_span = { .oldest = flow->oldest,
		    .last = seen > stored ? seen : stored,
		    .run = broker->hub_run,
		    .began = broker->hub_began,
		    .replay = replay_last(broker) } };
	size_t i;

	if (flow->follow) {
		flow_row(&flow->flow, &span);
		send_replays(flow);
	}
	for (i = 0; flow->follow && i < page->count; i++) {
		if (flow->offer)
			latency_offered(broker, &page->events[i]);
		else
			latency_handed(broker, &page->events[i], time_now_ms());
	}
	answer(flow, page, seen);
}

/* Where the next page begins. An empty one at the end repeats `after`. */
static uint64_t
next_of(const struct events_flow *flow, const struct events_page *page)
{
	if (flow->follow || (page->count == 0 && !page->end))
		return page->seen;
	return page->count ? page->events[page->count - 1].seq : flow->after;
}

static void
stop_waiting(void *arg)
{
	struct events_flow *flow = arg;

	hub_unlisten(&flow->listener);
	event_del(flow->timer);
}

static void
on_stored(void *arg, uint64_t last_seq)
{
	struct events_flow *flow = arg;

	(void)last_seq;
	stop_waiting(flow);
	flow_resume(&flow->flow);
	read_page(flow);
}

static void
on_wait_over(evutil_socket_t fd, short what, void *arg)
{
	const struct events_page nothing = { .count = 0 };
	struct events_flow *flow = arg;

	(void)fd;
	(void)what;
	stop_waiting(flow);
	flow_resume(&flow->flow);
	answer_page(flow, &nothing, flow->query.after);
}

/* Goes on from `seen` when something is stored, which may have happened already. */
static void
wait_for_more(struct events_flow *flow, uint64_t seen, int64_t ms)
{
	const struct timeval time = { .tv_sec = ms / 1000,
		.tv_usec = ms % 1000 * 1000 };
	struct broker *broker = flow->flow.broker;

	flow->query.after = seen;
	if (hub_last_seq(broker) > seen) {
		read_page(flow);
		return;
	}
	flow_step(&flow->flow, "wait");
	flow->listener = (struct hub_listener){ .stored = on_stored, .arg = flow };
	if (!flow->timer)
		flow->timer = event_new(broker->base, -1, 0, on_wait_over, flow);
	if (!flow->timer)
		abort();
	event_add(flow->timer, &time);
	hub_listen(broker, &flow->listener);
	flow_wait(&flow->flow, stop_waiting, flow);
}

/* A follower of another broker has to look whether this one has the same database. */
static bool
is_stranger(const struct events_flow *flow)
{
	return flow->run && flow->run != flow->flow.broker->hub_run;
}

static void
on_page(void *arg, int result, const struct events_page *page)
{
	struct events_flow *flow = arg;
	int64_t left = flow->until ? flow->until - time_boot_ms() : 0;

	flow_resume(&flow->flow);
	if (!is_fine(flow, result))
		return;
	flow->oldest = page->oldest;
	if (page->count == 0 && left > 0 && !is_stranger(flow) && !has_replays(flow))
		wait_for_more(flow, page->seen, left);
	else
		answer_page(flow, page, next_of(flow, page));
}

static void
read_page(struct events_flow *flow)
{
	struct events_read *read =
	    events_read(flow->flow.broker, &flow->query, on_page, flow);

	flow_step(&flow->flow, "read");
	events_read_no_longer_than(read, EVENTS_SEARCH_MS);
	flow_wait(&flow->flow, cancel, read);
}

void
on_events_list(struct client *client, struct proto_msg *msg)
{
	const struct proto_events_list *wanted = &msg->events_list;
	struct events_flow *flow =
	    events_flow_new(client, msg, "events_list", DEADLINE_MS + wanted->wait_ms);
	const struct store_event_query query = { .after = wanted->after,
		.limit = wanted->limit,
		.bytes_max = wanted->bytes ? wanted->bytes : EVENTS_PAGE_BYTES,
		.type = wanted->type,
		.platform = wanted->platform,
		.kind = wanted->kind,
		.broadcaster = wanted->broadcaster,
		.include = (wanted->foreign ? EVENT_FOREIGN : 0U) |
		    (wanted->synthetic ? EVENT_SYNTHETIC : 0U) |
		    (wanted->quarantined ? EVENT_QUARANTINED : 0U) };

	store_event_query_copy(&flow->query, &query);
	flow->after = wanted->after;
	flow->follow = wanted->follow;
	flow->offer = wanted->offer;
	flow->replays = wanted->replays;
	flow->run = wanted->run;
	if (wanted->follow && wanted->wait_ms)
		flow->until = time_boot_ms() + wanted->wait_ms;
	flow->trouble = "the events could not be read";
	read_page(flow);
}

/* One event. */

static void
on_one(void *arg, int result, const struct events_page *page)
{
	struct events_flow *flow = arg;

	flow_resume(&flow->flow);
	if (!is_fine(flow, result))
		return;
	if (page->count == 0)
		flow_fail(
		    &flow->flow, ERR_not_found, "No event with that number or id");
	else
		answer(flow, page, 0);
}

void
on_event_get(struct client *client, struct proto_msg *msg)
{
	const struct proto_event_get *wanted = &msg->event_get;
	struct events_flow *flow;

	if ((wanted->seq == 0) == (wanted->id == NULL)) {
		client_fail(
		    client, msg->rid, ERR_not_found, "No event with that number or id");
		return;
	}
	flow = events_flow_new(client, msg, "event_get", DEADLINE_MS);
	flow->trouble = "the event could not be read";
	flow_wait(&flow->flow, cancel,
	    events_read_one(client->broker, wanted->seq, wanted->id, on_one, flow));
}

/* What came of offered events. */

void
on_events_handed(struct client *client, struct proto_msg *msg)
{
	const struct proto_events_handed *handed = &msg->events_handed;

	latency_taken(client->broker, handed->first, handed->last, time_now_ms());
}
