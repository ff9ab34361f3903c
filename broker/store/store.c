/*
 * The database's thread: takes whatever jobs have gathered, runs them in one
 * transaction, commits, and hands them back to the loop (group commit,
 * docs/decisions/0004-group-commit.md).
 *
 * Owns the connection, the queue and the thread. Called by every flow that stores or
 * reads, and by ingest.
 */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include "broker/store/store.h"
#include "broker/store/store_db.h"
#include "broker/store/store_inner.h"
#include "broker/store/store_known.h"
#include "broker/store/store_schema.h"
#include "common/alloc.h"
#include "common/locked_memory.h"
#include "common/time.h"

/* On a slow disk a batch is not closed at once when the one before held several jobs:
 * it waits for as many as were just answered, so that closed-loop senders meet in one
 * commit instead of each waiting for two (performance.md, "Slow disk"). It waits for a
 * share of the commit's own time at most. A lone job never waits. */
#define LINGER_COMPANY 4
#define LINGER_SHARE 2
#define LINGER_FROM_US 1000
#define LINGER_MAX_US 5000

/* Pages in the WAL at which a checkpoint runs: few on fast disks for short stalls, more
 * where a commit is slow. The WAL is never cut shorter than the larger of them
 * (journal_size_limit), because extending it again makes each sync slower. */
#define CHECKPOINT_FAST 1000
#define CHECKPOINT_SLOW 2000
#define CHECKPOINT_SLOW_FROM_US 3000

struct queue {
	struct store_job *first;
	struct store_job **last;
	size_t count;
};

struct store {
	struct db db;
	char *path;
	pthread_t thread;
	pthread_mutex_t lock; /* over everything below down to `stats` */
	pthread_cond_t wake;
	struct queue todo;
	size_t wanted; /* jobs in `todo` at which the thread is woken up */
	struct queue finished;
	uint64_t committed; /* the greatest seq that is */
	bool stopping;
	struct store_stats stats;
	size_t last_batch; /* jobs in the batch before; the thread's own */
	size_t expected;   /* those of them, and what waited when they were answered */
	int event_fd;
	struct event *event;
	size_t backlog; /* the loop's own count */
	bool closing;   /* the loop's own */
	store_broken_fn *broken;
	void *broken_arg;
	store_stored_fn *stored;
	void *stored_arg;
	uint64_t told; /* `committed` as the loop knows it */
};

static void
queue_init(struct queue *queue)
{
	*queue = (struct queue){ .first = NULL, .last = &queue->first };
}

static void
queue_add(struct queue *queue, struct store_job *job)
{
	job->next = NULL;
	*queue->last = job;
	queue->last = &job->next;
	queue->count++;
}

/* Moves at most `most` jobs from one queue's head to the other's end. */
static void
queue_take(struct queue *from, struct queue *to, size_t most)
{
	struct store_job *job;

	while (most-- > 0 && (job = from->first)) {
		from->first = job->next;
		if (!from->first)
			from->last = &from->first;
		from->count--;
		queue_add(to, job);
	}
}

/* The thread. */

static int
exec(struct db *db, const char *sql)
{
	return db_run(db, db_statement(db, sql));
}

static bool
is_broken(int result)
{
	return result == -EIO || result == -EBADMSG;
}

static int
commit(struct db *db, int64_t *ret_us)
{
	int64_t start = time_boot_us();
	int result = exec(db, "COMMIT");

	*ret_us = time_boot_us() - start;
	return result;
}

/* What events are known by goes back to what is stored. It was read at the start, so
 * it can be read. */
static void
undo(struct db *db)
{
	if (!sqlite3_get_autocommit(db->handle))
		(void)sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
	if (!db->broken && store_known_load(db) < 0)
		db->broken = -EIO;
}

/* *ret_commit_us is left alone when there was no commit. */
static int
run_batch(struct db *db, struct queue *batch, int64_t *ret_commit_us)
{
	struct store_job *job;
	int result = db->broken ? db->broken : exec(db, "BEGIN IMMEDIATE");

	for (job = batch->first; job && result == 0; job = job->next)
		result = job->run(job, db);
	if (result == 0)
		result = commit(db, ret_commit_us);
	if (is_broken(result))
		db->broken = result;
	if (result < 0)
		undo(db);
	for (job = batch->first; job; job = job->next)
		job->result = result;
	return result;
}

static void
measure(struct store *store, struct queue *batch, int result, int64_t us)
{
	struct store_stats *stats = &store->stats;
	int64_t average = stats->commit_us;

	stats->commits++;
	stats->jobs += batch->count;
	stats->failures += result < 0;
	histogram_add(&stats->commit_times, us);
	average += (us - average) / 8;
	stats->commit_us = (uint32_t)(average < 0 ? 0 : average);
}

