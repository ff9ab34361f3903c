/*
 * The database: one connection on one thread, jobs in, results back to the loop.
 *
 * A job is a struct that embeds struct store_job first. `run` is called on the
 * database's thread inside a transaction that it may share with other jobs; `done` is
 * called on the loop after that transaction has been committed, or has failed for all
 * jobs in it. Nothing that `run` did is visible or durable before `done` says 0.
 *
 * `run` and `done` never run at the same time, so a job needs no lock for its own
 * members; everything else that `run` touches must be the job's own.
 */
#ifndef BROKER_STORE_STORE_H
#define BROKER_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/histogram.h"

struct event_base;
struct store;
struct store_job;
struct db; /* the connection; only files of this folder see inside (store_db.h) */

/* Jobs in one transaction. */
#define STORE_BATCH_MAX 512
#define STORE_ERROR_SIZE 512

/* What a person does about a damaged database; ends a sentence. */
#define STORE_DAMAGED_AFTER "bring back a backup, or move the file away to begin anew"
#define STORE_DAMAGED_NEXT \
	"copy its folder away, let `streamhold database check` say what is damaged, " \
	"then " STORE_DAMAGED_AFTER

/* 0, or a negative errno that fails the whole transaction (what SQLite reported: -EIO,
 * -ENOSPC, ...). Outcomes that are no failure of the database go into the job. */
typedef int store_run_fn(struct store_job *job, struct db *db);

/* `result` is 0 after the commit, else a negative errno; nothing was stored then.
 * -ECANCELED: the database closed before the job was run. Owns the job and frees it. */
typedef void store_done_fn(struct store_job *job, int result);

struct store_job {
	store_run_fn *run;
	store_done_fn *done;
	struct store_job *next;
	int result; /* the store's own: what `done` is going to be told */
};

/* Makes SQLite wipe what it frees. Call before its first use: 0, or -EALREADY when it
 * is in use. */
int store_wipe_memory(void);

/* Opens or makes the database (0600), takes the exclusive lock, brings the schema up to
 * date and starts the thread. 0, or a negative errno and a sentence in `error`
 * (STORE_ERROR_SIZE bytes): -EBUSY when another broker holds it, -ENOTSUP when it was
 * written by a newer version or lies on a network file system, -EBADMSG when it is
 * damaged. */
int store_open(
    struct event_base *base, const char *path, struct store **ret_store, char *error);

/* Runs what is queued and tells every job what became of it; then what their `done`
 * functions submitted, STORE_CLOSE_ROUNDS times. Jobs of the last round are not run and
 * told -ECANCELED. Closes. NULL is allowed. */
#define STORE_CLOSE_ROUNDS 8
void store_close(struct store *store);

/* Inside store_close: a `done` function must begin nothing that needs more jobs, nor
 * what else has stopped already. */
bool store_is_closing(const struct store *store);

/* Called on the loop once a commit or a read has failed in a way after which SQLite
 * cannot be trusted to know what is on the disk (an I/O error, damage): nothing more is
 * acknowledged, the process must end and start anew. */
typedef void store_broken_fn(void *arg, int result);
void store_on_broken(struct store *store, store_broken_fn *broken, void *arg);

/* Called on the loop when events were committed, once for all that were since the last
 * call, with the greatest seq. The callbacks of their jobs have run by then. */
typedef void store_stored_fn(void *arg, uint64_t last_seq);
void store_on_stored(struct store *store, store_stored_fn *stored, void *arg);

/* The greatest seq that was committed, 0 when there never was an event. */
uint64_t store_last_seq(const struct store *store);

/* Queues a job; never blocks. */
void store_submit(struct store *store, struct store_job *job);

/* Runs a job at once and waits for it; only before the loop runs (start-up loads). The
 * job's `done` is called before this returns. */
void store_run_now(struct store *store, struct store_job *job);

/* Lets a queued or running job finish, with `done` replaced by `discard`, which frees
 * it. For the loop's thread only. */
void store_abandon(struct store_job *job, store_done_fn *discard);

/* Jobs queued and not yet done. */
size_t store_backlog(const struct store *store);

/* Version of SQLite; static. */
const char *store_library_version(void);

/* What the thread measured; copied under a lock. */
struct store_stats {
	uint64_t commits;
	uint64_t jobs;
	uint64_t failures;
	uint32_t commit_us; /* moving average */
	struct histogram commit_times;
	uint64_t schema; /* user_version */
	uint64_t size;   /* bytes of the database file */
	uint64_t wal_size;
};
void store_stats(struct store *store, struct store_stats *ret_stats);

#endif
