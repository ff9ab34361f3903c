/*
 * Keys of contents in memory. A key's last bytes are of a digest, so they serve as its
 * hash.
 */
#include <stdlib.h>
#include <string.h>

#include "broker/store/store_content_notes.h"
#include "common/alloc.h"

_Static_assert(STORE_CONTENT_NOTES_MAX < UINT16_MAX, "a place must hold an index");

struct store_content_notes *
store_content_notes_new(void)
{
	return xcalloc(1, sizeof(struct store_content_notes));
}

void
store_content_notes_free(struct store_content_notes *notes)
{
	free(notes);
}

void
store_content_notes_clear(struct store_content_notes *notes, uint64_t seq)
{
	memset(notes->places, 0, sizeof(notes->places));
	notes->count = 0;
	notes->settled_to = seq;
}

/* The place of a key, or the free one where it belongs. */
static uint16_t *
find_place(struct store_content_notes *notes, const uint8_t *key)
{
	uint32_t hash;
	size_t i;

	memcpy(&hash, key + STORE_CONTENT_KEY_SIZE - sizeof(hash), sizeof(hash));
	for (i = hash % STORE_CONTENT_PLACES; notes->places[i];
	     i = (i + 1) % STORE_CONTENT_PLACES)
		if (memcmp(notes->list[notes->places[i] - 1].key, key,
			STORE_CONTENT_KEY_SIZE) == 0)
			break;
	return &notes->places[i];
}

struct store_content_note *
store_content_notes_find(
    struct store_content_notes *notes, const uint8_t key[static STORE_CONTENT_KEY_SIZE])
{
	const uint16_t *place = find_place(notes, key);

	return *place ? &notes->list[*place - 1] : NULL;
}

bool
store_content_notes_put(struct store_content_notes *notes,
    const uint8_t key[static STORE_CONTENT_KEY_SIZE], uint64_t seq)
{
	uint16_t *place = find_place(notes, key);
	struct store_content_note *note;

	if (*place) {
		notes->list[*place - 1].seq = seq;
		return true;
	}
	if (notes->count == STORE_CONTENT_NOTES_MAX)
		return false;
	note = &notes->list[notes->count++];
	memcpy(note->key, key, STORE_CONTENT_KEY_SIZE);
	note->seq = seq;
	*place = (uint16_t)notes->count;
	return true;
}

static int
compare(const void *one, const void *other)
{
	return memcmp(one, other, STORE_CONTENT_KEY_SIZE);
}

void
store_content_notes_sort(struct store_content_notes *notes)
{
	qsort(notes->list, notes->count, sizeof(notes->list[0]), compare);
}
