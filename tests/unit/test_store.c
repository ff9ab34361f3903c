/*
 * The database's thread: jobs that gather share a commit, results come on the loop,
 * and who may open the file.
 */
#include <sqlite3.h>
#include <sys/wait.h>

#include "broker/store/store_schema.h"
#include "broker/store/store_secret.h"
#include "store_fixture.h"

/* Jobs. */

static void
a_job_is_stored_before_it_is_done(void **state)
{
	(void)state;
	assert_int_equal(put_now("a", 1, 100), 0);
	assert_int_equal(count_rows("a"), 1);
	close_store();
	assert_int_equal(ask_file("SELECT count(*) FROM meta WHERE name = 'a1'"), 1);
}

/* Holds the thread while jobs gather, then lets it go. */
static void
gather(struct put_job *jobs, size_t count)
{
	struct put_job first;
	size_t i;

	put_init(&first, "first", 0);
	first.wait = true;
	pthread_mutex_lock(&gate);
	store_submit(store, &first.job);
	while (!__atomic_load_n(&first.began, __ATOMIC_ACQUIRE))
		usleep(200);
	for (i = 0; i < count; i++)
		store_submit(store, &jobs[i].job);
	assert_int_equal(store_backlog(store), count + 1);
	pthread_mutex_unlock(&gate);
	RUN_UNTIL(first.done && jobs[count - 1].done);
	assert_int_equal(first.result, 0);
}

static void
jobs_that_gather_share_a_commit(void **state)
{
	static struct put_job jobs[STORE_BATCH_MAX + 10];
	struct store_stats before;
	struct store_stats after;
	size_t i;

	(void)state;
	for (i = 0; i < STORE_BATCH_MAX + 10; i++)
		put_init(&jobs[i], "j", i);
	store_stats(store, &before);
	gather(jobs, STORE_BATCH_MAX);
	store_stats(store, &after);
	assert_int_equal(after.commits - before.commits, 2);
	assert_int_equal(after.jobs - before.jobs, STORE_BATCH_MAX + 1);
	assert_int_equal(after.failures, 0);
	assert_int_equal(count_rows("j"), STORE_BATCH_MAX);
	assert_int_equal(store_backlog(store), 0);
}

static void
more_jobs_than_a_batch_take_more_commits(void **state)
{
	static struct put_job jobs[2 * STORE_BATCH_MAX + 1];
	struct store_stats before;
	struct store_stats after;
	size_t i;

	(void)state;
	for (i = 0; i < 2 * STORE_BATCH_MAX + 1; i++)
		put_init(&jobs[i], "j", i);
	store_stats(store, &before);
	gather(jobs, 2 * STORE_BATCH_MAX + 1);
	store_stats(store, &after);
	assert_int_equal(after.commits - before.commits, 1 + 3);
}

static void
jobs_run_on_their_thread_and_are_done_on_the_loop(void **state)
{
	static struct put_job jobs[100];
	size_t i;

	(void)state;
	for (i = 0; i < 100; i++) {
		put_init(&jobs[i], "j", i);
		store_submit(store, &jobs[i].job);
		assert_int_equal(jobs[i].done, 0);
	}
	usleep(50000);
	for (i = 0; i < 100; i++)
		assert_int_equal(jobs[i].done, 0); /* the loop has not run */
	RUN_UNTIL(jobs[99].done);
	for (i = 0; i < 100; i++) {
		assert_int_equal(jobs[i].done, 1);
		assert_false(pthread_equal(jobs[i].run_on, pthread_self()));
		assert_true(pthread_equal(jobs[i].done_on, pthread_self()));
	}
}

static void
a_job_that_fails_fails_its_batch(void **state)
{
	static struct put_job jobs[50];
	struct store_stats stats;
	size_t i;

	(void)state;
	for (i = 0; i < 50; i++)
		put_init(&jobs[i], "j", i);
	jobs[31].fail = -ENOSPC;
	gather(jobs, 50);
	for (i = 0; i < 50; i++) {
		assert_int_equal(jobs[i].done, 1);
		assert_int_equal(jobs[i].result, -ENOSPC);
	}
	assert_int_equal(count_rows("j"), 0);
	assert_int_equal(count_rows("first"), 1);
	store_stats(store, &stats);
	assert_int_equal(stats.failures, 1);
	assert_int_equal(put_now("j", 1, 16), 0);
	assert_int_equal(count_rows("j"), 1);
}

