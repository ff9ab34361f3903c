/*
 * Named consumers: PUT, GET and DELETE /consumers/:name, GET /consumers, POST
 * /consumers/:name/ack and PUT /consumers/:name/secret. GET /consumers/:name/events is
 * a page of events (page_events.c). What they are: docs/consumers.md.
 */
#include <stdio.h>
#include <string.h>

#include "common/event_filter.h"
#include "common/json_out.h"
#include "httpd/limits.h"
#include "httpd/page.h"
#include "httpd/page_parts.h"
#include "httpd/respond.h"

/* The bounds of messages.def, repeated to say what is wrong. */
#define NAME_MAX_BYTES 64
#define FILTER_MAX 1023
#define INCLUDE_MAX 64
#define SECRET_MAX 256
#define OVERLAP_MAX_S 604800

bool
page_consumer_name(struct request *request)
{
	if (request->parameter_length <= NAME_MAX_BYTES)
		return true;
	respond_error(request, ERR_not_found, "There is no consumer of that name");
	return false;
}

/* ---- Showing ---- */

/* A list with commas, as an array; null when there is none. */
static void
add_list(struct json_out *json, const char *key, const char *list)
{
	char word[FILTER_MAX + 1];
	const char *at;
	size_t length;

	if (!list) {
		out_null(json, key);
		return;
	}
	out_array(json, key);
	while (event_list_next(&list, &at, &length)) {
		(void)snprintf(word, sizeof(word), "%.*s", (int)length, at);
		out_text(json, NULL, word);
	}
	out_array_end(json);
}

static void
add_consumer(struct json_out *json, const struct proto_consumer *row)
{
	out_object(json, NULL);
	out_text(json, "name", row->name);
	add_list(json, "type", row->type);
	add_list(json, "platform", row->platform);
	add_list(json, "kind", row->kind);
	add_list(json, "broadcaster", row->broadcaster);
	add_list(json, "include", row->include);
	out_number(json, "cursor", row->cursor);
	out_number(json, "handed_out", row->handed);
	out_number(json, "lag", row->lag);
	out_time(json, "created_at", row->created_at);
	page_add_time(json, "last_seen_at", row->seen_at);
	out_text(json, "forward", row->url);
	page_add_time(json, "old_secret_until", row->old_until);
	out_number(json, "dead_letters", row->dead);
	out_text(json, "state", row->state);
	out_text(json, "trouble", row->trouble);
	page_add_time(json, "since", row->since);
	page_add_time(json, "retry_at", row->retry_at);
	out_object_end(json);
}

static void
on_consumer(struct request *request, struct proto_msg *answer, bool last)
{
	struct buf *body = respond_scratch();
	struct json_out json = json_out_on(body);

	(void)last;
	add_consumer(&json, &answer->consumer);
	respond_json(request, body);
}

static void
on_row(struct request *request, struct proto_msg *answer, bool last)
{
	struct json_out json;

	if (page_list_row(request, last, &json))
		add_consumer(&json, &answer->consumer);
}

void
page_consumers(struct request *request)
{
	request->msg.type = MSG_consumers_list;
	page_list(request, "consumers", on_row);
}

static void
on_one(struct request *request, struct proto_msg *answer, bool last)
{
	struct json_out json = json_out_on(&request->body);

	if (last) {
		respond_json(request, &request->body);
		return;
	}
	buf_consume(&request->body, buf_length(&request->body));
	add_consumer(&json, &answer->consumer);
}

void
page_consumer(struct request *request)
{
	if (!page_consumer_name(request))
		return;
	request->msg.type = MSG_consumers_list;
	request->msg.consumers_list.name = request->parameter;
	request_ask(request, ANSWER_MS, on_one);
}

/* ---- Making and changing ---- */

/* The words of a text with commas, or of a list of texts, with commas between. False
 * when it is neither. */
