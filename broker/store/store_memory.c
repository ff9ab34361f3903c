/*
 * SQLite's memory: wiped when it is freed, since pages hold sealed secrets, names and
 * deliveries. Called once by the broker's start, before the first use of SQLite.
 *
 * It is not locked: no secret is in the database in clear, and its pages would take the
 * place of those that are.
 */
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

#include "broker/store/store.h"
#include "common/alloc.h"

/* SQLite hands out sizes that its xRoundup made. */
#define ROUND_TO 8

static void *
memory_malloc(int size)
{
	return malloc((size_t)size);
}

static int
memory_size(void *memory)
{
	return (int)malloc_usable_size(memory);
}

static void
memory_free(void *memory)
{
	wipe(memory, malloc_usable_size(memory));
	free(memory);
}

/* Never realloc(3): it may move the bytes and leave the old ones behind. */
static void *
memory_realloc(void *memory, int size)
{
	int old = memory_size(memory);
	void *fresh;

	if (size <= old && size >= old / 2)
		return memory;
	fresh = memory_malloc(size);
	if (!fresh)
		return NULL;
	memcpy(fresh, memory, (size_t)(old < size ? old : size));
	memory_free(memory);
	return fresh;
}

static int
memory_roundup(int size)
{
	return (size + ROUND_TO - 1) & ~(ROUND_TO - 1);
}

static int
memory_init(void *arg)
{
	(void)arg;
	return SQLITE_OK;
}

static void
memory_shutdown(void *arg)
{
	(void)arg;
}

int
store_wipe_memory(void)
{
	static const sqlite3_mem_methods methods = {
		.xMalloc = memory_malloc,
		.xFree = memory_free,
		.xRealloc = memory_realloc,
		.xSize = memory_size,
		.xRoundup = memory_roundup,
		.xInit = memory_init,
		.xShutdown = memory_shutdown,
	};

	/* Nobody reads SQLite's count of its memory, which takes a lock each time. */
	return sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) == SQLITE_OK &&
		sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0) == SQLITE_OK
	    ? 0
	    : -EALREADY;
}
