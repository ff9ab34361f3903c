/*
 * A database in a folder of its own, and jobs that put rows into table `meta`.
 */
#ifndef TESTS_UNIT_STORE_FIXTURE_H
#define TESTS_UNIT_STORE_FIXTURE_H

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "broker/store/store.h"
#include "broker/store/store_db.h"
#include "common/alloc.h"
#include "common/time.h"

#define WAIT_MS 10000

static char folder[64];
static char path[128];
static struct event_base *base;
static struct store *store;
static char error[STORE_ERROR_SIZE];

static inline int
make_folder(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/streamhold-store-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/streamhold.db", folder);
	base = event_base_new();
	store = NULL;
	return base ? 0 : -1;
}

static inline void
open_store(void)
{
	if (store_open(base, path, &store, error) != 0)
		fail_msg("%s", error);
}

static inline void
close_store(void)
{
	store_close(store);
	store = NULL;
}

static inline void
remove_file(const char *suffix)
{
	char name[200];

	snprintf(name, sizeof(name), "%s%s", path, suffix);
	(void)unlink(name);
}

static inline int
remove_folder(void **state)
{
	(void)state;
	close_store();
	event_base_free(base);
	remove_file("");
	remove_file("-wal");
	remove_file("-shm");
	remove_file("-journal");
	return rmdir(folder);
}

static inline int
make_store(void **state)
{
	if (make_folder(state) < 0)
		return -1;
	open_store();
	return 0;
}

static inline void
turn(void)
{
	event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	usleep(100);
}

#define RUN_UNTIL(condition) \
	do { \
		int64_t run_end = time_boot_ms() + WAIT_MS; \
		while (!(condition) && time_boot_ms() < run_end) \
			turn(); \
		assert_true(condition); \
	} while (0)

/* A job that puts one row, and what became of it. It is not freed by `done`, so that a
 * test can look at it. */
struct put_job {
	struct store_job job;
	char name[32];
	size_t size; /* of the value */
	int fail;    /* what `run` gives after it has put the row */
	bool wait;   /* `run` waits until it is let go */
	bool began;  /* `run` has been called */
	unsigned done;
	int result;
	pthread_t run_on;
	pthread_t done_on;
};

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static inline int
put_row(struct db *db, const char *name, size_t size)
{
	static const char sql[] = "INSERT INTO meta (name, value) VALUES (?1, ?2)";
	sqlite3_stmt *statement = db_statement(db, sql);
	uint8_t *value = xcalloc(1, size);
	int result;

	db_bind_text(statement, 1, name);
	db_bind_bytes(statement, 2, value, size);
	result = db_run(db, statement);
	free(value);
	return result;
}

static inline int
run_put(struct store_job *job, struct db *db)
{
	struct put_job *put = (struct put_job *)job;
	int result;

	put->run_on = pthread_self();
	__atomic_store_n(&put->began, true, __ATOMIC_RELEASE);
	if (put->wait) {
		pthread_mutex_lock(&gate);
		pthread_mutex_unlock(&gate);
	}
	result = put_row(db, put->name, put->size);
	return result < 0 ? result : put->fail;
}

static inline void
done_put(struct store_job *job, int result)
{
	struct put_job *put = (struct put_job *)job;

	put->done++;
	put->result = result;
	put->done_on = pthread_self();
}

static inline void
put_init(struct put_job *put, const char *prefix, size_t number)
{
	*put =
	    (struct put_job){ .job = { .run = run_put, .done = done_put }, .size = 16 };
	snprintf(put->name, sizeof(put->name), "%s%zu", prefix, number);
}

/* Puts a row and waits; the result. */
static inline int
put_now(const char *prefix, size_t number, size_t size)
{
	struct put_job put;

	put_init(&put, prefix, number);
	put.size = size;
	store_submit(store, &put.job);
	RUN_UNTIL(put.done);
	return put.result;
}

/* Rows whose name begins so. */
struct count_job {
	struct store_job job;
	const char *prefix;
	int64_t count;
	unsigned done;
	int result;
};

static inline int
run_count(struct store_job *job, struct db *db)
{
	static const char sql[] = "SELECT count(*) FROM meta WHERE name LIKE ?1 || '%'";
	struct count_job *count = (struct count_job *)job;
	sqlite3_stmt *statement = db_statement(db, sql);
	int result;

	db_bind_text(statement, 1, count->prefix);
	result = db_step(db, statement);
	if (result > 0)
		count->count = db_column_number(statement, 0);
	db_finish(statement);
	return result < 0 ? result : 0;
}

static inline void
done_count(struct store_job *job, int result)
{
	struct count_job *count = (struct count_job *)job;

	count->done++;
	count->result = result;
}

static inline int64_t
count_rows(const char *prefix)
{
	struct count_job count = { .job = { .run = run_count, .done = done_count },
		.prefix = prefix };

	store_run_now(store, &count.job);
	assert_int_equal(count.done, 1);
	assert_int_equal(count.result, 0);
	return count.count;
}

/* One statement on the file itself, when no store has it. */
static inline int64_t
ask_file(const char *sql)
{
	sqlite3 *handle;
	sqlite3_stmt *statement;
	int64_t answer = -1;

	assert_int_equal(
	    sqlite3_open_v2(path, &handle, SQLITE_OPEN_READWRITE, "unix"), SQLITE_OK);
	assert_int_equal(
	    sqlite3_prepare_v2(handle, sql, -1, &statement, NULL), SQLITE_OK);
	if (sqlite3_step(statement) == SQLITE_ROW)
		answer = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	sqlite3_close(handle);
	return answer;
}

#endif
