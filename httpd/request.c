/*
 * A request's memory and its way to the broker and back. Used by conn.c (begin and end)
 * and by the page files (everything else).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "httpd/conn.h"
#include "httpd/httpd.h"
#include "httpd/request.h"
#include "httpd/respond.h"

void
request_begin(struct request *request, struct httpd *httpd, struct conn *conn)
{
	/* Everything but the space for texts, which needs no zeroes. */
	memset(request, 0, offsetof(struct request, space));
	request->httpd = httpd;
	request->conn = conn;
}

void
request_end(struct request *request)
{
	size_t i;

	if (!request->httpd)
		return;
	link_cancel(request->httpd->link, &request->ask);
	for (i = 0; i < request->kept_count; i++) {
		wipe(request->kept[i].text, request->kept[i].length);
		free(request->kept[i].text);
	}
	request->kept_count = 0;
	wipe(request->space, request->space_used);
	request->space_used = 0;
	buf_wipe(&request->body);
	buf_wipe(&request->part);
}

char *
request_keep(struct request *request, const void *bytes, size_t length)
{
	char *text;

	if (length < REQUEST_SPACE - request->space_used) {
		text = request->space + request->space_used;
		request->space_used += length + 1;
	} else {
		if (request->kept_count == REQUEST_KEPT_MAX)
			abort();
		text = xmalloc(length + 1);
		request->kept[request->kept_count].text = text;
		request->kept[request->kept_count].length = length;
		request->kept_count++;
	}
	memcpy(text, bytes, length);
	text[length] = '\0';
	return text;
}

static void
on_link_answer(void *arg, struct proto_msg *answer, bool last)
{
	struct request *request = arg;

	if (!answer) {
		if (request->on_restart)
			request->on_restart(request);
	} else if (answer->type != MSG_failed)
		request->on_answer(request, answer, last);
	else if (request->on_failed)
		request->on_failed(request, &answer->failed);
	else
		respond_failed(request, &answer->failed);
	if (request->answered)
		conn_resume(request->conn);
}

void
request_ask(struct request *request, unsigned deadline_ms, request_answer_fn *on_answer)
{
	int result;

	request->on_answer = on_answer;
	result = link_ask(request->httpd->link, &request->ask, &request->msg,
	    deadline_ms, on_link_answer, request);
	if (result == -EBUSY)
		respond_error(request, ERR_busy,
		    "Too many requests are waiting; try again shortly");
	else if (result < 0)
		respond_error(
		    request, ERR_internal, "The request could not be passed on");
}

static struct url_query query;

void
request_query_wipe(void)
{
	url_query_clear(&query);
}

int
request_query(struct request *request, const struct url_query **ret_query)
{
	struct http_text text = http_text(request->bytes, request->parsed->query);
	int result = url_query_decode(text.data, text.length, &query);

	if (result < 0) {
		request_query_wipe();
		respond_error(request, ERR_invalid_request,
		    result == -E2BIG
			? "The query has too many parameters"
			: "The query is not well-formed: it is no UTF-8, or too long");
		return -EINVAL;
	}
	*ret_query = &query;
	return 0;
}

const struct url_text *
request_parameter(const struct url_query *from, const char *name,
    struct url_text *value, bool *ret_several)
{
	int result = url_query_find(from, name, value);

	if (result == -EEXIST && ret_several)
		*ret_several = true;
	return result == 0 && value->length > 0 ? value : NULL;
}

int
request_header(
    const struct request *request, const char *name, struct http_text *ret_value)
{
	return http_header_find(request->parsed, request->bytes, name, ret_value);
}
