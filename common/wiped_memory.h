/*
 * Memory that is overwritten before it is freed, for libraries through which secrets
 * pass (libcurl, jansson, OpenSSL) and for SQLite, whose pages hold sealed ones:
 * without it copies of a token stay behind in freed memory.
 *
 * The functions have the signatures of malloc(3) and its family and may fail like them.
 * wiped_free takes memory of malloc(3) as well.
 */
#ifndef COMMON_WIPED_MEMORY_H
#define COMMON_WIPED_MEMORY_H

#include <stddef.h>

void *wiped_malloc(size_t size);
void *wiped_calloc(size_t count, size_t size);
void *wiped_realloc(void *memory, size_t size);
void wiped_free(void *memory);
char *wiped_strdup(const char *text);

/* Bytes that a piece of this memory takes; 0 for NULL. */
size_t wiped_size(void *memory);

#endif
