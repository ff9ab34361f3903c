/*
 * The threads that check deliveries. Owns them, their checkers and the two queues.
 * Called by ingest only.
 */
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <event2/event.h>

#include "broker/events/check_pool.h"
#include "broker/events/kick_keys.h"
#include "common/alloc.h"
#include "common/locked_memory.h"
#include "common/processor.h"

struct queue {
	struct check_job *first;
	struct check_job **last;
	size_t count;
};

struct checker {
	pthread_t thread;
	struct check_pool *pool;
	int processor; /* where it last handed back, -1: nowhere yet */
	bool stays;    /* its own: it was not allowed to go to another */
};

struct check_pool {
	pthread_mutex_t lock; /* over everything below down to `stopping` */
	pthread_cond_t wake;
	struct queue todo;
	size_t taken; /* jobs that threads work on */
	struct queue finished;
	bool told;     /* the loop knows of what is finished */
	unsigned idle; /* threads that wait */
	bool stopping;
	struct checker threads[CHECK_THREADS_MAX];
	unsigned thread_count;
	int event_fd;
	struct event *event;
	/* The loop's own. */
	struct queue gathered; /* in this turn of the loop */
	struct event *flush_event;
	size_t in_work;
	struct kick_checker *checker;
};

static void
queue_init(struct queue *queue)
{
	*queue = (struct queue){ .last = &queue->first };
}

static void
queue_add(struct queue *queue, struct check_job *job)
{
	job->next = NULL;
	*queue->last = job;
	queue->last = &job->next;
	queue->count++;
}

static struct check_job *
queue_take(struct queue *queue)
{
	struct check_job *job = queue->first;

	if (!job)
		return NULL;
	queue->first = job->next;
	if (!queue->first)
		queue->last = &queue->first;
	queue->count--;
	return job;
}

/* A thread. */

/* A fair share of what waits, at most a chunk. */
static size_t
take_chunk(struct check_pool *pool, struct check_job *jobs[static CHECK_CHUNK])
{
	size_t share = (pool->todo.count + pool->thread_count - 1) / pool->thread_count;
	size_t count = 0;

	while (count < share && count < CHECK_CHUNK)
		jobs[count++] = queue_take(&pool->todo);
	return count;
}

static size_t
next_chunk(struct check_pool *pool, struct check_job *jobs[static CHECK_CHUNK])
{
	size_t count;

	(void)pthread_mutex_lock(&pool->lock);
	while (pool->todo.count == 0 && !pool->stopping) {
		pool->idle++;
		(void)pthread_cond_wait(&pool->wake, &pool->lock);
		pool->idle--;
	}
	count = take_chunk(pool, jobs);
	pool->taken += count;
	(void)pthread_mutex_unlock(&pool->lock);
	return count;
}

/* The loop is told of a half of what the threads have, or of as many as make a good
 * commit: with less it would wake up for each chunk, with more the database would have
 * nothing to do while all are checked. */
static bool
is_worth_telling(const struct check_pool *pool)
{
	return pool->finished.count >= CHECK_TELL ||
	    pool->finished.count >= pool->todo.count + pool->taken;
}

static void
tell_loop(const struct check_pool *pool)
{
	const uint64_t one = 1;
	ssize_t written = write(pool->event_fd, &one, sizeof(one));

	(void)written; /* A full counter wakes the loop as well. */
}

/* Whether another works on this one's processor, by its last word. One of the two has
 * to go, so only those before it count. */
static bool
is_crowded(const struct checker *checker)
{
	const struct checker *other;

	for (other = checker->pool->threads; other < checker; other++)
		if (other->processor == checker->processor)
			return checker->processor >= 0;
	return false;
}

/* True when there is more to do, and another works on the same processor. */
static bool
hand_back(struct checker *checker, struct check_job *const jobs[], size_t count)
{
	struct check_pool *pool = checker->pool;
	bool crowded;
	bool tell;
	size_t i;

	(void)pthread_mutex_lock(&pool->lock);
	for (i = 0; i < count; i++)
		queue_add(&pool->finished, jobs[i]);
	pool->taken -= count;
	tell = !pool->told && is_worth_telling(pool);
	pool->told |= tell;
	checker->processor = processor_here();
	crowded = pool->todo.count > 0 && is_crowded(checker);
	(void)pthread_mutex_unlock(&pool->lock);
	if (tell)
		tell_loop(pool);
	return crowded;
}

/* Batch work is not interrupted: who waits for this processor to read requests, to
 * commit or to answer goes before the next chunk. When both checkers run on one, this
 * one makes room by going to another, which may have nothing to do: the scheduler does
 * not move what ran a moment ago. */
static void
give_way(struct checker *checker, bool crowded)
{
	if (crowded && !checker->stays) {
		if (processor_leave(checker->processor) == 0)
			return;
		checker->stays = true;
	}
	(void)sched_yield();
}

