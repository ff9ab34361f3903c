/*
 * Writes answers. Called by the page files, route.c, guard.c and conn.c.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/config.h"
#include "common/log.h"
#include "common/time.h"
#include "httpd/conn.h"
#include "common/json_out.h"
#include "httpd/limits.h"
#include "httpd/respond.h"
#include "httpd/route.h"

#define DATE_SIZE 48

static const struct {
	unsigned status;
	const char *line;
} status_lines[] = {
	{ 200, "HTTP/1.1 200 OK\r\n" },
	{ 400, "HTTP/1.1 400 Bad Request\r\n" },
	{ 401, "HTTP/1.1 401 Unauthorized\r\n" },
	{ 403, "HTTP/1.1 403 Forbidden\r\n" },
	{ 404, "HTTP/1.1 404 Not Found\r\n" },
	{ 405, "HTTP/1.1 405 Method Not Allowed\r\n" },
	{ 406, "HTTP/1.1 406 Not Acceptable\r\n" },
	{ 409, "HTTP/1.1 409 Conflict\r\n" },
	{ 413, "HTTP/1.1 413 Content Too Large\r\n" },
	{ 414, "HTTP/1.1 414 URI Too Long\r\n" },
	{ 415, "HTTP/1.1 415 Unsupported Media Type\r\n" },
	{ 417, "HTTP/1.1 417 Expectation Failed\r\n" },
	{ 421, "HTTP/1.1 421 Misdirected Request\r\n" },
	{ 429, "HTTP/1.1 429 Too Many Requests\r\n" },
	{ 431, "HTTP/1.1 431 Request Header Fields Too Large\r\n" },
	{ 500, "HTTP/1.1 500 Internal Server Error\r\n" },
	{ 501, "HTTP/1.1 501 Not Implemented\r\n" },
	{ 502, "HTTP/1.1 502 Bad Gateway\r\n" },
	{ 503, "HTTP/1.1 503 Service Unavailable\r\n" },
	{ 505, "HTTP/1.1 505 HTTP Version Not Supported\r\n" },
};

static const char security_headers[] = "Cache-Control: no-store\r\n"
				       "X-Content-Type-Options: nosniff\r\n"
				       "X-Frame-Options: DENY\r\n"
				       "Referrer-Policy: no-referrer\r\n"
				       "Cross-Origin-Resource-Policy: same-origin\r\n"
				       "Content-Security-Policy: ";
static const char strict_policy[] =
    "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

static const char *
status_line(unsigned status)
{
	size_t i;

	for (i = 0; i < sizeof(status_lines) / sizeof(status_lines[0]); i++)
		if (status_lines[i].status == status)
			return status_lines[i].line;
	return "HTTP/1.1 500 Internal Server Error\r\n";
}

/* The Date header (RFC 9110 section 6.6.1), made once a second. */
static const char *
date_header(void)
{
	static char text[DATE_SIZE];
	static time_t made;
	time_t now = (time_t)(time_now_ms() / 1000);
	struct tm parts;

	if (now != made && gmtime_r(&now, &parts) &&
	    strftime(text, sizeof(text), "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &parts))
		made = now;
	return text;
}

static void
add_header(struct buf *out, const char *name, const char *value)
{
	buf_add_text(out, name);
	buf_add_text(out, value);
	buf_add(out, "\r\n", 2);
}

static void
add_number(struct buf *out, const char *name, size_t number)
{
	char text[24] = "";
	char *at = text + sizeof(text) - 1;

	/* In every answer, where printf would be a tenth of the work. */
	do
		*--at = (char)('0' + number % 10);
	while (number /= 10);
	add_header(out, name, at);
}

static void
count(const struct request *request, unsigned status)
{
	static const enum link_counter classes[] = { LINK_COUNT_answered_2xx,
		LINK_COUNT_answered_3xx, LINK_COUNT_answered_4xx,
		LINK_COUNT_answered_5xx };

	assert(status >= 200 && status <= 599);
	link_count(request->httpd->link, classes[status / 100 - 2]);
}

/* What every answer begins with. */
static void
add_start(struct buf *out, unsigned status, const char *policy)
{
	buf_add_text(out, status_line(status));
	buf_add_text(out, date_header());
	buf_add(out, security_headers, sizeof(security_headers) - 1);
	add_header(out, "", policy);
}

void
respond(struct request *request, const struct answer *answer, const void *body,
    size_t length)
{
	struct buf *out = conn_out(request->conn);

	assert(!request->answered);
	request->answered = true;
	count(request, answer->status);
	/* The route and not the path, which may hold a state. */
	log_debug("request", "'%s' answered with %u",
	    request->route ? request->route->pattern : "-", answer->status);
	if (conn_must_close(request->conn))
		request->close = true;
	add_start(out, answer->status, answer->policy ? answer->policy : strict_policy);
	if (answer->code)
		add_header(out, "Streamhold-Error: ", answer->code);
	if (answer->allow)
		add_header(out, "Allow: ", answer->allow);
	if (answer->retry_after)
		add_number(out, "Retry-After: ", answer->retry_after);
	add_header(
	    out, "Content-Type: ", answer->type ? answer->type : "application/json");
	add_number(out, "Content-Length: ", length);
	if (request->close)
		buf_add_text(out, "Connection: close\r\n");
	buf_add(out, "\r\n", 2);
	if (!request->head)
		buf_add(out, body, length);
}

void
respond_stream(struct request *request, const char *type)
{
	struct buf *out = conn_out(request->conn);

	count(request, 200);
	log_debug("request", "'%s' answered with a stream", request->route->pattern);
	request->close = true;
	add_start(out, 200, strict_policy);
	add_header(out, "Content-Type: ", type);
	/* nginx would keep events until it has enough of them. */
	buf_add_text(out, "X-Accel-Buffering: no\r\nConnection: close\r\n\r\n");
	request->answered = request->head;
}

void
respond_buf(
    struct request *request, const struct answer *answer, const struct buf *body)
{
	respond(request, answer, buf_bytes(body), buf_length(body));
}

void
respond_json(struct request *request, const struct buf *body)
{
	respond_buf(request, &(struct answer){ .status = 200 }, body);
}

struct buf *
respond_scratch(void)
{
	static struct buf scratch;

	buf_consume(&scratch, buf_length(&scratch));
	return &scratch;
}

static void
respond_text(struct request *request, const struct answer *answer, const char *text)
{
	struct buf *body = respond_scratch();
	struct json_out json = json_out_on(body);

	out_object(&json, NULL);
	out_text(&json, "error", text);
	out_object_end(&json);
	respond_buf(request, answer, body);
}

struct answer
respond_answer_of(const struct proto_failed *failed)
{
	const struct proto_error_info *info =
	    proto_error_info(proto_error_by_name(failed->code));
	struct answer answer = { .status = (unsigned)info->http_status,
		.code = info->name,
		.retry_after = failed->retry_after };

	if (answer.status == 503 && answer.retry_after == 0)
		answer.retry_after = 1;
	return answer;
}

void
respond_failed(struct request *request, const struct proto_failed *failed)
{
	struct answer answer = respond_answer_of(failed);

	respond_text(request, &answer, failed->message);
}

void
respond_error(struct request *request, enum proto_error error, const char *text)
{
	const struct proto_msg msg = proto_failed(error, text);

	respond_failed(request, &msg.failed);
}

void
respond_invalid_platform(struct request *request)
{
	char text[128] = "Invalid platform. Must be one of: ";
	size_t used = strlen(text);
	int i;

	for (i = 0; i < CONFIG_PLATFORM_MAX && used < sizeof(text); i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s",
		    i ? ", " : "", config_platform_name((enum config_platform_index)i));
	respond_error(request, ERR_invalid_platform, text);
}

void
respond_refusal(struct request *request, const struct http_refusal *refusal, bool close)
{
	const struct answer answer = { .status = refusal->status,
		.code = refusal->code,
		.retry_after = refusal->status == 429 ? 1 : 0 };

	if (close)
		request->close = true;
	respond_text(request, &answer, refusal->text);
}
