/*
 * Which contents the table `contents` has got not long ago: an answer of "surely not"
 * for most that are new, without looking into the table. Pure; a Bloom filter in two
 * generations, used by store_known.c and store_content.c.
 *
 * It knows nothing of what was in the table before it began, but that this is not later
 * than a certain time: keys begin with one.
 */
#ifndef BROKER_STORE_STORE_RECENT_H
#define BROKER_STORE_STORE_RECENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/store/store_content.h"

/* Keys of a generation; with the older one at least as many are known. */
#define STORE_RECENT_KEYS 65536
/* Of eight bits for a key, three are looked at: one in thirty is taken for another. */
#define STORE_RECENT_BITS (8 * STORE_RECENT_KEYS)

struct store_recent_generation {
	uint32_t after; /* keys later than this are in here or in the next */
	uint32_t count;
	uint64_t bits[STORE_RECENT_BITS / 64];
};

struct store_recent {
	uint32_t greatest; /* no key of the table is later, s since 1970 */
	unsigned current;
	struct store_recent_generation generations[2];
};

/* Forgets all. The table has no key later than `greatest`. */
void store_recent_begin(struct store_recent *recent, uint32_t greatest);

/* The table has got a key. */
void store_recent_add(
    struct store_recent *recent, const uint8_t key[static STORE_CONTENT_KEY_SIZE]);

/* False: the table does not have the key. True: it may. */
bool store_recent_may_have(const struct store_recent *recent,
    const uint8_t key[static STORE_CONTENT_KEY_SIZE]);

/* The time that a key begins with. */
uint32_t store_recent_time(const uint8_t key[static STORE_CONTENT_KEY_SIZE]);

#endif
