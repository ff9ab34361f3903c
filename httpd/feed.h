/*
 * The newest events, once for all streams.
 *
 * While it runs, the feed asks the broker for whatever is stored, all of it and without
 * a filter, and keeps the newest as they go to readers, within FEED_EVENTS_MAX and
 * FEED_BYTES_MAX. Everything after feed_base up to feed_last is there without a gap;
 * who is further behind reads pages. A broker that restarts is asked again for what
 * comes after feed_last, so that nothing is lost or doubled.
 */
#ifndef HTTPD_FEED_H
#define HTTPD_FEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/event_filter.h"

struct feed;
struct httpd;

/* One event as it goes to readers. */
struct feed_event {
	uint64_t seq;
	struct event_facts facts;
	struct buf frame;
	size_t size; /* bytes of memory */
	bool given;  /* to some reader */
	char texts[];
};

/* `changed` is called from the loop when there is more, or the feed got to know where
 * it stands. `repeated` is called for an event that was replayed, which the feed does
 * not keep. `replaced`: the broker has an older database than before, in which nothing
 * after `last` is what it was; the oldest event there is `oldest`. They may call
 * feed_stop. */
struct feed_calls {
	void (*changed)(void *arg);
	void (*repeated)(void *arg, const struct feed_event *event);
	void (*replaced)(void *arg, uint64_t last, uint64_t oldest);
};
struct feed *feed_new(struct httpd *httpd, const struct feed_calls *calls, void *arg);
void feed_free(struct feed *feed);

/* Begins and ends to follow; what was kept is forgotten. Twice does no harm. */
void feed_start(struct feed *feed);
void feed_stop(struct feed *feed);

/* Whether the broker has said where its events end; the next two mean nothing before.
 */
bool feed_is_known(const struct feed *feed);
uint64_t feed_base(const struct feed *feed);
uint64_t feed_last(const struct feed *feed);

/* The place of the first kept event with a greater seq, and the event at a place, NULL
 * beyond the newest. Places change when events come. */
size_t feed_place(const struct feed *feed, uint64_t after);
const struct feed_event *feed_at(const struct feed *feed, size_t place);

/* The event at a place is given to a reader. The broker, which measures how long that
 * took, is told with feed_tell_given at the end of each round. */
void feed_give(struct feed *feed, size_t place);
void feed_tell_given(struct feed *feed);

/* What is kept, for the log. */
size_t feed_count(const struct feed *feed);
size_t feed_bytes(const struct feed *feed);

#endif
