/*
 * Keys of contents and their events, in memory: a table of fixed size that is emptied
 * as a whole. Pure; used by store_content.c only.
 */
#ifndef BROKER_STORE_STORE_CONTENT_NOTES_H
#define BROKER_STORE_STORE_CONTENT_NOTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/store/store_content.h"

struct store_content_note {
	uint8_t key[STORE_CONTENT_KEY_SIZE];
	uint64_t seq;
};

/* Twice as many places as notes, so that a search ends soon. A power of two. */
#define STORE_CONTENT_PLACES (2 * STORE_CONTENT_NOTES_MAX)

struct store_content_notes {
	uint64_t settled_to; /* the table has the contents of events up to here */
	size_t count;
	struct store_content_note list[STORE_CONTENT_NOTES_MAX];
	uint16_t places[STORE_CONTENT_PLACES]; /* index + 1; 0: none */
};

/* Forgets all notes; the table has what events up to `seq` are known by. */
void store_content_notes_clear(struct store_content_notes *notes, uint64_t seq);

/* The note of a key, NULL: there is none. */
struct store_content_note *store_content_notes_find(struct store_content_notes *notes,
    const uint8_t key[static STORE_CONTENT_KEY_SIZE]);

/* Notes a key, in the place of its older note. False, with nothing noted, when all
 * notes are taken. */
bool store_content_notes_put(struct store_content_notes *notes,
    const uint8_t key[static STORE_CONTENT_KEY_SIZE], uint64_t seq);

/* Puts the list into the order of keys. Nothing can be found until the next clear. */
void store_content_notes_sort(struct store_content_notes *notes);

#endif
