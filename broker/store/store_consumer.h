/*
 * Tables `consumers` (who follows the events, and how far it is) and `dead_letters`
 * (events that could not be pushed), for the `run` functions of jobs.
 */
#ifndef BROKER_STORE_STORE_CONSUMER_H
#define BROKER_STORE_STORE_CONSUMER_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/store/store.h"
#include "common/buf.h"

/* A consumer. It owns its texts; absent ones are NULL. Times are ms since 1970, 0 when
 * there is none. */
struct store_consumer {
	char *name;
	/* Which events, as in GET /events: lists with commas (event_filter.h). */
	char *type;
	char *platform;
	char *kind;
	char *broadcaster;
	char *include;
	/* How far. cursor <= given <= handed. */
	uint64_t cursor; /* everything up to this seq is done */
	uint64_t given;  /* may have been handed out since its place was last set */
	uint64_t handed; /* everything up to this seq may have been handed out, ever */
	uint64_t epoch;  /* how often its place was set */
	int64_t created_at;
	int64_t updated_at;
	int64_t seen_at; /* last asked for events, or took a pushed one */
	/* Where to push; url is NULL for a consumer that asks by itself. */
	char *url;
	bool private_too;        /* the address may lead to private networks */
	uint64_t generation;     /* of its secret in the vault */
	uint64_t old_generation; /* of the secret before it, 0: none */
	int64_t old_until;       /* which is good until then */
	int64_t disabled_at;     /* not pushed to since then */
	char *disabled_reason;   /* a sentence */
};

void store_consumer_clear(struct store_consumer *row);

/* Gives *to copies of all texts of *from. */
void store_consumer_copy(struct store_consumer *to, const struct store_consumer *from);

/* What a new version of a row has that the one before had not. */
#define STORE_CONSUMER_MOVED 1 /* its place is set: cursor and given are the row's */
#define STORE_CONSUMER_NEW_SECRET 2 /* generation is the row's; there is no old one */

/* Stores or replaces a whole row, except that what was marked meanwhile stays: handed
 * and seen_at are only raised, and so are cursor and given unless the row is moved.
 * Epoch, generation and the old secret are not taken from the row, but from what
 * `changes` says. 0 or a negative errno. */
int
store_consumer_put(struct db *db, const struct store_consumer *row, unsigned changes);

/* How far a consumer is. */
struct store_mark {
	char *name;
	uint64_t epoch;
	uint64_t cursor;
	uint64_t given;
	uint64_t handed;
	int64_t seen_at;
};

/* A copy of how far a row is; the caller frees the name. */
struct store_mark store_consumer_mark_of(const struct store_consumer *row);

/* Raises everything to at least what the mark says, but cursor and given only while the
 * consumer's place is what it was when the mark was made: an acknowledgement that was
 * under way when the place was set back does not undo that. A row that is gone is no
 * error. 0 or a negative errno. */
int store_consumer_mark(struct db *db, const struct store_mark *mark);

/* Gives a consumer the secret `row->generation`, and makes the one before an old one,
 * as the row says, if that is the generation `expected`; *ret_changed tells. 0 or a
 * negative errno. */
int store_consumer_rotate(struct db *db, const struct store_consumer *row,
    uint64_t expected, bool *ret_changed);

/* Ends the old secret of that generation; *ret_changed tells whether it was there. 0 or
 * a negative errno. */
int store_consumer_drop_old(
    struct db *db, const char *name, uint64_t old_generation, bool *ret_changed);

/* Switches the pushing to one off (a time and a sentence) or on (0 and NULL). A row
 * that is gone is no error. 0 or a negative errno. */
int store_consumer_switch(
    struct db *db, const char *name, int64_t disabled_at, const char *reason);

/* Removes a consumer and its dead letters. 0 or a negative errno. */
int store_consumer_delete(struct db *db, const char *name);

/* Calls `each` for every consumer in the order of names; it may move the row's texts
 * out. 0 or a negative errno. */
typedef void store_consumer_fn(void *arg, struct store_consumer *row);
int store_consumer_load(struct db *db, store_consumer_fn *each, void *arg);

/* ---- Dead letters ---- */

/* Kept for one consumer; beyond it the oldest go. */
#define STORE_DEAD_MAX 1000

struct store_dead {
	uint64_t seq;
	char *type;
	char *id;        /* webhook-id */
	uint64_t tries;  /* attempts so far */
	int64_t died_at; /* ms since 1970 */
	char *reason;    /* a sentence */
	bool retry;      /* somebody wants it to be tried again */
	struct buf body; /* what was pushed */
};

void store_dead_clear(struct store_dead *dead);

/* Stores or replaces one, and removes the oldest beyond STORE_DEAD_MAX: *ret_dropped
 * says how many. 0 or a negative errno. */
int store_dead_put(struct db *db, const char *consumer, const struct store_dead *dead,
    uint64_t *ret_dropped);

/* A page, without bodies: those with a greater seq, at most `limit`. 0 or a negative
 * errno. */
typedef void store_dead_fn(void *arg, struct store_dead *dead);
int store_dead_list(struct db *db, const char *consumer, uint64_t after, uint32_t limit,
    store_dead_fn *each, void *arg);

/* Marks one (or all when seq is 0) to be tried again. *ret_count: how many are there.
 * 0 or a negative errno. */
int store_dead_retry(
    struct db *db, const char *consumer, uint64_t seq, uint64_t *ret_count);

/* Reads the oldest that is to be tried again, with its body. *ret_found. 0 or a
 * negative errno. */
int store_dead_next(
    struct db *db, const char *consumer, struct store_dead *ret_dead, bool *ret_found);

/* Removes one, which may be absent. 0 or a negative errno. */
int store_dead_delete(struct db *db, const char *consumer, uint64_t seq);

/* How many a consumer has, and how many of them are to be tried again. 0 or a negative
 * errno. */
int store_dead_count(
    struct db *db, const char *consumer, uint64_t *ret_count, uint64_t *ret_retry);

#endif
