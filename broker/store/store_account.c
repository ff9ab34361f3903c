/*
 * SQL for accounts.
 */
#include <stdlib.h>

#include "broker/store/store_account.h"
#include "broker/store/store_db.h"

#define COLUMNS \
	"platform, username_key, username, user_id, login, display_name, identity, " \
	"scopes, scopes_asked, obtained_at, expires_at, refreshable, generation, " \
	"status, reason, since, client_id, refresh_expires_at"
#define VALUES \
	" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, " \
	"?16, ?17, ?18) "

static const char upsert[] =
    "INSERT INTO accounts (" COLUMNS ")" VALUES
    "ON CONFLICT (platform, username_key) DO UPDATE SET user_id = ?4, login = ?5, "
    "display_name = ?6, identity = ?7, scopes = ?8, scopes_asked = ?9, "
    "obtained_at = ?10, expires_at = ?11, refreshable = ?12, generation = ?13, "
    "status = ?14, reason = ?15, since = ?16, client_id = ?17, "
    "refresh_expires_at = ?18 RETURNING id, username";
static const char learn_one[] =
    "UPDATE accounts SET user_id = ?1, login = ?2, display_name = ?3, identity = ?4, "
    "expires_at = ?5 WHERE platform = ?6 AND username_key = ?7 AND generation = ?8 "
    "RETURNING id";
static const char delete_one[] =
    "DELETE FROM accounts WHERE platform = ?1 AND username_key = ?2";
static const char select_all[] = "SELECT id, " COLUMNS " FROM accounts ORDER BY id";
static const char note_one[] =
    "INSERT OR REPLACE INTO login_notes (" COLUMNS ")" VALUES;
static const char delete_note[] =
    "DELETE FROM login_notes WHERE platform = ?1 AND username_key = ?2";
static const char select_notes[] =
    "SELECT 0, " COLUMNS " FROM login_notes ORDER BY generation";

void
store_account_clear(struct store_account *account)
{
	free(account->platform);
	free(account->username_key);
	free(account->username);
	free(account->user_id);
	free(account->login);
	free(account->display_name);
	free(account->identity);
	free(account->scopes);
	free(account->scopes_asked);
	free(account->status);
	free(account->reason);
	free(account->client_id);
	*account = (struct store_account){ .id = 0 };
}

static void
bind_row(sqlite3_stmt *statement, const struct store_account *account)
{
	db_bind_text(statement, 1, account->platform);
	db_bind_text(statement, 2, account->username_key);
	db_bind_text(statement, 3, account->username);
	db_bind_text(statement, 4, account->user_id);
	db_bind_text(statement, 5, account->login);
	db_bind_text(statement, 6, account->display_name);
	db_bind_text(statement, 7, account->identity);
	db_bind_text(statement, 8, account->scopes);
	db_bind_text(statement, 9, account->scopes_asked);
	db_bind_number(statement, 10, account->obtained_at);
	db_bind_number(statement, 11, account->expires_at);
	db_bind_number(statement, 12, account->refreshable);
	db_bind_number(statement, 13, (int64_t)account->generation);
	db_bind_text(statement, 14, account->status);
	db_bind_text(statement, 15, account->reason);
	if (account->since)
		db_bind_number(statement, 16, account->since);
	db_bind_text(statement, 17, account->client_id);
	if (account->refresh_expires_at)
		db_bind_number(statement, 18, account->refresh_expires_at);
}

int
store_account_put(struct db *db, struct store_account *account)
{
	sqlite3_stmt *statement = db_statement(db, upsert);
	char *username = NULL;
	int result;

	if (!statement)
		return db_result(db);
	bind_row(statement, account);
	result = db_step(db, statement);
	if (result == 1) {
		account->id = db_column_number(statement, 0);
		username = db_column_text(statement, 1);
	}
	db_finish(statement);
	if (username) {
		free(account->username);
		account->username = username;
	}
	return result < 0 ? result : 0;
}

int
store_account_learn(
    struct db *db, const struct store_account *account, bool *ret_changed)
{
	sqlite3_stmt *statement = db_statement(db, learn_one);
	int result;

	if (!statement)
		return db_result(db);
	db_bind_text(statement, 1, account->user_id);
	db_bind_text(statement, 2, account->login);
	db_bind_text(statement, 3, account->display_name);
	db_bind_text(statement, 4, account->identity);
	db_bind_number(statement, 5, account->expires_at);
	db_bind_text(statement, 6, account->platform);
	db_bind_text(statement, 7, account->username_key);
	db_bind_number(statement, 8, (int64_t)account->generation);
	result = db_step(db, statement);
	db_finish(statement);
	if (result >= 0)
		*ret_changed = result == 1;
	return result < 0 ? result : 0;
}

static int
delete_by(
    struct db *db, const char *sql, const char *platform, const char *username_key)
{
	sqlite3_stmt *statement = db_statement(db, sql);

	if (!statement)
		return db_result(db);
	db_bind_text(statement, 1, platform);
	db_bind_text(statement, 2, username_key);
	return db_run(db, statement);
}

int
store_account_delete(struct db *db, const char *platform, const char *username_key)
{
	return delete_by(db, delete_one, platform, username_key);
}

static int
load_by(struct db *db, const char *sql, store_account_fn *each, void *arg)
{
	sqlite3_stmt *statement = db_statement(db, sql);
	int result;

	if (!statement)
		return db_result(db);
	while ((result = db_step(db, statement)) == 1) {
		struct store_account account = {
			.id = db_column_number(statement, 0),
			.platform = db_column_text(statement, 1),
			.username_key = db_column_text(statement, 2),
			.username = db_column_text(statement, 3),
			.user_id = db_column_text(statement, 4),
			.login = db_column_text(statement, 5),
			.display_name = db_column_text(statement, 6),
			.identity = db_column_text(statement, 7),
			.scopes = db_column_text(statement, 8),
			.scopes_asked = db_column_text(statement, 9),
			.obtained_at = db_column_number(statement, 10),
			.expires_at = db_column_number(statement, 11),
			.refreshable = db_column_number(statement, 12) != 0,
			.generation = (uint64_t)db_column_number(statement, 13),
			.status = db_column_text(statement, 14),
			.reason = db_column_text(statement, 15),
			.since = db_column_number(statement, 16),
			.client_id = db_column_text(statement, 17),
			.refresh_expires_at = db_column_number(statement, 18),
		};

		each(arg, &account);
		store_account_clear(&account);
	}
	db_finish(statement);
	return result;
}

int
store_account_load(struct db *db, store_account_fn *each, void *arg)
{
	return load_by(db, select_all, each, arg);
}

/* ---- Logins whose tokens are about to be stored ---- */

int
store_account_note(struct db *db, const struct store_account *account)
{
	sqlite3_stmt *statement = db_statement(db, note_one);

	if (!statement)
		return db_result(db);
	bind_row(statement, account);
	return db_run(db, statement);
}

int
store_account_note_delete(struct db *db, const char *platform, const char *username_key)
{
	return delete_by(db, delete_note, platform, username_key);
}

int
store_account_note_load(struct db *db, store_account_fn *each, void *arg)
{
	return load_by(db, select_notes, each, arg);
}
