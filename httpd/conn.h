/*
 * Connections: reading, one request at a time, answering, deadlines.
 *
 * A connection reads into one buffer, in which the request reader works in place, and
 * writes from another; usually that is one read and one write a request. Requests that
 * come pipelined wait in the buffer until the one before is answered.
 */
#ifndef HTTPD_CONN_H
#define HTTPD_CONN_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "httpd/httpd.h"
#include "httpd/rate.h"

struct conn;
struct conns;

/* All connections of a front. `on_gone` runs after one was closed. conns_free closes
 * those that are left. */
struct conns *conns_new(struct httpd *httpd, void (*on_gone)(struct httpd *httpd));
void conns_free(struct conns *conns);

/* How many there are. */
size_t conns_count(const struct conns *conns);

/* Bytes in the buffers of all of them. */
size_t conns_memory(const struct conns *conns);

/* Closes the ones that have waited long for a request (DRAIN_IDLE_MS), and the others
 * after their next answer, which says so. What has arrived already is answered; what
 * has arrived in part, and an answer that is not read, has DRAIN_REQUEST_MS. */
void conns_drain(struct conns *conns);

/* Writes the state to the log (SIGUSR1). */
void conns_dump(const struct conns *conns);

/* Takes over an accepted nonblocking socket. `local`: from a Unix socket. */
void conn_new(struct conns *conns, int fd, struct rate_peer peer, bool local);

/* Where the answer goes. */
struct buf *conn_out(struct conn *conn);

/* Whether this is the connection's last answer. */
bool conn_must_close(const struct conn *conn);

struct rate_peer conn_peer(const struct conn *conn);
bool conn_is_local(const struct conn *conn);

/* The pending request was answered from a callback: send it and go on. The connection
 * may be gone afterwards. */
void conn_resume(struct conn *conn);

/* An answer without an end. */
struct conn_stream_calls {
	/* The peer has taken all of the output. */
	void (*drained)(void *arg);
	/* The connection is closed; `slow`: its peer took too little for WRITE_MS. */
	void (*gone)(void *arg, bool slow);
};

/* Turns the connection of a request that is not answered yet into a stream. What the
 * peer still sends is thrown away; when it closes, even one side only, the connection
 * ends. `calls` are static. */
void conn_stream(struct conn *conn, const struct conn_stream_calls *calls, void *arg);

/* Writes what was added to the output. False: the connection is gone, and `gone` was
 * called. */
bool conn_stream_flush(struct conn *conn);

/* Whether output waits for the peer. */
bool conn_is_writing(const struct conn *conn);

/* Ends a stream after its output, without a call to `gone`. The connection may be gone
 * afterwards. */
void conn_stream_end(struct conn *conn);

/* Counts what the connection's buffers hold, so that all connections together stay
 * within MEMORY_MAX. Called by pages whose request grows between events of the
 * connection. */
void conn_charge(struct conn *conn);

/* Whether the buffers of all connections are beyond MEMORY_MAX. */
bool conns_are_full(const struct conns *conns);

#endif
