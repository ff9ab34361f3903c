/*
 * A reader's life:
 *
 *   new      until the feed knows where events end, which resolves `after=now`; the
 *            answer waits for that, but no longer than HOLD_MS
 *   live     its cursor is in the feed, or at its end
 *   waiting  it is behind the feed and waits for its turn to read a page
 *   paging   the broker was asked for one
 *
 * Owns the readers, not their connections, which tell of their end. What is written to
 * a connection are always whole events, so it may be ended at any time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>

#include <event2/event.h>

#include "common/alloc.h"
#include "common/event.h"
#include "common/log.h"
#include "common/time.h"
#include "httpd/broker_link.h"
#include "httpd/conn.h"
#include "httpd/feed.h"
#include "httpd/httpd.h"
#include "httpd/limits.h"
#include "httpd/respond.h"
#include "httpd/sse.h"
#include "httpd/stream.h"

/* Events of the stream itself; they have no id, so that the last one stays. */
#define GAP_TYPE "streamhold.gap"

enum stream_state { STREAM_NEW, STREAM_LIVE, STREAM_WAITING, STREAM_PAGING };

struct stream {
	TAILQ_ENTRY(stream) entry;
	TAILQ_ENTRY(stream) turn; /* while waiting */
	struct streams *streams;
	struct conn *conn;
	struct request *request; /* the connection's */
	enum stream_state state;
	bool answered;     /* the head was written */
	bool started_over; /* the cursor was none of this database */
	uint64_t cursor;   /* every event up to it was given or not wanted */
	int64_t quiet;     /* boot-time ms of the last bytes */
	struct event_query query;
	struct proto_msg msg;
	struct link_request ask;
	struct sse_frame frame; /* of the page */
};

TAILQ_HEAD(stream_list, stream);

struct streams {
	struct httpd *httpd;
	struct feed *feed;
	struct stream_list list;
	struct stream_list turns; /* those that wait for a page, oldest first */
	size_t count;
	unsigned paging;
	struct event *tick;
};

static void give_turns(struct streams *streams);

/* States. */

static void
set_state(struct stream *stream, enum stream_state state)
{
	struct streams *streams = stream->streams;

	if (stream->state == STREAM_WAITING)
		TAILQ_REMOVE(&streams->turns, stream, turn);
	if (stream->state == STREAM_PAGING)
		streams->paging--;
	stream->state = state;
	if (state == STREAM_WAITING)
		TAILQ_INSERT_TAIL(&streams->turns, stream, turn);
	if (state == STREAM_PAGING)
		streams->paging++;
}

static void
stream_free(struct stream *stream)
{
	struct streams *streams = stream->streams;

	set_state(stream, STREAM_NEW);
	link_cancel(streams->httpd->link, &stream->ask);
	sse_frame_clear(&stream->frame);
	TAILQ_REMOVE(&streams->list, stream, entry);
	free(stream);
	if (--streams->count > 0)
		return;
	event_del(streams->tick);
	feed_stop(streams->feed);
}

/* The connection is gone, or has to go because its peer does not read. */
static void
on_gone(void *arg, bool slow)
{
	struct stream *stream = arg;
	struct streams *streams = stream->streams;

	if (slow) {
		link_count(streams->httpd->link, LINK_COUNT_stream_slow);
		log_info("stream",
		    "a reader took less than %d bytes in %d s and was cut off at %llu; "
		    "it may resume after the last id that it has",
		    WRITE_STEP, WRITE_MS / 1000, (unsigned long long)stream->cursor);
	}
	stream_free(stream);
	give_turns(streams);
}

/* Giving. */

static void
say_gap(struct stream *stream, uint64_t next, const char *reason)
{
	char json[160];

	(void)snprintf(json, sizeof(json),
	    "{\"after\":%llu,\"next\":%llu,\"reason\":\"%s\"}",
	    (unsigned long long)stream->cursor, (unsigned long long)next, reason);
	sse_add_notice(conn_out(stream->conn), GAP_TYPE, json);
	link_count(stream->streams->httpd->link, LINK_COUNT_stream_gap);
}

