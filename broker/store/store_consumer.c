/*
 * SQL for consumers and their dead letters.
 */
#include <stdlib.h>

#include "broker/store/store_consumer.h"
#include "broker/store/store_db.h"
#include "common/alloc.h"

static const char put_consumer[] =
    "INSERT INTO consumers (name, type, platform, kind, broadcaster, "
    "include, cursor, handed, created_at, updated_at, seen_at, url, private_too, "
    "generation, disabled_at, disabled_reason, given) VALUES (?1, ?2, ?3, ?4, ?5, ?6, "
    "?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17) "
    "ON CONFLICT (name) DO UPDATE SET "
    "type = ?2, platform = ?3, kind = ?4, broadcaster = ?5, include = ?6, "
    "cursor = CASE WHEN ?18 THEN ?7 ELSE max(cursor, ?7) END, "
    "given = CASE WHEN ?18 THEN ?17 ELSE max(given, ?17) END, "
    "epoch = epoch + ?18, handed = max(handed, ?8), "
    "created_at = ?9, updated_at = ?10, seen_at = max(seen_at, ?11), url = ?12, "
    "private_too = ?13, disabled_at = ?15, disabled_reason = ?16, "
    "generation = CASE WHEN ?19 THEN ?14 ELSE generation END, "
    "old_generation = CASE WHEN ?19 THEN 0 ELSE old_generation END, "
    "old_until = CASE WHEN ?19 THEN 0 ELSE old_until END";
static const char mark_consumer[] =
    "UPDATE consumers SET "
    "cursor = CASE WHEN epoch = ?5 THEN max(cursor, ?2) ELSE cursor END, "
    "given = CASE WHEN epoch = ?5 THEN max(given, ?6) ELSE given END, "
    "handed = max(handed, ?3), seen_at = max(seen_at, ?4) WHERE name = ?1";
static const char rotate_consumer[] =
    "UPDATE consumers SET generation = ?3, old_generation = ?4, old_until = ?5, "
    "updated_at = ?6 WHERE name = ?1 AND generation = ?2";
static const char drop_old[] = "UPDATE consumers SET old_generation = 0, old_until = 0 "
			       "WHERE name = ?1 AND old_generation = ?2";
static const char switch_consumer[] =
    "UPDATE consumers SET disabled_at = ?2, disabled_reason = ?3 WHERE name = ?1";
static const char delete_consumer[] = "DELETE FROM consumers WHERE name = ?1";
static const char select_consumers[] =
    "SELECT name, type, platform, kind, broadcaster, include, cursor, handed, "
    "created_at, updated_at, seen_at, url, private_too, generation, disabled_at, "
    "disabled_reason, given, epoch, old_generation, old_until FROM consumers "
    "ORDER BY name";

static const char put_dead[] =
    "INSERT OR REPLACE INTO dead_letters (consumer, seq, type, id, tries, died_at, "
    "reason, retry, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
static const char trim_dead[] =
    "DELETE FROM dead_letters WHERE consumer = ?1 AND seq <= (SELECT seq FROM "
    "dead_letters WHERE consumer = ?1 ORDER BY seq DESC LIMIT 1 OFFSET ?2)";
static const char select_dead[] =
    "SELECT seq, type, id, tries, died_at, reason, retry FROM dead_letters "
    "WHERE consumer = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3";
static const char retry_all[] = "UPDATE dead_letters SET retry = 1 WHERE consumer = ?1";
static const char retry_one[] =
    "UPDATE dead_letters SET retry = 1 WHERE consumer = ?1 AND seq = ?2";
static const char select_retry[] =
    "SELECT seq, type, id, tries, died_at, reason, retry, body FROM dead_letters "
    "WHERE consumer = ?1 AND retry = 1 ORDER BY seq LIMIT 1";
static const char delete_dead[] =
    "DELETE FROM dead_letters WHERE consumer = ?1 AND seq = ?2";
static const char delete_all_dead[] = "DELETE FROM dead_letters WHERE consumer = ?1";
static const char count_dead[] =
    "SELECT count(*), coalesce(sum(retry), 0) FROM dead_letters WHERE consumer = ?1";

void
store_consumer_clear(struct store_consumer *row)
{
	free(row->name);
	free(row->type);
	free(row->platform);
	free(row->kind);
	free(row->broadcaster);
	free(row->include);
	free(row->url);
	free(row->disabled_reason);
	*row = (struct store_consumer){ .name = NULL };
}

