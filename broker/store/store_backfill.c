/*
 * The pieces of long work on a table, and how far each work is. Called by the jobs of
 * broker/backfill.c.
 */
#include <errno.h>

#include "broker/store/store_backfill.h"
#include "broker/store/store_db.h"
#include "broker/store/store_inner.h"

const struct store_backfill_step store_backfill_steps[] = {
#ifdef STREAMHOLD_TEST_BUILD
	/* What tests/system/test_backfill.py counts. */
	{ "test", "backfill_test",
	    "SELECT id FROM backfill_test WHERE id > ?1 ORDER BY id LIMIT 1 OFFSET ?2",
	    "UPDATE backfill_test SET touched = touched + 1 WHERE id > ?1 AND id <= "
	    "?2" },
#endif
	{ NULL, NULL, NULL, NULL },
};

/* Places before the first row and after the last. */
#define PLACE_START INT64_MIN
#define PLACE_END INT64_MAX

static const char begin[] = "SAVEPOINT backfill";
static const char undo[] = "ROLLBACK TO backfill";
static const char end[] = "RELEASE backfill";
static const char select_table[] =
    "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?1";
static const char select_place[] = "SELECT CAST(CAST(value AS TEXT) AS INTEGER) "
				   "FROM meta WHERE name = 'backfill/' || ?1";
static const char insert_place[] =
    "INSERT INTO meta (name, value) "
    "VALUES ('backfill/' || ?1, CAST(CAST(?2 AS TEXT) AS BLOB)) "
    "ON CONFLICT (name) DO UPDATE SET value = excluded.value";

/* The number in the first row; *ret_number is left alone when there is none. 1, 0, or a
 * negative errno. */
static int
ask(struct db *db, sqlite3_stmt *statement, int64_t *ret_number)
{
	int result = db_step(db, statement);

	if (result > 0)
		*ret_number = db_column_number(statement, 0);
	db_finish(statement);
	return result;
}

static int
table_is_there(struct db *db, const char *name)
{
	sqlite3_stmt *statement = db_statement(db, select_table);
	int64_t one;

	if (!statement)
		return db_result(db);
	db_bind_text(statement, 1, name);
	return ask(db, statement, &one);
}

static int
read_place(struct db *db, const char *name, int64_t *ret_place)
{
	sqlite3_stmt *statement = db_statement(db, select_place);
	int result;

	*ret_place = PLACE_START;
	if (!statement)
		return db_result(db);
	db_bind_text(statement, 1, name);
	result = ask(db, statement, ret_place);
	return result < 0 ? result : 0;
}

static int
write_place(struct db *db, const char *name, int64_t place)
{
	sqlite3_stmt *statement = db_statement(db, insert_place);

	if (!statement)
		return db_result(db);
	db_bind_text(statement, 1, name);
	db_bind_number(statement, 2, place);
	return db_run(db, statement);
}

/* The last row of the piece after `place`; the end when fewer rows are left. */
static int
find_end(struct db *db, const struct store_backfill_step *step, int64_t place,
    int64_t *ret_end)
{
	sqlite3_stmt *statement = db_statement(db, step->find);
	int result;

	*ret_end = PLACE_END;
	if (!statement)
		return db_result(db);
	db_bind_number(statement, 1, place);
	db_bind_number(statement, 2, STORE_BACKFILL_ROWS - 1);
	result = ask(db, statement, ret_end);
	return result < 0 ? result : 0;
}

static int
apply(struct db *db, struct store_backfill *work, int64_t from, int64_t to)
{
	sqlite3_stmt *statement = db_statement(db, work->step->apply);
	int result;

	if (!statement)
		return db_result(db);
	db_bind_number(statement, 1, from);
	db_bind_number(statement, 2, to);
	result = db_run(db, statement);
	if (result == 0)
		work->rows = (uint64_t)db_changes(db);
	return result;
}

static int
run_piece(struct db *db, struct store_backfill *work)
{
	const struct store_backfill_step *step = work->step;
	int64_t place = PLACE_START;
	int64_t to = PLACE_END;
	int result = table_is_there(db, step->table);

	if (result <= 0) {
		work->over = result == 0;
		return result;
	}
	result = read_place(db, step->name, &place);
	if (result < 0 || place == PLACE_END) {
		work->over = result == 0;
		return result;
	}
	result = find_end(db, step, place, &to);
	if (result == 0)
		result = apply(db, work, place, to);
	if (result == 0)
		result = write_place(db, step->name, to);
	if (result == 0)
		work->over = to == PLACE_END;
	return result;
}

/* A statement that is wrong, or a row that does not fit, is no fault of the disk. */
static int
fault_of_step(const struct db *db, int result)
{
	return sqlite3_errcode(db->handle) == SQLITE_ERROR ? -EINVAL : result;
}

int
store_backfill_run(struct db *db, struct store_backfill *work)
{
	int result = db_run(db, db_statement(db, begin));

	if (result < 0)
		return result;
	work->over = false;
	work->rows = 0;
	work->trouble = 0;
	result = run_piece(db, work);
	if (result < 0) {
		result = fault_of_step(db, result);
		if (result == -EIO || result == -EBADMSG)
			return result;
		work->trouble = result;
		work->rows = 0;
		result = db_run(db, db_statement(db, undo));
		if (result < 0)
			return result;
	}
	return db_run(db, db_statement(db, end));
}
