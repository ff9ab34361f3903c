/*
 * Who wants to know that events were stored.
 *
 * A listener is told on the loop, after the commit, once for everything that was
 * committed since it was last told, and only the greatest seq: what is new is read from
 * the database with events_read (read.h), so that nobody holds events in memory for
 * somebody slow, and ingest does no more work for many listeners than for none.
 */
#ifndef BROKER_EVENTS_HUB_H
#define BROKER_EVENTS_HUB_H

#include "broker/broker.h"

/* Memory of the listener. `stored` may call anything, hub_unlisten on itself and on
 * others included. */
struct hub_listener {
	void (*stored)(void *arg, uint64_t last_seq);
	void *arg;
	LIST_ENTRY(hub_listener) entry;
	bool listening;
	bool told; /* in the round that is under way */
};

/* Begins to watch the store. Called once at start, when the store is open. */
void hub_start(struct broker *broker);

/* Begins and ends to tell a listener; twice does no harm. */
void hub_listen(struct broker *broker, struct hub_listener *listener);
void hub_unlisten(struct hub_listener *listener);

/* Tells all listeners as if something had been stored: there is something else to hand
 * out (replay.h). */
void hub_tell(struct broker *broker);

/* The greatest committed seq, 0 when there never was an event. */
uint64_t hub_last_seq(const struct broker *broker);

#endif
