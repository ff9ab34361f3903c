/*
 * An allocator that overwrites what it frees, over that of the C library. Given to
 * libcurl by fetch.c, to jansson by start.c and oauth.c, to OpenSSL by crypto.c and to
 * SQLite by store_memory.c.
 */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "common/wiped_memory.h"
#include "common/alloc.h"

void *
wiped_malloc(size_t size)
{
	return malloc(size);
}

void *
wiped_calloc(size_t count, size_t size)
{
	return calloc(count, size);
}

/* Never realloc(3): it may move the bytes and leave the old ones behind. */
void *
wiped_realloc(void *memory, size_t size)
{
	void *fresh;
	size_t old = wiped_size(memory);

	if (memory && size && size <= old && size >= old / 2)
		return memory;
	fresh = malloc(size);
	if (!fresh)
		return NULL;
	if (memory) {
		memcpy(fresh, memory, old < size ? old : size);
		wiped_free(memory);
	}
	return fresh;
}

void
wiped_free(void *memory)
{
	if (memory)
		wipe(memory, malloc_usable_size(memory));
	free(memory);
}

char *
wiped_strdup(const char *text)
{
	return strdup(text);
}

size_t
wiped_size(void *memory)
{
	return memory ? malloc_usable_size(memory) : 0;
}