static bool
join_words(const json_t *value, struct buf *joined)
{
	const json_t *item;
	size_t i;

	if (json_is_string(value)) {
		buf_add(joined, json_string_value(value), json_string_length(value));
		return true;
	}
	for (i = 0; i < json_array_size(value); i++) {
		item = json_array_get(value, i);
		if (!json_is_string(item))
			return false;
		if (i > 0)
			buf_add(joined, ",", 1);
		buf_add(joined, json_string_value(item), json_string_length(item));
	}
	return json_is_array(value);
}

/* Absent, null and empty are no filter. False: the request is answered. */
static bool
take_words(struct request *request, const json_t *object, const char *key,
    size_t longest, const char **ret_words)
{
	const json_t *value = json_object_get(object, key);
	struct buf joined = BUF_EMPTY;
	const char *wrong = NULL;
	char sentence[80];

	if (!value || json_is_null(value))
		return true;
	if (!join_words(value, &joined))
		wrong = "must be a text or a list of texts";
	else if (buf_length(&joined) > longest)
		wrong = "is too long";
	else if (buf_length(&joined))
		*ret_words =
		    request_keep(request, buf_bytes(&joined), buf_length(&joined));
	buf_clear(&joined);
	(void)snprintf(sentence, sizeof(sentence), "%s %s", key, wrong ? wrong : "");
	if (wrong)
		page_refuse(request, sentence);
	return !wrong;
}

static bool
take_start(struct request *request, const json_t *object)
{
	const json_t *value = json_object_get(object, "start");
	char text[24] = "";

	if (json_is_integer(value) && json_integer_value(value) >= 0)
		(void)snprintf(
		    text, sizeof(text), "%lld", (long long)json_integer_value(value));
	else if (json_is_string(value) &&
	    (strcmp(json_string_value(value), "now") == 0 ||
		strcmp(json_string_value(value), "beginning") == 0))
		(void)snprintf(text, sizeof(text), "%s", json_string_value(value));
	else if (value) {
		page_refuse(request,
		    "start must be \"now\", \"beginning\", or the seq of an event");
		return false;
	}
	request->msg.consumer_put.start = request_keep(request, text, strlen(text));
	return true;
}

/* A misspelt filter would let everything through. */
static bool
check_keys(struct request *request, json_t *object)
{
	static const char *const keys[] = { "type", "platform", "kind", "broadcaster",
		"include", "start" };
	const char *key;
	json_t *value;
	size_t i;

	json_object_foreach(object, key, value)
	{
		for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
			if (strcmp(key, keys[i]) == 0)
				break;
		if (i < sizeof(keys) / sizeof(keys[0]))
			continue;
		page_refuse(request,
		    "A consumer has type, platform, kind, broadcaster, include and "
		    "start, and nothing else; addresses to push to are set with "
		    "`streamhold consumers add`");
		return false;
	}
	return true;
}

static bool
take_consumer(struct request *request, json_t *object)
{
	struct proto_consumer_put *put = &request->msg.consumer_put;

	put->include = "";
	return check_keys(request, object) &&
	    take_words(request, object, "type", FILTER_MAX, &put->type) &&
	    take_words(request, object, "platform", FILTER_MAX, &put->platform) &&
	    take_words(request, object, "kind", FILTER_MAX, &put->kind) &&
	    take_words(request, object, "broadcaster", FILTER_MAX, &put->broadcaster) &&
	    take_words(request, object, "include", INCLUDE_MAX, &put->include) &&
	    take_start(request, object);
}

void
page_consumer_put(struct request *request)
{
	json_t *object;
	bool fine;

	if (request->parameter_length > NAME_MAX_BYTES) {
		page_refuse(request, "The name of a consumer is longer than 64 bytes");
		return;
	}
	object = page_object(request);
	if (!object)
		return;
	request->msg.type = MSG_consumer_put;
	request->msg.consumer_put.name = request->parameter;
	fine = take_consumer(request, object);
	json_decref(object);
	if (fine)
		request_ask(request, ANSWER_MS, on_consumer);
}

