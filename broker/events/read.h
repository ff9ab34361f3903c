/*
 * Reading stored events, for everything in the broker that hands them on.
 *
 * A few reads are given to the database at a time (EVENTS_READS_MAX) and the others
 * wait their turn, so that any number of readers holds no more memory, and delays what
 * is to be stored no longer, than a few.
 */
#ifndef BROKER_EVENTS_READ_H
#define BROKER_EVENTS_READ_H

#include "broker/broker.h"
#include "broker/store/store_event.h"

/* Reads that are in the database at one time. */
#define EVENTS_READS_MAX 4

/* For events_read_no_longer_than: after so long a request is told how far was looked.
 */
#define EVENTS_SEARCH_MS 1500

struct events_read;

/* What was read; borrowed until the callback returns. Texts and bodies may be moved out
 * of `events` (set to zero). */
struct events_page {
	struct store_event *events; /* oldest first */
	size_t count;
	uint64_t seen;   /* everything up to this seq was looked at: the next `after` */
	uint64_t oldest; /* the lowest seq that is stored, or the next one's */
	bool end;        /* nothing was stored after `seen` */
};

/* `result` is 0 or a negative errno; `page` is NULL then. Never called before the
 * function that began the read has returned. The read is over: it must not be
 * cancelled any more, and another may be begun. */
typedef void events_read_fn(void *arg, int result, const struct events_page *page);

/* Begins to read a page. The query's texts are copied. The page is empty only when
 * nothing matched up to the end. `seen` is less than `after` when `after` was never
 * given out. */
struct events_read *events_read(struct broker *broker,
    const struct store_event_query *query, events_read_fn *done, void *arg);

/* The same for one event, by seq, or by message id when seq is 0. The page is empty
 * when there is none; its other members mean nothing. */
struct events_read *events_read_one(struct broker *broker, uint64_t seq,
    const char *message_id, events_read_fn *done, void *arg);

/* The next page also comes, empty and with `end` false, when nothing matched for so
 * many milliseconds. Called right after events_read. */
void events_read_no_longer_than(struct events_read *read, unsigned ms);

/* Ends a read without a callback. */
void events_read_cancel(struct events_read *read);

#endif
