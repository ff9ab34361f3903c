/*
 * A connection from accept to close. Owns its socket, its two buffers and its request;
 * called by listener.c (birth) and by libevent.
 *
 * What happens is decided by the phase:
 *	IDLE     between requests
 *	HEAD     the first byte of a request is there
 *	BODY     the head was accepted
 *	PENDING  the request is complete, the broker is asked
 *	LINGER   the last answer is out; what still comes is thrown away for a moment,
 *so that no reset destroys the answer before it is read DEAD     freed when the
 *outermost function returns
 *
 * Deadlines are stamps that one sweep looks at, so that no timer moves per request.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "common/alloc.h"
#include "common/log.h"
#include "common/time.h"
#include "httpd/conn.h"
#include "httpd/limits.h"
#include "httpd/request.h"
#include "httpd/respond.h"
#include "httpd/route.h"

enum conn_phase {
	CONN_IDLE,
	CONN_HEAD,
	CONN_BODY,
	CONN_PENDING,
	CONN_LINGER,
	CONN_DEAD,
	CONN_PHASE_MAX
};

/* The broker link keeps the time of pending requests. */
static const int64_t phase_ms[CONN_PHASE_MAX] = {
	[CONN_IDLE] = IDLE_MS,
	[CONN_HEAD] = HEADER_MS,
	[CONN_BODY] = BODY_MS,
	[CONN_PENDING] = INT64_MAX / 2,
	[CONN_LINGER] = LINGER_MS,
};

static const char continue_line[] = "HTTP/1.1 100 Continue\r\n\r\n";

struct conn {
	TAILQ_ENTRY(conn) entry;
	struct conns *conns;
	int fd;
	enum conn_phase phase;
	bool changed;   /* the phase began a new deadline */
	bool reading;   /* read_event is added */
	bool writing;   /* write_event is added: the peer does not read */
	bool eof;       /* the peer has finished sending */
	bool closing;   /* no further request is looked at */
	bool continued; /* 100 was sent */
	bool local;
	bool wipe_out;    /* the output holds a secret */
	unsigned busy;    /* functions under way that use this connection */
	int64_t deadline; /* of the phase, boot-time ms */
	int64_t write_by; /* for the next WRITE_STEP bytes, boot-time ms */
	size_t written;   /* of those */
	size_t thrown;    /* bytes, while lingering */
	size_t charged;   /* buffer bytes that count in conns->memory */
	struct rate_peer peer;
	struct event read_event;
	struct event write_event;
	struct buf in;
	struct buf out;
	struct http_parse parse;
	struct request request;
};

TAILQ_HEAD(conn_list, conn);

struct conns {
	struct httpd *httpd;
	void (*on_gone)(struct httpd *httpd);
	struct conn_list list;
	size_t count;
	size_t memory; /* bytes in all buffers */
	struct event *sweep_event;
};

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
	if (conns->count++ == 0)
		event_add(conns->sweep_event, &sweep);
}

