/*
 * Keys and the events that they belong to, in memory: a table of fixed size that is
 * emptied as a whole. Pure; used by store_known.c and those that look into its notes.
 */
#ifndef BROKER_STORE_STORE_NOTES_H
#define BROKER_STORE_STORE_NOTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STORE_NOTES_MAX 2048
/* Twice as many places as notes, so that a search ends soon. A power of two. */
#define STORE_NOTES_PLACES (2 * STORE_NOTES_MAX)
/* Bytes of a key at most: a ULID or UUID as text, or what a content is known by. */
#define STORE_NOTE_KEY_MAX 40

/* Padded with zeros, so that keys of one kind and length are equal when all of it is;
 * a text as short as that and its padding are in the order of the texts. */
struct store_note_key {
	uint64_t words[STORE_NOTE_KEY_MAX / sizeof(uint64_t)];
};

struct store_note {
	struct store_note_key key;
	uint64_t seq;
	int64_t at; /* a time that belongs to it, or 0 */
};

struct store_notes {
	size_t count;
	struct store_note list[STORE_NOTES_MAX];
	uint16_t places[STORE_NOTES_PLACES]; /* index + 1; 0: none */
};

/* A key of at most STORE_NOTE_KEY_MAX bytes. */
struct store_note_key store_note_key(const void *bytes, size_t length);

/* Less than, equal to or greater than 0, as memcmp has it. */
int store_note_key_compare(
    const struct store_note_key *one, const struct store_note_key *other);

/* Forgets all notes. */
void store_notes_clear(struct store_notes *notes);

/* The note of a key, NULL: there is none. */
const struct store_note *
store_notes_find(const struct store_notes *notes, const struct store_note_key *key);

/* Notes a key, in the place of its older note. False, with nothing noted, when all
 * notes are taken. */
bool store_notes_put(struct store_notes *notes, const struct store_note_key *key,
    uint64_t seq, int64_t at);

/* Puts the list into the order of keys. Nothing can be found until the next clear. */
void store_notes_sort(struct store_notes *notes);

#endif
