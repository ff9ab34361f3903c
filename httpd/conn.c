/*
 * A connection from accept to close, and its requests one after the other. Owns the
 * socket, the two buffers and the request; called by listener.c (birth) and by
 * libevent.
 *
 * Deadlines are stamps that one sweep looks at, so that no timer moves per request.
 */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/time.h"
#include "httpd/conn_inner.h"
#include "httpd/limits.h"
#include "httpd/respond.h"
#include "httpd/route.h"

/* The broker link keeps the time of pending requests. */
static const int64_t phase_ms[CONN_PHASE_MAX] = {
	[CONN_IDLE] = IDLE_MS,
	[CONN_HEAD] = HEADER_MS,
	[CONN_BODY] = BODY_MS,
	[CONN_PENDING] = INT64_MAX / 2,
	[CONN_STREAM] = INT64_MAX / 2,
	[CONN_LINGER] = LINGER_MS,
};

static const char continue_line[] = "HTTP/1.1 100 Continue\r\n\r\n";

static void on_read(evutil_socket_t fd, short what, void *arg);
static void on_write(evutil_socket_t fd, short what, void *arg);

/* Life and death. */

void
conn_new(struct conns *conns, int fd, struct rate_peer peer, bool local)
{
	const struct timeval sweep = { .tv_usec = SWEEP_MS * 1000 };
	struct conn *conn = xcalloc(1, sizeof(*conn));

	conn->conns = conns;
	conn->fd = fd;
	conn->peer = peer;
	conn->local = local;
	conn->deadline = time_boot_ms() + IDLE_MS;
	(void)event_assign(&conn->read_event, conns->httpd->base, fd,
	    EV_READ | EV_PERSIST, on_read, conn);
	(void)event_assign(
	    &conn->write_event, conns->httpd->base, fd, EV_WRITE, on_write, conn);
	event_add(&conn->read_event, NULL);
	conn->reading = true;
	TAILQ_INSERT_TAIL(&conns->list, conn, entry);
	link_count(conns->httpd->link, LINK_COUNT_connections);
	if (conns->count++ == 0)
		event_add(conns->sweep_event, &sweep);
}

void
conn_free(struct conn *conn)
{
	struct conns *conns = conn->conns;
	const struct conn_stream_calls *stream = conn->stream;

	conn->stream = NULL;
	if (stream)
		stream->gone(conn->stream_arg, conn->slow);
	event_del(&conn->read_event);
	event_del(&conn->write_event);
	(void)close(conn->fd);
	request_end(&conn->request);
	buf_wipe(&conn->in);
	buf_wipe(&conn->out);
	conns->memory -= conn->charged;
	TAILQ_REMOVE(&conns->list, conn, entry);
	if (--conns->count == 0)
		event_del(conns->sweep_event);
	free(conn);
	conns->on_gone(conns->httpd);
}

void
conn_charge(struct conn *conn)
{
	size_t held =
	    conn->in.capacity + conn->out.capacity + conn->request.body.capacity;

	conn->conns->memory += held - conn->charged;
	conn->charged = held;
}

static void
enter(struct conn *conn)
{
	conn->busy++;
}

static void
leave(struct conn *conn)
{
	if (--conn->busy > 0)
		return;
	if (conn->phase == CONN_DEAD)
		conn_free(conn);
	else
		conn_charge(conn);
}

void
conn_set_phase(struct conn *conn, enum conn_phase phase)
{
	if (conn->phase == CONN_DEAD)
		return;
	conn->phase = phase;
	conn->changed = true;
}

/* One request. */

static void
begin_request(struct conn *conn)
{
	http_parse_init(&conn->parse);
	request_begin(&conn->request, conn->conns->httpd, conn);
	conn->request.parsed = &conn->parse.request;
	conn->continued = false;
	if (conn->conns->httpd->draining)
		conn->drain_by = time_boot_ms() + DRAIN_REQUEST_MS;
	conn_set_phase(conn, CONN_HEAD);
}