/* ---- Acknowledging ---- */

void
page_consumer_ack(struct request *request)
{
	const json_t *seq;
	json_t *object;

	if (!page_consumer_name(request))
		return;
	object = page_object(request);
	if (!object)
		return;
	seq = json_object_get(object, "seq");
	if (json_is_integer(seq) && json_integer_value(seq) >= 0) {
		request->msg.type = MSG_consumer_ack;
		request->msg.consumer_ack.name = request->parameter;
		request->msg.consumer_ack.seq = (uint64_t)json_integer_value(seq);
		request_ask(request, ANSWER_MS, on_consumer);
	} else {
		page_refuse(
		    request, "seq must be the number of the last event that is done");
	}
	json_decref(object);
}

/* ---- A new secret to sign with ---- */

static void
on_rotated(struct request *request, struct proto_msg *answer, bool last)
{
	struct buf *body = respond_scratch();
	struct json_out json = json_out_on(body);

	(void)last;
	out_object(&json, NULL);
	out_text(&json, "message", "Secret changed");
	out_text(&json, "name", answer->consumer_rotated.name);
	page_add_time(&json, "old_secret_until", answer->consumer_rotated.old_until);
	out_object_end(&json);
	respond_json(request, body);
}

/* False: the request is answered. */
static bool
take_secret(struct request *request, const json_t *object, const char *key,
    struct secret *ret_secret)
{
	const json_t *value = json_object_get(object, key);
	const size_t length = json_string_length(value);

	if (!json_is_string(value) || length == 0) {
		page_refuse(request, "current and secret are required");
		return false;
	}
	if (length > SECRET_MAX) {
		page_refuse(request, "current and secret have at most 256 bytes");
		return false;
	}
	ret_secret->length = length;
	ret_secret->bytes =
	    (unsigned char *)request_keep(request, json_string_value(value), length);
	return true;
}

static bool
take_overlap(struct request *request, const json_t *object)
{
	struct proto_consumer_rotate *rotate = &request->msg.consumer_rotate;
	const json_t *value = json_object_get(object, "overlap_s");

	if (!value)
		return true;
	if (!json_is_integer(value) || json_integer_value(value) < 0 ||
	    json_integer_value(value) > OVERLAP_MAX_S) {
		page_refuse(
		    request, "overlap_s must be a number of seconds, 0 to 604800");
		return false;
	}
	rotate->overlap_said = true;
	rotate->overlap_s = (uint32_t)json_integer_value(value);
	return true;
}

void
page_consumer_secret(struct request *request)
{
	struct proto_consumer_rotate *rotate = &request->msg.consumer_rotate;
	json_t *object;
	bool fine;

	if (!page_consumer_name(request))
		return;
	object = page_object(request);
	if (!object)
		return;
	request->msg.type = MSG_consumer_rotate;
	rotate->name = request->parameter;
	fine = take_secret(request, object, "current", &rotate->current) &&
	    take_secret(request, object, "secret", &rotate->secret) &&
	    take_overlap(request, object);
	json_decref(object);
	if (fine)
		request_ask(request, ANSWER_MS, on_rotated);
}

/* ---- Removing ---- */

static void
on_deleted(struct request *request, struct proto_msg *answer, bool last)
{
	struct buf *body = respond_scratch();
	struct json_out json = json_out_on(body);

	(void)last;
	out_object(&json, NULL);
	out_text(&json, "message", "Consumer removed");
	out_text(&json, "name", answer->consumer_deleted.name);
	out_object_end(&json);
	respond_json(request, body);
}

void
page_consumer_delete(struct request *request)
{
	if (!page_consumer_name(request))
		return;
	request->msg.type = MSG_consumer_delete;
	request->msg.consumer_delete.name = request->parameter;
	request_ask(request, ANSWER_MS, on_deleted);
}
