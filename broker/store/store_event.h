/*
 * Deliveries and their message ids in the database.
 */
#ifndef BROKER_STORE_STORE_EVENT_H
#define BROKER_STORE_STORE_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/store/store.h"
#include "broker/store/store_content.h"
#include "common/buf.h"
#include "common/event.h"

/* A delivery to be stored. Everything is borrowed until the job is done; absent texts
 * are NULL. Times are ms since 1970, 0 when not known. */
struct store_delivery {
	const char *platform;
	const char *message_id;
	const char *type;
	uint32_t version;
	int64_t received_at;
	int64_t occurred_at;
	const char *broadcaster_id;
	const char *broadcaster_name;
	uint32_t flags;
	const char *subscription_id;
	const char *timestamp;
	const uint8_t *signature;
	size_t signature_length; /* 0: there is none */
	const char *content_type;
	const char *user_agent;
	const uint8_t *body;
	size_t body_length;
	struct store_content content; /* nothing in it: not compared with others */
	uint64_t *ret_duplicate_of;   /* seq of the first one; NULL: not wanted */
};

/* An event that was read. It owns its texts; absent ones are NULL. */
struct store_event {
	uint64_t seq;
	char *platform;
	char *message_id;
	char *type;
	uint32_t version;
	int64_t received_at;
	int64_t occurred_at;
	char *broadcaster_id;
	char *broadcaster_name;
	uint32_t flags;
	uint64_t duplicate_of; /* seq of the first one, 0: none */
	struct buf body;
};

/* Frees what a read event owns. */
void store_event_clear(struct store_event *event);

/* Stores a delivery unless its message id is known. 1 and its seq; 0 when it is known
 * and nothing was stored; a negative errno. One with a content that came before is
 * stored with EVENT_DUPLICATE. On the database's thread. */
int store_event_put(
    struct db *db, const struct store_delivery *delivery, uint64_t *ret_seq);

/* What Streamhold tells of itself. */
struct store_own_event {
	const char *platform;
	const char *id; /* the same for the same occurrence */
	const char *type;
	int64_t now;                  /* when it happened, ms since 1970 */
	const char *broadcaster_id;   /* of the channel that it is about; NULL: none */
	const char *broadcaster_name; /* NULL: none */
	const char *body;             /* a JSON object */
};

/* Stores one as an event with EVENT_OWN, unless its id is known. 0 or a negative errno.
 * On the database's thread. */
int store_event_put_own(struct db *db, const struct store_own_event *own);

/* Reads the last seq at start. 0 or a negative errno. Called by store_open.c only. */
int store_event_load_seq(struct db *db);

/* A page of events. */
struct store_event_query {
	uint64_t after;   /* only greater seq */
	uint32_t limit;   /* 1 to 500 */
	size_t bytes_max; /* the page ends after so many bytes of bodies */
	/* Lists with commas, borrowed, NULL for any (common/event_filter.h). */
	const char *type;
	const char *platform;
	const char *kind;
	const char *broadcaster;
	uint32_t include; /* of EVENT_ASKED_FOR, what is not left out */
};

/* A copy with texts of its own, and its end. */
void store_event_query_copy(
    struct store_event_query *to, const struct store_event_query *from);
void store_event_query_clear(struct store_event_query *query);

/* Whether an event that was read is one of those that a query asks for, wherever it
 * lies. */
bool store_event_fits(
    const struct store_event *event, const struct store_event_query *query);

/* Rows that one call looks at, so that no query holds up what is to be stored. */
#define STORE_EVENT_SCAN_MAX 2000

/* Reads a page oldest first into `ret_events` (room for query->limit). *ret_seen is the
 * seq up to which was looked; *ret_end tells that there is nothing after it, it is then
 * the last that was given out, even when `after` is greater. The number of events, or a
 * negative errno. */
int store_event_page(struct db *db, const struct store_event_query *query,
    struct store_event *ret_events, uint64_t *ret_seen, bool *ret_end);

/* Reads one event by seq, or by message id when seq is 0. 1 when it is there, 0 when
 * not, a negative errno. */
int store_event_get(
    struct db *db, uint64_t seq, const char *message_id, struct store_event *ret_event);

/* The lowest seq that is stored, or would be next when nothing is. 0 or a negative
 * errno. */
int store_event_oldest(struct db *db, uint64_t *ret_oldest);

/* The newest event of each type, among the newest `look_back` ones. The number of
 * types, at most `room`, or a negative errno. The caller frees the texts. */
struct store_event_last {
	char *type;
	int64_t received_at; /* wall clock ms */
};
int store_event_last_of_types(
    struct db *db, uint32_t look_back, struct store_event_last *ret_last, size_t room);

/* Number of events, and the greatest seq. Numbers that a failed transaction took away
 * count as events. */
int store_event_count(struct db *db, uint64_t *ret_count, uint64_t *ret_last);

#endif