/* The request is answered: forget it. */
static void
end_request(struct conn *conn)
{
	struct request *request = &conn->request;
	size_t used = conn->parse.request.consumed;

	if (request->secret)
		conn->wipe_out = true;
	if (request->close) {
		conn->closing = true;
		used = buf_length(&conn->in);
	}
	if (request->secret)
		wipe(buf_bytes(&conn->in), used);
	buf_consume(&conn->in, used);
	if (buf_length(&conn->in) == 0 && conn->in.capacity > BUFFER_KEEP) {
		if (request->secret) /* chunks have left pieces further back */
			buf_wipe(&conn->in);
		else
			buf_clear(&conn->in);
	}
	request_end(request);
	conn_set_phase(conn, CONN_IDLE);
}

/* The reader refused. */
static void
refuse(struct conn *conn)
{
	link_count(conn->conns->httpd->link,
	    conn->parse.refusal->status == 413 ? LINK_COUNT_refused_size
					       : LINK_COUNT_refused_malformed);
	respond_refusal(&conn->request, conn->parse.refusal, true);
	end_request(conn);
}

void
conn_refuse_full(struct conn *conn)
{
	link_count(conn->conns->httpd->link, LINK_COUNT_refused_memory);
	conn->request.close = true;
	respond_error(&conn->request, ERR_busy,
	    "Too much is going on at once; try again shortly");
	end_request(conn);
}

/* A request refused by its head alone keeps the connection only when no body follows,
 * as otherwise the place of the next request is not known yet. */
static void
end_without_body(struct conn *conn)
{
	(void)http_parse_body(
	    &conn->parse, conn->request.bytes, conn->parse.request.head_length, 0);
	end_request(conn);
}

static bool
has_body(const struct http_request *parsed)
{
	return parsed->framing == HTTP_CHUNKED || parsed->content_length > 0;
}

static bool
step_head(struct conn *conn)
{
	struct request *request = &conn->request;
	enum http_result result;

	request->bytes = (char *)buf_bytes(&conn->in);
	result = http_parse_head(&conn->parse, request->bytes, buf_length(&conn->in));
	if (result == HTTP_MORE)
		return false;
	if (result == HTTP_REFUSED) {
		refuse(conn);
		return true;
	}
	request->close = !request->parsed->keep_alive || has_body(request->parsed);
	route_head(request);
	if (request->answered) {
		end_without_body(conn);
		return true;
	}
	request->close = !request->parsed->keep_alive;
	conn_set_phase(conn, CONN_BODY);
	return true;
}

static bool
step_body(struct conn *conn)
{
	struct request *request = &conn->request;
	size_t length;

	request->bytes = (char *)buf_bytes(&conn->in);
	switch (http_parse_body(&conn->parse, request->bytes, buf_length(&conn->in),
	    conn->conns->httpd->settings.body_max)) {
	case HTTP_MORE:
		length = http_parse_reclaim(
		    &conn->parse, request->bytes, buf_length(&conn->in));
		conn->in.end = conn->in.start + length;
		if (request->parsed->expect_continue && !conn->continued)
			buf_add_text(&conn->out, continue_line);
		conn->continued = true;
		return false;
	case HTTP_REFUSED:
		refuse(conn);
		return true;
	case HTTP_DONE:
		break;
	}
	conn_set_phase(conn, CONN_PENDING);
	route_page(request);
	if (!request->answered)
		return false;
	end_request(conn);
	return true;
}

static bool
step(struct conn *conn)
{
	switch (conn->phase) {
	case CONN_IDLE:
		begin_request(conn);
		return true;
	case CONN_HEAD:
		return step_head(conn);
	case CONN_BODY:
		return step_body(conn);
	default:
		return false;
	}
}

/* Works through what was read, as far as answers may be given. */
static void
process(struct conn *conn)
{
	while (!conn->closing && !conn->writing && buf_length(&conn->in) > 0 &&
	    buf_length(&conn->out) < OUTPUT_HIGH)
		if (!step(conn))
			break;
}

/* A new phase has its whole time. */
static void
begin_deadline(struct conn *conn)
{
	int64_t ms = phase_ms[conn->phase];

	if (conn->phase == CONN_IDLE && conn->conns->httpd->draining)
		ms = DRAIN_IDLE_MS;
	if (conn->changed && conn->phase != CONN_DEAD) {
		conn->deadline = time_boot_ms() + ms;
		conn_cap_deadline(conn);
	}
	conn->changed = false;
}

