/*
 * Client credentials: POST, GET and DELETE /oauth/credentials[/:platform]. The secret
 * goes in and never comes out.
 */
#include <stdio.h>
#include <string.h>

#include "common/config.h"
#include "common/json_out.h"
#include "httpd/limits.h"
#include "httpd/page.h"
#include "httpd/page_parts.h"
#include "httpd/respond.h"

/* The bounds of messages.def, repeated to name the field that is too long. */
#define CLIENT_ID_MAX 512
#define CLIENT_SECRET_MAX 2048
#define SCOPES_MAX 8192

/* Storing. */

/* A scope-token of RFC 6749 section 3.3: visible, neither '"' nor backslash. */
static bool
is_scope(const char *text, size_t length)
{
	size_t i;

	for (i = 0; i < length; i++)
		if (text[i] <= 0x20 || text[i] > 0x7e || text[i] == '"' ||
		    text[i] == '\\')
			return false;
	return length > 0 && length <= CONFIG_SCOPE_LENGTH_MAX;
}

/* Joins an array of scopes with spaces. NULL: a sentence about what is wrong. */
static const char *
join_scopes(const json_t *array, struct buf *joined)
{
	const json_t *item;
	size_t i;

	if (!json_is_array(array))
		return "scopes must be an array of strings";
	if (json_array_size(array) > CONFIG_SCOPES_MAX)
		return "scopes has too many entries";
	for (i = 0; i < json_array_size(array); i++) {
		item = json_array_get(array, i);
		if (!json_is_string(item))
			return "scopes must be an array of strings";
		if (!is_scope(json_string_value(item), json_string_length(item)))
			return "scopes has an entry that is not a scope: 1 to 200 "
			       "visible "
			       "characters, without spaces, quotes and backslashes";
		if (i > 0)
			buf_add(joined, " ", 1);
		buf_add(joined, json_string_value(item), json_string_length(item));
	}
	return buf_length(joined) > SCOPES_MAX ? "scopes is too long" : NULL;
}

/* Absent and empty scopes mean the defaults. False: the request is answered. */
static bool
take_scopes(struct request *request, const json_t *object)
{
	const json_t *array = json_object_get(object, "scopes");
	struct buf joined = BUF_EMPTY;
	const char *wrong = array ? join_scopes(array, &joined) : NULL;

	if (wrong)
		page_refuse(request, wrong);
	else if (buf_length(&joined))
		request->msg.credentials_put.scopes =
		    request_keep(request, buf_bytes(&joined), buf_length(&joined));
	buf_clear(&joined);
	return !wrong;
}

static bool
take_client(struct request *request, const json_t *object)
{
	struct proto_credentials_put *put = &request->msg.credentials_put;
	const json_t *id = json_object_get(object, "client_id");
	const json_t *secret = json_object_get(object, "client_secret");

	if (!json_is_string(id) || !json_is_string(secret) ||
	    json_string_length(id) == 0 || json_string_length(secret) == 0) {
		page_refuse(request, "client_id and client_secret are required");
		return false;
	}
	if (json_string_length(id) > CLIENT_ID_MAX) {
		page_refuse(request, "client_id is longer than 512 bytes");
		return false;
	}
	if (json_string_length(secret) > CLIENT_SECRET_MAX) {
		page_refuse(request, "client_secret is longer than 2048 bytes");
		return false;
	}
	put->client_id =
	    request_keep(request, json_string_value(id), json_string_length(id));
	put->client_secret.length = json_string_length(secret);
	put->client_secret.bytes = (unsigned char *)request_keep(
	    request, json_string_value(secret), json_string_length(secret));
	return true;
}

static void
on_stored(struct request *request, struct proto_msg *answer, bool last)
{
	const struct proto_credentials_stored *stored = &answer->credentials_stored;
	struct buf *body = respond_scratch();
	struct json_out json = json_out_on(body);

	(void)last;
	out_object(&json, NULL);
	out_text(&json, "platform", stored->platform);
	out_time(&json, "created_at", stored->created_at);
	out_time(&json, "updated_at", stored->updated_at);
	out_object_end(&json);
	respond_json(request, body);
}

void
page_credentials_put(struct request *request)
{
	json_t *object;
	bool fine;

	object = page_object(request);
	if (!object)
		return;
	request->msg.type = MSG_credentials_put;
	request->msg.credentials_put.platform = request->platform;
	fine = take_client(request, object) && take_scopes(request, object);
	json_decref(object);
	if (fine)
		request_ask(request, ANSWER_MS, on_stored);
}

/* Showing. */

static void
add_row(struct json_out *json, const struct proto_credentials *row)
{
	out_object(json, NULL);
	out_text(json, "platform", row->platform);
	out_text(json, "client_id", row->client_id);
	out_words(json, "scopes", row->scopes);
	out_text(json, "redirect_uri", row->redirect_uri);
	out_time(json, "created_at", row->created_at);
	out_time(json, "updated_at", row->updated_at);
	out_object_end(json);
}

static void
on_row(struct request *request, struct proto_msg *answer, bool last)
{
	struct json_out json;

	if (page_list_row(request, last, &json))
		add_row(&json, &answer->credentials);
}

void
page_credentials_list(struct request *request)
{
	request->msg.type = MSG_credentials_list;
	page_list(request, "credentials", on_row);
}

static void
on_one(struct request *request, struct proto_msg *answer, bool last)
{
	struct json_out json = json_out_on(&request->body);

	if (!last) {
		buf_consume(&request->body, buf_length(&request->body));
		add_row(&json, &answer->credentials);
	} else if (buf_length(&request->body)) {
		respond_json(request, &request->body);
	} else {
		char text[80];

		(void)snprintf(text, sizeof(text),
		    "No OAuth credentials configured for platform: %s",
		    request->platform);
		respond_error(request, ERR_no_credentials, text);
	}
}

void
page_credentials_get(struct request *request)
{
	request->msg.type = MSG_credentials_list;
	request->msg.credentials_list.platform = request->platform;
	request_ask(request, ANSWER_MS, on_one);
}

/* Removing. */

static void
on_deleted(struct request *request, struct proto_msg *answer, bool last)
{
	struct buf *body = respond_scratch();
	struct json_out json = json_out_on(body);

	(void)last;
	out_object(&json, NULL);
	out_text(&json, "message", "OAuth credentials deleted successfully");
	out_text(&json, "platform", answer->credentials_deleted.platform);
	out_object_end(&json);
	respond_json(request, body);
}

void
page_credentials_delete(struct request *request)
{
	request->msg.type = MSG_credentials_delete;
	request->msg.credentials_delete.platform = request->platform;
	request_ask(request, ANSWER_MS, on_deleted);
}