int
store_consumer_put(struct db *db, const struct store_consumer *row, unsigned changes)
{
	sqlite3_stmt *statement = db_statement(db, put_consumer);

	if (!statement)
		return db_result(db);
	db_bind_text(statement, 1, row->name);
	db_bind_text(statement, 2, row->type);
	db_bind_text(statement, 3, row->platform);
	db_bind_text(statement, 4, row->kind);
	db_bind_text(statement, 5, row->broadcaster);
	db_bind_text(statement, 6, row->include);
	db_bind_number(statement, 7, (int64_t)row->cursor);
	db_bind_number(statement, 8, (int64_t)row->handed);
	db_bind_number(statement, 9, row->created_at);
	db_bind_number(statement, 10, row->updated_at);
	db_bind_number(statement, 11, row->seen_at);
	db_bind_text(statement, 12, row->url);
	db_bind_number(statement, 13, row->private_too);
	db_bind_number(statement, 14, (int64_t)row->generation);
	db_bind_number(statement, 15, row->disabled_at);
	db_bind_text(statement, 16, row->disabled_reason);
	db_bind_number(statement, 17, (int64_t)row->given);
	db_bind_number(statement, 18, (changes & STORE_CONSUMER_MOVED) != 0);
	db_bind_number(statement, 19, (changes & STORE_CONSUMER_NEW_SECRET) != 0);
	return db_run(db, statement);
}

struct store_mark
store_consumer_mark_of(const struct store_consumer *row)
{
	return (struct store_mark){ .name = xstrdup(row->name),
		.epoch = row->epoch,
		.cursor = row->cursor,
		.given = row->given,
		.handed = row->handed,
		.seen_at = row->seen_at };
}

int
store_consumer_mark(struct db *db, const struct store_mark *mark)
{
	sqlite3_stmt *statement = db_statement(db, mark_consumer);

	if (!statement)
		return db_result(db);
	db_bind_text(statement, 1, mark->name);
	db_bind_number(statement, 2, (int64_t)mark->cursor);
	db_bind_number(statement, 3, (int64_t)mark->handed);
	db_bind_number(statement, 4, mark->seen_at);
	db_bind_number(statement, 5, (int64_t)mark->epoch);
	db_bind_number(statement, 6, (int64_t)mark->given);
	return db_run(db, statement);
}

static int
run_changing(struct db *db, sqlite3_stmt *statement, bool *ret_changed)
{
	int result = db_run(db, statement);

	if (result == 0)
		*ret_changed = db_changes(db) > 0;
	return result;
}

int
store_consumer_rotate(struct db *db, const struct store_consumer *row,
    uint64_t expected, bool *ret_changed)
{
	sqlite3_stmt *statement = db_statement(db, rotate_consumer);

	if (!statement)
		return db_result(db);
	db_bind_text(statement, 1, row->name);
	db_bind_number(statement, 2, (int64_t)expected);
	db_bind_number(statement, 3, (int64_t)row->generation);
	db_bind_number(statement, 4, (int64_t)row->old_generation);
	db_bind_number(statement, 5, row->old_until);
	db_bind_number(statement, 6, row->updated_at);
	return run_changing(db, statement, ret_changed);
}

int
store_consumer_drop_old(
    struct db *db, const char *name, uint64_t old_generation, bool *ret_changed)
{
	sqlite3_stmt *statement = db_statement(db, drop_old);

	if (!statement)
		return db_result(db);
	db_bind_text(statement, 1, name);
	db_bind_number(statement, 2, (int64_t)old_generation);
	return run_changing(db, statement, ret_changed);
}

int
store_consumer_switch(
    struct db *db, const char *name, int64_t disabled_at, const char *reason)
{
	sqlite3_stmt *statement = db_statement(db, switch_consumer);

	if (!statement)
		return db_result(db);
	db_bind_text(statement, 1, name);
	db_bind_number(statement, 2, disabled_at);
	db_bind_text(statement, 3, reason);
	return db_run(db, statement);
}

/* A statement whose only value is the consumer's name. */
static int
run_named(struct db *db, const char *sql, const char *name)
{
	sqlite3_stmt *statement = db_statement(db, sql);

	if (!statement)
		return db_result(db);
	db_bind_text(statement, 1, name);
	return db_run(db, statement);
}

int
store_consumer_delete(struct db *db, const char *name)
{
	int result = run_named(db, delete_all_dead, name);

	return result < 0 ? result : run_named(db, delete_consumer, name);
}

int
store_consumer_load(struct db *db, store_consumer_fn *each, void *arg)
{
	sqlite3_stmt *statement = db_statement(db, select_consumers);
	int result;

	if (!statement)
		return db_result(db);
	while ((result = db_step(db, statement)) == 1) {
		struct store_consumer row = {
			.name = db_column_text(statement, 0),
			.type = db_column_text(statement, 1),
			.platform = db_column_text(statement, 2),
			.kind = db_column_text(statement, 3),
			.broadcaster = db_column_text(statement, 4),
			.include = db_column_text(statement, 5),
			.cursor = (uint64_t)db_column_number(statement, 6),
			.handed = (uint64_t)db_column_number(statement, 7),
			.created_at = db_column_number(statement, 8),
			.updated_at = db_column_number(statement, 9),
			.seen_at = db_column_number(statement, 10),
			.url = db_column_text(statement, 11),
			.private_too = db_column_number(statement, 12) != 0,
			.generation = (uint64_t)db_column_number(statement, 13),
			.disabled_at = db_column_number(statement, 14),
			.disabled_reason = db_column_text(statement, 15),
			.given = (uint64_t)db_column_number(statement, 16),
			.epoch = (uint64_t)db_column_number(statement, 17),
			.old_generation = (uint64_t)db_column_number(statement, 18),
			.old_until = db_column_number(statement, 19),
		};

		each(arg, &row);
		store_consumer_clear(&row);
	}
	db_finish(statement);
	return result;
}

