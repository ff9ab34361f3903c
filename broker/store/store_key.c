/*
 * SQL for public keys. Called by the jobs of events/kick_upkeep.c.
 */
#include <stdlib.h>

#include "broker/store/store_db.h"
#include "broker/store/store_key.h"

static const char end_others[] =
    "UPDATE public_keys SET until = ?3 WHERE platform = ?1 AND id <> ?2 AND until = 0";
static const char upsert[] =
    "INSERT INTO public_keys (platform, id, pem, since, until) "
    "VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (platform, id) DO UPDATE SET "
    "pem = ?3, since = ?4, until = ?5";
static const char insert_new[] =
    "INSERT INTO public_keys (platform, id, pem, since, until) "
    "VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING";
static const char purge[] =
    "DELETE FROM public_keys WHERE platform = ?1 AND until <> 0 AND id NOT IN "
    "(SELECT id FROM public_keys WHERE platform = ?1 ORDER BY since DESC LIMIT ?2)";
static const char select_all[] =
    "SELECT id, pem, since, until FROM public_keys WHERE platform = ?1 "
    "ORDER BY until = 0, since";

static int
put(struct db *db, const char *sql, const struct store_key *key)
{
	sqlite3_stmt *statement = db_statement(db, sql);

	if (!statement)
		return db_result(db);
	db_bind_text(statement, 1, key->platform);
	db_bind_text(statement, 2, key->id);
	db_bind_text(statement, 3, key->pem);
	db_bind_number(statement, 4, key->since);
	db_bind_number(statement, 5, key->until);
	return db_run(db, statement);
}

int
store_key_note(struct db *db, const struct store_key *key)
{
	return put(db, insert_new, key);
}

int
store_key_adopt(struct db *db, const struct store_key *key, int64_t others_until)
{
	sqlite3_stmt *statement = db_statement(db, end_others);
	int result;

	if (!statement)
		return db_result(db);
	db_bind_text(statement, 1, key->platform);
	db_bind_text(statement, 2, key->id);
	db_bind_number(statement, 3, others_until);
	result = db_run(db, statement);
	if (result == 0)
		result = put(db, upsert, key);
	if (result < 0)
		return result;
	statement = db_statement(db, purge);
	if (!statement)
		return db_result(db);
	db_bind_text(statement, 1, key->platform);
	db_bind_number(statement, 2, STORE_KEY_MAX);
	return db_run(db, statement);
}

int
store_key_load(struct db *db, const char *platform, store_key_fn *each, void *arg)
{
	sqlite3_stmt *statement = db_statement(db, select_all);
	int result;

	if (!statement)
		return db_result(db);
	db_bind_text(statement, 1, platform);
	while ((result = db_step(db, statement)) == 1) {
		char *id = db_column_text(statement, 0);
		char *pem = db_column_text(statement, 1);
		const struct store_key key = { .platform = platform,
			.id = id,
			.pem = pem,
			.since = db_column_number(statement, 2),
			.until = db_column_number(statement, 3) };

		each(arg, &key);
		free(id);
		free(pem);
	}
	db_finish(statement);
	return result;
}
