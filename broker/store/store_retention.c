/*
 * SQL of retention. Called by the jobs of events/retention.c.
 *
 * Events are numbered without reuse and deleted from the lowest number on, so limits of
 * rows are differences of numbers and nothing has to be counted. Pages that become free
 * are used again by what is stored next: the file stays as large as it was at most.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/store/store_content.h"
#include "broker/store/store_db.h"
#include "broker/store/store_inner.h"
#include "broker/store/store_known.h"
#include "broker/store/store_retention.h"

static const char select_oldest[] =
    "SELECT seq, received_at, length(body) FROM events ORDER BY seq LIMIT ?1";
static const char select_newest[] = "SELECT max(seq) FROM events";
static const char select_gone[] = "SELECT last FROM sequence WHERE id = 1";
static const char delete_up_to[] = "DELETE FROM events WHERE seq <= ?1";
static const char select_ids[] =
    "SELECT message_id FROM message_ids WHERE message_id > ?1 ORDER BY message_id "
    "LIMIT 1 OFFSET ?2";
static const char select_last_id[] = "SELECT max(message_id) FROM message_ids";
static const char delete_ids[] =
    "DELETE FROM message_ids WHERE message_id > ?1 AND message_id <= ?2 "
    "AND received_at < ?3";
static const char page_size[] = "PRAGMA page_size";
static const char free_pages[] = "PRAGMA freelist_count";

/* One number that a statement gives, 0 when it gives NULL or nothing. */
static int
ask_number(struct db *db, const char *sql, uint64_t *ret_number)
{
	sqlite3_stmt *statement = db_statement(db, sql);
	int result;

	if (!statement)
		return db_result(db);
	result = db_step(db, statement);
	if (result >= 0)
		*ret_number = result > 0 ? (uint64_t)db_column_number(statement, 0) : 0;
	db_finish(statement);
	return result < 0 ? result : 0;
}

static bool
is_past(const struct store_retention_limit *limit, uint64_t newest, uint64_t seq,
    int64_t received_at)
{
	return received_at < limit->before ||
	    (newest > limit->rows_max && seq <= newest - limit->rows_max);
}

/* What becomes of one event. */
enum fate {
	FATE_GOES,
	FATE_PASSED, /* a clock that was wrong stamped it with a time to come: it goes
		      * with the first one after it that does */
	FATE_STAYS,
};

static enum fate
judge(struct store_retention *retention, uint64_t seq, int64_t received_at)
{
	const struct store_retention_limit *limit = &retention->limit;

	if (!is_past(limit, retention->newest, seq, received_at))
		return received_at > retention->now ? FATE_PASSED : FATE_STAYS;
	if (seq < retention->needed_from)
		return FATE_GOES;
	if (is_past(&retention->needed_limit, retention->newest, seq, received_at))
		return FATE_GOES;
	retention->held = true;
	return FATE_STAYS;
}

/* Looks at the oldest events: *ret_to is the last that goes, 0 when none does. */
static int
find_end(struct db *db, struct store_retention *retention, uint64_t *ret_to)
{
	sqlite3_stmt *statement = db_statement(db, select_oldest);
	uint64_t to = 0;
	int64_t bytes = 0;
	bool stays = false;
	int result = 0;

	if (!statement)
		return db_result(db);
	db_bind_number(statement, 1, STORE_RETENTION_EVENTS);
	while ((result = db_step(db, statement)) > 0) {
		uint64_t seq = (uint64_t)db_column_number(statement, 0);
		enum fate fate = judge(retention, seq, db_column_number(statement, 1));

		bytes += db_column_number(statement, 2);
		stays = fate == FATE_STAYS;
		if (stays || (to && bytes > STORE_RETENTION_BYTES))
			break;
		if (fate == FATE_GOES)
			to = seq;
	}
	/* All of the step's events went, or its bytes are used up. */
	retention->more = to && !stays;
	db_finish(statement);
	*ret_to = to;
	return result < 0 ? result : 0;
}

static int
delete_events(struct db *db, struct store_retention *retention, uint64_t to)
{
	sqlite3_stmt *statement = db_statement(db, delete_up_to);
	int result = store_known_outlive(db, to);

	if (!statement || result < 0)
		return statement ? result : db_result(db);
	db_bind_number(statement, 1, (int64_t)to);
	result = db_run(db, statement);
	if (result < 0)
		return result;
	retention->deleted = (uint64_t)db_changes(db);
	if (to < retention->needed_from)
		return 0;
	retention->lost_to = to;
	retention->lost = to - retention->needed_from + 1;
	if (retention->lost > retention->deleted)
		retention->lost = retention->deleted;
	return 0;
}

static int
look_at_rest(struct db *db, struct store_retention *retention)
{
	sqlite3_stmt *statement = db_statement(db, select_oldest);
	uint64_t size = 0;
	uint64_t pages = 0;
	int result;

	if (!statement)
		return db_result(db);
	db_bind_number(statement, 1, 1);
	result = db_step(db, statement);
	if (result > 0) {
		retention->oldest = (uint64_t)db_column_number(statement, 0);
		retention->oldest_at = (uint64_t)db_column_number(statement, 1);
	}
	db_finish(statement);
	if (result >= 0)
		result = ask_number(db, select_gone, &retention->gone_to);
	if (result == 0)
		result = ask_number(db, page_size, &size);
	if (result == 0)
		result = ask_number(db, free_pages, &pages);
	retention->free_bytes = size * pages;
	return result;
}

int
store_retention_events(struct db *db, struct store_retention *retention)
{
	uint64_t to = 0;
	int result = ask_number(db, select_newest, &retention->newest);

	if (result == 0)
		result = find_end(db, retention, &to);
	retention->deleted = 0;
	if (result == 0 && to)
		result = delete_events(db, retention, to);
	return result == 0 ? look_at_rest(db, retention) : result;
}

/* The id that ends the next stretch of a round. */
static int
find_id(struct db *db, struct store_retention_round *round, char *id, size_t size)
{
	sqlite3_stmt *statement = db_statement(db, select_ids);
	int result;

	if (!statement)
		return db_result(db);
	db_bind_text(statement, 1, round->last);
	db_bind_number(statement, 2, STORE_RETENTION_IDS - 1);
	result = db_step(db, statement);
	if (result == 0) {
		db_finish(statement);
		round->over = true;
		statement = db_statement(db, select_last_id);
		if (!statement)
			return db_result(db);
		result = db_step(db, statement);
	}
	if (result > 0) {
		const char *text = (const char *)sqlite3_column_text(statement, 0);

		(void)snprintf(id, size, "%s", text ? text : "");
	}
	db_finish(statement);
	return result < 0 ? result : 0;
}

int
store_retention_ids(struct db *db, struct store_retention *retention,
    struct store_retention_round *round)
{
	char id[sizeof(round->last)] = "";
	sqlite3_stmt *statement;
	int result = find_id(db, round, id, sizeof(id));

	if (result < 0)
		return result;
	statement = db_statement(db, delete_ids);
	if (!statement)
		return db_result(db);
	db_bind_text(statement, 1, round->last);
	db_bind_text(statement, 2, id);
	db_bind_number(statement, 3, retention->ids_before);
	result = db_run(db, statement);
	if (result < 0)
		return result;
	retention->ids_deleted = (uint64_t)db_changes(db);
	memcpy(round->last, id, sizeof(id));
	result = store_content_forget(db, retention->ids_before, STORE_RETENTION_IDS);
	if (result == STORE_RETENTION_IDS)
		round->over = false;
	return result < 0 ? result : 0;
}
