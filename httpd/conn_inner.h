/*
 * A connection as its own files see it: conn.c (phases and requests), conn_io.c
 * (reading and writing) and conns.c (all of them together). Nobody else includes this.
 */
#ifndef HTTPD_CONN_INNER_H
#define HTTPD_CONN_INNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "common/buf.h"
#include "httpd/conn.h"
#include "httpd/http_parse.h"
#include "httpd/request.h"

/* What a connection waits for. */
enum conn_phase {
	CONN_IDLE,    /* the first byte of a request */
	CONN_HEAD,    /* the end of the headers */
	CONN_BODY,    /* the end of the body; the head was accepted */
	CONN_PENDING, /* the broker, which has been asked */
	CONN_STREAM,  /* nothing: whoever streams writes when there is something */
	/* The last answer is out. What still comes is thrown away for a moment, so that
	 * no reset destroys the answer before it is read. */
	CONN_LINGER,
	CONN_DEAD, /* being freed, when the outermost function returns */
	CONN_PHASE_MAX
};

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
	int64_t drain_by; /* for all of the request while stopping, boot-time ms */
	size_t written;   /* of those */
	size_t thrown;    /* bytes, while lingering */
	size_t charged;   /* buffer bytes that count in conns->memory */
	struct rate_peer peer;
	const struct conn_stream_calls *stream; /* NULL: none, or it was ended */
	void *stream_arg;
	bool slow; /* closed because the peer did not read */
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

/* conn.c */

/* Closes and frees at once. */
void conn_free(struct conn *conn);

/* Changes the phase, whose deadline begins when run() returns. Dead stays dead. */
void conn_set_phase(struct conn *conn, enum conn_phase phase);

/* While the front stops: the rest of a request does not have its whole time. */
void conn_cap_deadline(struct conn *conn);

/* Before an idle connection is closed: a request may have come since the loop looked,
 * and closing would destroy it. True when something came, which is taken care of by
 * then; the connection may be gone. */
bool conn_take_last(struct conn *conn);

/* Answers 503, as there is no memory for the rest of the request. */
void conn_refuse_full(struct conn *conn);

/* conn_io.c */

/* Adds or removes the read event. */
void conn_set_reading(struct conn *conn, bool reading);

/* Reads once into the input. A peer that is done sending sets `eof`, a broken one makes
 * the connection dead. */
void conn_read(struct conn *conn);

/* Reads once and throws it away, while lingering. */
void conn_throw_away(struct conn *conn);

/* Writes what waits, or waits for the peer to read it; after the last answer lingers.
 */
void conn_flush(struct conn *conn);

#endif
