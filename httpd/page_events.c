/*
 * Stored events: GET /events and GET /events/:id. The original payload is spliced in as
 * it was received, never parsed and written again.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/config.h"
#include "common/text.h"
#include "httpd/conn.h"
#include "httpd/httpd.h"
#include "httpd/json_out.h"
#include "httpd/limits.h"
#include "httpd/page.h"
#include "httpd/respond.h"

#define LIMIT_DEFAULT 100
#define LIMIT_MAX 500
#define TYPE_MAX 128
#define ID_MAX 128

/* Rows. request->body collects the answer; request->part a payload that has to become
 * base64, request->missing says how much of it is still to come. */

static void
add_broadcaster(struct json_out *json, const struct proto_event *event)
{
	if (!event->broadcaster_id && !event->broadcaster_name) {
		out_null(json, "broadcaster");
		return;
	}
	out_object(json, "broadcaster");
	out_text(json, "id", event->broadcaster_id);
	out_text(json, "name", event->broadcaster_name);
	out_object_end(json);
}

static void
add_members(struct json_out *json, const struct proto_event *event)
{
	out_number(json, "seq", event->seq);
	out_text(json, "id", event->id);
	out_text(json, "platform", event->platform);
	out_text(json, "type", event->type);
	out_number(json, "version", event->version);
	out_time(json, "received_at", event->received_at);
	if (event->occurred_at)
		out_time(json, "occurred_at", event->occurred_at);
	else
		out_null(json, "occurred_at");
	add_broadcaster(json, event);
	out_words(json, "flags", event->flags);
}

/* The payload is whole: close the event's object. */
static void
end_event(struct request *request)
{
	struct json_out json = json_out_on(&request->body);
	char *text;

	if (!request->splice) {
		json.comma = true;
		text = base64_encode(
		    buf_bytes(&request->part), buf_length(&request->part));
		out_text(&json, "payload_base64", text);
		free(text);
		buf_clear(&request->part);
	}
	buf_add(&request->body, "}", 1);
}

static bool
add_payload(struct request *request, const struct proto_bytes *payload)
{
	if (payload->length > request->missing)
		return false;
	request->missing -= payload->length;
	buf_add(request->splice ? &request->body : &request->part, payload->data,
	    payload->length);
	if (request->missing == 0)
		end_event(request);
	return true;
}

static bool
begin_event(struct request *request, const struct proto_event *event)
{
	struct json_out json = json_out_on(&request->body);

	if (request->missing > 0)
		return false;
	json.comma = request->rows++ > 0;
	out_object(&json, NULL);
	add_members(&json, event);
	request->missing = event->payload_length;
	/* Nothing at all is not JSON. */
	request->splice = event->json && event->payload_length > 0;
	if (request->splice)
		out_key(&json, "payload");
	return add_payload(request, &event->payload);
}

static bool
take_row(struct request *request, const struct proto_msg *row)
{
	if (row->type == MSG_event)
		return begin_event(request, &row->event);
	return row->type == MSG_event_part && request->missing > 0 &&
	    add_payload(request, &row->event_part.payload);
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
	if (buf_length(&request->body) + buf_length(&request->part) > PAGE_BYTES_MAX ||
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
	buf_clear(&request->part);
	buf_add_text(&request->body, "{\"events\":[");
	request->rows = 0;
	request->missing = 0;
}

static bool
refuse(struct request *request, const char *sentence)
{
	respond_error(request, ERR_invalid_request, sentence);
	return false;
}

/* Reads a number parameter over its default. */
static bool
read_number(const struct url_query *query, const char *name, uint64_t least,
    uint64_t most, uint64_t *number)
{
	struct url_text value;
	int result = url_query_find(query, name, &value);

	if (result == -ENOENT)
		return true;
	return result == 0 && text_to_u64(value.data, value.length, most, number) &&
	    *number >= least;
}

static bool
read_filters(struct request *request, const struct url_query *query,
    struct proto_events_list *list)
{
	struct url_text value;
	bool several = false;
	const struct url_text *text;
	int i;

	text = request_parameter(query, "type", &value, &several);
	if (text && text->length > TYPE_MAX)
		return refuse(request, "type is longer than 128 bytes");
	if (text)
		list->type = request_keep(request, text->data, text->length);
	text = request_parameter(query, "platform", &value, &several);
	for (i = 0; text && i < CONFIG_PLATFORM_MAX; i++)
		if (strcmp(text->data,
			config_platform_name((enum config_platform_index)i)) == 0)
			list->platform =
			    config_platform_name((enum config_platform_index)i);
	if (text && !list->platform) {
		respond_invalid_platform(request);
		return false;
	}
	text = request_parameter(query, "include", &value, &several);
	list->foreign = text && strcmp(text->data, "foreign") == 0;
	if (several || (text && !list->foreign))
		return refuse(request,
		    several ? "A parameter is given twice" : "include must be foreign");
	return true;
}

void
page_events(struct request *request)
{
	struct proto_events_list *list = &request->msg.events_list;
	const struct url_query *query;
	uint64_t limit = LIMIT_DEFAULT;

	if (request_query(request, &query) < 0)
		return;
	request->msg.type = MSG_events_list;
	if (!read_number(query, "after", 0, UINT64_MAX, &list->after)) {
		(void)refuse(request, "after must be a whole number");
		return;
	}
	if (!read_number(query, "limit", 1, LIMIT_MAX, &limit)) {
		(void)refuse(request, "limit must be a whole number from 1 to 500");
		return;
	}
	list->limit = (uint32_t)limit;
	if (!read_filters(request, query, list))
		return;
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
	buf_clear(&request->part);
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
