/*
 * A list of notes with a hash table beside it. What is noted was signed or made here,
 * so the hash does not have to stand against those who know it.
 */
#include <stdlib.h>
#include <string.h>

#include "broker/store/store_notes.h"

_Static_assert(STORE_NOTES_MAX < UINT16_MAX, "a place must hold an index");

/* An odd number without a pattern: the fraction of the golden ratio. */
#define MIX UINT64_C(0x9e3779b97f4a7c15)

struct store_note_key
store_note_key(const void *bytes, size_t length)
{
	struct store_note_key key = { { 0 } };

	memcpy(key.words, bytes, length);
	return key;
}

int
store_note_key_compare(
    const struct store_note_key *one, const struct store_note_key *other)
{
	return memcmp(one, other, sizeof(*one));
}

void
store_notes_clear(struct store_notes *notes)
{
	memset(notes->places, 0, sizeof(notes->places));
	notes->count = 0;
}

static size_t
hash(const struct store_note_key *key)
{
	uint64_t mixed = 0;
	size_t i;

	for (i = 0; i < sizeof(key->words) / sizeof(key->words[0]); i++) {
		mixed = (mixed ^ key->words[i]) * MIX;
		mixed ^= mixed >> 32;
	}
	return (size_t)mixed % STORE_NOTES_PLACES;
}

/* The index of a key's place, or of the free one where it belongs. */
static size_t
find_place(const struct store_notes *notes, const struct store_note_key *key)
{
	size_t i;

	for (i = hash(key); notes->places[i]; i = (i + 1) % STORE_NOTES_PLACES)
		if (store_note_key_compare(
			&notes->list[notes->places[i] - 1].key, key) == 0)
			break;
	return i;
}

const struct store_note *
store_notes_find(const struct store_notes *notes, const struct store_note_key *key)
{
	const uint16_t place = notes->places[find_place(notes, key)];

	return place ? &notes->list[place - 1] : NULL;
}

bool
store_notes_put(struct store_notes *notes, const struct store_note_key *key,
    uint64_t seq, int64_t at)
{
	uint16_t *place = &notes->places[find_place(notes, key)];

	if (!*place) {
		if (notes->count == STORE_NOTES_MAX)
			return false;
		*place = (uint16_t)++notes->count;
	}
	notes->list[*place - 1] =
	    (struct store_note){ .key = *key, .seq = seq, .at = at };
	return true;
}

static int
compare(const void *one, const void *other)
{
	return store_note_key_compare(&((const struct store_note *)one)->key,
	    &((const struct store_note *)other)->key);
}

void
store_notes_sort(struct store_notes *notes)
{
	qsort(notes->list, notes->count, sizeof(notes->list[0]), compare);
}
