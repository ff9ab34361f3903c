/*
 * When what is deleted, and who is told. Owns a timer and at most one job.
 *
 *   look   every RETENTION_LOOK_MS, and soon after there are too many rows
 *   step   a job that deletes a few (store_retention.h), then a pause
 *   again  while there is more
 *   round  once a day, through all message ids in the same small steps
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timex.h>

#include <event2/event.h>

#include "broker/events/hub.h"
#include "broker/events/notice.h"
#include "broker/events/retention.h"
#include "broker/store/store.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/time.h"

#define DAY_MS 86400000LL
/* Steps of the wall clock up to this are its ordinary corrections, ms. */
#define CLOCK_STEP_MS 60000

struct step_job {
	struct store_job job;
	struct retention *retention;
	struct store_retention work;
	struct store_retention_round round;
	bool ids; /* it goes on with the round */
	int64_t spent_us;
};

struct retention {
	struct broker *broker;
	retention_needed_fn *needed;
	struct hub_listener listener;
	struct event *timer;
	struct step_job *job; /* NULL: none is under way */
	struct retention_stats stats;
	struct store_retention_round round;
	int64_t round_due; /* boot-time ms */
	int64_t clock_gap; /* wall clock minus boot time at the last look */
	int64_t trusted;   /* boot-time ms from which on age counts */
	uint64_t needed_from;
	uint64_t lost_to;   /* the last event that was deleted though needed */
	uint64_t lost_told; /* of stats.lost, how many were announced */
	int64_t tell_from;  /* boot-time ms */
	int64_t wake_at;    /* boot-time ms, when the timer comes */
	bool looked;
	bool noted; /* the result of a look */
	char trouble[160];
};

static void
wake_in(struct retention *retention, int64_t ms)
{
	const struct timeval wait = { .tv_sec = ms / 1000,
		.tv_usec = (ms % 1000) * 1000 };

	retention->wake_at = time_boot_ms() + ms;
	event_add(retention->timer, &wait);
}

/* What may go. */

static bool
kernel_trusts_clock(void)
{
	struct timex state = { .modes = 0 };

	return adjtimex(&state) >= 0 && !(state.status & STA_UNSYNC);
}

/* Whether events may be deleted for their age. */
static bool
clock_is_good(struct retention *retention, int64_t now, int64_t boot, bool trusted)
{
	int64_t gap = now - boot;
	int64_t step = gap - retention->clock_gap;

	if (!retention->looked || step > CLOCK_STEP_MS || step < -CLOCK_STEP_MS)
		retention->trusted = boot + RETENTION_SETTLE_MS;
	retention->looked = true;
	retention->clock_gap = gap;
	return trusted || boot >= retention->trusted;
}

static int64_t
ids_kept_ms(const struct config *config)
{
	int64_t kept = (int64_t)config->events.retention_days * DAY_MS;
	int64_t repeats = config->webhooks.timestamp_tolerance_s
	    ? 2000LL * config->webhooks.timestamp_tolerance_s
	    : RETENTION_IDS_DAYS * DAY_MS;

	return kept > repeats ? kept : repeats;
}

static void
plan(struct retention *retention, struct store_retention *work, int64_t now, bool aged)
{
	const struct config *config = &retention->broker->config;
	int64_t kept = (int64_t)config->events.retention_days * DAY_MS;
	uint64_t rows = config->events.max_rows;

	retention->needed_from =
	    retention->needed ? retention->needed(retention->broker) : UINT64_MAX;
	*work = (struct store_retention){
		.now = now,
		.limit = { .before = aged ? now - kept : INT64_MIN, .rows_max = rows },
		.needed_from = retention->needed_from,
		.needed_limit = { .before = aged ? now - RETENTION_NEEDED_FACTOR * kept
						 : INT64_MIN,
		    .rows_max = RETENTION_NEEDED_FACTOR * rows },
		.ids_before = aged ? now - ids_kept_ms(config) : INT64_MIN,
	};
}

/* A step. */

static int
run_step(struct store_job *base, struct db *db)
{
	struct step_job *job = (struct step_job *)base;
	int64_t start = time_boot_us();
	int result = store_retention_events(db, &job->work);

	if (result == 0 && job->ids)
		result = store_retention_ids(db, &job->work, &job->round);
	job->spent_us = time_boot_us() - start;
	return result;
}

static void
write_notice(struct retention *retention, uint64_t count)
{
	char body[200];
	char id[80];

	(void)snprintf(id, sizeof(id), RETENTION_EVENT ".%" PRIu64, retention->lost_to);
	(void)snprintf(body, sizeof(body),
	    "{\"count\":%" PRIu64 ",\"last_seq\":%" PRIu64 ",\"needed_from\":%" PRIu64
	    "}",
	    count, retention->lost_to, retention->needed_from);
	notice_store(retention->broker,
	    &(const struct notice){ .type = RETENTION_EVENT, .id = id, .body = body });
}

/* The limit was passed: said once at the begin, then now and then. */
static void
announce(struct retention *retention, int64_t boot)
{
	uint64_t count = retention->stats.lost - retention->lost_told;

	if (count == 0 || boot < retention->tell_from)
		return;
	retention->tell_from = boot + RETENTION_TELL_MS;
	retention->lost_told = retention->stats.lost;
	log_error("events",
	    "%" PRIu64 " events that a consumer has not acknowledged were deleted, the "
	    "last is %" PRIu64 ": it is behind by more than is kept; let it read on, "
	    "remove it, or raise events.max_rows and events.retention_days",
	    count, retention->lost_to);
	write_notice(retention, count);
}