/* ---- Dead letters ---- */

void
store_dead_clear(struct store_dead *dead)
{
	free(dead->type);
	free(dead->id);
	free(dead->reason);
	buf_clear(&dead->body);
	*dead = (struct store_dead){ .seq = 0 };
}

static int
trim(struct db *db, const char *consumer, uint64_t *ret_dropped)
{
	sqlite3_stmt *statement = db_statement(db, trim_dead);
	int result;

	if (!statement)
		return db_result(db);
	db_bind_text(statement, 1, consumer);
	db_bind_number(statement, 2, STORE_DEAD_MAX);
	result = db_run(db, statement);
	if (result == 0)
		*ret_dropped = (uint64_t)db_changes(db);
	return result;
}

int
store_dead_put(struct db *db, const char *consumer, const struct store_dead *dead,
    uint64_t *ret_dropped)
{
	sqlite3_stmt *statement = db_statement(db, put_dead);
	int result;

	if (!statement)
		return db_result(db);
	db_bind_text(statement, 1, consumer);
	db_bind_number(statement, 2, (int64_t)dead->seq);
	db_bind_text(statement, 3, dead->type);
	db_bind_text(statement, 4, dead->id);
	db_bind_number(statement, 5, (int64_t)dead->tries);
	db_bind_number(statement, 6, dead->died_at);
	db_bind_text(statement, 7, dead->reason);
	db_bind_number(statement, 8, dead->retry);
	db_bind_bytes(statement, 9, buf_bytes(&dead->body), buf_length(&dead->body));
	result = db_run(db, statement);
	return result < 0 ? result : trim(db, consumer, ret_dropped);
}

static struct store_dead
read_dead(sqlite3_stmt *row)
{
	return (struct store_dead){
		.seq = (uint64_t)db_column_number(row, 0),
		.type = db_column_text(row, 1),
		.id = db_column_text(row, 2),
		.tries = (uint64_t)db_column_number(row, 3),
		.died_at = db_column_number(row, 4),
		.reason = db_column_text(row, 5),
		.retry = db_column_number(row, 6) != 0,
	};
}

int
store_dead_list(struct db *db, const char *consumer, uint64_t after, uint32_t limit,
    store_dead_fn *each, void *arg)
{
	sqlite3_stmt *statement = db_statement(db, select_dead);
	int result;

	if (!statement)
		return db_result(db);
	db_bind_text(statement, 1, consumer);
	db_bind_number(statement, 2, after > INT64_MAX ? INT64_MAX : (int64_t)after);
	db_bind_number(statement, 3, limit);
	while ((result = db_step(db, statement)) == 1) {
		struct store_dead dead = read_dead(statement);

		each(arg, &dead);
		store_dead_clear(&dead);
	}
	db_finish(statement);
	return result;
}

int
store_dead_retry(struct db *db, const char *consumer, uint64_t seq, uint64_t *ret_count)
{
	sqlite3_stmt *statement = db_statement(db, seq ? retry_one : retry_all);
	int result;

	if (!statement)
		return db_result(db);
	db_bind_text(statement, 1, consumer);
	if (seq)
		db_bind_number(
		    statement, 2, seq > INT64_MAX ? INT64_MAX : (int64_t)seq);
	result = db_run(db, statement);
	if (result == 0)
		*ret_count = (uint64_t)db_changes(db);
	return result;
}

int
store_dead_next(
    struct db *db, const char *consumer, struct store_dead *ret_dead, bool *ret_found)
{
	sqlite3_stmt *statement = db_statement(db, select_retry);
	int result;

	if (!statement)
		return db_result(db);
	db_bind_text(statement, 1, consumer);
	result = db_step(db, statement);
	*ret_found = result == 1;
	if (result == 1) {
		*ret_dead = read_dead(statement);
		db_column_bytes(statement, 7, &ret_dead->body);
	}
	db_finish(statement);
	return result < 0 ? result : 0;
}

int
store_dead_delete(struct db *db, const char *consumer, uint64_t seq)
{
	sqlite3_stmt *statement = db_statement(db, delete_dead);

	if (!statement)
		return db_result(db);
	db_bind_text(statement, 1, consumer);
	db_bind_number(statement, 2, (int64_t)seq);
	return db_run(db, statement);
}

int
store_dead_count(
    struct db *db, const char *consumer, uint64_t *ret_count, uint64_t *ret_retry)
{
	sqlite3_stmt *statement = db_statement(db, count_dead);
	int result;

	if (!statement)
		return db_result(db);
	db_bind_text(statement, 1, consumer);
	result = db_step(db, statement);
	if (result == 1) {
		*ret_count = (uint64_t)db_column_number(statement, 0);
		*ret_retry = (uint64_t)db_column_number(statement, 1);
	}
	db_finish(statement);
	return result < 0 ? result : 0;
}
