/*
 * Memory for what must not be read anywhere else: it is not swapped out, is in no core
 * dump, is empty in forks, and is overwritten when it is given back.
 *
 * One range of addresses in three parts: OWN is what this project's code keeps secrets
 * in, LIBRARY is what libraries allocate through which secrets pass, and SPARE is what
 * both take when they are full. The first two are locked as far as RLIMIT_MEMLOCK
 * allows, OWN first, so that libraries cannot take its place from a token; SPARE is
 * not. A process that has not called locked_memory_start, and one whose parts are all
 * full, gets memory of malloc(3) that is only overwritten.
 *
 * Why it is done like this: docs/decisions/0014-allocators-that-wipe.md.
 */
#ifndef COMMON_LOCKED_MEMORY_H
#define COMMON_LOCKED_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes of the parts. What is locked is at most the first two, which fit into the limit
 * that systemd and Debian set (8 MiB) with room for what libraries lock themselves. */
#define LOCKED_MEMORY_OWN ((size_t)1 << 20)
#define LOCKED_MEMORY_LIBRARY ((size_t)6 << 20)
#define LOCKED_MEMORY_ALL ((size_t)64 << 20)

/* Makes the parts, when there are none yet. Called before threads are started and
 * before any library is set up. */
void locked_memory_start(void);

/* Keeps what the caller's callees leave on the stack out of swap and dumps. Called by
 * main, in the thread that handles secrets. */
void locked_memory_stack(void);

/* Says that nothing secret passes through the calling thread: what libraries allocate
 * in it comes from malloc(3) and is not overwritten. For threads where that costs. */
void locked_memory_not_here(void);

/* Memory for our own secrets; never NULL, freed with locked_free. */
void *locked_new(size_t size);

/* For libraries; as malloc(3) and its family, and may fail like them. locked_free takes
 * memory of malloc(3) as well. */
void *locked_malloc(size_t size);
void *locked_calloc(size_t count, size_t size);
void *locked_realloc(void *memory, size_t size);
void locked_free(void *memory);
char *locked_strdup(const char *text);

/* Aligned memory of the parts only, NULL when they are full. For a program whose
 * malloc(3) this is. */
void *locked_take(size_t size, size_t align);

/* Whether a piece is in one of the parts. */
bool locked_has(const void *memory);

/* Bytes that a piece of this memory has; 0 for NULL. */
size_t locked_size(void *memory);

struct locked_memory_figures {
	size_t wanted;   /* bytes that should be locked, 0: not started */
	size_t locked;   /* bytes that are */
	size_t used;     /* bytes in use in all parts */
	size_t most;     /* the most that ever were, each part for itself */
	size_t spare;    /* those of them that are in SPARE, which is not locked */
	bool undumpable; /* left out of core dumps */
};

/* How it stands. Any thread. */
struct locked_memory_figures locked_memory_figures(void);

#endif