static void *
thread_main(void *arg)
{
	struct checker *checker = arg;
	struct kick_checker *kick = kick_checker_new();
	struct check_job *jobs[CHECK_CHUNK];
	size_t count;
	size_t i;

	locked_memory_not_here();
	(void)pthread_setname_np(pthread_self(), "check");
	while ((count = next_chunk(checker->pool, jobs)) > 0) {
		for (i = 0; i < count; i++)
			jobs[i]->work(jobs[i], kick);
		give_way(checker, hand_back(checker, jobs, count));
	}
	kick_checker_free(kick);
	return NULL;
}

/* The loop's side. */

static void
finish_jobs(struct check_pool *pool)
{
	struct check_job *job;
	struct check_job *next;

	(void)pthread_mutex_lock(&pool->lock);
	job = pool->finished.first;
	queue_init(&pool->finished);
	pool->told = false;
	(void)pthread_mutex_unlock(&pool->lock);
	for (; job; job = next) {
		next = job->next;
		pool->in_work--;
		job->done(job);
	}
}

static void
on_finished(evutil_socket_t fd, short what, void *arg)
{
	uint64_t count;
	ssize_t length = read(fd, &count, sizeof(count));

	(void)length;
	(void)what;
	finish_jobs(arg);
}

/* Hands what was gathered to the threads: one lock and one wake-up for all of it. */
static void
hand_over(struct check_pool *pool)
{
	unsigned idle;

	if (pool->gathered.count == 0)
		return;
	(void)pthread_mutex_lock(&pool->lock);
	*pool->todo.last = pool->gathered.first;
	pool->todo.last = pool->gathered.last;
	pool->todo.count += pool->gathered.count;
	idle = pool->idle;
	(void)pthread_mutex_unlock(&pool->lock);
	if (idle > 1 && pool->gathered.count > 1)
		(void)pthread_cond_broadcast(&pool->wake);
	else if (idle > 0)
		(void)pthread_cond_signal(&pool->wake);
	pool->in_work += pool->gathered.count;
	queue_init(&pool->gathered);
}

/* The turn is over. A lone delivery is checked here, for no thread is faster than none.
 */
static void
on_flush(evutil_socket_t fd, short what, void *arg)
{
	struct check_pool *pool = arg;
	struct check_job *job;

	(void)fd;
	(void)what;
	if (pool->gathered.count != 1 || pool->in_work > 0) {
		hand_over(pool);
		return;
	}
	job = queue_take(&pool->gathered);
	job->work(job, pool->checker);
	job->done(job);
}

static unsigned
wanted_threads(void)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	if (cores < 1)
		return 1;
	return cores < CHECK_THREADS_MAX ? (unsigned)cores : CHECK_THREADS_MAX;
}

static void
start_checker(struct check_pool *pool, struct checker *checker)
{
	*checker = (struct checker){ .pool = pool, .processor = -1 };
	if (pthread_create(&checker->thread, NULL, thread_main, checker) != 0)
		abort();
}

struct check_pool *
check_pool_new(struct event_base *base)
{
	struct check_pool *pool = xcalloc(1, sizeof(*pool));

	queue_init(&pool->todo);
	queue_init(&pool->finished);
	queue_init(&pool->gathered);
	pool->checker = kick_checker_new();
	(void)pthread_mutex_init(&pool->lock, NULL);
	(void)pthread_cond_init(&pool->wake, NULL);
	pool->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pool->event =
	    event_new(base, pool->event_fd, EV_READ | EV_PERSIST, on_finished, pool);
	pool->flush_event = event_new(base, -1, 0, on_flush, pool);
	if (pool->event_fd < 0 || !pool->event || !pool->flush_event)
		abort();
	event_add(pool->event, NULL);
	pool->thread_count = wanted_threads();
	for (unsigned i = 0; i < pool->thread_count; i++)
		start_checker(pool, &pool->threads[i]);
	return pool;
}

void
check_pool_submit(struct check_pool *pool, struct check_job *job)
{
	queue_add(&pool->gathered, job);
	if (pool->gathered.count == 1)
		event_active(pool->flush_event, EV_TIMEOUT, 1);
	else if (pool->gathered.count == CHECK_CHUNK)
		hand_over(pool);
}

void
check_pool_free(struct check_pool *pool)
{
	struct check_job *job;

	if (!pool)
		return;
	hand_over(pool);
	(void)pthread_mutex_lock(&pool->lock);
	pool->stopping = true;
	(void)pthread_mutex_unlock(&pool->lock);
	(void)pthread_cond_broadcast(&pool->wake);
	for (unsigned i = 0; i < pool->thread_count; i++)
		(void)pthread_join(pool->threads[i].thread, NULL);
	finish_jobs(pool);
	/* What `done` has submitted anew. */
	while ((job = queue_take(&pool->gathered))) {
		job->work(job, pool->checker);
		job->done(job);
	}
	event_free(pool->event);
	event_free(pool->flush_event);
	kick_checker_free(pool->checker);
	(void)close(pool->event_fd);
	(void)pthread_mutex_destroy(&pool->lock);
	(void)pthread_cond_destroy(&pool->wake);
	free(pool);
}