/* How long the next batch is left open at most. */
static unsigned
linger_us(const struct store *store)
{
	uint32_t us = store->stats.commit_us / LINGER_SHARE;

	if (store->last_batch < LINGER_COMPANY ||
	    store->stats.commit_us < LINGER_FROM_US)
		return 0;
	return us < LINGER_MAX_US ? us : LINGER_MAX_US;
}

/* Leaves the next batch open until those who were just answered are back. */
static void
linger(struct store *store)
{
	const unsigned us = linger_us(store);
	struct timespec until;

	if (us == 0)
		return;
	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += us * 1000L;
	until.tv_sec += until.tv_nsec / 1000000000L;
	until.tv_nsec %= 1000000000L;
	store->wanted = store->expected;
	while (store->todo.count < store->wanted && !store->stopping &&
	    pthread_cond_timedwait(&store->wake, &store->lock, &until) != ETIMEDOUT)
		;
	store->wanted = 1;
}

/* Waits for jobs. False when it is time to stop and nothing is left. */
static bool
next_batch(struct store *store, struct queue *batch)
{
	queue_init(batch);
	(void)pthread_mutex_lock(&store->lock);
	while (!store->todo.first && !store->stopping)
		(void)pthread_cond_wait(&store->wake, &store->lock);
	linger(store);
	queue_take(&store->todo, batch, STORE_BATCH_MAX);
	store->last_batch = batch->count;
	(void)pthread_mutex_unlock(&store->lock);
	return batch->first != NULL;
}

static void
hand_back(struct store *store, struct queue *batch, int result, int64_t us)
{
	const uint64_t one = 1;
	ssize_t written;

	(void)pthread_mutex_lock(&store->lock);
	measure(store, batch, result, us);
	store->expected = store->todo.count + batch->count;
	queue_take(batch, &store->finished, batch->count);
	if (result == 0)
		store->committed = store->db.last_seq;
	(void)pthread_mutex_unlock(&store->lock);
	written = write(store->event_fd, &one, sizeof(one));
	(void)written; /* A full counter wakes the loop as well. */
}

/* Moves the WAL into the database when it is long enough. Done after the answers are on
 * their way, so that nobody waits for it but the next commit. */
static void
checkpoint(struct store *store)
{
	int most = store->stats.commit_us >= CHECKPOINT_SLOW_FROM_US ? CHECKPOINT_SLOW
								     : CHECKPOINT_FAST;

	if (store->db.wal_pages < most || store->db.broken)
		return;
	store->db.wal_pages = 0;
	if (sqlite3_wal_checkpoint_v2(store->db.handle, NULL, SQLITE_CHECKPOINT_PASSIVE,
		NULL, NULL) == SQLITE_OK)
		return;
	if (is_broken(db_result(&store->db)))
		store->db.broken = db_result(&store->db);
}

static int
on_wal(void *arg, sqlite3 *handle, const char *name, int pages)
{
	struct db *db = arg;

	(void)handle;
	(void)name;
	db->wal_pages = pages;
	return SQLITE_OK;
}

static void *
thread_main(void *arg)
{
	struct store *store = arg;
	struct queue batch;
	int64_t commit_us = 0;
	int result;

	(void)pthread_setname_np(pthread_self(), "store");
	/* What the database holds is sealed. */
	locked_memory_not_here();
	/* The default slack of 50 us would double a short linger. */
	(void)prctl(PR_SET_TIMERSLACK, 1000UL, 0, 0, 0);
	while (next_batch(store, &batch)) {
		result = run_batch(&store->db, &batch, &commit_us);
		hand_back(store, &batch, result, commit_us);
		checkpoint(store);
	}
	return NULL;
}

/* The loop's side. */

static void
tell_stored(struct store *store, uint64_t committed)
{
	if (store->told == committed)
		return;
	store->told = committed;
	if (store->stored)
		store->stored(store->stored_arg, committed);
}

static void
finish_jobs(struct store *store)
{
	struct queue finished;
	struct store_job *job;
	struct store_job *next;
	uint64_t committed;
	int broken = 0;

	queue_init(&finished);
	(void)pthread_mutex_lock(&store->lock);
	queue_take(&store->finished, &finished, SIZE_MAX);
	committed = store->committed;
	(void)pthread_mutex_unlock(&store->lock);
	for (job = finished.first; job; job = next) {
		next = job->next;
		store->backlog--;
		if (is_broken(job->result))
			broken = job->result;
		job->done(job, job->result);
	}
	if (broken && store->broken)
		store->broken(store->broken_arg, broken);
	else if (!store->closing)
		tell_stored(store, committed);
}

