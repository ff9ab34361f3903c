/*
 * Table `streams`: which channels are live, so that the silence alarm outlives a
 * restart.
 */
#ifndef BROKER_STORE_STORE_STREAM_H
#define BROKER_STORE_STORE_STREAM_H

#include <stdbool.h>
#include <stdint.h>

struct db;

struct store_stream {
	char platform[17];
	char broadcaster_id[129];
	char name[401];
	int64_t live_since; /* wall clock ms, 0: it is not live */
	int64_t told_at;    /* when the platform said so, wall clock ms */
	bool chat_seen;     /* a chat message of it was ever stored */
};

/* Stores or replaces a channel's row. 0 or a negative errno. */
int store_stream_put(struct db *db, const struct store_stream *row);

/* Calls `each` for every row, those that are live first. 0 or a negative errno. */
typedef void store_stream_fn(void *arg, const struct store_stream *row);
int store_stream_load(struct db *db, store_stream_fn *each, void *arg);

#endif
