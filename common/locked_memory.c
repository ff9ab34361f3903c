/*
 * Locked memory. Given to libcurl by fetch.c, to jansson by start.c and oauth.c, to
 * OpenSSL by crypto.c, and used for every secret by secret.c, buf.c and the codec. In
 * the keystore helper it is malloc(3) itself (vault_helper_memory.c).
 */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/locked_memory.h"
#include "common/pool.h"

/* Bytes of the stack, from where the process starts, that are locked. */
#define STACK_SIZE ((size_t)256 << 10)

/* Sanitizers see what malloc(3) hands out, and nothing of what is handed out here. */
#ifdef STREAMHOLD_SANITIZE
#define SANITIZED true
#else
#define SANITIZED false
#endif

enum part { OWN, LIBRARY, SPARE, PART_MAX };

static struct {
	bool asked;
	bool started;
	bool undumpable;
	size_t locked;
	uint8_t *start;
	uint8_t *end;
	struct pool pools[PART_MAX];
} memory;

static _Thread_local bool not_here;

/* As much of the range as may be locked: all, or a half, or a half of that ... Pages
 * are locked when they are first used, so that what is not used costs nothing. */
static size_t
lock_start_of(uint8_t *at, size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	while (size >= page && mlock2(at, size, MLOCK_ONFAULT) < 0)
		size /= 2;
	return size < page ? 0 : size;
}

static void
make_parts(uint8_t *at)
{
	size_t own = lock_start_of(at, LOCKED_MEMORY_OWN);
	size_t library = lock_start_of(at + own, LOCKED_MEMORY_LIBRARY);

	memory.start = at;
	memory.end = at + LOCKED_MEMORY_ALL;
	memory.locked = own + library;
	pool_init(&memory.pools[OWN], at, own);
	pool_init(&memory.pools[LIBRARY], at + own, library);
	pool_init(&memory.pools[SPARE], at + own + library,
	    LOCKED_MEMORY_ALL - own - library);
}

/* What is called leaves pieces of secrets on the stack. The range is touched before, so
 * that it is there to be locked. */
__attribute__((noinline)) void
locked_memory_stack(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t below[STACK_SIZE];
	uintptr_t start = (uintptr_t)below & ~(uintptr_t)(page - 1);
	uintptr_t top =
	    ((uintptr_t)__builtin_frame_address(0) + page) & ~(uintptr_t)(page - 1);

	if (SANITIZED)
		return;
	wipe(below, sizeof(below));
	(void)mlock2((void *)start, top - start, MLOCK_ONFAULT);
	(void)madvise((void *)start, top - start, MADV_DONTDUMP);
}

void
locked_memory_start(void)
{
	uint8_t *at;

	if (SANITIZED || memory.asked)
		return;
	memory.asked = true;
	at = mmap(NULL, LOCKED_MEMORY_ALL, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (at == MAP_FAILED)
		return;
	memory.undumpable = madvise(at, LOCKED_MEMORY_ALL, MADV_DONTDUMP) == 0;
	(void)madvise(at, LOCKED_MEMORY_ALL, MADV_WIPEONFORK);
	/* A large page would be locked whole for its first byte. */
	(void)madvise(at, LOCKED_MEMORY_ALL, MADV_NOHUGEPAGE);
	make_parts(at);
	memory.started = true;
}

void
locked_memory_not_here(void)
{
	not_here = true;
}

static struct pool *
pool_of(const void *piece)
{
	size_t i;

	if ((const uint8_t *)piece < memory.start ||
	    (const uint8_t *)piece >= memory.end)
		return NULL;
	for (i = 0; i < PART_MAX; i++)
		if (pool_has(&memory.pools[i], piece))
			return &memory.pools[i];
	abort(); /* the heads between the parts belong to nobody */
}

static void *
take(enum part part, size_t size, size_t align)
{
	void *piece;

	if (!memory.started)
		return NULL;
	piece = pool_take(&memory.pools[part], size, align);
	return piece ? piece : pool_take(&memory.pools[SPARE], size, align);
}

void *
locked_take(size_t size, size_t align)
{
	return take(LIBRARY, size, align);
}

void *
locked_new(size_t size)
{
	void *piece = take(OWN, size, POOL_ALIGN);

	return piece ? piece : xmalloc(size);
}

void *
locked_malloc(size_t size)
{
	void *piece = not_here ? NULL : take(LIBRARY, size, POOL_ALIGN);

	return piece ? piece : malloc(size);
}

void *
locked_calloc(size_t count, size_t size)
{
	void *piece;

	if (size && count > SIZE_MAX / size) {
		errno = ENOMEM;
		return NULL;
	}
	piece = locked_malloc(count * size);
	if (piece)
		memset(piece, 0, count * size);
	return piece;
}

/* Never realloc(3): it may move the bytes and leave the old ones behind. */
void *
locked_realloc(void *piece, size_t size)
{
	size_t old = locked_size(piece);
	void *fresh;

	if (piece && size && size <= old && size >= old / 2)
		return piece;
	fresh = locked_malloc(size);
	if (!fresh)
		return NULL;
	if (piece) {
		memcpy(fresh, piece, old < size ? old : size);
		locked_free(piece);
	}
	return fresh;
}

void
locked_free(void *piece)
{
	struct pool *pool = piece ? pool_of(piece) : NULL;

	if (pool) {
		pool_give(pool, piece);
		return;
	}
	if (piece && !not_here)
		wipe(piece, malloc_usable_size(piece));
	free(piece);
}

bool
locked_has(const void *piece)
{
	return pool_of(piece) != NULL;
}

char *
locked_strdup(const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = locked_malloc(size);

	if (copy)
		memcpy(copy, text, size);
	return copy;
}

size_t
locked_size(void *piece)
{
	if (!piece)
		return 0;
	return pool_of(piece) ? pool_piece_size(piece) : malloc_usable_size(piece);
}

struct locked_memory_figures
locked_memory_figures(void)
{
	struct locked_memory_figures figures = { .wanted = 0 };
	size_t used;
	size_t most;
	size_t i;

	if (!memory.asked)
		return figures;
	figures.wanted = LOCKED_MEMORY_OWN + LOCKED_MEMORY_LIBRARY;
	if (!memory.started)
		return figures;
	figures.locked = memory.locked;
	figures.undumpable = memory.undumpable;
	for (i = 0; i < PART_MAX; i++) {
		pool_figures(&memory.pools[i], &used, &most);
		figures.used += used;
		figures.most += most;
		if (i == SPARE)
			figures.spare = used;
	}
	return figures;
}