static void
on_finished(evutil_socket_t fd, short what, void *arg)
{
	struct store *store = arg;
	uint64_t count;
	ssize_t length = read(fd, &count, sizeof(count));

	(void)length;
	(void)what;
	finish_jobs(store);
}

static void
init_wake(pthread_cond_t *wake)
{
	pthread_condattr_t attributes;

	(void)pthread_condattr_init(&attributes);
	(void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	(void)pthread_cond_init(wake, &attributes);
	(void)pthread_condattr_destroy(&attributes);
}

int
store_open(
    struct event_base *base, const char *path, struct store **ret_store, char *error)
{
	struct store *store = xcalloc(1, sizeof(*store));
	int result = db_open(&store->db, path, error);

	if (result < 0) {
		free(store);
		return result;
	}
	(void)sqlite3_wal_hook(store->db.handle, on_wal, &store->db);
	store->path = xstrdup(path);
	store->stats.schema = store_schema_count;
	store->committed = store->told = store->db.last_seq;
	queue_init(&store->todo);
	queue_init(&store->finished);
	(void)pthread_mutex_init(&store->lock, NULL);
	init_wake(&store->wake);
	store->wanted = 1;
	store->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	store->event =
	    event_new(base, store->event_fd, EV_READ | EV_PERSIST, on_finished, store);
	if (store->event_fd < 0 || !store->event ||
	    pthread_create(&store->thread, NULL, thread_main, store) != 0)
		abort();
	event_add(store->event, NULL);
	*ret_store = store;
	return 0;
}

void
store_submit(struct store *store, struct store_job *job)
{
	bool wake;

	assert(job->run && job->done);
	store->backlog++;
	(void)pthread_mutex_lock(&store->lock);
	queue_add(&store->todo, job);
	wake = store->todo.count == store->wanted;
	(void)pthread_mutex_unlock(&store->lock);
	if (wake)
		(void)pthread_cond_signal(&store->wake);
}

void
store_run_now(struct store *store, struct store_job *job)
{
	const struct timespec pause = { .tv_nsec = 100000 };
	size_t before = store->backlog;

	store_submit(store, job);
	while (store->backlog > before) {
		finish_jobs(store);
		if (store->backlog > before)
			(void)nanosleep(&pause, NULL);
	}
}

void
store_abandon(struct store_job *job, store_done_fn *discard)
{
	/* `done` is only ever read on the loop's thread. */
	job->done = discard;
}

/* The thread has ended: what is queued by now was submitted by `done` functions. */
static void
close_round(struct store *store, bool run)
{
	struct queue batch;
	struct store_job *job;
	int64_t commit_us = 0;

	queue_init(&batch);
	queue_take(&store->todo, &batch, STORE_BATCH_MAX);
	if (run)
		(void)run_batch(&store->db, &batch, &commit_us);
	else
		for (job = batch.first; job; job = job->next)
			job->result = -ECANCELED;
	queue_take(&batch, &store->finished, SIZE_MAX);
	finish_jobs(store);
}

void
store_close(struct store *store)
{
	int round;

	if (!store)
		return;
	store->closing = true;
	(void)pthread_mutex_lock(&store->lock);
	store->stopping = true;
	(void)pthread_mutex_unlock(&store->lock);
	(void)pthread_cond_signal(&store->wake);
	(void)pthread_join(store->thread, NULL);
	finish_jobs(store);
	for (round = 1; store->todo.first; round++)
		close_round(store, round < STORE_CLOSE_ROUNDS);
	event_free(store->event);
	(void)close(store->event_fd);
	db_close(&store->db);
	(void)pthread_mutex_destroy(&store->lock);
	(void)pthread_cond_destroy(&store->wake);
	free(store->path);
	free(store);
}

void
store_on_broken(struct store *store, store_broken_fn *broken, void *arg)
{
	store->broken = broken;
	store->broken_arg = arg;
}

void
store_on_stored(struct store *store, store_stored_fn *stored, void *arg)
{
	store->stored = stored;
	store->stored_arg = arg;
}

bool
store_is_closing(const struct store *store)
{
	return store->closing;
}

uint64_t
store_last_seq(const struct store *store)
{
	return store->told;
}

size_t
store_backlog(const struct store *store)
{
	return store->backlog;
}

static uint64_t
file_size(const char *path, const char *suffix)
{
	char *full = xasprintf("%s%s", path, suffix);
	struct stat info;
	uint64_t size = stat(full, &info) == 0 ? (uint64_t)info.st_size : 0;

	free(full);
	return size;
}

void
store_stats(struct store *store, struct store_stats *ret_stats)
{
	(void)pthread_mutex_lock(&store->lock);
	*ret_stats = store->stats;
	(void)pthread_mutex_unlock(&store->lock);
	ret_stats->size = file_size(store->path, "");
	ret_stats->wal_size = file_size(store->path, "-wal");
}
