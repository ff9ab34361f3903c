/*
 * The allocator of locked memory (locked_memory.c), which owns the pools and their
 * memory.
 *
 * Each piece has a head that knows its size and the head before it. Free pieces are in
 * lists by size; a bit for each list says whether anything is in it, so that the list
 * to take from is found by two looks at a map.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/pool.h"

struct pool_block {
	struct pool_block *before; /* NULL: the first */
	size_t size;               /* of the piece, and whether it is free */
	/* From here on it is the user's, unless free. */
	struct pool_block *next;
	struct pool_block *previous;
};

#define FREE ((size_t)1)
#define HEAD offsetof(struct pool_block, next)
#define LEAST (sizeof(struct pool_block) - HEAD)
/* Up to here lists are POOL_ALIGN apart. */
#define SMALL ((size_t)POOL_ALIGN * POOL_SECOND)
#define SMALL_BITS 8
#define SECOND_BITS 4

_Static_assert(HEAD % POOL_ALIGN == 0 && LEAST == POOL_ALIGN, "pieces are aligned");
_Static_assert(SMALL == 1 << SMALL_BITS && POOL_SECOND == 1 << SECOND_BITS, "bits");
_Static_assert(POOL_MOST == (size_t)1 << (SMALL_BITS + POOL_FIRST - 1), "levels");

struct place {
	unsigned first;
	unsigned second;
};

static size_t
size_of(const struct pool_block *block)
{
	return block->size & ~FREE;
}

static void *
piece_of(struct pool_block *block)
{
	return (uint8_t *)block + HEAD;
}

static struct pool_block *
block_of(const void *piece)
{
	return (struct pool_block *)((uintptr_t)piece - HEAD);
}

/* The last block is a head without a piece, which is never free. */
static struct pool_block *
after(struct pool_block *block)
{
	return (
	    struct pool_block *)(void *)((uint8_t *)piece_of(block) + size_of(block));
}

static unsigned
top_bit(size_t size)
{
	return 63U - (unsigned)__builtin_clzll((unsigned long long)size);
}

/* The list that a free piece of that size is in. */
static struct place
place_of(size_t size)
{
	unsigned bit;

	if (size < SMALL)
		return (struct place){ 0, (unsigned)(size / POOL_ALIGN) };
	bit = top_bit(size);
	return (struct place){ bit - SMALL_BITS + 1,
		(unsigned)(size >> (bit - SECOND_BITS)) - POOL_SECOND };
}

/* The first list whose pieces are all large enough. */
static struct place
place_for(size_t size)
{
	if (size >= SMALL)
		size += ((size_t)1 << (top_bit(size) - SECOND_BITS)) - 1;
	return place_of(size);
}

static void
list_add(struct pool *pool, struct pool_block *block)
{
	struct place place = place_of(size_of(block));
	struct pool_block **list = &pool->lists[place.first][place.second];

	block->size |= FREE;
	block->previous = NULL;
	block->next = *list;
	if (*list)
		(*list)->previous = block;
	*list = block;
	pool->first_map |= 1U << place.first;
	pool->second_map[place.first] |= 1U << place.second;
}

static void
list_remove(struct pool *pool, struct pool_block *block)
{
	struct place place = place_of(size_of(block));
	struct pool_block **list = &pool->lists[place.first][place.second];

	block->size &= ~FREE;
	if (block->next)
		block->next->previous = block->previous;
	if (block->previous)
		block->previous->next = block->next;
	else
		*list = block->next;
	if (*list)
		return;
	pool->second_map[place.first] &= ~(1U << place.second);
	if (!pool->second_map[place.first])
		pool->first_map &= ~(1U << place.first);
}

/* A free block of at least that size; NULL when there is none. */
static struct pool_block *
find(const struct pool *pool, size_t size)
{
	struct place place = place_for(size);
	uint32_t map;

	if (place.first >= POOL_FIRST)
		return NULL;
	map = pool->second_map[place.first] & (UINT32_MAX << place.second);
	if (!map) {
		map = pool->first_map & (uint32_t)(~0ULL << (place.first + 1));
		if (!map)
			return NULL;
		place.first = (unsigned)__builtin_ctz(map);
		map = pool->second_map[place.first];
	}
	return pool->lists[place.first][__builtin_ctz(map)];
}

/* Leaves `size` bytes to a block that is in no list; the rest becomes a block of its
 * own, which is returned and is in no list either. NULL when the rest is too small. */
static struct pool_block *
split(struct pool_block *block, size_t size)
{
	struct pool_block *rest;

	if (size_of(block) < size + HEAD + LEAST)
		return NULL;
	rest = (struct pool_block *)(void *)((uint8_t *)piece_of(block) + size);
	rest->before = block;
	rest->size = size_of(block) - size - HEAD;
	after(rest)->before = rest;
	block->size = size;
	return rest;
}

