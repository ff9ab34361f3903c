/*
 * "Did you mean": edit distance between what was typed and the words that exist.
 *
 * Pure. Used for configuration keys and words, and for the verbs of the command.
 */
#include <stdint.h>
#include <string.h>

#include "common/suggest.h"

static size_t
least_of(size_t a, size_t b, size_t c)
{
	size_t least = a < b ? a : b;

	return least < c ? least : c;
}

static char
fold(char byte)
{
	return byte >= 'A' && byte <= 'Z' ? (char)(byte + ('a' - 'A')) : byte;
}

size_t
suggest_distance(const char *a, const char *b)
{
	/* Three rows of the table of distances between all prefixes. */
	size_t rows[3][SUGGEST_WORD_MAX + 1];
	size_t *before = rows[0], *last = rows[1], *row = rows[2], *swap;
	size_t a_length = strnlen(a, SUGGEST_WORD_MAX + 1);
	size_t b_length = strnlen(b, SUGGEST_WORD_MAX + 1);
	size_t i, j;

	if (a_length > SUGGEST_WORD_MAX || b_length > SUGGEST_WORD_MAX)
		return SIZE_MAX;
	for (j = 0; j <= b_length; j++)
		last[j] = j;
	for (i = 1; i <= a_length; i++) {
		row[0] = i;
		for (j = 1; j <= b_length; j++) {
			size_t cost = fold(a[i - 1]) != fold(b[j - 1]);

			row[j] =
			    least_of(row[j - 1] + 1, last[j] + 1, last[j - 1] + cost);
			if (i > 1 && j > 1 && fold(a[i - 1]) == fold(b[j - 2]) &&
			    fold(a[i - 2]) == fold(b[j - 1]))
				row[j] = least_of(row[j], row[j], before[j - 2] + 1);
		}
		swap = before;
		before = last;
		last = row;
		row = swap;
	}
	return last[b_length];
}

/* How many edits a word of this length may be away. */
static size_t
edits_allowed(size_t length)
{
	if (length < 4)
		return 1;
	return length < 6 ? 2 : length / 3;
}

const char *
suggest_nearest(const char *typed, const char *const *words, size_t count)
{
	size_t allowed = edits_allowed(strnlen(typed, SUGGEST_WORD_MAX + 1));
	const char *nearest = NULL;
	size_t best = SIZE_MAX;
	size_t i, distance;

	for (i = 0; i < count; i++) {
		distance = suggest_distance(typed, words[i]);
		if (distance <= allowed && distance < strlen(words[i]) &&
		    distance < best) {
			best = distance;
			nearest = words[i];
		}
	}
	return nearest;
}
