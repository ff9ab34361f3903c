/*
 * For tests/crash/test_upgrade.py: databases of older versions, and an upgrade that is
 * killed at one of its statements.
 *
 *   schema_driver steps            how many steps the schema has
 *   schema_driver make FILE STEPS  a database of the version that had so many steps
 *   schema_driver open FILE        opens it as the broker does; prints how many
 *                                  statements that took
 *   schema_driver open FILE NTH    the same, SIGKILL at the beginning of the NTH
 *   schema_driver fill FILE [NTH]  works on all rows of table `rows`, as the broker
 * does when it is ready; prints how many statements that took
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>
#include <sqlite3.h>

#include "broker/store/store.h"
#include "broker/store/store_backfill.h"
#include "broker/store/store_schema.h"

static unsigned long statements;
static unsigned long deadly;

static int
on_statement(unsigned what, void *arg, void *statement, void *text)
{
	(void)what;
	(void)arg;
	(void)statement;
	(void)text;
	if (++statements == deadly)
		(void)kill(getpid(), SIGKILL);
	return 0;
}

/* An extension of every connection from here on. */
static int
watch(sqlite3 *handle, char **ret_error, const void *routines)
{
	(void)ret_error;
	(void)routines;
	return sqlite3_trace_v2(handle, SQLITE_TRACE_STMT, on_statement, NULL);
}

static int
make(const char *file, unsigned long steps)
{
	sqlite3 *handle = NULL;
	char version[64];
	unsigned long i;

	if (sqlite3_open(file, &handle) != SQLITE_OK ||
	    sqlite3_exec(handle, "PRAGMA page_size=8192; PRAGMA journal_mode=WAL", NULL,
		NULL, NULL) != SQLITE_OK)
		return 1;
	for (i = 0; i < steps && i < store_schema_count; i++)
		if (sqlite3_exec(handle, store_schema_steps[i], NULL, NULL, NULL) !=
		    SQLITE_OK)
			return 1;
	snprintf(version, sizeof(version), "PRAGMA user_version=%lu", steps);
	if (sqlite3_exec(handle, version, NULL, NULL, NULL) != SQLITE_OK)
		return 1;
	return sqlite3_close(handle) == SQLITE_OK ? 0 : 1;
}

static int
open_file(const char *file)
{
	struct event_base *base = event_base_new();
	char error[STORE_ERROR_SIZE];
	struct store *store;

	if (sqlite3_auto_extension((void (*)(void))watch) != SQLITE_OK ||
	    store_open(base, file, &store, error) < 0) {
		fprintf(stderr, "%s\n", error);
		return 1;
	}
	printf("%lu\n", statements);
	store_close(store);
	event_base_free(base);
	return 0;
}

static const struct store_backfill_step fill_step = { "of the test", "rows",
	"SELECT id FROM rows WHERE id > ?1 ORDER BY id LIMIT 1 OFFSET ?2",
	"UPDATE rows SET touched = touched + 1 WHERE id > ?1 AND id <= ?2" };

struct fill_job {
	struct store_job job;
	struct store_backfill work;
	int result;
};

static int
run_fill(struct store_job *job, struct db *db)
{
	return store_backfill_run(db, &((struct fill_job *)job)->work);
}

static void
done_fill(struct store_job *job, int result)
{
	((struct fill_job *)job)->result = result;
}

static int
fill_file(const char *file, unsigned long nth)
{
	struct fill_job fill = { .job = { .run = run_fill, .done = done_fill },
		.work = { .step = &fill_step } };
	struct event_base *base = event_base_new();
	char error[STORE_ERROR_SIZE];
	struct store *store;

	if (sqlite3_auto_extension((void (*)(void))watch) != SQLITE_OK ||
	    store_open(base, file, &store, error) < 0)
		return 1;
	statements = 0;
	deadly = nth;
	while (!fill.work.over && !fill.work.trouble && !fill.result)
		store_run_now(store, &fill.job);
	printf("%lu\n", statements);
	store_close(store);
	event_base_free(base);
	return fill.work.over ? 0 : 1;
}

int
main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "steps") == 0)
		return printf("%zu\n", store_schema_count) < 0;
	if (argc == 4 && strcmp(argv[1], "make") == 0)
		return make(argv[2], strtoul(argv[3], NULL, 10));
	if (argc >= 3 && strcmp(argv[1], "fill") == 0)
		return fill_file(argv[2], argc > 3 ? strtoul(argv[3], NULL, 10) : 0);
	if (argc >= 3 && strcmp(argv[1], "open") == 0) {
		deadly = argc > 3 ? strtoul(argv[3], NULL, 10) : 0;
		return open_file(argv[2]);
	}
	return 2;
}
