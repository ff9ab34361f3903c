/*
 * Sets of keys, the ring that makes them, and checkers that use them.
 *
 * A set holds keys as text: each checker reads its own key objects from it, so that
 * threads share nothing but the count of owners. Called by ingest for checking, and by
 * kick_upkeep.c and trigger_key.c, which change the ring.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/events/kick_keys.h"
#include "common/alloc.h"

struct kick_ring {
	struct kick_keys *keys;
};

struct kick_checker {
	uint64_t generation; /* 0: none yet */
	size_t count;
	struct {
		struct kick_key *key;
		enum kick_key_use use;
		int64_t until;
	} keys[KICK_KEYS_MAX];
};

/* Sets. */

struct kick_keys *
kick_keys_ref(struct kick_keys *keys)
{
	keys->references++;
	return keys;
}

static void
entry_clear(struct kick_keys_entry *entry)
{
	free(entry->pem);
	entry->pem = NULL;
}

void
kick_keys_unref(struct kick_keys *keys)
{
	size_t i;

	if (!keys || --keys->references > 0)
		return;
	for (i = 0; i < keys->count; i++)
		entry_clear(&keys->entries[i]);
	free(keys);
}

/* The set that follows one, empty. */
static struct kick_keys *
keys_after(const struct kick_keys *before)
{
	struct kick_keys *keys = xcalloc(1, sizeof(*keys));

	keys->generation = before ? before->generation + 1 : 1;
	keys->references = 1;
	return keys;
}

static void
keys_add(struct kick_keys *keys, const struct kick_keys_entry *entry)
{
	struct kick_keys_entry *own = &keys->entries[keys->count++];

	*own = *entry;
	own->pem = xstrdup(entry->pem);
}

/* The ring. */

struct kick_ring *
kick_ring_new(void)
{
	struct kick_ring *ring = xcalloc(1, sizeof(*ring));

	ring->keys = keys_after(NULL);
	return ring;
}

void
kick_ring_free(struct kick_ring *ring)
{
	if (!ring)
		return;
	kick_keys_unref(ring->keys);
	free(ring);
}

struct kick_keys *
kick_ring_keys(const struct kick_ring *ring)
{
	return ring->keys;
}

static void
ring_take(struct kick_ring *ring, struct kick_keys *keys)
{
	kick_keys_unref(ring->keys);
	ring->keys = keys;
}

/* Which entry makes room for one more of `use`: the last of the same use, else the
 * last. */
static size_t
entry_to_drop(const struct kick_keys *keys, enum kick_key_use use)
{
	size_t i;

	for (i = keys->count; i-- > 0;)
		if (keys->entries[i].use == use)
			return i;
	return keys->count - 1;
}

static int
entry_read(struct kick_keys_entry *entry, const char *pem, size_t length)
{
	struct kick_key *key;
	int result;

	if (length > KICK_KEY_PEM_MAX || memchr(pem, '\0', length))
		return -EINVAL;
	result = kick_key_read(pem, length, &key);
	if (result < 0)
		return result;
	memcpy(entry->id, kick_key_id(key), sizeof(entry->id));
	kick_key_free(key);
	entry->pem = xstrndup(pem, length);
	return 0;
}

int
kick_ring_put(struct kick_ring *ring, const char *pem, size_t length,
    enum kick_key_use use, int64_t until)
{
	struct kick_keys_entry entry = { .use = use, .until = until };
	const struct kick_keys *old = ring->keys;
	struct kick_keys *keys;
	size_t left_out = SIZE_MAX;
	size_t i;
	int result = entry_read(&entry, pem, length);

	if (result < 0)
		return result;
	kick_ring_drop(ring, entry.id);
	old = ring->keys;
	keys = keys_after(old);
	keys_add(keys, &entry);
	entry_clear(&entry);
	if (old->count == KICK_KEYS_MAX)
		left_out = entry_to_drop(old, use);
	for (i = 0; i < old->count; i++)
		if (i != left_out)
			keys_add(keys, &old->entries[i]);
	ring_take(ring, keys);
	return 0;
}

/* A set without the entries that `goes` names. */
static bool
ring_filter(struct kick_ring *ring,
    bool (*goes)(const struct kick_keys_entry *entry, const void *arg), const void *arg)
{
	const struct kick_keys *old = ring->keys;
	struct kick_keys *keys = keys_after(old);
	size_t i;

	for (i = 0; i < old->count; i++)
		if (!goes(&old->entries[i], arg))
			keys_add(keys, &old->entries[i]);
	if (keys->count == old->count) {
		kick_keys_unref(keys);
		return false;
	}
	ring_take(ring, keys);
	return true;
}

static bool
has_id(const struct kick_keys_entry *entry, const void *id)
{
	return strcmp(entry->id, id) == 0;
}

void
kick_ring_drop(struct kick_ring *ring, const char *id)
{
	(void)ring_filter(ring, has_id, id);
}

static bool
is_over(int64_t until, int64_t now)
{
	return until != 0 && until <= now;
}

static bool
entry_is_over(const struct kick_keys_entry *entry, const void *now)
{
	return is_over(entry->until, *(const int64_t *)now);
}

bool
kick_ring_expire(struct kick_ring *ring, int64_t now)
{
	return ring_filter(ring, entry_is_over, &now);
}

/* Checkers. */

bool
kick_keys_is_synthetic(const char *message_id)
{
	return strncmp(message_id, KICK_SYNTHETIC_PREFIX,
		   sizeof(KICK_SYNTHETIC_PREFIX) - 1) == 0;
}

struct kick_checker *
kick_checker_new(void)
{
	return xcalloc(1, sizeof(struct kick_checker));
}

static void
checker_empty(struct kick_checker *checker)
{
	while (checker->count > 0)
		kick_key_free(checker->keys[--checker->count].key);
}

void
kick_checker_free(struct kick_checker *checker)
{
	if (!checker)
		return;
	checker_empty(checker);
	free(checker);
}

void
kick_checker_use(struct kick_checker *checker, const struct kick_keys *keys)
{
	size_t i;

	if (checker->generation == keys->generation)
		return;
	checker_empty(checker);
	checker->generation = keys->generation;
	for (i = 0; i < keys->count; i++) {
		const struct kick_keys_entry *entry = &keys->entries[i];
		struct kick_key *key;

		/* It was read before, so it can only be memory that is missing. */
		if (kick_key_read(entry->pem, strlen(entry->pem), &key) < 0)
			abort();
		checker->keys[checker->count].key = key;
		checker->keys[checker->count].use = entry->use;
		checker->keys[checker->count++].until = entry->until;
	}
}

enum kick_verdict
kick_checker_verify(struct kick_checker *checker, int64_t now, const char *id,
    const char *timestamp, const uint8_t *body, size_t body_length,
    const uint8_t *signature, size_t signature_length, enum kick_key_use *ret_use)
{
	enum kick_key_use use =
	    kick_keys_is_synthetic(id) ? KICK_KEY_synthetic : KICK_KEY_platform;
	enum kick_verdict verdict = KICK_MALFORMED;
	size_t i;

	for (i = 0; i < checker->count; i++) {
		enum kick_verdict one;

		if (checker->keys[i].use != use || is_over(checker->keys[i].until, now))
			continue;
		one = kick_verify(checker->keys[i].key, id, timestamp, body,
		    body_length, signature, signature_length);
		if (one == KICK_GOOD) {
			*ret_use = use;
			return KICK_GOOD;
		}
		if (one == KICK_WRONG)
			verdict = KICK_WRONG;
	}
	return verdict;
}
