/*
 * Stored events: GET /events and GET /events/:id. The broker composes them
 * (docs/events.md); here they are put together from their parts and never parsed.
 */
#include <string.h>

#include "common/event.h"
#include "common/text.h"
#include "httpd/conn.h"
#include "httpd/event_query.h"
#include "httpd/httpd.h"
#include "httpd/limits.h"
#include "httpd/page.h"
#include "httpd/page_parts.h"
#include "httpd/respond.h"

#define ID_MAX 128

/* Rows. The broker composes events; request->body collects them, request->missing says
 * how much of the newest is still to come. */

static bool
add_bytes(struct request *request, const struct proto_bytes *bytes)
{
	if (bytes->length > request->missing)
		return false;
	request->missing -= bytes->length;
	buf_add(&request->body, bytes->data, bytes->length);
	return true;
}

static bool
begin_event(struct request *request, const struct proto_event *event)
{
	if (request->missing > 0)
		return false;
	if (request->rows++ > 0)
		buf_add(&request->body, ",", 1);
	request->missing = event->length;
	return add_bytes(request, &event->json);
}

static bool
take_row(struct request *request, const struct proto_msg *row)
{
	if (row->type == MSG_events_span)
		return true;
	if (row->type == MSG_event)
		return begin_event(request, &row->event);
	return row->type == MSG_event_part && request->missing > 0 &&
	    add_bytes(request, &row->event_part.json);
}

/* Takes a row, within the limits. False: the request is answered. */
static bool
collect(struct request *request, const struct proto_msg *row)
{
	if (!take_row(request, row)) {
		respond_error(request, ERR_internal, "The events could not be read");
		return false;
	}
	conn_charge(request->conn);
	if (buf_length(&request->body) > PAGE_BYTES_MAX ||
	    conns_are_full(request->httpd->conns)) {
		respond_error(request, ERR_busy,
		    "Too much is going on at once; ask for fewer events");
		return false;
	}
	return true;
}

/* A page. */

static void
on_page(struct request *request, struct proto_msg *answer, bool last)
{
	if (!last) {
		(void)collect(request, answer);
		return;
	}
	if (request->missing > 0) {
		respond_error(request, ERR_internal, "The events could not be read");
		return;
	}
	buf_printf(&request->body, "],\"next_after\":%llu}",
	    (unsigned long long)answer->list_end.next);
	respond_json(request, &request->body);
}

static void
begin_page(struct request *request)
{
	buf_clear(&request->body);
	buf_add_text(&request->body, "{\"events\":[");
	request->rows = 0;
	request->missing = 0;
}

static const char *
keep_list(struct request *request, const char *list)
{
	return list[0] ? request_keep(request, list, strlen(list)) : NULL;
}

/* Asks for what comes after the last event: where that is comes with the page. */
static void
ask_for_now(struct proto_events_list *list)
{
	list->after = UINT64_MAX;
	list->follow = true;
}

static void
fill_list(struct request *request, const struct event_query *query)
{
	struct proto_events_list *list = &request->msg.events_list;

	request->msg.type = MSG_events_list;
	*list = (struct proto_events_list){ .after = query->after,
		.limit = query->limit,
		.type = keep_list(request, query->types),
		.platform = keep_list(request, query->platforms),
		.kind = keep_list(request, query->kinds),
		.broadcaster = keep_list(request, query->broadcasters),
		.foreign = (query->include & EVENT_FOREIGN) != 0,
		.synthetic = (query->include & EVENT_SYNTHETIC) != 0,
		.quarantined = (query->include & EVENT_QUARANTINED) != 0 };
	if (query->now)
		ask_for_now(list);
}

void
page_events(struct request *request)
{
	const struct url_query *parameters;
	struct event_query query;
	const char *problem;

	if (request_query(request, &parameters) < 0)
		return;
	if (event_query_read(parameters, &query, &problem) < 0) {
		event_query_refuse(request, problem);
		return;
	}
	fill_list(request, &query);
	request->on_restart = begin_page;
	begin_page(request);
	request_ask(request, ANSWER_MS, on_page);
}

/* The page of a named consumer: what follows its cursor and fits its own filters. */
void
page_consumer_events(struct request *request)
{
	const struct url_query *parameters;
	struct event_query query;
	const char *problem;

	if (!page_consumer_name(request) || request_query(request, &parameters) < 0)
		return;
	if (event_query_read(parameters, &query, &problem) < 0) {
		event_query_refuse(request, problem);
		return;
	}
	if (query.after_given || query.include || query.types[0] ||
	    query.platforms[0] || query.kinds[0] || query.broadcasters[0]) {
		respond_error(request, ERR_invalid_request,
		    "A consumer has a cursor and filters of its own; set them with PUT "
		    "/consumers/:name");
		return;
	}
	/* Events that nobody got must not count as handed out. */
	if (page_head(request))
		return;
	request->msg.type = MSG_consumer_events;
	request->msg.consumer_events.name = request->parameter;
	request->msg.consumer_events.limit = query.limit;
	request->on_restart = begin_page;
	begin_page(request);
	request_ask(request, ANSWER_MS, on_page);
}

/* One event. */

static void
on_event(struct request *request, struct proto_msg *answer, bool last)
{
	if (!last)
		(void)collect(request, answer);
	else if (request->missing > 0)
		respond_error(request, ERR_internal, "The event could not be read");
	else if (request->rows == 0)
		respond_error(request, ERR_not_found, "There is no such event");
	else
		respond_json(request, &request->body);
}

static void
forget(struct request *request)
{
	buf_clear(&request->body);
	request->rows = 0;
	request->missing = 0;
}

/* All digits is a seq, anything else a message id (design.md 9, "Events"). */
void
page_event(struct request *request)
{
	const char *text = request->parameter;
	size_t length = request->parameter_length;
	uint64_t seq = 0;

	request->msg.type = MSG_event_get;
	if (strspn(text, "0123456789") == length) {
		if (!text_to_u64(text, length, UINT64_MAX, &seq) || seq == 0) {
			respond_error(request, ERR_not_found, "There is no such event");
			return;
		}
		request->msg.event_get.seq = seq;
	} else if (length <= ID_MAX) {
		request->msg.event_get.id = text;
	} else {
		respond_error(request, ERR_not_found, "There is no such event");
		return;
	}
	request->on_restart = forget;
	request_ask(request, ANSWER_MS, on_event);
}
