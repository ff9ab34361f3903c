/*
 * Event subscriptions: GET, PUT and DELETE /subscriptions/kick[/:username], and POST
 * /subscriptions/kick/sync. What the broker's rows say is written as it comes: what was
 * done first, then channels, each followed by its events.
 */
#include <string.h>

#include "common/config.h"
#include "common/json_out.h"
#include "httpd/limits.h"
#include "httpd/page.h"
#include "httpd/page_parts.h"
#include "httpd/respond.h"

/* Bytes of all event names of a request together; that of messages.def. */
#define EVENTS_MAX 2048
#define EVENT_NAME_MAX 128

/* ---- Answers ---- */

/* Writes on: a comma where something stands before. */
static struct json_out
json_on(struct buf *body)
{
	struct json_out json = json_out_on(body);
	size_t length = buf_length(body);

	json.comma = length > 0 && buf_bytes(body)[length - 1] != '[' &&
	    buf_bytes(body)[length - 1] != '{';
	return json;
}

static void
open_channel(struct request *request, const struct proto_subscription_channel *row)
{
	struct json_out json = json_on(&request->body);

	out_object(&json, NULL);
	out_text(&json, "platform", config_platform_name(CONFIG_PLATFORM_KICK));
	out_text(&json, "username", row->username);
	out_text(&json, "source", row->source);
	out_words(&json, "events", row->events);
	out_text(&json, "state", row->state);
	out_flag(&json, "trouble", row->trouble);
	out_text(&json, "detail", row->detail);
	out_text(&json, "next_step", row->next);
	if (*row->warning)
		out_text(&json, "warning", row->warning);
	out_text(&json, "broadcaster_user_id", row->broadcaster_id);
	out_text(&json, "token", row->token);
	out_number(&json, "strangers", row->strangers);
	page_add_time(&json, "checked_at", row->checked_at);
	page_add_time(&json, "changed_at", row->changed_at);
	page_add_time(&json, "next_at", row->next_at);
	out_array(&json, "subscriptions");
	request->rows++;
}

static void
close_channel(struct request *request)
{
	struct json_out json = json_on(&request->body);

	if (request->rows == 0)
		return;
	out_array_end(&json);
	out_object_end(&json);
}

static void
add_event(struct request *request, const struct proto_subscription_event *row)
{
	struct json_out json = json_on(&request->body);

	out_object(&json, NULL);
	out_text(&json, "event", row->event);
	out_number(&json, "version", row->version);
	out_text(&json, "state", row->state);
	out_text(&json, "id", row->id);
	out_flag(&json, "ours", row->ours);
	out_flag(&json, "doubled", row->doubled);
	page_add_time(&json, "created_at", row->created_at);
	out_text(&json, "detail", row->detail);
	out_object_end(&json);
}

static void
add_action(struct request *request, const struct proto_subscription_action *row)
{
	struct json_out json = json_on(&request->body);

	out_object(&json, NULL);
	out_text(&json, "username", row->username);
	out_text(&json, "action", row->what);
	out_text(&json, "event", row->event);
	out_text(&json, "id", row->id);
	out_object_end(&json);
}

static bool
is_sync(const struct request *request)
{
	return request->msg.type == MSG_subscriptions_sync;
}

static bool
is_of_one(const struct request *request)
{
	return request->parameter != NULL;
}

static void
finish(struct request *request)
{
	close_channel(request);
	if (is_sync(request) && request->rows == 0)
		buf_add_text(&request->body, "],\"subscriptions\":[");
	if (!is_of_one(request))
		buf_add_text(&request->body, "]}");
	respond_json(request, &request->body);
}

static void
on_row(struct request *request, struct proto_msg *answer, bool last)
{
	if (last) {
		finish(request);
	} else if (answer->type == MSG_subscription_action) {
		add_action(request, &answer->subscription_action);
	} else if (answer->type == MSG_subscription_event) {
		add_event(request, &answer->subscription_event);
	} else {
		close_channel(request);
		if (is_sync(request) && request->rows == 0)
			buf_add_text(&request->body, "],\"subscriptions\":[");
		open_channel(request, &answer->subscription_channel);
	}
}

static void
begin(struct request *request)
{
	buf_consume(&request->body, buf_length(&request->body));
	request->rows = 0;
	if (is_sync(request))
		buf_printf(&request->body, "{\"dry_run\":%s,\"actions\":[",
		    request->msg.subscriptions_sync.dry_run ? "true" : "false");
	else if (!is_of_one(request))
		buf_add_text(&request->body, "{\"subscriptions\":[");
}

