/*
 * How long events are kept: events.retention_days and events.max_rows, in small steps
 * that leave the database to what is to be stored.
 *
 * What a named consumer has not acknowledged is kept beyond that, up to
 * RETENTION_NEEDED_FACTOR times as long and as many. Passing this limit is announced: a
 * log line, the event RETENTION_EVENT, `degraded` in the health, a figure.
 */
#ifndef BROKER_EVENTS_RETENTION_H
#define BROKER_EVENTS_RETENTION_H

#include <stdbool.h>

#include "broker/broker.h"
#include "broker/store/store_retention.h"

#define RETENTION_NEEDED_FACTOR 2

/* How often events are looked at, ms, when nobody stores any; and how soon after more
 * than events.max_rows are stored. */
#define RETENTION_LOOK_MS 10000
#define RETENTION_SOON_MS 250

/* A step is followed by a pause of so many times its own length, and at least so many
 * ms, in which others have the database to themselves. */
#define RETENTION_PAUSE_FACTOR 4
#define RETENTION_PAUSE_MS 5

/* Nothing is deleted for its age before the wall clock has run evenly for so long, ms,
 * unless the kernel says that it is synchronised: a clock that is wrong for a moment
 * after a start must not cost events. */
#define RETENTION_SETTLE_MS 600000

/* Message ids are kept at least so long when webhooks.timestamp_tolerance_s is 0. */
#define RETENTION_IDS_DAYS 365
/* Between two rounds through all of them, ms. */
#define RETENTION_ROUND_MS 86400000

/* Announcements of passed limits come at most so often, ms. */
#define RETENTION_TELL_MS 3600000

#define RETENTION_EVENT "retention.unread_deleted"

struct retention;

/* The lowest seq that a consumer still needs, UINT64_MAX when none needs any. */
typedef uint64_t retention_needed_fn(const struct broker *broker);

/* Begins; store and hub are there. `needed` may be NULL. retention_stop may
 * come while it works. */
void retention_start(struct broker *broker, retention_needed_fn *needed);
void retention_stop(struct broker *broker);

/* What is known of it. */
struct retention_stats {
	uint64_t deleted; /* events, since the start */
	uint64_t lost;    /* of them, those that a consumer had not acknowledged */
	uint64_t ids_deleted;
	uint64_t oldest; /* seq, 0: nothing is stored, or not looked yet */
	uint64_t newest;
	int64_t oldest_at;   /* wall clock ms, 0: not known */
	uint64_t free_bytes; /* of the database file */
	bool held;           /* events are kept only because a consumer needs them */
	bool passed;         /* a consumer needs events that are gone */
};
void retention_stats(const struct broker *broker, struct retention_stats *ret_stats);

/* The lowest seq that is stored, as it was at the last look; 0: not known, or nothing
 * is.
 */
uint64_t retention_oldest(const struct broker *broker);

/* Looks once, with these clocks, ms. `trusted`: the kernel says that the wall clock is
 * synchronised. Called by the timer, and by tests. */
void retention_look_at(struct broker *broker, int64_t now, int64_t boot, bool trusted);

/* Health: NULL, or a sentence why it is degraded. */
const char *retention_trouble(const struct broker *broker);

#endif
