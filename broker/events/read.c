/*
 * The turn of those who read events:
 *
 *   wait   until fewer than EVENTS_READS_MAX others are being read
 *   read   a slice of rows on the database's thread; again while nothing has matched
 *   tell   the callback, on the loop
 *
 * Owns the reads from events_read to their callback or to the database being done with
 * a cancelled one. Called by events.c and by every consumer in the broker.
 */
#include <stdlib.h>
#include <string.h>

#include "broker/events/read.h"
#include "common/alloc.h"
#include "common/time.h"

/* The job outlives a reader that cancels, so it holds its own copies. */
struct events_read {
	struct store_job job;
	struct store *store;
	events_read_fn *done;
	void *arg;
	struct store_event_query query;
	uint64_t seq;     /* of a single one */
	char *message_id; /* of a single one */
	struct store_event *events;
	struct events_page page;
	int64_t until; /* boot-time ms after which to search no longer, 0: to the end */
	bool reading;  /* given to the database; else in `waiting` */
	TAILQ_ENTRY(events_read) entry;
};

static TAILQ_HEAD(waiting_reads, events_read) waiting = TAILQ_HEAD_INITIALIZER(waiting);
static unsigned reading;

static void
read_free(struct events_read *read)
{
	size_t i;

	for (i = 0; i < read->page.count; i++)
		store_event_clear(&read->events[i]);
	free(read->events);
	store_event_query_clear(&read->query);
	free(read->message_id);
	free(read);
}

/* Turns, oldest first. */

static void
read_next(struct store *store)
{
	struct events_read *read;

	while (reading < EVENTS_READS_MAX && (read = TAILQ_FIRST(&waiting))) {
		TAILQ_REMOVE(&waiting, read, entry);
		read->reading = true;
		reading++;
		store_submit(store, &read->job);
	}
}

static void
wait_for_turn(struct events_read *read)
{
	read->reading = false;
	TAILQ_INSERT_TAIL(&waiting, read, entry);
	read_next(read->store);
}

/* The database is done with a read. */
static void
done_job(struct store_job *base, int result)
{
	struct events_read *read = (struct events_read *)base;
	struct events_page *page = &read->page;
	struct store *store = read->store;

	reading--;
	if (result == 0 && !store_is_closing(store) && read->done && page->count == 0 &&
	    !page->end && (read->until == 0 || time_boot_ms() < read->until)) {
		read->query.after = page->seen;
		wait_for_turn(read);
		return;
	}
	if (read->done)
		read->done(read->arg, result, result < 0 ? NULL : page);
	read_free(read);
	if (!store_is_closing(store))
		read_next(store);
}

void
events_read_cancel(struct events_read *read)
{
	if (read->reading) {
		read->done = NULL;
		return;
	}
	TAILQ_REMOVE(&waiting, read, entry);
	read_free(read);
}

static struct events_read *
read_new(struct broker *broker, uint32_t room, store_run_fn *run, events_read_fn *done,
    void *arg)
{
	struct events_read *read = xcalloc(1, sizeof(*read));

	read->job = (struct store_job){ .run = run, .done = done_job };
	read->store = broker->store;
	read->done = done;
	read->arg = arg;
	read->events = xcalloc(room, sizeof(*read->events));
	read->page.events = read->events;
	return read;
}

/* A page. */

static int
run_page(struct store_job *base, struct db *db)
{
	struct events_read *read = (struct events_read *)base;
	struct events_page *page = &read->page;
	int count =
	    store_event_page(db, &read->query, read->events, &page->seen, &page->end);

	if (count < 0)
		return count;
	page->count = (size_t)count;
	return store_event_oldest(db, &page->oldest);
}

struct events_read *
events_read(struct broker *broker, const struct store_event_query *query,
    events_read_fn *done, void *arg)
{
	struct events_read *read = read_new(broker, query->limit, run_page, done, arg);

	store_event_query_copy(&read->query, query);
	wait_for_turn(read);
	return read;
}

void
events_read_no_longer_than(struct events_read *read, unsigned ms)
{
	read->until = time_boot_ms() + ms;
}

/* One event. */

static int
run_one(struct store_job *base, struct db *db)
{
	struct events_read *read = (struct events_read *)base;
	int found = store_event_get(db, read->seq, read->message_id, &read->events[0]);

	if (found < 0)
		return found;
	read->page.count = (size_t)found;
	read->page.end = true;
	return 0;
}

struct events_read *
events_read_one(struct broker *broker, uint64_t seq, const char *message_id,
    events_read_fn *done, void *arg)
{
	struct events_read *read = read_new(broker, 1, run_one, done, arg);

	read->seq = seq;
	read->message_id = message_id ? xstrdup(message_id) : NULL;
	wait_for_turn(read);
	return read;
}
