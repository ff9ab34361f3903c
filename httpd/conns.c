/*
 * All connections of a front: the sweep that looks at their deadlines, the end, and the
 * state for the log. Called by main.c and listener.c.
 */
#include <stdlib.h>

#include "common/alloc.h"
#include "common/log.h"
#include "common/time.h"
#include "httpd/conn_inner.h"
#include "httpd/limits.h"

static void
shrink(struct conn *conn, int64_t now)
{
	if (conn->phase != CONN_IDLE || conn->writing ||
	    conn->deadline - IDLE_MS + SHRINK_MS > now)
		return;
	/* A request that was refused early may have brought a secret as well. */
	buf_wipe(&conn->in);
	buf_clear(&conn->out);
	conn_charge(conn);
}

/* The time of a connection is over. */
static void
expire(struct conn *conn)
{
	if (conn->phase == CONN_IDLE && !conn->writing && conn_take_last(conn))
		return;
	conn->slow = conn->writing;
	conn_free(conn);
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
			expire(conn);
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

size_t
conns_memory(const struct conns *conns)
{
	return conns->memory;
}

bool
conns_are_full(const struct conns *conns)
{
	return conns->memory > MEMORY_MAX;
}

static void
drain(struct conn *conn, int64_t now)
{
	conn->drain_by = now + DRAIN_REQUEST_MS;
	if (conn->writing) {
		if (conn->write_by > conn->drain_by)
			conn->write_by = conn->drain_by;
	} else if (conn->phase == CONN_IDLE) {
		conn->deadline += DRAIN_IDLE_MS - IDLE_MS;
		if (conn->deadline <= now)
			expire(conn);
	} else {
		conn_cap_deadline(conn);
	}
}

void
conns_drain(struct conns *conns)
{
	int64_t now = time_boot_ms();
	struct conn *conn;
	struct conn *next;

	for (conn = TAILQ_FIRST(&conns->list); conn; conn = next) {
		next = TAILQ_NEXT(conn, entry);
		drain(conn, now);
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
	    "streaming %zu, lingering %zu; buffers %zu bytes",
	    conns->count, phases[CONN_IDLE], phases[CONN_HEAD], phases[CONN_BODY],
	    phases[CONN_PENDING], phases[CONN_STREAM], phases[CONN_LINGER],
	    conns->memory);
}
