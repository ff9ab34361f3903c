/*
 * The notes of what events are known by, and the tables that get them.
 *
 * Message ids of Kick are ULIDs, which grow with time: one that is greater than all
 * that the table has is not looked for there.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/store/store_content.h"
#include "broker/store/store_db.h"
#include "broker/store/store_inner.h"
#include "broker/store/store_known.h"
#include "common/alloc.h"

/* ULIDs are below this text for the next few thousand years. */
#define ULIDS_END "8"

static const char insert_id[] =
    "INSERT INTO message_ids (message_id, seq, received_at) VALUES (?1, ?2, ?3) "
    "ON CONFLICT DO NOTHING";
/* One statement for many rows: between those of message ids it stays where it is in the
 * table, which takes half the time. */
#define ROWS 32
#define TWO(row) row "," row
#define EIGHT(row) TWO(row) "," TWO(row) "," TWO(row) "," TWO(row)
#define ALL(row) EIGHT(row) "," EIGHT(row) "," EIGHT(row) "," EIGHT(row)
static const char insert_ids[] =
    "INSERT INTO message_ids (message_id, seq, received_at) VALUES " ALL(
	"(?, ?, ?)") " ON CONFLICT DO NOTHING";
#define CONTENT_INTO "INSERT INTO contents (key, seq) VALUES "
#define CONTENT_AGAIN " ON CONFLICT (key) DO UPDATE SET seq = excluded.seq"
static const char insert_content[] = CONTENT_INTO "(?, ?)" CONTENT_AGAIN;
static const char insert_contents[] = CONTENT_INTO ALL("(?, ?)") CONTENT_AGAIN;
static const char select_id[] = "SELECT seq FROM message_ids WHERE message_id = ?1";
static const char select_greatest[] = "SELECT max(message_id) FROM message_ids "
				      "WHERE message_id < '" ULIDS_END "'";
static const char select_latest[] = "SELECT max(key) FROM contents";
static const char select_settled[] = "SELECT known_to FROM sequence WHERE id = 1";
static const char update_settled[] = "UPDATE sequence SET known_to = ?1 WHERE id = 1";
/* The newest first. A content that was noted again stands in several rows, so there may
 * be more rows than notes; more of them than notes only where other hands wrote them.
 */
static const char select_keys[] =
    "SELECT seq, message_id, received_at, content FROM events WHERE seq > ?1 "
    "ORDER BY seq DESC LIMIT ?2";

struct store_known *
store_known_new(void)
{
	return xcalloc(1, sizeof(struct store_known));
}

void
store_known_free(struct store_known *known)
{
	free(known);
}

static void
clear(struct store_known *known, uint64_t seq)
{
	store_notes_clear(&known->ids);
	store_notes_clear(&known->contents);
	known->settled_to = seq;
}

/* Longer ids go into the table at once. */
static bool
is_noted(const char *message_id)
{
	return strlen(message_id) < STORE_NOTE_KEY_MAX;
}

static struct store_note_key
id_key(const char *message_id)
{
	return store_note_key(message_id, strnlen(message_id, STORE_NOTE_KEY_MAX));
}

/* Reading. */

/* What was settled may be beyond the last event, for numbers of transactions that
 * failed are not used again. They are not after a restart either: a start does not look
 * for events that low. */
static int
read_settled(struct db *db)
{
	sqlite3_stmt *statement = db_statement(db, select_settled);
	int result = db_step(db, statement);

	if (result > 0)
		clear(db->known, (uint64_t)db_column_number(statement, 0));
	if (db->last_seq < db->known->settled_to)
		db->last_seq = db->known->settled_to;
	db_finish(statement);
	return result > 0 ? 0 : result < 0 ? result : -EBADMSG;
}

/* A long id is cut off: what is noted, and so shorter, and greater than the rest of it
 * is greater than all of it. */
