/*
 * What stored events are known by: their message ids, and their contents
 * (store_content.h).
 *
 * Both stand in the rows of the events. The tables `message_ids` and `contents`, which
 * are in the order of keys, get them many at a time (docs/decisions/
 * 0018-known-in-batches.md): those that they do not have yet are notes in memory, read
 * back from the rows of events at the start. Everything here runs on the database's
 * thread.
 */
#ifndef BROKER_STORE_STORE_KNOWN_H
#define BROKER_STORE_STORE_KNOWN_H

#include <stdint.h>

#include "broker/store/store_notes.h"
#include "broker/store/store_recent.h"

struct db;

/* Events at most since the tables were brought up to date: what a start reads back. */
#define STORE_KNOWN_EVENTS_MAX 16384

struct store_known {
	uint64_t settled_to; /* the tables know all events up to here */
	/* No ULID that the table `message_ids` has is greater than this. */
	struct store_note_key greatest_id;
	struct store_notes ids;
	struct store_notes contents;
	struct store_recent recent; /* of the table `contents` */
};

/* Memory for what is known, for the connection. The caller frees. */
struct store_known *store_known_new(void);
/* NULL is allowed. */
void store_known_free(struct store_known *known);

/* Reads the notes from the rows of events, forgetting those that are there: at the
 * start, and after a transaction that failed. 0 or a negative errno. */
int store_known_load(struct db *db);

/* Makes room for the notes of one more event, in a transaction: when there is none, or
 * when a start would have to read too far back, all notes become rows. 0 or a negative
 * errno. */
int store_known_make_room(struct db *db);

/* The event that has a message id: 1 and *ret_seq, 0: none, negative errno. */
int store_known_find_id(struct db *db, const char *message_id, uint64_t *ret_seq);

/* Remembers the message id of an event whose row is stored in the same transaction;
 * nothing has it, and there is room. 0 or a negative errno. */
int store_known_put_id(
    struct db *db, const char *message_id, uint64_t seq, int64_t received_at);

/* Before events up to `seq` are deleted, in the same transaction: their notes become
 * rows. 0 or a negative errno. */
int store_known_outlive(struct db *db, uint64_t seq);

#endif