void
conn_cap_deadline(struct conn *conn)
{
	bool coming = conn->phase == CONN_HEAD || conn->phase == CONN_BODY;

	if (coming && conn->conns->httpd->draining && conn->deadline > conn->drain_by)
		conn->deadline = conn->drain_by;
}

/* Processes and writes until there is nothing to do but wait. */
static void
run(struct conn *conn)
{
	bool more;

	do {
		process(conn);
		conn_flush(conn);
		/* Stopped by the output limit, and all of it was taken. */
		more = conn->phase == CONN_IDLE && !conn->closing && !conn->writing &&
		    buf_length(&conn->in) > 0;
	} while (more);
	if (conn->phase > CONN_PENDING)
		goto out;
	if (conn->phase < CONN_PENDING && !conn->writing) {
		if (conn->eof)
			conn_set_phase(conn, CONN_DEAD);
		else
			conn_set_reading(conn, true);
	}
out:
	begin_deadline(conn);
}

void
conn_resume(struct conn *conn)
{
	/* From within the page function itself, run() is under way already. */
	if (conn->busy > 0)
		return;
	enter(conn);
	end_request(conn);
	run(conn);
	leave(conn);
}

static void
on_read(evutil_socket_t fd, short what, void *arg)
{
	struct conn *conn = arg;

	(void)fd;
	(void)what;
	enter(conn);
	if (conn->phase == CONN_LINGER || conn->phase == CONN_STREAM) {
		conn_throw_away(conn);
	} else {
		conn_read(conn);
		if (conn->phase < CONN_PENDING)
			run(conn);
	}
	leave(conn);
}

bool
conn_take_last(struct conn *conn)
{
	bool came;

	enter(conn);
	conn_read(conn);
	came = buf_length(&conn->in) > 0 || conn->phase == CONN_DEAD;
	if (came && conn->phase < CONN_PENDING)
		run(conn);
	leave(conn);
	return came;
}

static void
on_write(evutil_socket_t fd, short what, void *arg)
{
	struct conn *conn = arg;

	(void)fd;
	(void)what;
	enter(conn);
	conn_flush(conn);
	if (conn->phase == CONN_STREAM && conn->stream && !conn->writing) {
		conn->stream->drained(conn->stream_arg);
	} else if (conn->phase < CONN_PENDING && !conn->writing) {
		/* The wait for the next request starts with the answer's end. */
		conn->changed = true;
		run(conn);
	}
	begin_deadline(conn);
	leave(conn);
}

/* Streams. */

void
conn_stream(struct conn *conn, const struct conn_stream_calls *calls, void *arg)
{
	int size = STREAM_SOCKET_BYTES;

	conn->stream = calls;
	conn->stream_arg = arg;
	conn_set_phase(conn, conn->eof ? CONN_DEAD : CONN_STREAM);
	/* A peer that does not read takes no more of the kernel's memory than this. */
	(void)setsockopt(conn->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	conn_set_reading(conn, true);
}

bool
conn_stream_flush(struct conn *conn)
{
	bool alive;

	enter(conn);
	if (!conn->writing)
		conn_flush(conn);
	begin_deadline(conn);
	alive = conn->phase != CONN_DEAD;
	leave(conn);
	return alive;
}

bool
conn_is_writing(const struct conn *conn)
{
	return conn->writing;
}

void
conn_stream_end(struct conn *conn)
{
	conn->stream = NULL;
	conn->closing = true;
	(void)conn_stream_flush(conn);
}

/* What the other files ask. */

struct buf *
conn_out(struct conn *conn)
{
	return &conn->out;
}

bool
conn_must_close(const struct conn *conn)
{
	return conn->closing || conn->conns->httpd->draining;
}

struct rate_peer
conn_peer(const struct conn *conn)
{
	return conn->peer;
}

bool
conn_is_local(const struct conn *conn)
{
	return conn->local;
}