static void
conn_free(struct conn *conn)
{
	struct conns *conns = conn->conns;

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

/* Counts the buffers, so that all connections together stay within MEMORY_MAX. */
static void
charge(struct conn *conn)
{
	size_t held = conn->in.capacity + conn->out.capacity +
	    conn->request.body.capacity + conn->request.part.capacity;

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
		charge(conn);
}

static void
set_phase(struct conn *conn, enum conn_phase phase)
{
	if (conn->phase == CONN_DEAD)
		return;
	conn->phase = phase;
	conn->changed = true;
}

static void
set_reading(struct conn *conn, bool reading)
{
	if (conn->reading == reading || (reading && conn->eof))
		return;
	conn->reading = reading;
	if (reading)
		event_add(&conn->read_event, NULL);
	else
		event_del(&conn->read_event);
}

/* Writing. */

/* After the last answer: say so, and linger until the peer closes. */
static void
finish(struct conn *conn)
{
	if (conn->eof) {
		set_phase(conn, CONN_DEAD);
		return;
	}
	(void)shutdown(conn->fd, SHUT_WR);
	buf_wipe(&conn->in);
	buf_clear(&conn->out);
	set_phase(conn, CONN_LINGER);
	set_reading(conn, true);
}

static void
wait_for_reader(struct conn *conn)
{
	if (!conn->writing) {
		conn->writing = true;
		conn->written = 0;
		conn->write_by = time_boot_ms() + WRITE_MS;
	}
	event_add(&conn->write_event, NULL);
}

static void
count_written(struct conn *conn, size_t length)
{
	if (conn->wipe_out)
		wipe(buf_bytes(&conn->out), length);
	buf_consume(&conn->out, length);
	if (buf_length(&conn->out) == 0) {
		conn->wipe_out = false;
		if (conn->out.capacity > BUFFER_KEEP)
			buf_clear(&conn->out);
	}
	conn->written += length;
	if (conn->writing && conn->written >= WRITE_STEP) {
		conn->written = 0;
		conn->write_by = time_boot_ms() + WRITE_MS;
	}
}

static void
flush(struct conn *conn)
{
	ssize_t length;

	while (buf_length(&conn->out) > 0) {
		length = write(conn->fd, buf_bytes(&conn->out), buf_length(&conn->out));
		if (length >= 0) {
			count_written(conn, (size_t)length);
		} else if (errno == EAGAIN) {
			wait_for_reader(conn);
			return;
		} else if (errno != EINTR) {
			set_phase(conn, CONN_DEAD);
			return;
		}
	}
	conn->writing = false;
	if (conn->closing)
		finish(conn);
}

/* One request. */

static void
begin_request(struct conn *conn)
{
	http_parse_init(&conn->parse);
	request_begin(&conn->request, conn->conns->httpd, conn);
	conn->request.parsed = &conn->parse.request;
	conn->continued = false;
	set_phase(conn, CONN_HEAD);
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
	if (buf_length(&conn->in) == 0 && conn->in.capacity > BUFFER_KEEP)
		buf_clear(&conn->in);
	request_end(request);
	set_phase(conn, CONN_IDLE);
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
	set_phase(conn, CONN_BODY);
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
	set_phase(conn, CONN_PENDING);
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

/* Processes and writes until there is nothing to do but wait. */
static void
run(struct conn *conn)
{
	bool more;

	do {
		process(conn);
		flush(conn);
		/* Stopped by the output limit, and all of it was taken. */
		more = conn->phase == CONN_IDLE && !conn->closing && !conn->writing &&
		    buf_length(&conn->in) > 0;
	} while (more);
	if (conn->phase > CONN_PENDING)
		goto out;
	if (conn->phase < CONN_PENDING && !conn->writing) {
		if (conn->eof || (conn->phase == CONN_IDLE && conn_must_close(conn)))
			set_phase(conn, CONN_DEAD);
		else
			set_reading(conn, true);
	}
out:
	if (conn->changed && conn->phase != CONN_DEAD)
		conn->deadline = time_boot_ms() + phase_ms[conn->phase];
	conn->changed = false;
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

/* Reading. */

static void
throw_away(struct conn *conn)
{
	static char nowhere[READ_LARGE];
	ssize_t length = read(conn->fd, nowhere, sizeof(nowhere));

	if (length < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (length > 0)
		conn->thrown += (size_t)length;
	if (length <= 0 || conn->thrown > LINGER_BYTES_MAX)
		set_phase(conn, CONN_DEAD);
}

/* Room for the next read. 0: none, and why is taken care of. While a request is pending
 * the buffer must not move. */
static size_t
room_to_read(struct conn *conn)
{
	size_t room = conn->in.capacity - conn->in.end;
	size_t held = buf_length(&conn->in);
	size_t wanted = held < READ_SMALL ? READ_SMALL : held;

	if (conn->phase == CONN_PENDING || conn->writing) {
		if (room == 0)
			set_reading(conn, false);
		return room;
	}
	if (wanted > READ_LARGE)
		wanted = READ_LARGE;
	if (held > 0 && room >= READ_SMALL / 4)
		return room;
	if (held + wanted > BUFFER_KEEP && conns_are_full(conn->conns)) {
		link_count(conn->conns->httpd->link, LINK_COUNT_refused_memory);
		conn->request.close = true;
		respond_error(&conn->request, ERR_busy,
		    "Too much is going on at once; try again shortly");
		end_request(conn);
		return 0;
	}
	(void)buf_reserve(&conn->in, wanted);
	return conn->in.capacity - conn->in.end;
}

static void
read_some(struct conn *conn)
{
	size_t room = room_to_read(conn);
	ssize_t length;

	if (room == 0)
		return;
	if (room > READ_LARGE)
		room = READ_LARGE;
	length = read(conn->fd, conn->in.data + conn->in.end, room);
	if (length > 0) {
		buf_added(&conn->in, (size_t)length);
	} else if (length == 0) {
		/* A peer that is done sending may still read its answer. */
		set_reading(conn, false);
		conn->eof = true;
	} else if (errno != EAGAIN && errno != EINTR) {
		set_phase(conn, CONN_DEAD);
	}
}

static void
on_read(evutil_socket_t fd, short what, void *arg)
{
	struct conn *conn = arg;

	(void)fd;
	(void)what;
	enter(conn);
	if (conn->phase == CONN_LINGER) {
		throw_away(conn);
	} else {
		read_some(conn);
		if (conn->phase < CONN_PENDING)
			run(conn);
	}
	leave(conn);
}

static void
on_write(evutil_socket_t fd, short what, void *arg)
{
	struct conn *conn = arg;

	(void)fd;
	(void)what;
	enter(conn);
	flush(conn);
	if (conn->phase < CONN_PENDING && !conn->writing) {
		/* The wait for the next request starts with the answer's end. */
		conn->changed = true;
		run(conn);
	}
	leave(conn);
}

/* All of them. */

static void
shrink(struct conn *conn, int64_t now)
{
	if (conn->phase != CONN_IDLE || conn->writing ||
	    conn->deadline - IDLE_MS + SHRINK_MS > now)
		return;
	buf_clear(&conn->in);
	buf_clear(&conn->out);
	charge(conn);
}

static void
on_sweep(evutil_socket_t fd, short what, void *arg)
{
	struct conns *conns = arg;
	struct conn *conn;
	struct conn *next;
	int64_t now = time_boot_ms();

	(void)fd;
	(void)what;
	for (conn = TAILQ_FIRST(&conns->list); conn; conn = next) {
		next = TAILQ_NEXT(conn, entry);
		/* A peer that takes its answer slowly has the time that this needs. */
		if ((conn->writing ? conn->write_by : conn->deadline) <= now)
			conn_free(conn);
		else
			shrink(conn, now);
	}
}

struct conns *
conns_new(struct httpd *httpd, void (*on_gone)(struct httpd *httpd))
{
	struct conns *conns = xcalloc(1, sizeof(*conns));

	conns->httpd = httpd;
	conns->on_gone = on_gone;
	TAILQ_INIT(&conns->list);
	conns->sweep_event = event_new(httpd->base, -1, EV_PERSIST, on_sweep, conns);
	if (!conns->sweep_event)
		abort();
	return conns;
}

void
conns_free(struct conns *conns)
{
	if (!conns)
		return;
	while (!TAILQ_EMPTY(&conns->list))
		conn_free(TAILQ_FIRST(&conns->list));
	event_free(conns->sweep_event);
	free(conns);
}

size_t
conns_count(const struct conns *conns)
{
	return conns->count;
}

bool
conns_are_full(const struct conns *conns)
{
	return conns->memory > MEMORY_MAX;
}

void
conns_drain(struct conns *conns)
{
	struct conn *conn;
	struct conn *next;

	for (conn = TAILQ_FIRST(&conns->list); conn; conn = next) {
		next = TAILQ_NEXT(conn, entry);
		if (conn->phase == CONN_IDLE && !conn->writing)
			conn_free(conn);
	}
}

void
conns_dump(const struct conns *conns)
{
	size_t phases[CONN_PHASE_MAX] = { 0 };
	const struct conn *conn;

	TAILQ_FOREACH (conn, &conns->list, entry)
		phases[conn->phase]++;
	log_info("dump",
	    "connections %zu: idle %zu, in head %zu, in body %zu, pending %zu, "
	    "lingering %zu; buffers %zu bytes",
	    conns->count, phases[CONN_IDLE], phases[CONN_HEAD], phases[CONN_BODY],
	    phases[CONN_PENDING], phases[CONN_LINGER], conns->memory);
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
