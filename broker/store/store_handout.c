/*
 * SQL for handing out tokens.
 */
#include <stdlib.h>

#include "broker/store/store_db.h"
#include "broker/store/store_handout.h"

static const char insert_audit[] =
    "INSERT INTO audit (at, uid, pid, what, platform, username, outcome) "
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
static const char delete_old[] = "DELETE FROM audit WHERE number <= ?1";
static const char select_newest[] =
    "SELECT number, at, uid, pid, what, platform, username, outcome FROM "
    "(SELECT * FROM audit ORDER BY number DESC LIMIT ?1) ORDER BY number";
static const char select_handout[] =
    "SELECT 1 FROM handouts WHERE platform = ?1 AND username_key = ?2";
static const char insert_handout[] =
    "INSERT INTO handouts (platform, username_key, allowed_at) VALUES (?1, ?2, ?3) "
    "ON CONFLICT (platform, username_key) DO NOTHING";
static const char delete_handout[] =
    "DELETE FROM handouts WHERE platform = ?1 AND username_key = ?2";

void
store_audit_clear(struct store_audit *audit)
{
	free(audit->what);
	free(audit->platform);
	free(audit->username);
	free(audit->outcome);
	*audit = (struct store_audit){ .number = 0 };
}

static int
trim(struct db *db)
{
	int64_t last = db_last_row(db);
	sqlite3_stmt *statement = db_statement(db, delete_old);

	if (!statement)
		return db_result(db);
	db_bind_number(statement, 1, last - STORE_AUDIT_MAX);
	return db_run(db, statement);
}

int
store_audit_put(struct db *db, const struct store_audit *audit)
{
	sqlite3_stmt *statement = db_statement(db, insert_audit);
	int result;

	if (!statement)
		return db_result(db);
	db_bind_number(statement, 1, audit->at);
	db_bind_number(statement, 2, audit->uid);
	db_bind_number(statement, 3, audit->pid);
	db_bind_text(statement, 4, audit->what);
	db_bind_text(statement, 5, audit->platform);
	db_bind_text(statement, 6, audit->username);
	db_bind_text(statement, 7, audit->outcome);
	result = db_run(db, statement);
	return result < 0 ? result : trim(db);
}

int
store_audit_load(struct db *db, uint32_t limit, store_audit_fn *each, void *arg)
{
	sqlite3_stmt *statement = db_statement(db, select_newest);
	int result;

	if (!statement)
		return db_result(db);
	db_bind_number(statement, 1, limit);
	while ((result = db_step(db, statement)) == 1) {
		struct store_audit audit = {
			.number = db_column_number(statement, 0),
			.at = db_column_number(statement, 1),
			.uid = (uid_t)db_column_number(statement, 2),
			.pid = (pid_t)db_column_number(statement, 3),
			.what = db_column_text(statement, 4),
			.platform = db_column_text(statement, 5),
			.username = db_column_text(statement, 6),
			.outcome = db_column_text(statement, 7),
		};

		each(arg, &audit);
		store_audit_clear(&audit);
	}
	db_finish(statement);
	return result;
}

int
store_handout_get(
    struct db *db, const char *platform, const char *username_key, bool *ret_allowed)
{
	sqlite3_stmt *statement = db_statement(db, select_handout);
	int result;

	if (!statement)
		return db_result(db);
	db_bind_text(statement, 1, platform);
	db_bind_text(statement, 2, username_key);
	result = db_step(db, statement);
	db_finish(statement);
	if (result < 0)
		return result;
	*ret_allowed = result == 1;
	return 0;
}

int
store_handout_set(struct db *db, const char *platform, const char *username_key,
    bool allowed, int64_t now)
{
	sqlite3_stmt *statement =
	    db_statement(db, allowed ? insert_handout : delete_handout);

	if (!statement)
		return db_result(db);
	db_bind_text(statement, 1, platform);
	db_bind_text(statement, 2, username_key);
	if (allowed)
		db_bind_number(statement, 3, now);
	return db_run(db, statement);
}
