/*
 * Rows of consumers: what a change leaves of how far the consumer came meanwhile.
 */
#include "broker/store/store_consumer.h"
#include "store_fixture.h"

struct change_job {
	struct store_job job;
	uint64_t cursor;
	uint64_t handed;
	uint64_t epoch; /* of a mark */
	unsigned changes;
	bool mark; /* else a whole row */
	struct store_consumer found;
};

static void
take_row(void *arg, struct store_consumer *row)
{
	struct change_job *change = arg;

	change->found.cursor = row->cursor;
	change->found.given = row->given;
	change->found.handed = row->handed;
	change->found.seen_at = row->seen_at;
}

static int
run_change(struct store_job *job, struct db *db)
{
	struct change_job *change = (struct change_job *)job;
	char name[] = "bot";
	char type[] = "channel.followed";
	const struct store_consumer row = { .name = name,
		.type = type,
		.cursor = change->cursor,
		.given = change->cursor,
		.handed = change->handed,
		.created_at = 1,
		.updated_at = 2,
		.seen_at = 3 };
	const struct store_mark mark = { .name = name,
		.epoch = change->epoch,
		.cursor = change->cursor,
		.given = change->handed,
		.handed = change->handed,
		.seen_at = 50 };
	int result = change->mark ? store_consumer_mark(db, &mark)
				  : store_consumer_put(db, &row, change->changes);

	return result < 0 ? result : store_consumer_load(db, take_row, change);
}

static void
done_change(struct store_job *job, int result)
{
	(void)job;
	assert_int_equal(result, 0);
}

static void
change(struct change_job job, uint64_t cursor, uint64_t handed, int64_t seen_at)
{
	job.job = (struct store_job){ .run = run_change, .done = done_change };
	store_run_now(store, &job.job);
	assert_int_equal(job.found.cursor, cursor);
	assert_int_equal(job.found.handed, handed);
	assert_int_equal(job.found.seen_at, seen_at);
}

/* A row is put together, and is stored when its secret was sealed. */
static void
marks_that_were_made_before_a_row_came_stay(void **state)
{
	(void)state;
	open_store();
	change((struct change_job){ .cursor = 4, .handed = 6 }, 4, 6, 3);
	change(
	    (struct change_job){ .mark = true, .cursor = 8, .handed = 20 }, 8, 20, 50);
	change((struct change_job){ .cursor = 4, .handed = 6 }, 8, 20, 50);
	/* After a restart too. */
	close_store();
	open_store();
	change((struct change_job){ .cursor = 9, .handed = 6 }, 9, 20, 50);
}

static void
a_cursor_that_is_moved_goes_back_and_hand_out_does_not(void **state)
{
	(void)state;
	open_store();
	change((struct change_job){ .cursor = 4, .handed = 6 }, 4, 6, 3);
	change(
	    (struct change_job){ .mark = true, .cursor = 8, .handed = 20 }, 8, 20, 50);
	change(
	    (struct change_job){
		.cursor = 1, .handed = 6, .changes = STORE_CONSUMER_MOVED },
	    1, 20, 50);
	change(
	    (struct change_job){
		.cursor = 30, .handed = 30, .changes = STORE_CONSUMER_MOVED },
	    30, 30, 50);
}

/* An acknowledgement, or a pusher's note, of what was handed out before the place was
 * set comes after that. */
static void
a_mark_of_before_the_place_was_set_moves_no_cursor(void **state)
{
	(void)state;
	open_store();
	change((struct change_job){ .cursor = 4, .handed = 4 }, 4, 4, 3);
	change(
	    (struct change_job){ .mark = true, .cursor = 8, .handed = 20 }, 8, 20, 50);
	change(
	    (struct change_job){
		.cursor = 1, .handed = 1, .changes = STORE_CONSUMER_MOVED },
	    1, 20, 50);
	change(
	    (struct change_job){ .mark = true, .cursor = 20, .handed = 25 }, 1, 25, 50);
	close_store();
	open_store();
	change(
	    (struct change_job){ .mark = true, .epoch = 1, .cursor = 2, .handed = 5 },
	    2, 25, 50);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(marks_that_were_made_before_a_row_came_stay),
		TEST(a_cursor_that_is_moved_goes_back_and_hand_out_does_not),
		TEST(a_mark_of_before_the_place_was_set_moves_no_cursor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
