/*
 * GET /metrics: the broker's figures, and those that the fronts have told it, as
 * Prometheus text. The bytes are passed on as they come.
 */
#include "httpd/conn.h"
#include "httpd/httpd.h"
#include "httpd/limits.h"
#include "httpd/page.h"
#include "httpd/respond.h"

static void
on_part(struct request *request, struct proto_msg *answer, bool last)
{
	static const struct answer text = { .status = 200,
		.type = "text/plain; version=0.0.4; charset=utf-8" };
	const struct proto_bytes *part = &answer->metrics.text;

	if (last) {
		respond_buf(request, &text, &request->body);
		return;
	}
	buf_add(&request->body, part->data, part->length);
	conn_charge(request->conn);
	if (buf_length(&request->body) > METRICS_BYTES_MAX ||
	    conns_are_full(request->httpd->conns))
		respond_error(
		    request, ERR_busy, "Too much is going on at once; try again");
}

static void
forget(struct request *request)
{
	buf_clear(&request->body);
}

void
page_metrics(struct request *request)
{
	request->msg.type = MSG_metrics_get;
	request->on_restart = forget;
	request_ask(request, ANSWER_MS, on_part);
}
