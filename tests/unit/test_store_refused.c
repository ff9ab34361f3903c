/*
 * Logins that were turned away: one row a name, a bounded number of them, and none that
 * are too old.
 */
#include "broker/store/store_refused.h"
#include "store_fixture.h"

struct refused_job {
	struct store_job job;
	const char *first; /* of so many names, the number is added to it */
	int count;
	int64_t at;
	int64_t purge_before; /* 0: not */
	int rows;
	int64_t oldest;
	int64_t newest;
	char last[128]; /* who logged in */
};

static void
take_row(void *arg, const struct store_refused *row)
{
	struct refused_job *job = arg;

	if (job->rows++ == 0)
		job->oldest = row->at;
	job->newest = row->at;
	snprintf(job->last, sizeof(job->last), "%s", row->logged_in);
}

static int
run_refused(struct store_job *store_job, struct db *db)
{
	struct refused_job *job = (struct refused_job *)store_job;
	int result = 0;
	int i;

	for (i = 0; i < job->count && result == 0; i++) {
		char name[64];
		char who[64];

		snprintf(name, sizeof(name), "%s%d", job->first, i);
		snprintf(who, sizeof(who), "by%d.%d", (int)job->at, i);
		result = store_refused_put(db,
		    &(const struct store_refused){ .platform = "kick",
			.username_key = name,
			.username = name,
			.logged_in = who,
			.at = job->at + i });
	}
	if (result == 0 && job->purge_before)
		result = store_refused_purge(db, job->purge_before);
	return result < 0 ? result : store_refused_load(db, take_row, job);
}

static void
done_refused(struct store_job *job, int result)
{
	(void)job;
	assert_int_equal(result, 0);
}

static void
run(struct refused_job *job)
{
	job->job = (struct store_job){ .run = run_refused, .done = done_refused };
	store_run_now(store, &job->job);
}

static void
test_the_last_of_a_name_is_kept(void **state)
{
	struct refused_job one = { .first = "a", .count = 3, .at = 10 };
	struct refused_job two = { .first = "a", .count = 1, .at = 50 };

	(void)state;
	open_store();
	run(&one);
	assert_int_equal(one.rows, 3);
	run(&two);
	assert_int_equal(two.rows, 3);
	assert_int_equal(two.oldest, 11);
	assert_string_equal(two.last, "by50.0");
}

static void
test_the_oldest_go_when_there_are_too_many(void **state)
{
	struct refused_job most = {
		.first = "a", .count = STORE_REFUSED_MAX, .at = 1000
	};
	struct refused_job more = { .first = "b", .count = 5, .at = 5000 };

	(void)state;
	open_store();
	run(&most);
	assert_int_equal(most.rows, STORE_REFUSED_MAX);
	assert_int_equal(most.oldest, 1000);
	run(&more);
	assert_int_equal(more.rows, STORE_REFUSED_MAX);
	assert_int_equal(more.oldest, 1005);
	assert_int_equal(more.newest, 5004);
}

static void
test_what_is_too_old_goes(void **state)
{
	struct refused_job job = {
		.first = "a", .count = 10, .at = 100, .purge_before = 104
	};

	(void)state;
	open_store();
	run(&job);
	assert_int_equal(job.rows, 6);
	assert_int_equal(job.oldest, 104);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_the_last_of_a_name_is_kept, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(
		    test_the_oldest_go_when_there_are_too_many, make_folder,
		    remove_folder),
		cmocka_unit_test_setup_teardown(
		    test_what_is_too_old_goes, make_folder, remove_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