static int
read_greatest(struct db *db)
{
	sqlite3_stmt *statement = db_statement(db, select_greatest);
	int result = db_step(db, statement);
	const char *text =
	    result > 0 ? (const char *)sqlite3_column_text(statement, 0) : NULL;

	db->known->greatest_id = id_key(text ? text : "");
	db_finish(statement);
	return result < 0 ? result : 0;
}

/* Keys that other hands wrote may be of any length. */
static int
read_latest(struct db *db)
{
	uint8_t latest[STORE_CONTENT_KEY_SIZE] = { 0 };
	sqlite3_stmt *statement = db_statement(db, select_latest);
	int result = db_step(db, statement);
	const void *key = result > 0 ? sqlite3_column_blob(statement, 0) : NULL;
	int length = key ? sqlite3_column_bytes(statement, 0) : 0;

	if (length > 0)
		memcpy(latest, key,
		    (size_t)length < sizeof(latest) ? (size_t)length : sizeof(latest));
	store_recent_begin(&db->known->recent, store_recent_time(latest));
	db_finish(statement);
	return result < 0 ? result : 0;
}

/* Reads what one row is known by. A newer row of the same key was read before. */
static void
read_keys(struct store_known *known, sqlite3_stmt *row)
{
	const uint64_t seq = (uint64_t)db_column_number(row, 0);
	const char *id = (const char *)sqlite3_column_text(row, 1);
	const void *content = sqlite3_column_blob(row, 3);
	struct store_note_key key;

	if (id && is_noted(id)) {
		key = id_key(id);
		(void)store_notes_put(&known->ids, &key, seq, db_column_number(row, 2));
	}
	if (!content || sqlite3_column_bytes(row, 3) != STORE_CONTENT_KEY_SIZE)
		return;
	key = store_note_key(content, STORE_CONTENT_KEY_SIZE);
	if (!store_notes_find(&known->contents, &key))
		(void)store_notes_put(&known->contents, &key, seq, 0);
}

int
store_known_load(struct db *db)
{
	sqlite3_stmt *statement;
	int result = read_settled(db);

	if (result == 0)
		result = read_greatest(db);
	if (result == 0)
		result = read_latest(db);
	if (result < 0)
		return result;
	statement = db_statement(db, select_keys);
	db_bind_number(statement, 1, (int64_t)db->known->settled_to);
	db_bind_number(statement, 2, STORE_KNOWN_EVENTS_MAX);
	while ((result = db_step(db, statement)) > 0)
		read_keys(db->known, statement);
	db_finish(statement);
	return result;
}

/* Writing. */

/* Binds one row's values from the index on, gives the next index. */
typedef int bind_fn(sqlite3_stmt *statement, int index, const struct store_note *note);

static int
bind_id(sqlite3_stmt *statement, int index, const struct store_note *note)
{
	db_bind_text(statement, index, (const char *)note->key.words);
	db_bind_number(statement, index + 1, (int64_t)note->seq);
	db_bind_number(statement, index + 2, note->at);
	return index + 3;
}

static int
bind_content(sqlite3_stmt *statement, int index, const struct store_note *note)
{
	db_bind_bytes(statement, index, note->key.words, STORE_CONTENT_KEY_SIZE);
	db_bind_number(statement, index + 1, (int64_t)note->seq);
	return index + 2;
}

/* Writes notes by a statement that takes so many of them. */
static int
insert_rows(struct db *db, const char *sql, bind_fn *bind,
    const struct store_note *notes, size_t count)
{
	sqlite3_stmt *statement = db_statement(db, sql);
	int index = 1;
	size_t i;

	for (i = 0; i < count; i++)
		index = bind(statement, index, &notes[i]);
	return db_run(db, statement);
}

/* Writes all notes in the order of their keys, as many at a time as there are. */
static int
insert_all(struct db *db, struct store_notes *notes, const char *sql_many,
    const char *sql_one, bind_fn *bind)
{
	const struct store_note *note = notes->list;
	const struct store_note *end = notes->list + notes->count;
	int result = 0;

	store_notes_sort(notes);
	for (; end - note >= ROWS && result == 0; note += ROWS)
		result = insert_rows(db, sql_many, bind, note, ROWS);
	for (; note < end && result == 0; note++)
		result = insert_rows(db, sql_one, bind, note, 1);
	return result;
}

