/*
 * A secret: bytes that are kept in locked memory, wiped before they are freed, and
 * that no formatting function takes.
 *
 * The type is deliberately not a char pointer, so that a secret cannot be given
 * to printf, to the log or to a text field by accident. The one way to its bytes
 * is through the members, which reviewers can search for.
 */
#ifndef COMMON_SECRET_H
#define COMMON_SECRET_H

#include <stdbool.h>
#include <stddef.h>

struct secret {
	unsigned char *bytes; /* NULL when empty; NUL follows the last byte */
	size_t length;        /* without that NUL */
};

/* An empty secret. */
#define SECRET_NONE ((struct secret){ .bytes = NULL, .length = 0 })

/* A fresh secret of that many zero bytes, for the caller to fill in. The owner calls
 * secret_clear. The bytes are in locked memory (locked_memory.h) in programs that have
 * some. */
struct secret secret_new(size_t length);

/* Copies bytes into a fresh secret. */
struct secret secret_copy(const void *bytes, size_t length);

/* A fresh secret that is the texts, one behind the other, up to the first NULL. */
struct secret secret_join(const char *text, ...) __attribute__((sentinel));

/* Wipes, frees and empties. An empty secret and NULL are allowed. */
void secret_clear(struct secret *secret);

/* Moves ownership: the result owns the bytes, *from becomes empty. */
struct secret secret_move(struct secret *from);

/* Compares in time that depends on the lengths only. */
bool secret_equal(const struct secret *a, const struct secret *b);

/* The bytes as C text, "" when empty. For libraries that want text; borrowed until
 * the secret is cleared. A secret that holds a NUL is cut there by such libraries:
 * check with secret_is_text first. */
const char *secret_text(const struct secret *secret);

/* Whether all bytes are visible ASCII, as tokens and client secrets are. */
bool secret_is_text(const struct secret *secret);

#endif
