/*
 * malloc(3) of the keystore helper: all of its memory is locked, and overwritten when
 * it is freed. GLib, D-Bus and libsecret take whatever malloc(3) gives and offer no
 * other way, and between them a secret is copied several times. Called by everything in
 * the process, before main as well.
 *
 * The C library is made for this ("Replacing malloc" of its manual lists the
 * functions). Sanitizers replace malloc(3) themselves.
 */
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/locked_memory.h"
#include "common/pool.h"

#ifndef STREAMHOLD_SANITIZE

static void *
take(size_t size, size_t align)
{
	void *piece;

	locked_memory_start();
	piece = locked_take(size, align);
	if (!piece)
		errno = ENOMEM;
	return piece;
}

void *
malloc(size_t size)
{
	return take(size, POOL_ALIGN);
}

void *
calloc(size_t count, size_t size)
{
	void *piece;

	if (size && count > SIZE_MAX / size) {
		errno = ENOMEM;
		return NULL;
	}
	piece = take(count * size, POOL_ALIGN);
	if (piece)
		memset(piece, 0, count * size);
	return piece;
}

/* Nothing else makes memory, so what is not ours is a broken invariant. */
static void
must_be_ours(const void *piece)
{
	if (!locked_has(piece))
		abort();
}

void *
realloc(void *piece, size_t size)
{
	if (piece)
		must_be_ours(piece);
	return locked_realloc(piece, size);
}

void
free(void *piece)
{
	if (!piece)
		return;
	must_be_ours(piece);
	locked_free(piece);
}

size_t
malloc_usable_size(void *piece)
{
	if (!piece)
		return 0;
	must_be_ours(piece);
	return locked_size(piece);
}

static bool
is_alignment(size_t align)
{
	return align && (align & (align - 1)) == 0;
}

int
posix_memalign(void **ret_piece, size_t align, size_t size)
{
	void *piece;

	if (!is_alignment(align) || align % sizeof(void *))
		return EINVAL;
	piece = take(size, align);
	if (!piece)
		return ENOMEM;
	*ret_piece = piece;
	return 0;
}

void *
memalign(size_t align, size_t size)
{
	if (is_alignment(align))
		return take(size, align);
	errno = EINVAL;
	return NULL;
}

void *
aligned_alloc(size_t align, size_t size)
{
	return memalign(align, size);
}

void *
valloc(size_t size)
{
	return take(size, (size_t)sysconf(_SC_PAGESIZE));
}

void *
pvalloc(size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return take((size + page - 1) & ~(page - 1), page);
}

#endif
