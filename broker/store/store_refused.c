/*
 * SQL for logins that were turned away. Called by the jobs of oauth/refused.c,
 * login_store.c and account_delete.c, and by oauth.c at start.
 */
#include <stdlib.h>

#include "broker/store/store_db.h"
#include "broker/store/store_refused.h"

static const char upsert[] =
    "INSERT OR REPLACE INTO refused_logins (platform, username_key, username, "
    "logged_in, at) VALUES (?1, ?2, ?3, ?4, ?5)";
static const char delete_surplus[] =
    "DELETE FROM refused_logins WHERE rowid IN (SELECT rowid FROM refused_logins "
    "ORDER BY at DESC, rowid DESC LIMIT -1 OFFSET ?1)";
static const char delete_one[] =
    "DELETE FROM refused_logins WHERE platform = ?1 AND username_key = ?2";
static const char delete_before[] = "DELETE FROM refused_logins WHERE at < ?1";
static const char select_all[] =
    "SELECT platform, username_key, username, logged_in, at FROM refused_logins "
    "ORDER BY at, rowid";

int
store_refused_put(struct db *db, const struct store_refused *refused)
{
	sqlite3_stmt *statement = db_statement(db, upsert);
	int result;

	if (!statement)
		return db_result(db);
	db_bind_text(statement, 1, refused->platform);
	db_bind_text(statement, 2, refused->username_key);
	db_bind_text(statement, 3, refused->username);
	db_bind_text(statement, 4, refused->logged_in);
	db_bind_number(statement, 5, refused->at);
	result = db_run(db, statement);
	if (result < 0)
		return result;
	statement = db_statement(db, delete_surplus);
	if (!statement)
		return db_result(db);
	db_bind_number(statement, 1, STORE_REFUSED_MAX);
	return db_run(db, statement);
}

int
store_refused_delete(struct db *db, const char *platform, const char *username_key)
{
	sqlite3_stmt *statement = db_statement(db, delete_one);

	if (!statement)
		return db_result(db);
	db_bind_text(statement, 1, platform);
	db_bind_text(statement, 2, username_key);
	return db_run(db, statement);
}

int
store_refused_purge(struct db *db, int64_t before)
{
	sqlite3_stmt *statement = db_statement(db, delete_before);

	if (!statement)
		return db_result(db);
	db_bind_number(statement, 1, before);
	return db_run(db, statement);
}

int
store_refused_load(struct db *db, store_refused_fn *each, void *arg)
{
	sqlite3_stmt *statement = db_statement(db, select_all);
	int result;

	if (!statement)
		return db_result(db);
	while ((result = db_step(db, statement)) == 1) {
		char *platform = db_column_text(statement, 0);
		char *username_key = db_column_text(statement, 1);
		char *username = db_column_text(statement, 2);
		char *logged_in = db_column_text(statement, 3);
		const struct store_refused refused = {
			.platform = platform,
			.username_key = username_key,
			.username = username,
			.logged_in = logged_in,
			.at = db_column_number(statement, 4),
		};

		each(arg, &refused);
		free(platform);
		free(username_key);
		free(username);
		free(logged_in);
	}
	db_finish(statement);
	return result;
}