static void
note(struct retention *retention, const struct store_retention *work)
{
	struct retention_stats *stats = &retention->stats;

	stats->deleted += work->deleted;
	stats->lost += work->lost;
	stats->ids_deleted += work->ids_deleted;
	stats->oldest = work->oldest;
	stats->newest = work->newest;
	stats->oldest_at = (int64_t)work->oldest_at;
	stats->free_bytes = work->free_bytes;
	if (work->held && !stats->held)
		log_info("events",
		    "events are kept longer, since a consumer has not acknowledged "
		    "them");
	stats->held = work->held;
	if (work->lost)
		retention->lost_to = work->lost_to;
	/* Lost before this start. It was announced then. */
	else if (!retention->noted && work->needed_from <= work->gone_to)
		retention->lost_to = work->gone_to;
	retention->noted = true;
}

static void
done_step(struct store_job *base, int result)
{
	struct step_job *job = (struct step_job *)base;
	struct retention *retention = job->retention;
	int64_t pause = RETENTION_LOOK_MS;
	int64_t boot = time_boot_ms();

	retention->job = NULL;
	if (result == 0) {
		note(retention, &job->work);
		retention->round = job->round;
		if (job->round.over) {
			retention->round = (struct store_retention_round){ "", false };
			retention->round_due = boot + RETENTION_ROUND_MS;
		}
		announce(retention, boot);
		if (job->work.more || (job->ids && !job->round.over))
			pause = RETENTION_PAUSE_MS +
			    RETENTION_PAUSE_FACTOR * job->spent_us / 1000;
	} else {
		log_warning("events", "old events could not be deleted: %s; continuing",
		    strerror(-result));
	}
	free(job);
	if (!store_is_closing(retention->broker->store))
		wake_in(retention, pause);
}

void
retention_look_at(struct broker *broker, int64_t now, int64_t boot, bool trusted)
{
	struct retention *retention = broker->retention;
	bool aged = clock_is_good(retention, now, boot, trusted);
	struct step_job *job;

	if (retention->job)
		return;
	job = xcalloc(1, sizeof(*job));
	job->job = (struct store_job){ .run = run_step, .done = done_step };
	job->retention = retention;
	job->round = retention->round;
	job->ids = aged && boot >= retention->round_due;
	plan(retention, &job->work, now, aged);
	retention->job = job;
	store_submit(broker->store, &job->job);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct retention *retention = arg;

	(void)fd;
	(void)what;
	retention_look_at(
	    retention->broker, time_now_ms(), time_boot_ms(), kernel_trusts_clock());
}

static void
on_stored(void *arg, uint64_t last_seq)
{
	struct retention *retention = arg;
	uint64_t kept = retention->broker->config.events.max_rows;

	if (retention->stats.held)
		kept *= RETENTION_NEEDED_FACTOR;
	if (retention->job || last_seq < retention->stats.oldest + kept)
		return;
	/* It comes earlier, never later: a step's pause is shorter. */
	if (retention->wake_at > time_boot_ms() + RETENTION_SOON_MS)
		wake_in(retention, RETENTION_SOON_MS);
}

void
retention_stats(const struct broker *broker, struct retention_stats *ret_stats)
{
	const struct retention *retention = broker->retention;

	*ret_stats = retention->stats;
	ret_stats->passed =
	    retention->lost_to && retention->needed_from <= retention->lost_to;
}

uint64_t
retention_oldest(const struct broker *broker)
{
	return broker->retention ? broker->retention->stats.oldest : 0;
}

const char *
retention_trouble(const struct broker *broker)
{
	struct retention *retention = broker->retention;

	if (!retention || !retention->lost_to ||
	    retention->needed_from > retention->lost_to)
		return NULL;
	(void)snprintf(retention->trouble, sizeof(retention->trouble),
	    "a consumer has not acknowledged events up to %" PRIu64
	    ", which are deleted",
	    retention->lost_to);
	return retention->trouble;
}

/* Birth and death. */

static void
discard_step(struct store_job *job, int result)
{
	(void)result;
	free(job);
}

void
retention_start(struct broker *broker, retention_needed_fn *needed)
{
	struct retention *retention = xcalloc(1, sizeof(*retention));

	retention->broker = broker;
	retention->needed = needed;
	retention->needed_from = UINT64_MAX;
	retention->listener.stored = on_stored;
	retention->listener.arg = retention;
	retention->timer = event_new(broker->base, -1, 0, on_timer, retention);
	if (!retention->timer)
		abort();
	broker->retention = retention;
	hub_listen(broker, &retention->listener);
	wake_in(retention, RETENTION_SOON_MS);
}

void
retention_stop(struct broker *broker)
{
	struct retention *retention = broker->retention;

	if (!retention)
		return;
	if (retention->job)
		store_abandon(&retention->job->job, discard_step);
	hub_unlisten(&retention->listener);
	event_free(retention->timer);
	free(retention);
	broker->retention = NULL;
}
