/*
 * Deleting what has been kept long enough, a little at a time.
 *
 * Events go from the oldest on, since that is the order in which everybody reads them.
 * Message ids, and what content was seen, outlive their events, so that a late repeat
 * is still known (design.md 9, "Events").
 */
#ifndef BROKER_STORE_STORE_RETENTION_H
#define BROKER_STORE_STORE_RETENTION_H

#include <stdbool.h>
#include <stdint.h>

struct db;

/* What one step deletes at most: events, bytes of their bodies (one event is always
 * deleted, however long), message ids looked at. */
#define STORE_RETENTION_EVENTS 32
#define STORE_RETENTION_BYTES (64 * 1024)
#define STORE_RETENTION_IDS 200

/* Until when events are kept. Times are wall clock ms; 0: age does not count. */
struct store_retention_limit {
	int64_t before;    /* received before this: may go */
	uint64_t rows_max; /* only the newest so many are kept */
};

/* What to do in a step, and what came of it. */
struct store_retention {
	struct store_retention_limit limit;
	uint64_t needed_from; /* events from here on are needed by a consumer */
	struct store_retention_limit needed_limit; /* for those */
	int64_t now;                               /* wall clock ms */
	int64_t ids_before; /* message ids from before this may go; 0: none */

	uint64_t deleted;    /* events */
	uint64_t lost;       /* of them, those that were needed: the last so many */
	uint64_t lost_to;    /* the seq of the last of those */
	uint64_t gone_to;    /* greatest seq that was ever deleted, 0: none */
	uint64_t oldest;     /* lowest seq that is left, 0: none */
	uint64_t newest;     /* greatest seq that is left, 0: none */
	uint64_t oldest_at;  /* when it was received */
	uint64_t free_bytes; /* of pages that nothing uses */
	uint64_t ids_deleted;
	bool held; /* something is kept only because it is needed */
	bool more; /* another step would find more events to delete */
};

/* Deletes a step's worth of events. 0 or a negative errno. On the database's thread. */
int store_retention_events(struct db *db, struct store_retention *retention);

/* Where a round through all message ids is; all zero at its begin. */
struct store_retention_round {
	char last[160]; /* the id looked at last */
	bool over;
};

/* Deletes those of the next ids that are old. 0 or a negative errno. */
int store_retention_ids(struct db *db, struct store_retention *retention,
    struct store_retention_round *round);

#endif
