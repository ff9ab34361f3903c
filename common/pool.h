/*
 * An allocator in one given piece of memory: no system call, constant time, and what is
 * given back is overwritten first.
 *
 * Two-level segregated fit (Masmano and others, "TLSF: a new dynamic memory allocator
 * for real-time systems", 2004): neighbours that are free are one piece, so the memory
 * does not fall apart in a process that runs for months. Any number of threads.
 */
#ifndef COMMON_POOL_H
#define COMMON_POOL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What every piece is a multiple of and aligned to. */
#define POOL_ALIGN 16
/* Bytes that a pool manages at most; more of what it is given stays unused. */
#define POOL_MOST ((size_t)1 << 27)

#define POOL_SECOND 16 /* sizes between a power of two and the next */
#define POOL_FIRST 20  /* powers of two, from POOL_ALIGN * POOL_SECOND on */

struct pool_block;

struct pool {
	pthread_mutex_t lock; /* over all of the rest but start and end */
	uint8_t *start;
	uint8_t *end;
	size_t used; /* bytes in pieces that are out, without their heads */
	size_t most; /* the most that this ever was */
	uint32_t first_map;
	uint32_t second_map[POOL_FIRST];
	struct pool_block *lists[POOL_FIRST][POOL_SECOND];
};

/* Makes a pool of `size` bytes of zeroed memory that the caller keeps until the end. A
 * size of 0 makes a pool that is always full. */
void pool_init(struct pool *pool, void *memory, size_t size);

/* Whether a piece is of this pool. */
bool pool_has(const struct pool *pool, const void *piece);

/* A piece of at least `size` bytes, aligned to `align`, a power of two (less than
 * POOL_ALIGN is taken for that); NULL when no free piece is sure to be large enough,
 * which one of less than a sixteenth more may not be. What is in it is not defined. */
void *pool_take(struct pool *pool, size_t size, size_t align);

/* Bytes that a piece of a pool has. */
size_t pool_piece_size(const void *piece);

/* Overwrites a piece and gives it back. */
void pool_give(struct pool *pool, void *piece);

/* Bytes out now, and the most that there were. */
void pool_figures(struct pool *pool, size_t *ret_used, size_t *ret_most);

/* Whether heads, lists and maps are as they must be; for tests. */
bool pool_is_sound(struct pool *pool);

#endif