static void
a_broken_rule_of_the_schema_fails_a_job(void **state)
{
	(void)state;
	assert_int_equal(put_now("same", 1, 16), 0);
	assert_int_equal(put_now("same", 1, 16), -EINVAL);
	assert_int_equal(put_now("big", 1, 9 * 1024 * 1024), -EINVAL);
	/* It is no failure of the disk: the next one is tried. */
	assert_int_equal(put_now("other", 1, 16), 0);
}

static void
discard(struct store_job *job, int result)
{
	struct put_job *put = (struct put_job *)job;

	put->done += 100;
	put->result = result;
}

static void
an_abandoned_job_is_discarded(void **state)
{
	struct put_job jobs[3];
	size_t i;

	(void)state;
	for (i = 0; i < 3; i++) {
		put_init(&jobs[i], "j", i);
		store_submit(store, &jobs[i].job);
	}
	store_abandon(&jobs[1].job, discard);
	RUN_UNTIL(jobs[2].done);
	assert_int_equal(jobs[0].done, 1);
	assert_int_equal(jobs[1].done, 100);
	assert_int_equal(jobs[2].done, 1);
	assert_int_equal(count_rows("j"), 3);
}

/* A job may abandon one that was finished together with it. */
static struct put_job *to_abandon;

static void
done_abandon(struct store_job *job, int result)
{
	done_put(job, result);
	store_abandon(&to_abandon->job, discard);
}

static void
a_job_may_abandon_the_next_one(void **state)
{
	struct put_job jobs[2];

	(void)state;
	put_init(&jobs[0], "j", 0);
	put_init(&jobs[1], "j", 1);
	jobs[0].job.done = done_abandon;
	to_abandon = &jobs[1];
	gather(jobs, 2);
	assert_int_equal(jobs[0].done, 1);
	assert_int_equal(jobs[1].done, 100);
}

static struct put_job *to_submit;

static void
done_submit(struct store_job *job, int result)
{
	done_put(job, result);
	store_submit(store, &to_submit->job);
}

static void
a_job_may_submit_another(void **state)
{
	struct put_job jobs[2];

	(void)state;
	put_init(&jobs[0], "j", 0);
	put_init(&jobs[1], "j", 1);
	jobs[0].job.done = done_submit;
	to_submit = &jobs[1];
	store_submit(store, &jobs[0].job);
	RUN_UNTIL(jobs[1].done);
	assert_int_equal(jobs[1].result, 0);
	assert_int_equal(store_backlog(store), 0);
}

static void
closing_runs_what_is_queued_and_says_what_became_of_it(void **state)
{
	static struct put_job jobs[1000];
	size_t i;

	(void)state;
	for (i = 0; i < 1000; i++) {
		put_init(&jobs[i], "j", i);
		store_submit(store, &jobs[i].job);
	}
	close_store();
	for (i = 0; i < 1000; i++) {
		assert_int_equal(jobs[i].done, 1);
		assert_int_equal(jobs[i].result, 0);
	}
	assert_int_equal(ask_file("SELECT count(*) FROM meta"), 1000);
	store_close(NULL);
}

static void
closing_tells_a_failure_as_such(void **state)
{
	static struct put_job good;
	static struct put_job bad;

	(void)state;
	put_init(&good, "first", 0);
	store_submit(store, &good.job);
	RUN_UNTIL(good.done);
	put_init(&bad, "first", 0); /* it is there already */
	store_submit(store, &bad.job);
	close_store();
	assert_int_equal(bad.done, 1);
	assert_int_equal(bad.result, -EINVAL);
	assert_int_equal(ask_file("SELECT count(*) FROM meta"), 1);
}

/* Each submits the next one, for as long as there is one. */
#define CHAIN_LENGTH (STORE_CLOSE_ROUNDS + 1)
static struct put_job chain[CHAIN_LENGTH];

