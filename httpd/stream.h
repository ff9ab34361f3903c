/*
 * The readers of GET /events/stream.
 *
 * A reader has a place in the sequence of events, its cursor, and no queue: it is given
 * more when it has taken what it was given. One that is up to date gets events from the
 * feed, one that is behind it pages of stored ones, and one that takes nothing for too
 * long is cut off and may resume. So readers cost bounded memory and never wait for
 * each other, and nothing that is stored waits for them.
 */
#ifndef HTTPD_STREAM_H
#define HTTPD_STREAM_H

#include "httpd/event_query.h"
#include "httpd/request.h"

struct httpd;
struct streams;

struct streams *streams_new(struct httpd *httpd);
void streams_free(struct streams *streams);

/* How many readers there are. NULL is allowed: none. */
size_t streams_count(const struct streams *streams);

/* Whether STREAM_READERS_MAX are open. */
bool streams_are_full(const struct streams *streams);

#define STREAM_TYPE "text/event-stream"

/* Makes a reader of the connection of a request. The query is copied. */
void stream_open(
    struct streams *streams, struct request *request, const struct event_query *query);

/* Ends all, saying when to come back. */
void streams_drain(struct streams *streams);

/* Writes the state to the log (SIGUSR1). */
void streams_dump(const struct streams *streams);

#endif
