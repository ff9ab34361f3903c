/*
 * A growing byte buffer, consumed from the front and filled at the end.
 *
 * Used for what a peer has sent and for what it has yet to read. Growth is the
 * caller's to bound: every user of it names a limit.
 */
#ifndef COMMON_BUF_H
#define COMMON_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
	uint8_t *data;   /* start of the memory */
	size_t start;    /* first byte not yet consumed */
	size_t end;      /* one past the last byte */
	size_t capacity; /* bytes of memory */
	bool locked;     /* the memory is locked_memory.h's */
};

#define BUF_EMPTY ((struct buf){ .data = NULL })
/* An empty one for secrets: its memory is locked, and overwritten when it is freed. */
#define BUF_LOCKED ((struct buf){ .locked = true })

/* Frees the memory; buf_wipe also overwrites all of it first. Both leave it empty, of
 * the same kind. */
void buf_clear(struct buf *buf);
void buf_wipe(struct buf *buf);

/* Bytes held, and where they start (valid until the buffer changes). */
size_t buf_length(const struct buf *buf);
uint8_t *buf_bytes(const struct buf *buf);

/* Makes room for `size` bytes at the end and returns it; buf_added says how many of
 * them were written. */
uint8_t *buf_reserve(struct buf *buf, size_t size);
void buf_added(struct buf *buf, size_t size);

/* Appends. */
void buf_add(struct buf *buf, const void *bytes, size_t size);
void buf_add_text(struct buf *buf, const char *text);
__attribute__((format(printf, 2, 3))) void
buf_printf(struct buf *buf, const char *format, ...);

/* Forgets `size` bytes at the front. When all are gone the memory is kept up to
 * BUF_KEEP bytes and given back beyond that. */
#define BUF_KEEP (256 * 1024)
void buf_consume(struct buf *buf, size_t size);

#endif
