/*
 * SQLite's memory: wiped when it is freed, since pages hold sealed secrets, names and
 * deliveries. Called once by the broker's start, before the first use of SQLite.
 */
#include <errno.h>

#include <sqlite3.h>

#include "broker/store/store.h"
#include "common/wiped_memory.h"

/* SQLite hands out sizes that its xRoundup made. */
#define ROUND_TO 8

static void *
memory_malloc(int size)
{
	return wiped_malloc((size_t)size);
}

static void *
memory_realloc(void *memory, int size)
{
	return wiped_realloc(memory, (size_t)size);
}

static int
memory_size(void *memory)
{
	return (int)wiped_size(memory);
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
		.xFree = wiped_free,
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
