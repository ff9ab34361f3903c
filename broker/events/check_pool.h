/*
 * Threads that check deliveries: a signature takes more time than everything else that
 * happens to a delivery, so it is what is spread over the cores
 * (docs/decisions/0009-verify-in-the-broker.md).
 *
 * A job is a struct that embeds struct check_job first. `work` is called on one of the
 * threads, `done` on the loop afterwards; never both at the same time, so a job needs
 * no lock for its own members. Everything else that `work` touches must be the job's
 * own or the checker's.
 */
#ifndef BROKER_EVENTS_CHECK_POOL_H
#define BROKER_EVENTS_CHECK_POOL_H

#include <stddef.h>

struct event_base;
struct check_job;
struct check_pool;
struct kick_checker;

/* Threads at most; there are never more than cores. */
#define CHECK_THREADS_MAX 2
/* Jobs that a thread takes at one time, so that the others get theirs. */
#define CHECK_CHUNK 4
/* Finished jobs of which the loop is told in any case. */
#define CHECK_TELL 32

typedef void check_work_fn(struct check_job *job, struct kick_checker *checker);
/* Owns the job and frees it. */
typedef void check_done_fn(struct check_job *job);

struct check_job {
	check_work_fn *work;
	check_done_fn *done;
	struct check_job *next;
};

/* Starts the threads. Ends the process when it cannot. */
struct check_pool *check_pool_new(struct event_base *base);

/* Queues a job; never blocks. For the loop. */
void check_pool_submit(struct check_pool *pool, struct check_job *job);

/* Has every queued job worked on and calls its `done`, then stops the threads. NULL is
 * allowed. */
void check_pool_free(struct check_pool *pool);

#endif
