/*
 * SQL for pending logins.
 */
#include <stdlib.h>
#include <string.h>

#include "broker/store/store_db.h"
#include "broker/store/store_login.h"

#define COLUMNS \
	"platform, username, client_id, redirect_uri, scopes, adopt, created_at, " \
	"expires_at"

static const char insert[] =
    "INSERT INTO logins (state_hash, verifier_sealed, " COLUMNS ") "
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
static const char take[] =
    "DELETE FROM logins WHERE state_hash = ?1 AND platform = ?2 AND expires_at > ?3 "
    "RETURNING " COLUMNS ", verifier_sealed";
static const char purge[] = "DELETE FROM logins WHERE expires_at <= ?1";
static const char select_all[] = "SELECT " COLUMNS ", state_hash FROM logins";

void
store_login_clear(struct store_login *login)
{
	free(login->platform);
	free(login->username);
	free(login->client_id);
	free(login->redirect_uri);
	free(login->scopes);
	buf_clear(&login->verifier_sealed);
	*login = (struct store_login){ .platform = NULL };
}

int
store_login_put(struct db *db, const struct store_login *login)
{
	sqlite3_stmt *statement = db_statement(db, insert);
	size_t sealed = buf_length(&login->verifier_sealed);

	if (!statement)
		return db_result(db);
	db_bind_bytes(statement, 1, login->state_hash, sizeof(login->state_hash));
	if (sealed > 0)
		db_bind_bytes(statement, 2, buf_bytes(&login->verifier_sealed), sealed);
	db_bind_text(statement, 3, login->platform);
	db_bind_text(statement, 4, login->username);
	db_bind_text(statement, 5, login->client_id);
	db_bind_text(statement, 6, login->redirect_uri);
	db_bind_text(statement, 7, login->scopes);
	db_bind_number(statement, 8, login->adopt);
	db_bind_number(statement, 9, login->created_at);
	db_bind_number(statement, 10, login->expires_at);
	return db_run(db, statement);
}

/* Reads COLUMNS into an empty struct, except state_hash. */
static void
read_row(sqlite3_stmt *statement, struct store_login *login)
{
	login->platform = db_column_text(statement, 0);
	login->username = db_column_text(statement, 1);
	login->client_id = db_column_text(statement, 2);
	login->redirect_uri = db_column_text(statement, 3);
	login->scopes = db_column_text(statement, 4);
	login->adopt = db_column_number(statement, 5) != 0;
	login->created_at = db_column_number(statement, 6);
	login->expires_at = db_column_number(statement, 7);
}

int
store_login_take(struct db *db, struct store_login *login, int64_t now, bool *ret_found)
{
	sqlite3_stmt *statement = db_statement(db, take);
	char *platform = login->platform;
	int result;

	if (!statement)
		return db_result(db);
	db_bind_bytes(statement, 1, login->state_hash, sizeof(login->state_hash));
	db_bind_text(statement, 2, platform);
	db_bind_number(statement, 3, now);
	/* SQLite deletes everything in the first step and gives the rows afterwards. */
	result = db_step(db, statement);
	if (result == 1) {
		read_row(statement, login);
		db_column_bytes(statement, 8, &login->verifier_sealed);
	}
	db_finish(statement);
	if (result == 1)
		free(platform);
	*ret_found = result == 1;
	return result < 0 ? result : 0;
}

int
store_login_purge(struct db *db, int64_t now)
{
	sqlite3_stmt *statement = db_statement(db, purge);

	if (!statement)
		return db_result(db);
	db_bind_number(statement, 1, now);
	return db_run(db, statement);
}

int
store_login_load(struct db *db, store_login_fn *each, void *arg)
{
	sqlite3_stmt *statement = db_statement(db, select_all);
	int result;

	if (!statement)
		return db_result(db);
	while ((result = db_step(db, statement)) == 1) {
		struct store_login login = { .platform = NULL };
		struct buf hash = BUF_EMPTY;

		read_row(statement, &login);
		db_column_bytes(statement, 8, &hash);
		if (buf_length(&hash) == sizeof(login.state_hash)) {
			memcpy(login.state_hash, buf_bytes(&hash),
			    sizeof(login.state_hash));
			each(arg, &login);
		}
		buf_clear(&hash);
		store_login_clear(&login);
	}
	db_finish(statement);
	return result;
}
