/*
 * The keys that may have signed a delivery: mostly one, two while the platform changes
 * its key, and for minutes one of our own for synthetic deliveries.
 *
 * The loop owns a ring and changes it. Everybody who checks signatures works with a
 * set, which never changes and may be shared by threads, through a checker of their
 * own: key objects keep state between checks, so that one checker serves one thread.
 *
 *	struct kick_keys *keys = kick_keys_ref(kick_ring_keys(ring));     loop
 *	kick_checker_use(checker, keys);                                  any thread
 *	kick_checker_verify(checker, ...);                                the same
 *thread kick_keys_unref(keys);                                            any thread
 */
#ifndef BROKER_EVENTS_KICK_KEYS_H
#define BROKER_EVENTS_KICK_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/events/kick_verify.h"

/* Keys in a set. */
#define KICK_KEYS_MAX 5
/* Bytes of a key in PEM form that is taken, without NUL. */
#define KICK_KEY_PEM_MAX 4096
/* Hex SHA-256 of a key with NUL. */
#define KICK_KEY_ID_SIZE 65

/* Message ids of synthetic deliveries begin so, and a synthetic key is tried for no
 * others. The name is a hint; what makes a delivery synthetic is the key. */
#define KICK_SYNTHETIC_PREFIX "synthetic."

bool kick_keys_is_synthetic(const char *message_id);

enum kick_key_use {
	KICK_KEY_platform,  /* the platform signs with it */
	KICK_KEY_synthetic, /* we do */
};

/* One key of a set. */
struct kick_keys_entry {
	char *pem;
	char id[KICK_KEY_ID_SIZE];
	enum kick_key_use use;
	int64_t until; /* wall clock ms after which it proves nothing, 0: no end */
};

/* A set; it never changes once it is made. */
struct kick_keys {
	uint64_t generation; /* greater than that of the set before; at least 1 */
	size_t count;
	struct kick_keys_entry entries[KICK_KEYS_MAX]; /* the newest of a use first */
	_Atomic unsigned references;
};

/* One more owner; gives `keys`. Any thread. */
struct kick_keys *kick_keys_ref(struct kick_keys *keys);

/* One owner less; the last frees. NULL is allowed. Any thread. */
void kick_keys_unref(struct kick_keys *keys);

/* ---- The ring; for the loop ---- */

struct kick_ring;

struct kick_ring *kick_ring_new(void);
/* NULL is allowed. Sets that are still referenced live on. */
void kick_ring_free(struct kick_ring *ring);

/* The set of now, borrowed until the ring changes. */
struct kick_keys *kick_ring_keys(const struct kick_ring *ring);

/* Puts a key before all others, or changes the end of one that is there. A full ring
 * drops the last key of the same use. 0, or -EINVAL when it is no key that is accepted
 * (kick_key_read) or longer than KICK_KEY_PEM_MAX. */
int kick_ring_put(struct kick_ring *ring, const char *pem, size_t length,
    enum kick_key_use use, int64_t until);

/* Removes one key by its id; nothing when it is not there. */
void kick_ring_drop(struct kick_ring *ring, const char *id);

/* Removes keys whose end is past. Whether there were any. */
bool kick_ring_expire(struct kick_ring *ring, int64_t now);

/* ---- Checking; for one thread ---- */

struct kick_checker;

struct kick_checker *kick_checker_new(void);
/* NULL is allowed. */
void kick_checker_free(struct kick_checker *checker);

/* Checks by this set from now on. Costs a comparison unless the generation is another;
 * takes nothing over, the set may go afterwards. */
void kick_checker_use(struct kick_checker *checker, const struct kick_keys *keys);

/* As kick_verify, by every key in turn that may have signed this id at `now` (wall
 * clock ms). *ret_use says by which it is good, and is set for KICK_GOOD only. */
enum kick_verdict kick_checker_verify(struct kick_checker *checker, int64_t now,
    const char *id, const char *timestamp, const uint8_t *body, size_t body_length,
    const uint8_t *signature, size_t signature_length, enum kick_key_use *ret_use);

#endif