/* Puts a block into its list, as one with what is free around it. The heads in between
 * are wiped with the piece that they are part of from then on: all that a free piece
 * holds are the links of its list. */
static void
release(struct pool *pool, struct pool_block *block)
{
	struct pool_block *next = after(block);
	struct pool_block *before = block->before;

	if (next->size & FREE) {
		list_remove(pool, next);
		block->size += HEAD + size_of(next);
	}
	if (before && (before->size & FREE)) {
		list_remove(pool, before);
		before->size += HEAD + size_of(block);
		block = before;
	}
	after(block)->before = block;
	list_add(pool, block);
}

void
pool_init(struct pool *pool, void *memory, size_t size)
{
	struct pool_block *first = memory;
	struct pool_block *last;

	*pool = (struct pool){ .start = memory };
	(void)pthread_mutex_init(&pool->lock, NULL);
	if (size > POOL_MOST)
		size = POOL_MOST;
	size -= size % POOL_ALIGN;
	if (size < 2 * HEAD + LEAST)
		size = 0;
	pool->end = pool->start + size;
	if (size == 0)
		return;
	assert((uintptr_t)memory % POOL_ALIGN == 0);
	first->before = NULL;
	first->size = size - 2 * HEAD;
	last = after(first);
	last->before = first;
	last->size = 0;
	list_add(pool, first);
}

bool
pool_has(const struct pool *pool, const void *piece)
{
	return (const uint8_t *)piece >= pool->start &&
	    (const uint8_t *)piece < pool->end;
}

/* Gives what lies before the first aligned piece back. */
static struct pool_block *
cut_front(struct pool *pool, struct pool_block *block, size_t align)
{
	uintptr_t piece = (uintptr_t)piece_of(block);
	uintptr_t aligned = (piece + align - 1) & ~(uintptr_t)(align - 1);
	struct pool_block *rest;

	if (aligned == piece)
		return block;
	if (aligned - piece < HEAD + LEAST)
		aligned += align;
	rest = split(block, aligned - piece - HEAD);
	assert(rest);
	release(pool, block);
	return rest;
}

void *
pool_take(struct pool *pool, size_t size, size_t align)
{
	struct pool_block *block;
	struct pool_block *rest;
	size_t more = align > POOL_ALIGN ? 2 * align + HEAD + LEAST : 0;

	if (size > POOL_MOST || align > POOL_MOST)
		return NULL;
	size = (size + POOL_ALIGN - 1) & ~(size_t)(POOL_ALIGN - 1);
	if (size < LEAST)
		size = LEAST;
	(void)pthread_mutex_lock(&pool->lock);
	block = find(pool, size + more);
	if (block) {
		list_remove(pool, block);
		if (more)
			block = cut_front(pool, block, align);
		rest = split(block, size);
		if (rest)
			release(pool, rest);
		pool->used += size_of(block);
		if (pool->used > pool->most)
			pool->most = pool->used;
	}
	(void)pthread_mutex_unlock(&pool->lock);
	return block ? piece_of(block) : NULL;
}

size_t
pool_piece_size(const void *piece)
{
	return size_of(block_of(piece));
}

void
pool_give(struct pool *pool, void *piece)
{
	struct pool_block *block = block_of(piece);

	/* Given back twice, or overrun: a broken invariant. */
	if (block->size == 0 || (block->size & (POOL_ALIGN - 1)))
		abort();
	wipe(piece, size_of(block));
	(void)pthread_mutex_lock(&pool->lock);
	pool->used -= size_of(block);
	release(pool, block);
	(void)pthread_mutex_unlock(&pool->lock);
}

void
pool_figures(struct pool *pool, size_t *ret_used, size_t *ret_most)
{
	(void)pthread_mutex_lock(&pool->lock);
	*ret_used = pool->used;
	*ret_most = pool->most;
	(void)pthread_mutex_unlock(&pool->lock);
}

static bool
is_listed(const struct pool *pool, const struct pool_block *block)
{
	struct place place = place_of(size_of(block));
	const struct pool_block *at = pool->lists[place.first][place.second];

	while (at && at != block)
		at = at->next;
	return at && (pool->first_map & 1U << place.first) &&
	    (pool->second_map[place.first] & 1U << place.second);
}

bool
pool_is_sound(struct pool *pool)
{
	struct pool_block *block = (struct pool_block *)(void *)pool->start;
	const struct pool_block *before = NULL;
	size_t used = 0;
	bool sound = true;

	(void)pthread_mutex_lock(&pool->lock);
	for (; pool->start != pool->end && sound; block = after(block)) {
		sound = block->before == before;
		if (block->size & FREE)
			sound = sound && is_listed(pool, block) &&
			    !(before && (before->size & FREE));
		else
			used += block->size;
		if (block->size == 0)
			break;
		before = block;
	}
	sound = sound && used == pool->used;
	(void)pthread_mutex_unlock(&pool->lock);
	return sound;
}
