/*
 * GET /events/stream: events as they are stored, as Server-Sent Events (WHATWG HTML,
 * 9.2). This file refuses what cannot be served; stream.c is the life of what can.
 */
#include <errno.h>

#include "httpd/accept.h"
#include "httpd/event_query.h"
#include "httpd/httpd.h"
#include "httpd/limits.h"
#include "httpd/page.h"
#include "httpd/respond.h"
#include "httpd/stream.h"

/* No Accept, and several, take everything. */
static bool
is_acceptable(const struct request *request)
{
	struct http_text accept;

	return request_header(request, "accept", &accept) < 0 ||
	    accept_allows(accept, STREAM_TYPE);
}

/* What is asked for. False: the request is answered. */
static bool
read_query(struct request *request, struct event_query *query)
{
	const struct url_query *parameters;
	const char *problem = NULL;
	struct http_text id;
	int result;

	if (request_query(request, &parameters) < 0)
		return false;
	result = event_query_read(parameters, query, &problem);
	if (result == 0)
		result = request_header(request, "last-event-id", &id);
	if (result == -EEXIST)
		problem = "Last-Event-ID is given twice";
	else if (result == 0)
		(void)event_query_last_id(query, id, &problem);
	if (problem)
		event_query_refuse(request, problem);
	return !problem;
}

void
page_stream(struct request *request)
{
	struct streams *streams = request->httpd->streams;
	struct event_query query;

	if (!is_acceptable(request)) {
		respond_error(request, ERR_not_acceptable,
		    "A stream of events is " STREAM_TYPE
		    ", which the Accept header does not allow");
		return;
	}
	if (!read_query(request, &query))
		return;
	if (streams_are_full(streams)) {
		link_count(request->httpd->link, LINK_COUNT_stream_refused);
		respond_error(request, ERR_busy,
		    "Too many streams are open; close some, or try again shortly");
		return;
	}
	if (request->head)
		respond_stream(request, STREAM_TYPE);
	else
		stream_open(streams, request, &query);
}
