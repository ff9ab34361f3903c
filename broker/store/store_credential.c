/*
 * SQL for client credentials.
 */
#include <stdlib.h>

#include "broker/store/store_credential.h"
#include "broker/store/store_db.h"

static const char upsert[] =
    "INSERT INTO credentials (platform, client_id, scopes, created_at, updated_at) "
    "VALUES (?1, ?2, ?3, ?4, ?4) ON CONFLICT (platform) DO UPDATE "
    "SET client_id = ?2, scopes = ?3, updated_at = ?4 RETURNING created_at";
static const char delete_one[] = "DELETE FROM credentials WHERE platform = ?1";
static const char select_all[] =
    "SELECT platform, client_id, scopes, created_at, updated_at FROM credentials";

void
store_credential_clear(struct store_credential *credential)
{
	free(credential->platform);
	free(credential->client_id);
	free(credential->scopes);
	*credential = (struct store_credential){ .platform = NULL };
}

int
store_credential_put(struct db *db, struct store_credential *credential)
{
	sqlite3_stmt *statement = db_statement(db, upsert);
	int result;

	if (!statement)
		return db_result(db);
	db_bind_text(statement, 1, credential->platform);
	db_bind_text(statement, 2, credential->client_id);
	db_bind_text(statement, 3, credential->scopes);
	db_bind_number(statement, 4, credential->updated_at);
	result = db_step(db, statement);
	if (result == 1)
		credential->created_at = db_column_number(statement, 0);
	db_finish(statement);
	return result < 0 ? result : 0;
}

int
store_credential_delete(struct db *db, const char *platform)
{
	sqlite3_stmt *statement = db_statement(db, delete_one);

	if (!statement)
		return db_result(db);
	db_bind_text(statement, 1, platform);
	return db_run(db, statement);
}

int
store_credential_load(struct db *db, store_credential_fn *each, void *arg)
{
	sqlite3_stmt *statement = db_statement(db, select_all);
	int result;

	if (!statement)
		return db_result(db);
	while ((result = db_step(db, statement)) == 1) {
		struct store_credential credential = {
			.platform = db_column_text(statement, 0),
			.client_id = db_column_text(statement, 1),
			.scopes = db_column_text(statement, 2),
			.created_at = db_column_number(statement, 3),
			.updated_at = db_column_number(statement, 4),
		};

		each(arg, &credential);
		store_credential_clear(&credential);
	}
	db_finish(statement);
	return result;
}