static void
done_chain(struct store_job *job, int result)
{
	struct put_job *put = (struct put_job *)job;

	assert_true(store_is_closing(store));
	done_put(job, result);
	if (result == 0 && put + 1 < chain + CHAIN_LENGTH)
		store_submit(store, &put[1].job);
}

static void
what_is_submitted_while_closing_is_run_or_told_that_it_was_not(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < CHAIN_LENGTH; i++) {
		put_init(&chain[i], "chain", i);
		chain[i].job.done = done_chain;
	}
	assert_false(store_is_closing(store));
	store_submit(store, &chain[0].job);
	close_store();
	for (i = 0; i < STORE_CLOSE_ROUNDS; i++)
		assert_int_equal(chain[i].result, 0);
	assert_int_equal(chain[i].done, 1);
	assert_int_equal(chain[i].result, -ECANCELED);
	assert_int_equal(ask_file("SELECT count(*) FROM meta"), STORE_CLOSE_ROUNDS);
}

static void
a_job_that_cannot_wait_is_done_at_once(void **state)
{
	struct put_job put;

	(void)state;
	put_init(&put, "now", 1);
	store_run_now(store, &put.job);
	assert_int_equal(put.done, 1);
	assert_int_equal(put.result, 0);
	assert_true(pthread_equal(put.done_on, pthread_self()));
}

static void
sizes_are_those_of_the_files(void **state)
{
	struct store_stats stats;

	(void)state;
	assert_int_equal(put_now("big", 1, 100000), 0);
	store_stats(store, &stats);
	assert_int_equal(stats.schema, store_schema_count);
	assert_true(stats.size > 0);
	assert_true(stats.wal_size > 100000);
	assert_true(strlen(store_library_version()) >= 5);
}

/* Opening. */

struct pragma_job {
	struct store_job job;
	const char *sql;
	char *answer;
};

static int
run_pragma(struct store_job *job, struct db *db)
{
	struct pragma_job *pragma = (struct pragma_job *)job;
	sqlite3_stmt *statement = db_statement(db, pragma->sql);

	if (db_step(db, statement) > 0)
		pragma->answer = db_column_text(statement, 0);
	db_finish(statement);
	return 0;
}

static void
done_pragma(struct store_job *job, int result)
{
	(void)job;
	assert_int_equal(result, 0);
}

