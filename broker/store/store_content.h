/*
 * The same event under several message ids: what makes an event this one, and the
 * table that remembers it.
 *
 * Subscriptions that exist twice deliver everything twice, each time under another id
 * (facts/kick.md 3.3). An event is known again by ids inside its body, or by the whole
 * body when the other was sent close in time.
 *
 * Each event's row keeps its key; the table gets it later, with many others
 * (store_known.h).
 */
#ifndef BROKER_STORE_STORE_CONTENT_H
#define BROKER_STORE_STORE_CONTENT_H

#include <stddef.h>
#include <stdint.h>

#include "common/crypto.h"

struct db;

enum store_content_rule {
	STORE_CONTENT_NONE, /* not compared, not remembered */
	STORE_CONTENT_BODY, /* by the digest of the body */
	STORE_CONTENT_IDS,  /* by `digest`, which is of ids in the body */
};

/* Windows are at most so long, ms. */
#define STORE_CONTENT_WINDOW_MAX 300000

/* Bytes of a key: the time in seconds, big endian, and the beginning of a digest. */
#define STORE_CONTENT_KEY_TIME 4
#define STORE_CONTENT_KEY_DIGEST 12
#define STORE_CONTENT_KEY_SIZE (STORE_CONTENT_KEY_TIME + STORE_CONTENT_KEY_DIGEST)

struct store_content {
	enum store_content_rule rule;
	const char *salt; /* contents with different ones are different; NULL: none */
	uint8_t digest[CRYPTO_SHA256_SIZE];
	/* With ids: a time in the body, the same whenever the event comes, ms since
	 * 1970. It is known again at any distance then. 0: there is none. */
	int64_t born;
	uint32_t window_ms; /* without it: the greatest distance of sending times */
};

/* What an event's row keeps. */
struct store_content_key {
	uint8_t bytes[STORE_CONTENT_KEY_SIZE];
	size_t length; /* 0: nothing */
};

/* Looks for the content of an event that is being stored, and remembers it as that of
 * `seq` when it is new; *ret_key is for the event's row then. `digest` is that of the
 * body, `sent_at` ms since 1970. 1 and *ret_seq: the event is that one, which came
 * before; 0: it is new; negative errno. On the database's thread, in a transaction in
 * which the row is stored as well, after store_known_make_room. */
int store_content_put(struct db *db, const struct store_content *content,
    const uint8_t digest[static CRYPTO_SHA256_SIZE], int64_t sent_at, uint64_t seq,
    uint64_t *ret_seq, struct store_content_key *ret_key);

/* Forgets contents of events that were sent before `ms`, at most `limit` of them. How
 * many, or a negative errno. On the database's thread. */
int store_content_forget(struct db *db, int64_t ms, unsigned limit);

#endif
