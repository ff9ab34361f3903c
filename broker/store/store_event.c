/*
 * SQL for deliveries. Every body is stored with its SHA-256, which is checked whenever
 * it is read, so that a flipped bit on the disk is flagged and not handed on as sound.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/events/event_kind.h"
#include "broker/store/store_db.h"
#include "broker/store/store_event.h"
#include "broker/store/store_inner.h"
#include "broker/store/store_known.h"
#include "common/alloc.h"
#include "common/crypto.h"
#include "common/event_filter.h"
#include "common/time.h"

static const char insert_event[] =
    "INSERT INTO events (seq, platform, message_id, type, version, received_at, "
    "occurred_at, broadcaster_id, broadcaster_name, flags, subscription_id, timestamp, "
    "signature, content_type, user_agent, sha256, body, duplicate_of, content, "
    "signature_bytes) "
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, "
    "?17, ?18, ?19, ?20)";

#define COLUMNS \
	"seq, platform, message_id, type, version, received_at, occurred_at, " \
	"broadcaster_id, broadcaster_name, flags, duplicate_of, sha256, body"

static const char select_page[] =
    "SELECT " COLUMNS " FROM events WHERE seq > ?1 ORDER BY seq LIMIT ?2";
static const char select_by_seq[] = "SELECT " COLUMNS " FROM events WHERE seq = ?1";
static const char select_seq[] =
    "SELECT max(last, coalesce((SELECT max(seq) FROM events), 0)) FROM sequence";
static const char select_oldest[] = "SELECT min(seq) FROM events";
/* Two look-ups at the ends of the table, where counting would read all of it. */
static const char select_count[] = "SELECT coalesce((SELECT max(seq) FROM events) - "
				   "(SELECT min(seq) FROM events) + 1, "
				   "0), coalesce((SELECT max(seq) FROM events), 0)";

void
store_event_clear(struct store_event *event)
{
	free(event->platform);
	free(event->message_id);
	free(event->type);
	free(event->broadcaster_id);
	free(event->broadcaster_name);
	buf_clear(&event->body);
	*event = (struct store_event){ .seq = 0 };
}

int
store_event_load_seq(struct db *db)
{
	sqlite3_stmt *statement = db_statement(db, select_seq);
	int result = db_step(db, statement);

	if (result > 0)
		db->last_seq = (uint64_t)db_column_number(statement, 0);
	db_finish(statement);
	return result > 0 ? 0 : result < 0 ? result : -EBADMSG;
}

/* A seq that was given out in a transaction that failed is never given out again. */
static int
put_id(struct db *db, const struct store_delivery *delivery, uint64_t *ret_seq)
{
	int result = store_known_find_id(db, delivery->message_id, ret_seq);

	if (result != 0)
		return result > 0 ? 0 : result;
	result = store_known_make_room(db);
	if (result == 0)
		result = store_known_put_id(
		    db, delivery->message_id, db->last_seq + 1, delivery->received_at);
	if (result < 0)
		return result;
	*ret_seq = ++db->last_seq;
	return 1;
}

/* What is known of an event when its row is written. */
struct row {
	uint64_t seq;
	uint64_t first; /* the event that it repeats, 0: none */
	uint8_t digest[CRYPTO_SHA256_SIZE];
	struct store_content_key key;
};

static int
put_row(struct db *db, const struct store_delivery *delivery, const struct row *row)
{
	sqlite3_stmt *statement = db_statement(db, insert_event);

	db_bind_number(statement, 1, (int64_t)row->seq);
	db_bind_text(statement, 2, delivery->platform);
	db_bind_text(statement, 3, delivery->message_id);
	db_bind_text(statement, 4, delivery->type);
	db_bind_number(statement, 5, delivery->version);
	db_bind_number(statement, 6, delivery->received_at);
	if (delivery->occurred_at)
		db_bind_number(statement, 7, delivery->occurred_at);
	db_bind_text(statement, 8, delivery->broadcaster_id);
	db_bind_text(statement, 9, delivery->broadcaster_name);
	db_bind_number(
	    statement, 10, delivery->flags | (row->first ? EVENT_DUPLICATE : 0U));
	db_bind_text(statement, 11, delivery->subscription_id);
	db_bind_text(statement, 12, delivery->timestamp);
	db_bind_text(statement, 13, ""); /* as base64, in rows of before */
	db_bind_text(statement, 14, delivery->content_type);
	db_bind_text(statement, 15, delivery->user_agent);
	db_bind_bytes(statement, 16, row->digest, sizeof(row->digest));
	db_bind_bytes(statement, 17, delivery->body, delivery->body_length);
	if (row->first)
		db_bind_number(statement, 18, (int64_t)row->first);
	if (row->key.length > 0)
		db_bind_bytes(statement, 19, row->key.bytes, row->key.length);
	if (delivery->signature_length > 0)
		db_bind_bytes(
		    statement, 20, delivery->signature, delivery->signature_length);
	return db_run(db, statement);
}

