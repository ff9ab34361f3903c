/*
 * SQL for refreshes in flight. Called by the jobs of oauth/refresh*.c and by oauth.c at
 * start.
 */
#include <stdlib.h>

#include "broker/store/store_db.h"
#include "broker/store/store_refresh.h"

static const char upsert[] =
    "INSERT INTO refreshes (platform, username_key, generation, attempt, previous, "
    "started_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6) "
    "ON CONFLICT (platform, username_key) DO UPDATE SET generation = ?3, attempt = ?4, "
    "previous = ?5, started_at = ?6";
static const char delete_one[] =
    "DELETE FROM refreshes WHERE platform = ?1 AND username_key = ?2";
static const char delete_stale[] =
    "DELETE FROM refreshes WHERE NOT EXISTS (SELECT 1 FROM accounts WHERE "
    "accounts.platform = refreshes.platform AND "
    "accounts.username_key = refreshes.username_key AND "
    "accounts.generation = refreshes.generation)";
static const char select_all[] =
    "SELECT platform, username_key, generation, attempt, previous, started_at "
    "FROM refreshes";
static const char select_current[] =
    "SELECT 1 FROM accounts WHERE platform = ?1 AND username_key = ?2 AND "
    "generation = ?3";

int
store_refresh_put(struct db *db, const struct store_refresh *refresh)
{
	sqlite3_stmt *statement = db_statement(db, upsert);

	if (!statement)
		return db_result(db);
	db_bind_text(statement, 1, refresh->platform);
	db_bind_text(statement, 2, refresh->username_key);
	db_bind_number(statement, 3, (int64_t)refresh->generation);
	db_bind_number(statement, 4, refresh->attempt);
	db_bind_number(statement, 5, refresh->previous);
	db_bind_number(statement, 6, refresh->started_at);
	return db_run(db, statement);
}

int
store_refresh_delete(struct db *db, const char *platform, const char *username_key)
{
	sqlite3_stmt *statement = db_statement(db, delete_one);

	if (!statement)
		return db_result(db);
	db_bind_text(statement, 1, platform);
	db_bind_text(statement, 2, username_key);
	return db_run(db, statement);
}

int
store_refresh_purge(struct db *db)
{
	sqlite3_stmt *statement = db_statement(db, delete_stale);

	return statement ? db_run(db, statement) : db_result(db);
}

int
store_refresh_load(struct db *db, store_refresh_fn *each, void *arg)
{
	sqlite3_stmt *statement = db_statement(db, select_all);
	int result;

	if (!statement)
		return db_result(db);
	while ((result = db_step(db, statement)) == 1) {
		char *platform = db_column_text(statement, 0);
		char *username_key = db_column_text(statement, 1);
		const struct store_refresh refresh = {
			.platform = platform,
			.username_key = username_key,
			.generation = (uint64_t)db_column_number(statement, 2),
			.attempt = (uint32_t)db_column_number(statement, 3),
			.previous = db_column_number(statement, 4) != 0,
			.started_at = db_column_number(statement, 5),
		};

		each(arg, &refresh);
		free(platform);
		free(username_key);
	}
	db_finish(statement);
	return result;
}

int
store_refresh_is_current(struct db *db, const char *platform, const char *username_key,
    uint64_t generation, bool *ret_current)
{
	sqlite3_stmt *statement = db_statement(db, select_current);
	int result;

	if (!statement)
		return db_result(db);
	db_bind_text(statement, 1, platform);
	db_bind_text(statement, 2, username_key);
	db_bind_number(statement, 3, (int64_t)generation);
	result = db_step(db, statement);
	if (result >= 0)
		*ret_current = result == 1;
	db_finish(statement);
	return result < 0 ? result : 0;
}
