/*
 * A Bloom filter. The bytes of a digest are as good as hashes.
 */
#include <string.h>

#include "broker/store/store_recent.h"

#define LOOKS 3
_Static_assert(LOOKS * sizeof(uint32_t) == STORE_CONTENT_KEY_DIGEST,
    "each look takes four bytes of the digest");
_Static_assert(STORE_CONTENT_KEY_TIME == 4, "a time is read from four bytes");

static void
begin_generation(struct store_recent *recent)
{
	struct store_recent_generation *fresh;

	recent->current = !recent->current;
	fresh = &recent->generations[recent->current];
	memset(fresh, 0, sizeof(*fresh));
	fresh->after = recent->greatest;
}

void
store_recent_begin(struct store_recent *recent, uint32_t greatest)
{
	recent->greatest = greatest;
	begin_generation(recent);
	begin_generation(recent);
}

uint32_t
store_recent_time(const uint8_t key[static STORE_CONTENT_KEY_SIZE])
{
	return (uint32_t)key[0] << 24 | (uint32_t)key[1] << 16 | (uint32_t)key[2] << 8 |
	    key[3];
}

/* The bit of one look, from four bytes of the digest. */
static uint32_t
find_bit(const uint8_t *key, unsigned look)
{
	uint32_t bytes;

	memcpy(
	    &bytes, key + STORE_CONTENT_KEY_TIME + look * sizeof(bytes), sizeof(bytes));
	return bytes % STORE_RECENT_BITS;
}

void
store_recent_add(
    struct store_recent *recent, const uint8_t key[static STORE_CONTENT_KEY_SIZE])
{
	struct store_recent_generation *generation;
	unsigned look;

	if (recent->generations[recent->current].count == STORE_RECENT_KEYS)
		begin_generation(recent);
	generation = &recent->generations[recent->current];
	generation->count++;
	for (look = 0; look < LOOKS; look++) {
		uint32_t bit = find_bit(key, look);

		generation->bits[bit / 64] |= UINT64_C(1) << bit % 64;
	}
	if (store_recent_time(key) > recent->greatest)
		recent->greatest = store_recent_time(key);
}

static bool
has(const struct store_recent_generation *generation, const uint8_t *key)
{
	unsigned look;

	for (look = 0; look < LOOKS; look++) {
		uint32_t bit = find_bit(key, look);

		if (!(generation->bits[bit / 64] >> bit % 64 & 1))
			return false;
	}
	return true;
}

bool
store_recent_may_have(
    const struct store_recent *recent, const uint8_t key[static STORE_CONTENT_KEY_SIZE])
{
	const struct store_recent_generation *older =
	    &recent->generations[!recent->current];

	return store_recent_time(key) <= older->after || has(older, key) ||
	    has(&recent->generations[recent->current], key);
}