int
store_event_put(struct db *db, const struct store_delivery *delivery, uint64_t *ret_seq)
{
	struct row row = { .seq = 0 };
	int result = put_id(db, delivery, &row.seq);

	if (result <= 0)
		return result;
	crypto_hasher_sha256(
	    db->hasher, delivery->body, delivery->body_length, row.digest);
	result = store_content_put(db, &delivery->content, row.digest,
	    delivery->occurred_at ? delivery->occurred_at : delivery->received_at,
	    row.seq, &row.first, &row.key);
	if (result < 0)
		return result;
	result = put_row(db, delivery, &row);
	if (result < 0)
		return result;
	*ret_seq = row.seq;
	if (delivery->ret_duplicate_of)
		*delivery->ret_duplicate_of = row.first;
	return 1;
}

int
store_event_put_own(struct db *db, const struct store_own_event *own)
{
	char timestamp[TIME_TEXT_SIZE];
	const struct store_delivery row = {
		.platform = own->platform,
		.message_id = own->id,
		.type = own->type,
		.version = 1,
		.received_at = own->now,
		.occurred_at = own->now,
		.broadcaster_id = own->broadcaster_id,
		.broadcaster_name = own->broadcaster_name,
		.flags = EVENT_OWN,
		.timestamp = timestamp,
		.content_type = "application/json",
		.body = (const uint8_t *)own->body,
		.body_length = strlen(own->body),
	};
	uint64_t seq;
	int result;

	time_format(own->now, timestamp);
	result = store_event_put(db, &row, &seq);
	return result < 0 ? result : 0;
}

static const char *
copy_text(const char *text)
{
	return text ? xstrdup(text) : NULL;
}

void
store_event_query_copy(
    struct store_event_query *to, const struct store_event_query *from)
{
	*to = *from;
	to->type = copy_text(from->type);
	to->platform = copy_text(from->platform);
	to->kind = copy_text(from->kind);
	to->broadcaster = copy_text(from->broadcaster);
}

void
store_event_query_clear(struct store_event_query *query)
{
	free((char *)(uintptr_t)query->type);
	free((char *)(uintptr_t)query->platform);
	free((char *)(uintptr_t)query->kind);
	free((char *)(uintptr_t)query->broadcaster);
	*query = (struct store_event_query){ .after = 0 };
}

/* The kind takes a look-up, so it is found only when it is asked for. */
static bool
fits(const struct store_event_query *query, struct event_facts *facts, uint32_t version)
{
	const struct event_filter filter = { .types = query->type,
		.platforms = query->platform,
		.kinds = query->kind,
		.broadcasters = query->broadcaster,
		.include = query->include };

	if (event_filter_has(query->kind))
		facts->kind =
		    event_kind(facts->platform, facts->type, version, facts->flags);
	return event_filter_fits(&filter, facts);
}

/* Whether a row is wanted, judged before its body is copied. */
static bool
matches(sqlite3_stmt *row, const struct store_event_query *query)
{
	struct event_facts facts = { .platform =
					 (const char *)sqlite3_column_text(row, 1),
		.type = (const char *)sqlite3_column_text(row, 3),
		.broadcaster_id = (const char *)sqlite3_column_text(row, 7),
		.broadcaster_name = (const char *)sqlite3_column_text(row, 8),
		.flags = (uint32_t)db_column_number(row, 9) };

	return fits(query, &facts, (uint32_t)db_column_number(row, 4));
}

bool
store_event_fits(const struct store_event *event, const struct store_event_query *query)
{
	struct event_facts facts = { .platform = event->platform,
		.type = event->type,
		.broadcaster_id = event->broadcaster_id,
		.broadcaster_name = event->broadcaster_name,
		.flags = event->flags };

	return fits(query, &facts, event->version);
}

