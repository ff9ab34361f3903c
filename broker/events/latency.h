/*
 * How fast events come and go, by type: from the platform's sending to our receiving
 * (delivery), and from receiving to handing on (hand-out); how many of each type there
 * were, and when the last one came.
 */
#ifndef BROKER_EVENTS_LATENCY_H
#define BROKER_EVENTS_LATENCY_H

#include "broker/broker.h"
#include "broker/histogram.h"
#include "broker/store/store_event.h"

/* Types that are told apart; the rest are counted as LATENCY_OTHER. */
#define LATENCY_TYPES_MAX 24
#define LATENCY_OTHER "other"

/* Quantiles are over the last one to two of these, ms. */
#define LATENCY_WINDOW_MS 900000

enum latency_way { LATENCY_DELIVERY, LATENCY_HANDOUT, LATENCY_WAYS };

struct latency;

/* Begins: reads which types came last from the newest stored events. */
void latency_start(struct broker *broker);
void latency_stop(struct broker *broker);

/* A delivery was stored. Those that nobody gets without asking are left out. */
void latency_stored(struct broker *broker, const struct store_delivery *row);

/* An event is handed to somebody: to a live reader, to a consumer that asks, or a push
 * was taken. Each counts once, for the first of them, whoever that is, and not when it
 * is read again later: after LATENCY_LIVE_MS. `now` is wall clock ms. */
#define LATENCY_LIVE_MS 60000
void
latency_handed(struct broker *broker, const struct store_event *event, int64_t now);

/* An event is given to a front whose readers may want it or not: nothing is counted. */
void latency_offered(struct broker *broker, const struct store_event *event);

/* Offered events from `first` to `last` are handed to somebody, as above. What was not
 * offered, or is not among the newest any more, is passed over. */
void latency_taken(struct broker *broker, uint64_t first, uint64_t last, int64_t now);

/* One type. Quantiles are microseconds over the window, 0: none. */
struct latency_quantiles {
	uint64_t count; /* in the window */
	int64_t p50;
	int64_t p95;
	int64_t most;
};
struct latency_type {
	const char *type;
	uint64_t count;  /* since the start */
	int64_t last_at; /* wall clock ms, 0: not known */
	struct latency_quantiles ways[LATENCY_WAYS];
	const struct histogram *total[LATENCY_WAYS]; /* since the start */
};

/* Calls `each` for every type. */
typedef void latency_fn(void *arg, const struct latency_type *type);
void latency_each(const struct broker *broker, latency_fn *each, void *arg);

#endif