static void
the_promises_pragmas_are_in_force(void **state)
{
	static const char *const wanted[][2] = {
		{ "PRAGMA journal_mode", "wal" },
		{ "PRAGMA synchronous", "2" },
		{ "PRAGMA locking_mode", "exclusive" },
		{ "PRAGMA journal_size_limit", "16777216" },
		{ "PRAGMA secure_delete", "1" },
		{ "PRAGMA trusted_schema", "0" },
		{ "PRAGMA cell_size_check", "1" },
		{ "PRAGMA mmap_size", NULL }, /* no row: 0 as compiled */
		{ "PRAGMA temp_store", "2" },
		{ "PRAGMA foreign_keys", "1" },
		{ "PRAGMA writable_schema", "0" },
		{ "PRAGMA quick_check", "ok" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		struct pragma_job pragma = { .job = { .run = run_pragma,
						 .done = done_pragma },
			.sql = wanted[i][0] };

		store_run_now(store, &pragma.job);
		if (wanted[i][1])
			assert_string_equal(pragma.answer, wanted[i][1]);
		else
			assert_true(!pragma.answer || strcmp(pragma.answer, "0") == 0);
		free(pragma.answer);
	}
}

static void
check_mode(const char *suffix)
{
	char name[200];
	struct stat info;

	snprintf(name, sizeof(name), "%s%s", path, suffix);
	assert_int_equal(stat(name, &info), 0);
	assert_int_equal(info.st_mode & 07777, 0600);
}

static void
the_files_are_their_owners(void **state)
{
	mode_t mask = umask(0);
	char name[200];

	(void)state;
	open_store();
	assert_int_equal(put_now("a", 1, 10), 0);
	check_mode("");
	check_mode("-wal");
	snprintf(name, sizeof(name), "%s-shm", path);
	assert_int_equal(access(name, F_OK), -1); /* nobody shares it */
	close_store();
	assert_int_equal(chmod(path, 0666), 0);
	open_store();
	check_mode("");
	umask(mask);
}

static void
what_is_stored_is_there_when_opened_again(void **state)
{
	unsigned i;

	(void)state;
	for (i = 0; i < 5; i++) {
		open_store();
		assert_int_equal(count_rows("r"), i);
		assert_int_equal(put_now("r", i, 100), 0);
		close_store();
	}
	assert_int_equal(ask_file("PRAGMA user_version"), (int64_t)store_schema_count);
}

static int
open_as_second(int ready, long holder)
{
	char wanted[40];
	char byte;

	if (read(ready, &byte, 1) != 1)
		return 1;
	snprintf(wanted, sizeof(wanted), "by process %ld;", holder);
	if (store_open(base, path, &store, error) != -EBUSY)
		return 2;
	if (!strstr(error, wanted) || !strstr(error, path)) {
		fprintf(stderr, "%s\n", error);
		return 3;
	}
	return 0;
}

static void
a_second_broker_is_told_who_holds_it(void **state)
{
	long self = (long)getpid();
	pid_t child;
	int status;
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	child = fork();
	if (child == 0)
		_exit(open_as_second(ends[0], self));
	open_store();
	assert_int_equal(write(ends[1], "x", 1), 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		fail_msg("the child ended with %x", (unsigned)status);
	/* The one that holds it goes on. */
	assert_int_equal(put_now("a", 1, 10), 0);
	close(ends[0]);
	close(ends[1]);
}

#define AT_ONCE 6
#define AT_ONCE_ROUNDS 60

/* Waits for the word, opens, tells how that went and keeps it open until all have told.
 */
static int
open_at_once(int word, int told, int end)
{
	struct event_base *own = event_base_new();
	struct store *second = NULL;
	char byte;
	int result;

	if (read(word, &byte, 1) != 0)
		return 1;
	result = store_open(own, path, &second, error);
	byte = result == 0 ? 'y' : result == -EBUSY ? 'n' : '?';
	if (write(told, &byte, 1) != 1 || read(end, &byte, 1) != 0)
		return 2;
	store_close(second);
	event_base_free(own);
	return 0;
}

static void
one_round_at_once(char said[static AT_ONCE])
{
	int word[2];
	int told[2];
	int end[2];
	pid_t children[AT_ONCE];

	assert_true(pipe(word) == 0 && pipe(told) == 0 && pipe(end) == 0);
	for (size_t i = 0; i < AT_ONCE; i++) {
		children[i] = fork();
		if (children[i] == 0) {
			close(word[1]);
			close(end[1]);
			_exit(open_at_once(word[0], told[1], end[0]));
		}
	}
	close(word[1]);
	for (size_t i = 0; i < AT_ONCE; i++)
		assert_int_equal(read(told[0], &said[i], 1), 1);
	close(end[1]);
	for (size_t i = 0; i < AT_ONCE; i++) {
		int status;

		assert_int_equal(waitpid(children[i], &status, 0), children[i]);
		assert_int_equal(status, 0);
	}
	close(word[0]);
	close(told[0]);
	close(told[1]);
	close(end[0]);
}

static void
of_brokers_that_open_it_at_once_one_has_it(void **state)
{
	(void)state;
	for (unsigned i = 0; i < AT_ONCE_ROUNDS; i++) {
		char said[AT_ONCE + 1] = "";
		unsigned opened = 0;

		one_round_at_once(said);
		for (size_t j = 0; j < AT_ONCE; j++)
			opened += said[j] == 'y';
		if (opened != 1 || strchr(said, '?'))
			fail_msg("round %u: they said '%s'", i, said);
	}
}

static void
expect_refusal(int result, const char *words)
{
	error[0] = '\0';
	assert_int_equal(store_open(base, path, &store, error), result);
	assert_null(store);
	if (!strstr(error, words) || !strstr(error, path))
		fail_msg("'%s' does not say '%s'", error, words);
}

static void
a_newer_schema_is_refused_and_left_alone(void **state)
{
	char sql[64];

	(void)state;
	open_store();
	close_store();
	snprintf(sql, sizeof(sql), "PRAGMA user_version = %zu", store_schema_count + 1);
	(void)ask_file(sql);
	expect_refusal(-ENOTSUP, "newer version");
	assert_int_equal(
	    ask_file("PRAGMA user_version"), (int64_t)store_schema_count + 1);
	assert_int_equal(ask_file("SELECT count(*) FROM meta"), 0);
}

static void
write_at(off_t offset, const void *bytes, size_t length)
{
	FILE *file = fopen(path, "r+e");

	if (!file)
		file = fopen(path, "we");
	assert_non_null(file);
	fseek(file, offset, SEEK_SET);
	assert_int_equal(fwrite(bytes, 1, length, file), length);
	fclose(file);
}

/* A file that says it has the schema and has none of it. */
static void
a_database_without_its_tables_is_refused(void **state)
{
	char sql[64];

	(void)state;
	snprintf(sql, sizeof(sql), "PRAGMA user_version = %zu", store_schema_count);
	write_at(0, "", 0);
	(void)ask_file(sql);
	expect_refusal(-EIO, "no such table");
}

static void
a_file_that_is_no_database_is_refused(void **state)
{
	char noise[8192];

	(void)state;
	memset(noise, 'n', sizeof(noise));
	write_at(0, noise, sizeof(noise));
	expect_refusal(-EBADMSG, "bring back a backup");
	expect_refusal(-EBADMSG, "not a database");
}

static void
a_damaged_database_is_refused(void **state)
{
	char noise[100];

	(void)state;
	memset(noise, 0xff, sizeof(noise));
	open_store();
	assert_int_equal(put_now("a", 1, 100), 0);
	close_store();
	write_at(100, noise, sizeof(noise)); /* the head of the schema's page */
	expect_refusal(-EBADMSG, "malformed");
}

static void
a_short_database_is_refused(void **state)
{
	struct stat info;

	(void)state;
	open_store();
	close_store();
	assert_int_equal(stat(path, &info), 0);
	assert_int_equal(truncate(path, info.st_size / 2), 0);
	expect_refusal(-EBADMSG, "malformed");
}

static void
an_empty_file_becomes_a_database(void **state)
{
	(void)state;
	write_at(0, "", 0);
	open_store();
	assert_int_equal(put_now("a", 1, 100), 0);
}

static void
a_link_or_a_folder_in_its_place_is_refused(void **state)
{
	char target[200];

	(void)state;
	snprintf(target, sizeof(target), "%s/elsewhere", folder);
	assert_int_equal(symlink(target, path), 0);
	expect_refusal(-ELOOP, "symbolic links");
	assert_int_equal(access(target, F_OK), -1);
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	expect_refusal(-EISDIR, "directory");
	assert_int_equal(rmdir(path), 0);
}

static void
a_folder_that_is_missing_is_said(void **state)
{
	char saved[sizeof(path)];

	(void)state;
	memcpy(saved, path, sizeof(path));
	snprintf(path, sizeof(path), "%s/missing/streamhold.db", folder);
	expect_refusal(-ENOENT, "No such file");
	memcpy(path, saved, sizeof(path));
}

static void
a_long_path_does_not_overrun_the_sentence(void **state)
{
	char *long_path = xmalloc(3000);
	struct store *none = NULL;

	(void)state;
	memset(long_path, '/', 3000);
	long_path[2999] = '\0';
	memset(long_path + 1000, 'p', 200);
	assert_true(store_open(base, long_path, &none, error) < 0);
	assert_true(strlen(error) < STORE_ERROR_SIZE);
	free(long_path);
}

#define WITH_STORE(name) \
	cmocka_unit_test_setup_teardown(name, make_store, remove_folder)
#define WITH_FOLDER(name) \
	cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

#define UPDATES 10000
#define UPDATES_OF_A_JOB 100

struct update_job {
	struct store_job job;
	unsigned from;
	bool over; /* the rows go */
	int result;
};

static int
run_updates(struct store_job *store_job, struct db *db)
{
	struct update_job *job = (struct update_job *)store_job;
	char name[32];
	int result = 0;
	unsigned i;

	for (i = job->from; result == 0 && i < job->from + UPDATES_OF_A_JOB; i++) {
		struct buf sealed = BUF_EMPTY;
		unsigned times;

		snprintf(name, sizeof(name), "token/%u", i % 7);
		for (times = 0; times < 1 + i % 40; times++)
			buf_printf(&sealed, "CANARY%010u", i);
		result = job->over ? store_secret_delete(db, name)
				   : store_secret_put(db, name, i, &sealed);
		buf_clear(&sealed);
	}
	return result;
}

static void
on_updated(struct store_job *store_job, int result)
{
	((struct update_job *)store_job)->result = result;
}

static unsigned
count_canaries(void)
{
	static const char canary[] = "CANARY";
	FILE *file = fopen(path, "rb");
	unsigned count = 0;
	size_t fit = 0;
	int byte;

	assert_non_null(file);
	while ((byte = getc(file)) != EOF) {
		fit = byte == canary[fit] ? fit + 1 : byte == canary[0];
		count += fit == sizeof(canary) - 1;
		fit %= sizeof(canary) - 1;
	}
	(void)fclose(file);
	return count;
}

/* Sealed values are overwritten when they change or go; the same rows left by an SQLite
 * that does not are found. */
static void
ten_thousand_updates_leave_nothing_in_the_free_pages(void **state)
{
	struct update_job job = { .job = { .run = run_updates, .done = on_updated } };
	sqlite3 *db;

	(void)state;
	for (; job.from < UPDATES; job.from += UPDATES_OF_A_JOB) {
		store_run_now(store, &job.job);
		assert_int_equal(job.result, 0);
	}
	close_store();
	assert_true(count_canaries() > 0);
	open_store();
	job.from = 0;
	job.over = true;
	store_run_now(store, &job.job);
	assert_int_equal(job.result, 0);
	close_store();
	assert_int_equal(count_canaries(), 0);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db,
			     "PRAGMA secure_delete=OFF; INSERT INTO secrets VALUES "
			     "('x', 1, CAST('CANARY' AS BLOB)); DELETE FROM secrets;",
			     NULL, NULL, NULL),
	    SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	assert_int_equal(count_canaries(), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_STORE(a_job_is_stored_before_it_is_done),
		WITH_STORE(jobs_that_gather_share_a_commit),
		WITH_STORE(more_jobs_than_a_batch_take_more_commits),
		WITH_STORE(jobs_run_on_their_thread_and_are_done_on_the_loop),
		WITH_STORE(a_job_that_fails_fails_its_batch),
		WITH_STORE(a_broken_rule_of_the_schema_fails_a_job),
		WITH_STORE(an_abandoned_job_is_discarded),
		WITH_STORE(a_job_may_abandon_the_next_one),
		WITH_STORE(a_job_may_submit_another),
		WITH_STORE(closing_runs_what_is_queued_and_says_what_became_of_it),
		WITH_STORE(closing_tells_a_failure_as_such),
		WITH_STORE(
		    what_is_submitted_while_closing_is_run_or_told_that_it_was_not),
		WITH_STORE(a_job_that_cannot_wait_is_done_at_once),
		WITH_STORE(sizes_are_those_of_the_files),
		WITH_STORE(the_promises_pragmas_are_in_force),
		WITH_STORE(ten_thousand_updates_leave_nothing_in_the_free_pages),
		WITH_FOLDER(the_files_are_their_owners),
		WITH_FOLDER(what_is_stored_is_there_when_opened_again),
		WITH_FOLDER(a_second_broker_is_told_who_holds_it),
		WITH_FOLDER(of_brokers_that_open_it_at_once_one_has_it),
		WITH_FOLDER(a_newer_schema_is_refused_and_left_alone),
		WITH_FOLDER(a_file_that_is_no_database_is_refused),
		WITH_FOLDER(a_database_without_its_tables_is_refused),
		WITH_FOLDER(a_damaged_database_is_refused),
		WITH_FOLDER(a_short_database_is_refused),
		WITH_FOLDER(an_empty_file_becomes_a_database),
		WITH_FOLDER(a_link_or_a_folder_in_its_place_is_refused),
		WITH_FOLDER(a_folder_that_is_missing_is_said),
		WITH_FOLDER(a_long_path_does_not_overrun_the_sentence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
