/*
 * Table `contents`, and how an event is found again by it. Its key begins with a
 * time, so that new rows stand together at its end and old ones are deleted from its
 * beginning, whatever the digests are.
 *
 * Contents without a time of their own are compared within a window. They are kept
 * under the stretch of time in which they were sent; a stretch is twice as long as any
 * window, so that what is near enough stands in the same stretch or in the nearer one
 * of its neighbours.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "broker/store/store_content.h"
#include "broker/store/store_db.h"
#include "broker/store/store_inner.h"
#include "broker/store/store_known.h"

#define STRETCH_MS (2 * STORE_CONTENT_WINDOW_MAX)

#define KEY_TIME STORE_CONTENT_KEY_TIME
#define KEY_SIZE STORE_CONTENT_KEY_SIZE

static const char select_seq[] = "SELECT seq FROM contents WHERE key = ?1";
static const char select_sent[] =
    "SELECT coalesce(occurred_at, received_at) FROM events WHERE seq = ?1";
static const char delete_old[] =
    "DELETE FROM contents WHERE key IN "
    "(SELECT key FROM contents WHERE key < ?1 ORDER BY key LIMIT ?2)";

static void
put_time(uint8_t *key, int64_t ms)
{
	int64_t seconds = ms < 0 ? 0 : ms / 1000;

	if (seconds > UINT32_MAX)
		seconds = UINT32_MAX;
	for (int i = 0; i < KEY_TIME; i++)
		key[i] = (uint8_t)(seconds >> (8 * (KEY_TIME - 1 - i)));
}

static void
make_key(const struct store_content *content, const uint8_t *digest,
    uint8_t key[static KEY_SIZE])
{
	uint8_t salted[CRYPTO_SHA256_SIZE];
	struct buf text = BUF_EMPTY;

	if (content->salt) {
		buf_add(&text, digest, CRYPTO_SHA256_SIZE);
		buf_add_text(&text, content->salt);
		crypto_sha256(buf_bytes(&text), buf_length(&text), salted);
		buf_clear(&text);
		digest = salted;
	}
	memcpy(key + KEY_TIME, digest, STORE_CONTENT_KEY_DIGEST);
}

/* The seq under a key: 1 and *ret_seq, 0: none, negative errno. */
static int
find(struct db *db, const uint8_t *key, uint64_t *ret_seq)
{
	const struct store_note_key noted = store_note_key(key, KEY_SIZE);
	const struct store_note *note = store_notes_find(&db->known->contents, &noted);
	sqlite3_stmt *statement;
	int result;

	if (note) {
		*ret_seq = note->seq;
		return 1;
	}
	if (!store_recent_may_have(&db->known->recent, key))
		return 0;
	statement = db_statement(db, select_seq);
	db_bind_bytes(statement, 1, key, KEY_SIZE);
	result = db_step(db, statement);
	if (result > 0)
		*ret_seq = (uint64_t)db_column_number(statement, 0);
	db_finish(statement);
	return result;
}

/* Notes the content of an event that is being stored; there is room for it. */
static void
note(struct db *db, const uint8_t *key, uint64_t seq, struct store_content_key *ret_key)
{
	const struct store_note_key note_key = store_note_key(key, KEY_SIZE);
	bool noted = store_notes_put(&db->known->contents, &note_key, seq, 0);

	assert(noted);
	memcpy(ret_key->bytes, key, KEY_SIZE);
	ret_key->length = KEY_SIZE;
}

/* Whether a stored event was sent near enough. One that is gone was not. */
static int
is_near(struct db *db, uint64_t seq, int64_t sent_at, int64_t window_ms)
{
	sqlite3_stmt *statement = db_statement(db, select_sent);
	int64_t other = 0;
	int result;

	db_bind_number(statement, 1, (int64_t)seq);
	result = db_step(db, statement);
	if (result > 0)
		other = db_column_number(statement, 0);
	db_finish(statement);
	if (result <= 0)
		return result;
	return other >= sent_at - window_ms && other <= sent_at + window_ms;
}

/* Looks under one key for an event that is near. */
static int
find_near(struct db *db, const uint8_t *key, int64_t sent_at, int64_t window_ms,
    uint64_t *ret_seq)
{
	uint64_t seq = 0;
	int result = find(db, key, &seq);

	if (result > 0)
		result = is_near(db, seq, sent_at, window_ms);
	if (result > 0)
		*ret_seq = seq;
	return result;
}

/* 1 and *ret_seq: an event that is near has it. 0: none; `key` is what it is to be
 * known by. */
static int
find_within_window(
    struct db *db, uint8_t *key, int64_t sent_at, int64_t window_ms, uint64_t *ret_seq)
{
	int64_t stretch = (sent_at < 0 ? 0 : sent_at) / STRETCH_MS;
	bool late_half = sent_at % STRETCH_MS >= STRETCH_MS / 2;
	int result;

	put_time(key, (stretch + (late_half ? 1 : -1)) * STRETCH_MS);
	result = find_near(db, key, sent_at, window_ms, ret_seq);
	if (result != 0)
		return result;
	put_time(key, stretch * STRETCH_MS);
	return find_near(db, key, sent_at, window_ms, ret_seq);
}

int
store_content_put(struct db *db, const struct store_content *content,
    const uint8_t digest[static CRYPTO_SHA256_SIZE], int64_t sent_at, uint64_t seq,
    uint64_t *ret_seq, struct store_content_key *ret_key)
{
	uint8_t key[KEY_SIZE];
	int result;

	ret_key->length = 0;
	if (content->rule == STORE_CONTENT_NONE)
		return 0;
	make_key(content, content->rule == STORE_CONTENT_IDS ? content->digest : digest,
	    key);
	if (content->born) {
		put_time(key, content->born);
		result = find(db, key, ret_seq);
	} else {
		result =
		    find_within_window(db, key, sent_at, content->window_ms, ret_seq);
	}
	if (result == 0)
		note(db, key, seq, ret_key);
	return result;
}

int
store_content_forget(struct db *db, int64_t ms, unsigned limit)
{
	sqlite3_stmt *statement = db_statement(db, delete_old);
	uint8_t key[KEY_SIZE] = { 0 };
	int result;

	put_time(key, ms);
	db_bind_bytes(statement, 1, key, sizeof(key));
	db_bind_number(statement, 2, limit);
	result = db_run(db, statement);
	return result < 0 ? result : db_changes(db);
}
