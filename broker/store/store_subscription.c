/*
 * SQL for event subscriptions. Called by the jobs of broker/subscriptions/.
 */
#include <stdlib.h>

#include "broker/store/store_db.h"
#include "broker/store/store_subscription.h"

static const char upsert_set[] =
    "INSERT INTO subscription_sets (username_key, username, events, updated_at) "
    "VALUES (?1, ?2, ?3, ?4) ON CONFLICT (username_key) DO UPDATE SET "
    "username = ?2, events = ?3, updated_at = ?4";
static const char delete_set[] =
    "DELETE FROM subscription_sets WHERE username_key = ?1";
static const char upsert_channel[] =
    "INSERT INTO subscription_channels "
    "(username_key, username, broadcaster_id, asked, asked_at) "
    "VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (username_key) DO UPDATE SET "
    "username = ?2, broadcaster_id = ?3, asked = ?4, asked_at = ?5";
static const char upsert[] =
    "INSERT INTO subscriptions "
    "(id, username_key, event, version, made_at, listed_at, adopted, removed) "
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (id) DO UPDATE SET "
    "username_key = ?2, event = ?3, version = ?4, made_at = ?5, listed_at = ?6, "
    "adopted = ?7, removed = ?8";
static const char delete_one[] = "DELETE FROM subscriptions WHERE id = ?1";
static const char select_sets[] =
    "SELECT username_key, username, events, updated_at FROM subscription_sets";
static const char select_channels[] =
    "SELECT username_key, username, broadcaster_id, asked, asked_at "
    "FROM subscription_channels";
static const char select_all[] =
    "SELECT id, username_key, event, version, made_at, listed_at, adopted, removed "
    "FROM subscriptions ORDER BY made_at, id";

int
store_subscription_set_put(struct db *db, const struct store_subscription_set *set)
{
	sqlite3_stmt *statement = db_statement(db, upsert_set);

	if (!statement)
		return db_result(db);
	db_bind_text(statement, 1, set->username_key);
	db_bind_text(statement, 2, set->username);
	db_bind_text(statement, 3, set->events);
	db_bind_number(statement, 4, set->updated_at);
	return db_run(db, statement);
}

int
store_subscription_set_delete(struct db *db, const char *username_key)
{
	sqlite3_stmt *statement = db_statement(db, delete_set);

	if (!statement)
		return db_result(db);
	db_bind_text(statement, 1, username_key);
	return db_run(db, statement);
}

int
store_subscription_channel_put(
    struct db *db, const struct store_subscription_channel *channel)
{
	sqlite3_stmt *statement = db_statement(db, upsert_channel);

	if (!statement)
		return db_result(db);
	db_bind_text(statement, 1, channel->username_key);
	db_bind_text(statement, 2, channel->username);
	db_bind_text(statement, 3, channel->broadcaster_id);
	db_bind_text(statement, 4, channel->asked);
	db_bind_number(statement, 5, channel->asked_at);
	return db_run(db, statement);
}

int
store_subscription_put(struct db *db, const struct store_subscription *row)
{
	sqlite3_stmt *statement = db_statement(db, upsert);

	if (!statement)
		return db_result(db);
	db_bind_text(statement, 1, row->id);
	db_bind_text(statement, 2, row->username_key);
	db_bind_text(statement, 3, row->event);
	db_bind_number(statement, 4, row->version);
	db_bind_number(statement, 5, row->made_at);
	db_bind_number(statement, 6, row->listed_at);
	db_bind_number(statement, 7, row->adopted);
	db_bind_number(statement, 8, row->removed);
	return db_run(db, statement);
}

int
store_subscription_delete(struct db *db, const char *id)
{
	sqlite3_stmt *statement = db_statement(db, delete_one);

	if (!statement)
		return db_result(db);
	db_bind_text(statement, 1, id);
	return db_run(db, statement);
}

int
store_subscription_sets_load(struct db *db, store_subscription_set_fn *each, void *arg)
{
	sqlite3_stmt *statement = db_statement(db, select_sets);
	int result;

	if (!statement)
		return db_result(db);
	while ((result = db_step(db, statement)) == 1) {
		char *key = db_column_text(statement, 0);
		char *username = db_column_text(statement, 1);
		char *events = db_column_text(statement, 2);

		each(arg,
		    &(const struct store_subscription_set){
			.username_key = key,
			.username = username,
			.events = events,
			.updated_at = db_column_number(statement, 3),
		    });
		free(key);
		free(username);
		free(events);
	}
	db_finish(statement);
	return result;
}

int
store_subscription_channels_load(
    struct db *db, store_subscription_channel_fn *each, void *arg)
{
	sqlite3_stmt *statement = db_statement(db, select_channels);
	int result;

	if (!statement)
		return db_result(db);
	while ((result = db_step(db, statement)) == 1) {
		char *key = db_column_text(statement, 0);
		char *username = db_column_text(statement, 1);
		char *broadcaster_id = db_column_text(statement, 2);
		char *asked = db_column_text(statement, 3);

		each(arg,
		    &(const struct store_subscription_channel){
			.username_key = key,
			.username = username,
			.broadcaster_id = broadcaster_id,
			.asked = asked,
			.asked_at = db_column_number(statement, 4),
		    });
		free(key);
		free(username);
		free(broadcaster_id);
		free(asked);
	}
	db_finish(statement);
	return result;
}

int
store_subscriptions_load(struct db *db, store_subscription_fn *each, void *arg)
{
	sqlite3_stmt *statement = db_statement(db, select_all);
	int result;

	if (!statement)
		return db_result(db);
	while ((result = db_step(db, statement)) == 1) {
		char *id = db_column_text(statement, 0);
		char *key = db_column_text(statement, 1);
		char *event = db_column_text(statement, 2);

		each(arg,
		    &(const struct store_subscription){
			.id = id,
			.username_key = key,
			.event = event,
			.version = (uint32_t)db_column_number(statement, 3),
			.made_at = db_column_number(statement, 4),
			.listed_at = db_column_number(statement, 5),
			.adopted = db_column_number(statement, 6) != 0,
			.removed = db_column_number(statement, 7) != 0,
		    });
		free(id);
		free(key);
		free(event);
	}
	db_finish(statement);
	return result;
}
