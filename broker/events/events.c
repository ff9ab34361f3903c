/*
 * events_list, from request to answer:
 *
 *   read    a page of rows (read.h)
 *   answer  an `event` row each, composed (event_json.h), its further bytes as
 *           `event_part`, then `list_end`
 *
 * event_get does the same for one event.
 */
#include <stdlib.h>

#include "broker/events/event_json.h"
#include "broker/events/event_kind.h"
#include "broker/events/events.h"
#include "broker/events/read.h"
#include "broker/flow.h"
#include "broker/store/store_event.h"
#include "common/alloc.h"

#define DEADLINE_MS 4500
#define PART_MAX 32768 /* messages.def, event.json */

struct events_flow {
	struct flow flow;
	uint64_t after;      /* of the page that was asked for */
	const char *trouble; /* what is said when the database fails */
};

static void
cancel(void *arg)
{
	events_read_cancel(arg);
}

static void
release(struct flow *flow)
{
	free(flow);
}

/* Answer. */

static void
send_event(struct flow *flow, const struct store_event *event)
{
	struct proto_msg part = { .type = MSG_event_part };
	char flags[EVENT_FLAGS_SIZE];
	struct buf json = BUF_EMPTY;
	const uint8_t *bytes;
	size_t length;
	size_t sent;

	(void)event_json_write(event, 0, &json);
	event_flags_text(event->flags, flags);
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
		    .flags = flags,
		    .flag_bits = event->flags,
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
		send_event(&flow->flow, &page->events[i]);
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
events_flow_new(struct client *client, const struct proto_msg *msg, const char *kind)
{
	struct events_flow *flow = xcalloc(1, sizeof(*flow));

	flow_init(
	    &flow->flow, client->broker, client, msg->rid, kind, DEADLINE_MS, release);
	flow_step(&flow->flow, "read");
	return flow;
}

/* A page. */

static void
on_page(void *arg, int result, const struct events_page *page)
{
	struct events_flow *flow = arg;

	flow_resume(&flow->flow);
	if (is_fine(flow, result))
		answer(flow, page,
		    page->count ? page->events[page->count - 1].seq : flow->after);
}

void
on_events_list(struct client *client, struct proto_msg *msg)
{
	const struct proto_events_list *wanted = &msg->events_list;
	struct events_flow *flow = events_flow_new(client, msg, "events_list");
	const struct store_event_query query = { .after = wanted->after,
		.limit = wanted->limit,
		.bytes_max = EVENTS_PAGE_BYTES,
		.type = wanted->type,
		.platform = wanted->platform,
		.kind = wanted->kind,
		.include = (wanted->foreign ? EVENT_FOREIGN : 0U) |
		    (wanted->synthetic ? EVENT_SYNTHETIC : 0U) |
		    (wanted->quarantined ? EVENT_QUARANTINED : 0U) };

	flow->after = wanted->after;
	flow->trouble = "the events could not be read";
	flow_wait(
	    &flow->flow, cancel, events_read(client->broker, &query, on_page, flow));
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
	flow = events_flow_new(client, msg, "event_get");
	flow->trouble = "the event could not be read";
	flow_wait(&flow->flow, cancel,
	    events_read_one(client->broker, wanted->seq, wanted->id, on_one, flow));
}
