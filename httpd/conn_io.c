/*
 * The bytes of a connection: reading into its input, writing from its output. Called by
 * conn.c.
 */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/time.h"
#include "httpd/conn_inner.h"
#include "httpd/limits.h"

void
conn_set_reading(struct conn *conn, bool reading)
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
		conn_set_phase(conn, CONN_DEAD);
		return;
	}
	(void)shutdown(conn->fd, SHUT_WR);
	buf_wipe(&conn->in);
	buf_clear(&conn->out);
	conn_set_phase(conn, CONN_LINGER);
	conn_set_reading(conn, true);
}

static void
wait_for_reader(struct conn *conn)
{
	bool draining = conn->conns->httpd->draining;

	if (!conn->writing) {
		conn->writing = true;
		conn->written = 0;
		conn->write_by =
		    time_boot_ms() + (draining ? DRAIN_REQUEST_MS : WRITE_MS);
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
	if (conn->writing && conn->written >= WRITE_STEP &&
	    !conn->conns->httpd->draining) {
		conn->written = 0;
		conn->write_by = time_boot_ms() + WRITE_MS;
	}
}

void
conn_flush(struct conn *conn)
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
			conn_set_phase(conn, CONN_DEAD);
			return;
		}
	}
	conn->writing = false;
	if (conn->closing)
		finish(conn);
}

/* Reading. */

void
conn_throw_away(struct conn *conn)
{
	static char nowhere[READ_LARGE];
	ssize_t length = read(conn->fd, nowhere, sizeof(nowhere));

	if (length < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (length > 0)
		conn->thrown += (size_t)length;
	if (length <= 0 || conn->thrown > LINGER_BYTES_MAX)
		conn_set_phase(conn, CONN_DEAD);
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
			conn_set_reading(conn, false);
		return room;
	}
	if (wanted > READ_LARGE)
		wanted = READ_LARGE;
	if (held > 0 && room >= READ_SMALL / 4)
		return room;
	if (held + wanted > BUFFER_KEEP && conns_are_full(conn->conns)) {
		conn_refuse_full(conn);
		return 0;
	}
	(void)buf_reserve(&conn->in, wanted);
	return conn->in.capacity - conn->in.end;
}

void
conn_read(struct conn *conn)
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
		conn_set_reading(conn, false);
		conn->eof = true;
	} else if (errno != EAGAIN && errno != EINTR) {
		conn_set_phase(conn, CONN_DEAD);
	}
}