static void
read_row(sqlite3_stmt *row, struct store_event *event)
{
	uint8_t digest[CRYPTO_SHA256_SIZE];

	*event = (struct store_event){ .seq = (uint64_t)db_column_number(row, 0),
		.platform = db_column_text(row, 1),
		.message_id = db_column_text(row, 2),
		.type = db_column_text(row, 3),
		.version = (uint32_t)db_column_number(row, 4),
		.received_at = db_column_number(row, 5),
		.occurred_at = db_column_number(row, 6),
		.broadcaster_id = db_column_text(row, 7),
		.broadcaster_name = db_column_text(row, 8),
		.flags = (uint32_t)db_column_number(row, 9),
		.duplicate_of = (uint64_t)db_column_number(row, 10) };
	db_column_bytes(row, 12, &event->body);
	crypto_sha256(buf_bytes(&event->body), buf_length(&event->body), digest);
	if (sqlite3_column_bytes(row, 11) != (int)sizeof(digest) ||
	    memcmp(sqlite3_column_blob(row, 11), digest, sizeof(digest)) != 0)
		event->flags |= EVENT_DAMAGED | EVENT_NOT_JSON;
}

int
store_event_page(struct db *db, const struct store_event_query *query,
    struct store_event *ret_events, uint64_t *ret_seen, bool *ret_end)
{
	sqlite3_stmt *statement = db_statement(db, select_page);
	uint64_t seen = query->after;
	size_t bytes = 0;
	uint32_t count = 0;
	int result;

	db_bind_number(
	    statement, 1, query->after > INT64_MAX ? INT64_MAX : (int64_t)query->after);
	db_bind_number(statement, 2, STORE_EVENT_SCAN_MAX);
	*ret_end = false;
	for (unsigned rows = 0;; rows++) {
		result = db_step(db, statement);
		if (result <= 0) {
			*ret_end = result == 0 && rows < STORE_EVENT_SCAN_MAX;
			break;
		}
		if (matches(statement, query)) {
			if (count == query->limit ||
			    (count && bytes >= query->bytes_max))
				break;
			read_row(statement, &ret_events[count]);
			bytes += buf_length(&ret_events[count++].body);
		}
		seen = (uint64_t)db_column_number(statement, 0);
	}
	db_finish(statement);
	if (*ret_end)
		seen = db->last_seq;
	while (result < 0 && count > 0)
		store_event_clear(&ret_events[--count]);
	*ret_seen = seen;
	return result < 0 ? result : (int)count;
}

int
store_event_get(
    struct db *db, uint64_t seq, const char *message_id, struct store_event *ret_event)
{
	sqlite3_stmt *statement;
	int result = seq ? 1 : store_known_find_id(db, message_id, &seq);

	if (result <= 0 || seq > INT64_MAX)
		return result < 0 ? result : 0;
	statement = db_statement(db, select_by_seq);
	db_bind_number(statement, 1, (int64_t)seq);
	result = db_step(db, statement);
	if (result > 0)
		read_row(statement, ret_event);
	db_finish(statement);
	return result;
}

int
store_event_oldest(struct db *db, uint64_t *ret_oldest)
{
	sqlite3_stmt *statement = db_statement(db, select_oldest);
	int result = db_step(db, statement);

	if (result > 0)
		*ret_oldest = (uint64_t)db_column_number(statement, 0);
	if (result > 0 && *ret_oldest == 0)
		*ret_oldest = db->last_seq + 1;
	db_finish(statement);
	return result < 0 ? result : 0;
}

int
store_event_last_of_types(
    struct db *db, uint32_t look_back, struct store_event_last *ret_last, size_t room)
{
	static const char sql[] =
	    "SELECT type, max(received_at) FROM (SELECT type, "
	    "received_at, flags FROM events ORDER BY seq DESC "
	    "LIMIT ?1) WHERE flags & ?2 = 0 GROUP BY type LIMIT ?3";
	sqlite3_stmt *statement = db_statement(db, sql);
	int count = 0;
	int result;

	if (!statement)
		return db_result(db);
	db_bind_number(statement, 1, look_back);
	db_bind_number(statement, 2, EVENT_ASKED_FOR);
	db_bind_number(statement, 3, (int64_t)room);
	while ((result = db_step(db, statement)) > 0) {
		ret_last[count].type = db_column_text(statement, 0);
		ret_last[count++].received_at = db_column_number(statement, 1);
	}
	db_finish(statement);
	while (result < 0 && count > 0)
		free(ret_last[--count].type);
	return result < 0 ? result : count;
}

int
store_event_count(struct db *db, uint64_t *ret_count, uint64_t *ret_last)
{
	sqlite3_stmt *statement = db_statement(db, select_count);
	int result = db_step(db, statement);

	if (result > 0) {
		*ret_count = (uint64_t)db_column_number(statement, 0);
		*ret_last = (uint64_t)db_column_number(statement, 1);
	}
	db_finish(statement);
	return result < 0 ? result : 0;
}
