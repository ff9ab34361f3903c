/*
 * What a pusher keeps: how far it is, dead letters, and that its consumer is switched
 * off. Each is one job, which may outlive the pusher. Called by push.c.
 */
#include <stdlib.h>

#include "broker/consumers/push_inner.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/time.h"

static const char gone_sentence[] = "the target answered 410: it wants no more events";

/* A job of a pusher, which may end before it. */
struct push_job {
	struct store_job job;
	struct push *push; /* NULL: nobody waits any more */
	struct store_mark mark;
	uint64_t forget; /* a dead letter to be removed, 0: none */
	struct store_dead dead;
	bool found;
	uint64_t dropped;
	uint64_t dead_count;
	uint64_t dead_retry;
	int64_t gone_at; /* it is to be switched off */
};

static uint64_t died;

static int run_letter(struct store_job *, struct db *);
static void on_letter(struct store_job *, int);
static int run_mark(struct store_job *, struct db *);
static void on_marked(struct store_job *, int);
static int run_bury(struct store_job *, struct db *);
static void on_buried(struct store_job *, int);
static int run_disable(struct store_job *, struct db *);
static void on_disabled(struct store_job *, int);

/* ---- Jobs ---- */

static struct push_job *
job_new(struct push *push, store_run_fn *run, store_done_fn *done)
{
	struct push_job *job = xcalloc(1, sizeof(*job));
	const struct consumer *consumer = push->consumer;

	job->job = (struct store_job){ .run = run, .done = done };
	job->push = push;
	job->mark = store_consumer_mark_of(&consumer->row);
	push->job = job;
	return job;
}

/* Called first by every done function. NULL when nobody waits. */
static struct push *
job_done(struct push_job *job)
{
	struct push *push = job->push;

	if (push) {
		push->job = NULL;
		push->step = STEP_idle;
	}
	return push;
}

static void
job_free(struct push_job *job)
{
	store_dead_clear(&job->dead);
	free(job->mark.name);
	free(job);
}

void
push_job_abandon(struct push_job *job)
{
	job->push = NULL;
}

uint64_t
push_died(void)
{
	return died;
}

/* ---- Dead letters that are tried again ---- */

void
push_load_letter(struct push *push)
{
	push->step = STEP_letter;
	store_submit(push->broker->store, &job_new(push, run_letter, on_letter)->job);
}

static int
run_letter(struct store_job *store_job, struct db *db)
{
	struct push_job *job = (struct push_job *)store_job;

	return store_dead_next(db, job->mark.name, &job->dead, &job->found);
}

static void
on_letter(struct store_job *store_job, int result)
{
	struct push_job *job = (struct push_job *)store_job;
	struct push *push = job_done(job);

	if (push && result < 0) {
		push_wait_for_storage(push);
	} else if (push) {
		if (job->found) {
			push->dead = job->dead;
			job->dead = (struct store_dead){ .seq = 0 };
		} else {
			push->consumer->dead_retry = 0;
		}
		push_next(push);
	}
	job_free(job);
}

/* ---- How far it is ---- */

void
push_mark(struct push *push, uint64_t forget)
{
	struct push_job *job = job_new(push, run_mark, on_marked);

	push->step = STEP_mark;
	job->forget = forget;
	store_submit(push->broker->store, &job->job);
}

static int
run_mark(struct store_job *store_job, struct db *db)
{
	const struct push_job *job = (const struct push_job *)store_job;
	int result = 0;

	if (job->forget)
		result = store_dead_delete(db, job->mark.name, job->forget);
	if (result == 0)
		result = store_consumer_mark(db, &job->mark);
	return result;
}

static void
on_marked(struct store_job *store_job, int result)
{
	struct push_job *job = (struct push_job *)store_job;
	struct push *push = job_done(job);

	if (push && result < 0) {
		push_wait_for_storage(push);
	} else if (push) {
		push->consumer->given_durable = job->mark.given;
		if (job->forget && push->consumer->dead)
			push->consumer->dead--;
		push_next(push);
	}
	job_free(job);
}

/* ---- What nobody takes ---- */

void
push_bury(struct push *push)
{
	struct push_job *job = job_new(push, run_bury, on_buried);
	const struct store_event *event = &push->events[push->at];

	push->step = STEP_store;
	if (push->dead.seq) {
		job->dead = push->dead;
		push->dead = (struct store_dead){ .seq = job->dead.seq };
		free(job->dead.reason);
		job->dead.retry = false;
	} else {
		job->dead.seq = event->seq;
		job->dead.type = xstrdup(event->type);
		job->dead.id = xstrdup(push->id);
		push_compose(event, EVENT_REDELIVERED, &job->dead.body);
		job->mark.cursor = event->seq;
	}
	job->dead.tries += push->tries;
	job->dead.died_at = time_now_ms();
	job->dead.reason = xstrdup(push->trouble);
	store_submit(push->broker->store, &job->job);
}

static int
run_bury(struct store_job *store_job, struct db *db)
{
	struct push_job *job = (struct push_job *)store_job;
	int result = store_dead_put(db, job->mark.name, &job->dead, &job->dropped);

	if (result == 0)
		result = store_consumer_mark(db, &job->mark);
	if (result == 0)
		result = store_dead_count(
		    db, job->mark.name, &job->dead_count, &job->dead_retry);
	return result;
}

static void
on_buried(struct store_job *store_job, int result)
{
	struct push_job *job = (struct push_job *)store_job;
	struct push *push = job_done(job);

	if (push && result < 0) {
		push_wait_for_storage(push);
	} else if (push) {
		died++;
		push->consumer->dead = job->dead_count;
		push->consumer->dead_retry = job->dead_retry;
		log_warning("push",
		    "'%s' did not take event %llu after %llu attempts (%s): kept as a "
		    "dead letter",
		    job->mark.name, (unsigned long long)job->dead.seq,
		    (unsigned long long)job->dead.tries, job->dead.reason);
		if (job->dropped)
			log_warning("push",
			    "'%s' has more than %d dead letters: the oldest are gone",
			    job->mark.name, STORE_DEAD_MAX);
		push_end_event(push);
		push_next(push);
	}
	job_free(job);
}

/* 410: the target does not want any more, ever. */
void
push_disable(struct push *push)
{
	struct push_job *job = job_new(push, run_disable, on_disabled);

	push->step = STEP_store;
	job->gone_at = time_now_ms();
	store_submit(push->broker->store, &job->job);
}

static int
run_disable(struct store_job *store_job, struct db *db)
{
	const struct push_job *job = (const struct push_job *)store_job;

	return store_consumer_switch(db, job->mark.name, job->gone_at, gone_sentence);
}

static void
on_disabled(struct store_job *store_job, int result)
{
	struct push_job *job = (struct push_job *)store_job;
	struct push *push = job_done(job);
	struct store_consumer *row = push ? &push->consumer->row : NULL;

	if (push && result < 0) {
		push_wait_for_storage(push);
	} else if (push) {
		row->disabled_at = job->gone_at;
		free(row->disabled_reason);
		row->disabled_reason = xstrdup(gone_sentence);
		log_warning("push",
		    "'%s' is switched off: %s; `streamhold consumers enable %s` "
		    "begins again",
		    row->name, row->disabled_reason, row->name);
		push_drop(push);
		push_next(push);
	}
	job_free(job);
}
