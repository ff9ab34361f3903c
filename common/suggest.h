/*
 * "Did you mean": the nearest of some known words.
 */
#ifndef COMMON_SUGGEST_H
#define COMMON_SUGGEST_H

#include <stddef.h>

/* Words longer than this are never compared. */
#define SUGGEST_WORD_MAX 64

/* Edits (insert, delete, replace, swap two neighbours; case is ignored) that turn one
 * word into the other; SIZE_MAX when either is longer than SUGGEST_WORD_MAX bytes. */
size_t suggest_distance(const char *a, const char *b);

/* The word that is nearest to `typed`, the first of equals; NULL when none is near
 * enough to be meant: more than a third of its bytes (at least one edit, two from four
 * bytes on) would have to change. The result is one of `words`. */
const char *suggest_nearest(const char *typed, const char *const *words, size_t count);

#endif
