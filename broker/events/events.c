/*
 * events_list, from request to answer:
 *
 *   read    a page of rows (read.h)
 *   answer  an `event` row each, its further bytes as `event_part`, then `list_end`
 *
 * event_get does the same for one event.
 */
#include <stdio.h>
#include <stdlib.h>

#include "broker/events/events.h"
#include "broker/events/read.h"
#include "broker/flow.h"
#include "broker/store/store_event.h"
#include "common/alloc.h"

#define DEADLINE_MS 4500
#define PART_MAX 32768 /* messages.def, event.payload */

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
flags_text(uint32_t flags, char *text, size_t size)
{
	(void)snprintf(text, size, "%s%s%s%s", flags & EVENT_FOREIGN ? " foreign" : "",
	    flags & EVENT_UNKNOWN ? " unknown" : "",
	    flags & EVENT_DAMAGED ? " damaged" : "", flags & EVENT_OWN ? " own" : "");
}

static void
send_event(struct flow *flow, const struct store_event *event)
{
	const uint8_t *body = buf_bytes(&event->body);
	size_t length = buf_length(&event->body);
	size_t sent = length < PART_MAX ? length : PART_MAX;
	struct proto_msg part = { .type = MSG_event_part };
	char flags[64];

	flags_text(event->flags, flags, sizeof(flags));
	flow_row(flow,
	    &(const struct proto_msg){ .type = MSG_event,
		.event = { .seq = event->seq,
		    .id = event->message_id,
		    .platform = event->platform,
		    .type = event->type,
		    .version = event->version,
		    .received_at = (uint64_t)event->received_at,
		    .occurred_at = (uint64_t)event->occurred_at,
		    .broadcaster_id = event->broadcaster_id,
		    .broadcaster_name = event->broadcaster_name,
		    .flags = flags[0] ? flags + 1 : "",
		    .json = !(event->flags & EVENT_NOT_JSON),
		    .payload_length = (uint32_t)length,
		    .payload = { .data = body, .length = sent } } });
	for (; sent < length; sent += part.event_part.payload.length) {
		part.event_part.payload = (struct proto_bytes){ .data = body + sent,
			.length = length - sent < PART_MAX ? length - sent : PART_MAX };
		flow_row(flow, &part);
	}
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
		.foreign = wanted->foreign };

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