/* Puts what the feed has into the output. Whether that was anything. */
static bool
fill(struct stream *stream)
{
	struct feed *feed = stream->streams->feed;
	const struct event_filter filter = event_query_filter(&stream->query);
	struct buf *out = conn_out(stream->conn);
	size_t place = feed_place(feed, stream->cursor);
	const struct feed_event *event;
	bool any = false;

	while (buf_length(out) < STREAM_OUTPUT_HIGH && (event = feed_at(feed, place))) {
		stream->cursor = event->seq;
		if (event_filter_fits(&filter, &event->facts)) {
			buf_add(
			    out, buf_bytes(&event->frame), buf_length(&event->frame));
			feed_give(feed, place);
			any = true;
		}
		place++;
	}
	feed_tell_given(feed);
	if (!feed_at(feed, place) && stream->cursor < feed_last(feed))
		stream->cursor = feed_last(feed);
	return any;
}

static void
answer(struct stream *stream)
{
	if (stream->answered)
		return;
	stream->answered = true;
	respond_stream(stream->request, STREAM_TYPE);
	sse_add_retry(conn_out(stream->conn), STREAM_RETRY_MS);
}

static void
begin(struct stream *stream)
{
	const struct feed *feed = stream->streams->feed;

	answer(stream);
	if (!stream->query.after_given || stream->query.now)
		stream->cursor = feed_last(feed);
	/* A reader that is cut off before its first event can resume as well. */
	sse_add_id(conn_out(stream->conn), stream->cursor);
	/* Beyond the feed may be true when a page was quicker: the broker knows. */
	set_state(stream,
	    stream->cursor < feed_base(feed) || stream->cursor > feed_last(feed)
		? STREAM_WAITING
		: STREAM_LIVE);
}

/* Gives what there is, as far as the peer takes it. False: the reader is gone. */
static bool
pump(struct stream *stream)
{
	struct streams *streams = stream->streams;

	if (stream->state == STREAM_NEW && feed_is_known(streams->feed))
		begin(stream);
	for (;;) {
		if (buf_length(conn_out(stream->conn)) > 0)
			stream->quiet = time_boot_ms();
		if (!conn_stream_flush(stream->conn))
			return false;
		if (stream->state != STREAM_LIVE || conn_is_writing(stream->conn))
			return true;
		if (stream->cursor < feed_base(streams->feed)) {
			set_state(stream, STREAM_WAITING);
			return true;
		}
		if (!fill(stream))
			return true;
	}
}

static void
pump_all(struct streams *streams)
{
	struct stream *stream;
	struct stream *next;

	for (stream = TAILQ_FIRST(&streams->list); stream; stream = next) {
		next = TAILQ_NEXT(stream, entry);
		(void)pump(stream);
	}
	give_turns(streams);
}

static void
on_feed(void *arg)
{
	pump_all(arg);
}

/* A replayed event goes to those that have everything else and take it at once: their
 * cursor stays, and nothing waits for the others. */
static void
on_repeated(void *arg, const struct feed_event *event)
{
	struct streams *streams = arg;
	struct stream *stream;
	struct stream *next;

	for (stream = TAILQ_FIRST(&streams->list); stream; stream = next) {
		const struct event_filter filter = event_query_filter(&stream->query);

		next = TAILQ_NEXT(stream, entry);
		if (stream->state != STREAM_LIVE || conn_is_writing(stream->conn) ||
		    !event_filter_fits(&filter, &event->facts))
			continue;
		buf_add(conn_out(stream->conn), buf_bytes(&event->frame),
		    buf_length(&event->frame));
		(void)pump(stream);
	}
}

