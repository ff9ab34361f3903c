/*
 * SQL for streams. Called by the jobs of events/silence.c.
 */
#include <stdio.h>

#include "broker/store/store_db.h"
#include "broker/store/store_stream.h"

static const char upsert[] =
    "INSERT INTO streams (platform, broadcaster_id, name, live_since, told_at, "
    "chat_seen) VALUES (?1, ?2, ?3, ?4, ?5, ?6) "
    "ON CONFLICT (platform, broadcaster_id) DO UPDATE SET name = ?3, live_since = ?4, "
    "told_at = ?5, chat_seen = ?6";
static const char select_all[] = "SELECT platform, broadcaster_id, name, live_since, "
				 "told_at, chat_seen FROM streams "
				 "ORDER BY live_since = 0, platform, broadcaster_id";

int
store_stream_put(struct db *db, const struct store_stream *row)
{
	sqlite3_stmt *statement = db_statement(db, upsert);

	if (!statement)
		return db_result(db);
	db_bind_text(statement, 1, row->platform);
	db_bind_text(statement, 2, row->broadcaster_id);
	db_bind_text(statement, 3, row->name);
	db_bind_number(statement, 4, row->live_since);
	db_bind_number(statement, 5, row->told_at);
	db_bind_number(statement, 6, row->chat_seen);
	return db_run(db, statement);
}

static void
copy_column(sqlite3_stmt *statement, int column, char *text, size_t size)
{
	const char *value = (const char *)sqlite3_column_text(statement, column);

	(void)snprintf(text, size, "%s", value ? value : "");
}

int
store_stream_load(struct db *db, store_stream_fn *each, void *arg)
{
	sqlite3_stmt *statement = db_statement(db, select_all);
	int result;

	if (!statement)
		return db_result(db);
	while ((result = db_step(db, statement)) > 0) {
		struct store_stream row = { .live_since =
						db_column_number(statement, 3),
			.told_at = db_column_number(statement, 4),
			.chat_seen = db_column_number(statement, 5) != 0 };

		copy_column(statement, 0, row.platform, sizeof(row.platform));
		copy_column(
		    statement, 1, row.broadcaster_id, sizeof(row.broadcaster_id));
		copy_column(statement, 2, row.name, sizeof(row.name));
		each(arg, &row);
	}
	db_finish(statement);
	return result;
}
