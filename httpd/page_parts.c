/*
 * What families of pages have in common. Called by page_<family>.c.
 */
#include "common/text.h"
#include "httpd/json_in.h"
#include "httpd/limits.h"
#include "httpd/page_parts.h"
#include "httpd/respond.h"

void
page_refuse(struct request *request, const char *sentence)
{
	respond_error(request, ERR_invalid_request, sentence);
}

bool
page_username(struct request *request, const char *text, size_t length)
{
	if (text_is_username(text, length))
		return true;
	page_refuse(request,
	    "The username must be 1 to 100 bytes of UTF-8 without control characters");
	return false;
}

bool
page_head(struct request *request)
{
	const struct answer nothing = { .status = 200 };

	if (request->head)
		respond(request, &nothing, "", 0);
	return request->head;
}

json_t *
page_object(struct request *request)
{
	char error[JSON_IN_ERROR_SIZE];
	json_t *object;

	if (json_in_object(request_body(request), request->parsed->body_length, &object,
		error) == 0)
		return object;
	page_refuse(request, error);
	return NULL;
}

static void
begin_list(struct request *request)
{
	buf_consume(&request->body, buf_length(&request->body));
	buf_printf(&request->body, "{\"%s\":[", request->list);
	request->rows = 0;
}

void
page_list(struct request *request, const char *name, request_answer_fn *on_row)
{
	request->list = name;
	request->on_restart = begin_list;
	begin_list(request);
	request_ask(request, ANSWER_MS, on_row);
}

bool
page_list_row(struct request *request, bool last, struct json_out *json)
{
	if (last) {
		buf_add_text(&request->body, "]}");
		respond_json(request, &request->body);
		return false;
	}
	*json = json_out_on(&request->body);
	json->comma = request->rows++ > 0;
	return true;
}

void
page_add_time(struct json_out *json, const char *key, uint64_t ms)
{
	if (ms)
		out_time(json, key, ms);
	else
		out_null(json, key);
}