static void
ask(struct request *request, unsigned deadline_ms)
{
	request->on_restart = begin;
	begin(request);
	request_ask(request, deadline_ms, on_row);
}

/* ---- Questions ---- */

void
page_subscriptions_list(struct request *request)
{
	request->msg.type = MSG_subscriptions_list;
	ask(request, ANSWER_MS);
}

void
page_subscriptions_get(struct request *request)
{
	if (!page_username(request, request->parameter, request->parameter_length))
		return;
	request->msg.type = MSG_subscriptions_list;
	request->msg.subscriptions_list.username = request->parameter;
	ask(request, ANSWER_MS);
}

static void
put(struct request *request, const char *events, bool configured)
{
	request->msg.type = MSG_subscription_put;
	request->msg.subscription_put.username = request->parameter;
	request->msg.subscription_put.events = events;
	request->msg.subscription_put.configured = configured;
	ask(request, ANSWER_MS);
}

void
page_subscriptions_delete(struct request *request)
{
	if (page_username(request, request->parameter, request->parameter_length))
		put(request, "", false);
}

/* Names travel separated by spaces. */
static bool
is_name(const json_t *item)
{
	const char *text = json_string_value(item);
	size_t length = json_string_length(item);
	size_t i;

	for (i = 0; text && i < length; i++)
		if (text[i] <= ' ' || text[i] > '~')
			return false;
	return text && length > 0 && length <= EVENT_NAME_MAX;
}

/* NULL, or what is wrong. */
static const char *
join_events(const json_t *array, struct buf *joined)
{
	size_t i;

	if (!json_is_array(array))
		return "events must be an array of event names, as in {\"events\": "
		       "[\"chat.message.sent\"]}, or null for what the "
		       "configuration says";
	for (i = 0; i < json_array_size(array); i++) {
		const json_t *item = json_array_get(array, i);

		if (!is_name(item))
			return "events has an entry that is no event name";
		if (i > 0)
			buf_add(joined, " ", 1);
		buf_add(joined, json_string_value(item), json_string_length(item));
		if (buf_length(joined) > EVENTS_MAX)
			return "events has too many entries";
	}
	return NULL;
}

void
page_subscriptions_put(struct request *request)
{
	struct buf joined = BUF_EMPTY;
	const char *wrong = NULL;
	const json_t *events;
	json_t *object;

	if (!page_username(request, request->parameter, request->parameter_length))
		return;
	object = page_object(request);
	if (!object)
		return;
	events = json_object_get(object, "events");
	if (!json_is_null(events))
		wrong = join_events(events, &joined);
	if (wrong)
		page_refuse(request, wrong);
	else
		put(request,
		    request_keep(request, buf_bytes(&joined), buf_length(&joined)),
		    json_is_null(events));
	buf_clear(&joined);
	json_decref(object);
}

/* A parameter that is true or false, NULL when it is absent. False: the request is
 * answered. */
static bool
read_flag(
    struct request *request, const struct url_text *text, bool several, bool *ret_flag)
{
	bool yes = text && strcmp(text->data, "true") == 0;

	if (several || (text && !yes && strcmp(text->data, "false") != 0)) {
		page_refuse(request, "dry_run and adopt must be true or false");
		return false;
	}
	*ret_flag = yes;
	return true;
}

static bool
read_channel(struct request *request, const struct url_query *query)
{
	struct url_text value;
	bool several = false;
	const struct url_text *username =
	    request_parameter(query, "username", &value, &several);

	if (several) {
		page_refuse(request, "username may be given once");
		return false;
	}
	if (!username)
		return true;
	if (!page_username(request, username->data, username->length))
		return false;
	request->msg.subscriptions_sync.username =
	    request_keep(request, username->data, username->length);
	return true;
}

void
page_subscriptions_sync(struct request *request)
{
	struct proto_subscriptions_sync *sync = &request->msg.subscriptions_sync;
	const struct url_query *query;
	const struct url_text *text;
	struct url_text value;
	bool several = false;

	if (request_query(request, &query) < 0)
		return;
	request->msg.type = MSG_subscriptions_sync;
	text = request_parameter(query, "dry_run", &value, &several);
	if (!read_flag(request, text, several, &sync->dry_run))
		return;
	text = request_parameter(query, "adopt", &value, &several);
	if (!read_flag(request, text, several, &sync->adopt) ||
	    !read_channel(request, query))
		return;
	ask(request, SUBSCRIPTIONS_SYNC_MS);
}
