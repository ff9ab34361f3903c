/*
 * Histograms by type. Memory is bounded: a few kilobytes for each of at most
 * LATENCY_TYPES_MAX types. Called by ingest.c for every stored delivery, so a look-up
 * is a walk over a short list.
 */
#include <stdlib.h>
#include <string.h>

#include "broker/events/latency.h"
#include "common/alloc.h"
#include "common/time.h"

/* Bytes of a name that are told apart, as messages.def allows. */
#define NAME_SIZE 129
/* Of so many of the newest events it is known whether they were handed out. */
#define HANDED_MAX 4096
/* The newest events that are looked at when the broker starts. */
#define LOOK_BACK 1000

struct measure {
	struct histogram total;
	struct histogram windows[2]; /* the present one and the one before */
};

struct type {
	char name[NAME_SIZE];
	uint64_t count;
	int64_t last_at;
	struct measure ways[LATENCY_WAYS];
};

/* An event that is offered, or was handed out. */
struct offer {
	uint64_t seq;
	struct type *type; /* NULL: it was handed out */
	int64_t received_at;
};

struct latency {
	struct type *types[LATENCY_TYPES_MAX + 1]; /* the last is LATENCY_OTHER */
	size_t count;
	int64_t window;                  /* number of the present one */
	struct offer offers[HANDED_MAX]; /* by seq % HANDED_MAX */
};

static struct type *
type_new(const char *name)
{
	struct type *type = xcalloc(1, sizeof(*type));

	memcpy(type->name, name, strlen(name));
	return type;
}

static struct type *
find(struct latency *latency, const char *name)
{
	struct type **other = &latency->types[LATENCY_TYPES_MAX];
	size_t i;

	for (i = 0; i < latency->count; i++)
		if (strcmp(latency->types[i]->name, name) == 0)
			return latency->types[i];
	if (latency->count < LATENCY_TYPES_MAX && strlen(name) < NAME_SIZE)
		return latency->types[latency->count++] = type_new(name);
	if (!*other)
		*other = type_new(LATENCY_OTHER);
	return *other;
}

/* Begins a new window when it is time. */
static void
turn(struct latency *latency)
{
	int64_t window = time_boot_ms() / LATENCY_WINDOW_MS;
	bool next = window == latency->window + 1;
	size_t i;
	int way;

	if (window == latency->window)
		return;
	latency->window = window;
	for (i = 0; i <= LATENCY_TYPES_MAX; i++)
		for (way = 0; latency->types[i] && way < LATENCY_WAYS; way++) {
			struct histogram *windows =
			    latency->types[i]->ways[way].windows;

			windows[1] = next ? windows[0] : (struct histogram){ 0 };
			windows[0] = (struct histogram){ 0 };
		}
}

static void
add(struct latency *latency, struct type *type, enum latency_way way, int64_t ms)
{
	turn(latency);
	histogram_add(&type->ways[way].total, ms * 1000);
	histogram_add(&type->ways[way].windows[0], ms * 1000);
}

void
latency_stored(struct broker *broker, const struct store_delivery *row)
{
	struct latency *latency = broker->latency;
	struct type *type;

	if (!latency || row->flags & EVENT_ASKED_FOR)
		return;
	type = find(latency, row->type);
	type->count++;
	type->last_at = row->received_at;
	if (row->occurred_at)
		add(latency, type, LATENCY_DELIVERY,
		    row->received_at - row->occurred_at);
}

void
latency_offered(struct broker *broker, const struct store_event *event)
{
	struct latency *latency = broker->latency;
	struct offer *offer =
	    latency ? &latency->offers[event->seq % HANDED_MAX] : NULL;

	if (offer && event->seq > offer->seq && !(event->flags & EVENT_ASKED_FOR))
		*offer = (struct offer){ .seq = event->seq,
			.type = find(latency, event->type),
			.received_at = event->received_at };
}

void
latency_taken(struct broker *broker, uint64_t first, uint64_t last, int64_t now)
{
	struct latency *latency = broker->latency;
	struct offer *offer;
	uint64_t n;

	/* A front says what it likes, and there are no more of them than this. */
	for (n = 0; latency && n < HANDED_MAX && n <= last - first && first <= last;
	     n++) {
		offer = &latency->offers[(last - n) % HANDED_MAX];
		if (offer->seq != last - n || !offer->type)
			continue;
		if (now - offer->received_at <= LATENCY_LIVE_MS)
			add(latency, offer->type, LATENCY_HANDOUT,
			    now - offer->received_at);
		offer->type = NULL;
	}
}

void
latency_handed(struct broker *broker, const struct store_event *event, int64_t now)
{
	latency_offered(broker, event);
	latency_taken(broker, event->seq, event->seq, now);
}

static void
tell(const struct type *type, latency_fn *each, void *arg)
{
	struct latency_type told = {
		.type = type->name, .count = type->count, .last_at = type->last_at
	};
	int way;

	for (way = 0; way < LATENCY_WAYS; way++) {
		const struct measure *measure = &type->ways[way];
		struct histogram window = measure->windows[0];

		histogram_merge(&window, &measure->windows[1]);
		told.total[way] = &measure->total;
		told.ways[way] = (struct latency_quantiles){ .count = window.count,
			.p50 = histogram_quantile(&window, 0.5),
			.p95 = histogram_quantile(&window, 0.95),
			.most = window.most_us };
	}
	each(arg, &told);
}

void
latency_each(const struct broker *broker, latency_fn *each, void *arg)
{
	struct latency *latency = broker->latency;
	size_t i;

	if (!latency)
		return;
	turn(latency);
	for (i = 0; i <= LATENCY_TYPES_MAX; i++)
		if (latency->types[i])
			tell(latency->types[i], each, arg);
}

/* Birth: which types came last before this start. */

struct look_job {
	struct store_job job;
	struct broker *broker;
	struct store_event_last last[LATENCY_TYPES_MAX];
	int count;
};

static int
run_look(struct store_job *base, struct db *db)
{
	struct look_job *job = (struct look_job *)base;

	job->count =
	    store_event_last_of_types(db, LOOK_BACK, job->last, LATENCY_TYPES_MAX);
	return job->count < 0 ? job->count : 0;
}

static void
done_look(struct store_job *base, int result)
{
	struct look_job *job = (struct look_job *)base;
	int i;

	for (i = 0; i < job->count; i++) {
		if (result == 0)
			find(job->broker->latency, job->last[i].type)->last_at =
			    job->last[i].received_at;
		free(job->last[i].type);
	}
}

void
latency_start(struct broker *broker)
{
	struct look_job job = { .job = { .run = run_look, .done = done_look },
		.broker = broker };

	broker->latency = xcalloc(1, sizeof(*broker->latency));
	broker->latency->window = time_boot_ms() / LATENCY_WINDOW_MS;
	store_run_now(broker->store, &job.job);
}

void
latency_stop(struct broker *broker)
{
	size_t i;

	if (!broker->latency)
		return;
	for (i = 0; i <= LATENCY_TYPES_MAX; i++)
		free(broker->latency->types[i]);
	free(broker->latency);
	broker->latency = NULL;
}