/* As if each had come back with the last id that it has. */
static void
on_replaced(void *arg, uint64_t last, uint64_t oldest)
{
	struct streams *streams = arg;
	struct stream *stream;

	TAILQ_FOREACH (stream, &streams->list, entry) {
		if (stream->state == STREAM_NEW || stream->cursor <= last)
			continue;
		link_cancel(streams->httpd->link, &stream->ask);
		sse_frame_clear(&stream->frame);
		say_gap(stream, oldest, "unknown");
		stream->cursor = 0;
		stream->started_over = false;
		set_state(stream, STREAM_WAITING);
	}
	pump_all(streams);
}

static void
on_drained(void *arg)
{
	struct stream *stream = arg;
	struct streams *streams = stream->streams;

	(void)pump(stream);
	give_turns(streams);
}

/* Pages. */

static void
on_span(struct stream *stream, const struct proto_events_span *span)
{
	if (stream->cursor > span->last) {
		/* Another database than the one that gave this number: all of it is
		 * new to this reader. */
		say_gap(stream, span->oldest, "unknown");
		stream->cursor = 0;
		stream->started_over = true;
	} else if (stream->cursor > 0 && stream->cursor + 1 < span->oldest) {
		say_gap(stream, span->oldest, "deleted");
		stream->cursor = span->oldest - 1;
	}
}

static void
on_row(struct stream *stream, const struct proto_msg *row)
{
	struct buf *out = conn_out(stream->conn);
	int result = sse_take_row(&stream->frame, row);

	if (result < 0) {
		log_error("stream", "the broker's rows are out of order");
		link_cancel(stream->streams->httpd->link, &stream->ask);
		set_state(stream, STREAM_WAITING);
	} else if (result > 0 && stream->frame.seq > stream->cursor) {
		buf_add(out, buf_bytes(&stream->frame.text),
		    buf_length(&stream->frame.text));
		stream->cursor = stream->frame.seq;
		conn_charge(stream->conn);
	}
}

static void
on_page_end(struct stream *stream, uint64_t next)
{
	struct streams *streams = stream->streams;

	if (!stream->started_over && next > stream->cursor)
		stream->cursor = next;
	stream->started_over = false;
	set_state(stream, STREAM_LIVE);
	(void)pump(stream);
	give_turns(streams);
}

static void
on_page(void *arg, struct proto_msg *answer, bool last)
{
	struct stream *stream = arg;

	if (!answer || last)
		sse_frame_clear(&stream->frame);
	if (!answer) /* to be asked again, of the next broker */
		stream->msg.events_list.after = stream->cursor;
	else if (answer->type == MSG_events_span)
		on_span(stream, &answer->events_span);
	else if (answer->type == MSG_list_end)
		on_page_end(stream, answer->list_end.next);
	else if (!last)
		on_row(stream, answer);
	else /* the broker is away or busy: at the next tick */
		set_state(stream, STREAM_WAITING);
}

static const char *
or_null(const char *list)
{
	return list[0] ? list : NULL;
}

static bool
ask_page(struct stream *stream)
{
	const struct event_query *query = &stream->query;

	stream->msg = (struct proto_msg){ .type = MSG_events_list,
		.events_list = { .after = stream->cursor,
		    .limit = STREAM_PAGE_EVENTS,
		    .bytes = STREAM_PAGE_BYTES,
		    .follow = true,
		    .type = or_null(query->types),
		    .platform = or_null(query->platforms),
		    .kind = or_null(query->kinds),
		    .broadcaster = or_null(query->broadcasters),
		    .foreign = (query->include & EVENT_FOREIGN) != 0,
		    .synthetic = (query->include & EVENT_SYNTHETIC) != 0,
		    .quarantined = (query->include & EVENT_QUARANTINED) != 0 } };
	if (link_ask(stream->streams->httpd->link, &stream->ask, &stream->msg,
		ANSWER_MS, on_page, stream) < 0)
		return false;
	set_state(stream, STREAM_PAGING);
	return true;
}

static void
give_turns(struct streams *streams)
{
	struct stream *stream;

	while (streams->paging < STREAM_PAGES_MAX &&
	    (stream = TAILQ_FIRST(&streams->turns)))
		if (conns_are_full(streams->httpd->conns) || !ask_page(stream))
			return; /* the tick tries again */
}

