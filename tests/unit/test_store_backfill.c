/*
 * Long work on a table: all rows once, with others in between, over a restart, and a
 * failure that is the work's own.
 */
#include "broker/store/store_backfill.h"
#include "store_fixture.h"

#define ROWS 1000

static const struct store_backfill_step touch = { "touch", "rows",
	"SELECT id FROM rows WHERE id > ?1 ORDER BY id LIMIT 1 OFFSET ?2",
	"UPDATE rows SET touched = touched + 1 WHERE id > ?1 AND id <= ?2" };
/* Touched must not be 5. */
static const struct store_backfill_step refused = { "refused", "rows",
	"SELECT id FROM rows WHERE id > ?1 ORDER BY id LIMIT 1 OFFSET ?2",
	"UPDATE rows SET touched = 5 WHERE id > ?1 AND id <= ?2" };
static const struct store_backfill_step wrong = { "wrong", "rows",
	"SELECT id FROM rows WHERE id > ?1 ORDER BY id LIMIT 1 OFFSET ?2",
	"UPDATE rows SET nothing = 1 WHERE id > ?1 AND id <= ?2" };
static const struct store_backfill_step absent = { "absent", "no_such_table",
	"SELECT id FROM no_such_table WHERE id > ?1 ORDER BY id LIMIT 1 OFFSET ?2",
	"UPDATE no_such_table SET touched = 1 WHERE id > ?1 AND id <= ?2" };

struct fill_job {
	struct store_job job;
	struct store_backfill work;
	unsigned done;
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
	struct fill_job *fill = (struct fill_job *)job;

	fill->done++;
	fill->result = result;
}

static void
fill_init(struct fill_job *fill, const struct store_backfill_step *step)
{
	*fill = (struct fill_job){ .job = { .run = run_fill, .done = done_fill },
		.work = { .step = step } };
}

static struct store_backfill
piece(const struct store_backfill_step *step)
{
	struct fill_job fill;

	fill_init(&fill, step);
	store_run_now(store, &fill.job);
	assert_int_equal(fill.done, 1);
	assert_int_equal(fill.result, 0);
	return fill.work;
}

/* The rows are made in the file, which no store has open then. */
static void
make_rows(unsigned first, unsigned count)
{
	char sql[300];

	close_store();
	ask_file("CREATE TABLE IF NOT EXISTS rows (id INTEGER PRIMARY KEY, "
		 "touched INTEGER NOT NULL CHECK (touched <> 5))");
	snprintf(sql, sizeof(sql),
	    "WITH RECURSIVE n(i) AS (SELECT %u UNION ALL SELECT i + 1 FROM n WHERE i < "
	    "%u) INSERT INTO rows SELECT i, 0 FROM n",
	    first, first + count - 1);
	ask_file(sql);
	open_store();
}

static int64_t
ask_closed(const char *sql)
{
	int64_t answer;

	close_store();
	answer = ask_file(sql);
	open_store();
	return answer;
}

static void
each_row_is_worked_on_once(void **state)
{
	uint64_t rows = 0;
	unsigned pieces = 0;
	struct store_backfill work;

	(void)state;
	make_rows(1, ROWS);
	do {
		work = piece(&touch);
		assert_int_equal(work.trouble, 0);
		assert_true(work.rows <= STORE_BACKFILL_ROWS);
		rows += work.rows;
		/* A restart in the middle, and rows that come meanwhile. */
		if (++pieces == 5)
			make_rows(ROWS + 1, 100);
	} while (!work.over && pieces < 100);
	assert_int_equal(rows, ROWS + 100);
	assert_int_equal(pieces, (ROWS + 100) / STORE_BACKFILL_ROWS + 1);
	assert_int_equal(
	    ask_closed("SELECT count(*) FROM rows WHERE touched = 1"), ROWS + 100);
	/* Over is over, also after a restart and with new rows. */
	make_rows(ROWS + 101, 10);
	work = piece(&touch);
	assert_true(work.over);
	assert_int_equal(work.rows, 0);
	assert_int_equal(ask_closed("SELECT count(*) FROM rows WHERE touched = 0"), 10);
}

static void
an_empty_or_absent_table_is_over_at_once(void **state)
{
	struct store_backfill work = piece(&absent);

	(void)state;
	assert_true(work.over);
	assert_int_equal(work.trouble, 0);
	close_store();
	ask_file("CREATE TABLE rows (id INTEGER PRIMARY KEY, touched INTEGER)");
	open_store();
	work = piece(&touch);
	assert_true(work.over);
	assert_int_equal(work.rows, 0);
}

/* A row and a piece that fails, in one transaction: the row is stored. */
static void
fails_alone(const struct store_backfill_step *step, size_t number)
{
	struct put_job blocker;
	struct put_job put;
	struct fill_job fill;

	put_init(&blocker, "blocker", number);
	put_init(&put, "kept", number);
	fill_init(&fill, step);
	blocker.wait = true;
	pthread_mutex_lock(&gate);
	store_submit(store, &blocker.job);
	usleep(20000); /* it has the thread; the others gather */
	store_submit(store, &fill.job);
	store_submit(store, &put.job);
	pthread_mutex_unlock(&gate);
	RUN_UNTIL(fill.done && put.done && blocker.done);
	assert_int_equal(fill.result, 0);
	assert_int_equal(fill.work.trouble, -EINVAL);
	assert_int_equal(fill.work.rows, 0);
	assert_false(fill.work.over);
	assert_int_equal(put.result, 0);
	assert_int_equal(count_rows("kept"), number + 1);
}

static void
a_failure_of_its_own_harms_nobody(void **state)
{
	(void)state;
	make_rows(1, 10);
	fails_alone(&refused, 0);
	fails_alone(&wrong, 1);
	assert_int_equal(ask_closed("SELECT count(*) FROM rows WHERE touched = 0"), 10);
	assert_int_equal(count_rows("backfill/"), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    each_row_is_worked_on_once, make_store, remove_folder),
		cmocka_unit_test_setup_teardown(
		    an_empty_or_absent_table_is_over_at_once, make_store,
		    remove_folder),
		cmocka_unit_test_setup_teardown(
		    a_failure_of_its_own_harms_nobody, make_store, remove_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
