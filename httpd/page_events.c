/*
 * Stored events: GET /events and GET /events/:id. The broker composes them
 * (docs/events.md); here they are put together from their parts and never parsed.
 */
#include <errno.h>
#include <string.h>

#include "common/config.h"
#include "common/text.h"
#include "httpd/conn.h"
#include "httpd/httpd.h"
#include "httpd/limits.h"
#include "httpd/page.h"
#include "httpd/respond.h"

#define LIMIT_DEFAULT 100
#define LIMIT_MAX 500
#define TYPE_MAX 128
#define KIND_MAX 16
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

/* What is left out unless it is asked for. */
static const struct {
	const char *word;
	size_t flag; /* offset in struct proto_events_list */
} includes[] = {
	{ "foreign", offsetof(struct proto_events_list, foreign) },
	{ "synthetic", offsetof(struct proto_events_list, synthetic) },
	{ "quarantined", offsetof(struct proto_events_list, quarantined) },
};

static bool
include_word(struct proto_events_list *list, const char *word, size_t length)
{
	size_t i;

	for (i = 0; i < sizeof(includes) / sizeof(includes[0]); i++)
		if (strlen(includes[i].word) == length &&
		    memcmp(includes[i].word, word, length) == 0) {
			*(bool *)((char *)list + includes[i].flag) = true;
			return true;
		}
	return false;
}

/* Words with commas between. */
static bool
read_include(struct request *request, const struct url_query *query,
    struct proto_events_list *list)
{
	struct url_text value;
	bool several = false;
	const struct url_text *text =
	    request_parameter(query, "include", &value, &several);
	const char *at;
	size_t length;

	if (several)
		return refuse(request, "A parameter is given twice");
	for (at = text ? text->data : NULL; at; at += length + 1) {
		length = strcspn(at, ",");
		if (!include_word(list, at, length))
			return refuse(request,
			    "include takes foreign, synthetic and quarantined, with "
			    "commas between");
		if (!at[length])
			break;
	}
	return true;
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
	text = request_parameter(query, "kind", &value, &several);
	if (text && text->length > KIND_MAX)
		return refuse(request, "kind is longer than 16 bytes");
	if (text)
		list->kind = request_keep(request, text->data, text->length);
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
	if (several)
		return refuse(request, "A parameter is given twice");
	return read_include(request, query, list);
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