/* The notes have become rows: what is the greatest id of the table now. */
static void
raise_greatest(struct store_known *known)
{
	const struct store_note_key end = id_key(ULIDS_END);
	size_t i;

	for (i = known->ids.count; i-- > 0;) {
		const struct store_note_key *key = &known->ids.list[i].key;

		if (store_note_key_compare(key, &end) >= 0)
			continue;
		if (store_note_key_compare(key, &known->greatest_id) > 0)
			known->greatest_id = *key;
		return;
	}
}

static void
remember_contents(struct store_known *known)
{
	size_t i;

	for (i = 0; i < known->contents.count; i++)
		store_recent_add(
		    &known->recent, (const uint8_t *)known->contents.list[i].key.words);
}

/* Brings the tables up to date with all events, in the order of their keys. */
static int
settle(struct db *db)
{
	sqlite3_stmt *statement;
	struct store_known *known = db->known;
	int result = insert_all(db, &known->ids, insert_ids, insert_id, bind_id);

	if (result == 0)
		result = insert_all(db, &known->contents, insert_contents,
		    insert_content, bind_content);
	if (result < 0)
		return result;
	raise_greatest(known);
	remember_contents(known);
	clear(known, db->last_seq);
	statement = db_statement(db, update_settled);
	db_bind_number(statement, 1, (int64_t)db->last_seq);
	return db_run(db, statement);
}

int
store_known_make_room(struct db *db)
{
	const struct store_known *known = db->known;

	if (known->ids.count < STORE_NOTES_MAX &&
	    known->contents.count < STORE_NOTES_MAX &&
	    db->last_seq - known->settled_to < STORE_KNOWN_EVENTS_MAX)
		return 0;
	return settle(db);
}

int
store_known_outlive(struct db *db, uint64_t seq)
{
	return seq > db->known->settled_to ? settle(db) : 0;
}

/* Message ids. */

static bool
is_above_the_table(const struct store_known *known, const struct store_note_key *key)
{
	const struct store_note_key end = id_key(ULIDS_END);

	return store_note_key_compare(key, &known->greatest_id) > 0 &&
	    store_note_key_compare(key, &end) < 0;
}

static int
look_into_ids(struct db *db, const char *message_id, uint64_t *ret_seq)
{
	sqlite3_stmt *statement = db_statement(db, select_id);
	int result;

	db_bind_text(statement, 1, message_id);
	result = db_step(db, statement);
	if (result > 0)
		*ret_seq = (uint64_t)db_column_number(statement, 0);
	db_finish(statement);
	return result;
}

int
store_known_find_id(struct db *db, const char *message_id, uint64_t *ret_seq)
{
	const struct store_note *note;
	struct store_note_key key;

	if (is_noted(message_id)) {
		key = id_key(message_id);
		note = store_notes_find(&db->known->ids, &key);
		if (note) {
			*ret_seq = note->seq;
			return 1;
		}
		if (is_above_the_table(db->known, &key))
			return 0;
	}
	return look_into_ids(db, message_id, ret_seq);
}

static int
insert_long_id(struct db *db, const char *message_id, uint64_t seq, int64_t received_at)
{
	sqlite3_stmt *statement = db_statement(db, insert_id);

	db_bind_text(statement, 1, message_id);
	db_bind_number(statement, 2, (int64_t)seq);
	db_bind_number(statement, 3, received_at);
	return db_run(db, statement);
}

int
store_known_put_id(
    struct db *db, const char *message_id, uint64_t seq, int64_t received_at)
{
	struct store_note_key key;
	bool noted;

	if (!is_noted(message_id))
		return insert_long_id(db, message_id, seq, received_at);
	key = id_key(message_id);
	noted = store_notes_put(&db->known->ids, &key, seq, received_at);
	assert(noted);
	return 0;
}