/* Time. */

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct streams *streams = arg;
	struct stream *stream;
	struct stream *next;
	int64_t now = time_boot_ms();

	(void)fd;
	(void)what;
	for (stream = TAILQ_FIRST(&streams->list); stream; stream = next) {
		next = TAILQ_NEXT(stream, entry);
		if (!stream->answered && stream->quiet + HOLD_MS <= now) {
			answer(stream);
			(void)pump(stream);
			continue;
		}
		if (stream->quiet + STREAM_BEAT_MS > now ||
		    conn_is_writing(stream->conn))
			continue;
		sse_add_beat(conn_out(stream->conn));
		if (stream->state != STREAM_NEW)
			sse_add_id(conn_out(stream->conn), stream->cursor);
		(void)pump(stream);
	}
	give_turns(streams);
}

/* Birth and death. */

size_t
streams_count(const struct streams *streams)
{
	return streams ? streams->count : 0;
}

bool
streams_are_full(const struct streams *streams)
{
	return streams->count >= STREAM_READERS_MAX;
}

void
stream_open(
    struct streams *streams, struct request *request, const struct event_query *query)
{
	static const struct conn_stream_calls calls = { .drained = on_drained,
		.gone = on_gone };
	const struct timeval tick = { .tv_sec = STREAM_TICK_MS / 1000,
		.tv_usec = STREAM_TICK_MS % 1000 * 1000 };
	struct stream *stream = xcalloc(1, sizeof(*stream));

	stream->streams = streams;
	stream->conn = request->conn;
	stream->request = request;
	stream->query = *query;
	stream->cursor = query->after;
	stream->quiet = time_boot_ms();
	TAILQ_INSERT_TAIL(&streams->list, stream, entry);
	link_count(streams->httpd->link, LINK_COUNT_stream_opened);
	if (streams->count++ == 0)
		event_add(streams->tick, &tick);
	feed_start(streams->feed);
	conn_stream(stream->conn, &calls, stream);
	(void)pump(stream);
	give_turns(streams);
}

void
streams_drain(struct streams *streams)
{
	struct stream *stream;
	struct conn *conn;

	while (streams && (stream = TAILQ_FIRST(&streams->list))) {
		conn = stream->conn;
		if (stream->answered)
			sse_add_retry(conn_out(conn), STREAM_RETRY_MS);
		else
			answer(stream);
		stream_free(stream);
		conn_stream_end(conn);
	}
}

void
streams_dump(const struct streams *streams)
{
	size_t states[STREAM_PAGING + 1] = { 0 };
	const struct stream *stream;

	if (!streams)
		return;
	TAILQ_FOREACH (stream, &streams->list, entry)
		states[stream->state]++;
	log_info("dump",
	    "streams %zu: new %zu, live %zu, waiting %zu, paging %zu; the feed keeps "
	    "%zu events, %zu bytes",
	    streams->count, states[STREAM_NEW], states[STREAM_LIVE],
	    states[STREAM_WAITING], states[STREAM_PAGING], feed_count(streams->feed),
	    feed_bytes(streams->feed));
}

struct streams *
streams_new(struct httpd *httpd)
{
	static const struct feed_calls calls = {
		.changed = on_feed, .repeated = on_repeated, .replaced = on_replaced
	};
	struct streams *streams = xcalloc(1, sizeof(*streams));

	streams->httpd = httpd;
	streams->feed = feed_new(httpd, &calls, streams);
	TAILQ_INIT(&streams->list);
	TAILQ_INIT(&streams->turns);
	streams->tick = event_new(httpd->base, -1, EV_PERSIST, on_tick, streams);
	if (!streams->tick)
		abort();
	return streams;
}

void
streams_free(struct streams *streams)
{
	if (!streams)
		return;
	feed_free(streams->feed);
	event_free(streams->tick);
	free(streams);
}
