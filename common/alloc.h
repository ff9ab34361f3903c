/*
 * Allocation that cannot fail, and wiping.
 *
 * There is no half-working daemon: when memory is gone the process ends with a
 * message and is restarted by its supervisor.
 */
#ifndef COMMON_ALLOC_H
#define COMMON_ALLOC_H

#include <stddef.h>

/* Like malloc(3), calloc(3), realloc(3), strdup(3), strndup(3); never return NULL.
 * The caller frees with free(3). A size of 0 gives one byte. */
void *xmalloc(size_t size);
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *memory, size_t size);
char *xstrdup(const char *text);
char *xstrndup(const char *text, size_t length);
void *xmemdup(const void *memory, size_t size);

/* Formats into fresh memory of exactly the needed size. The caller frees. */
__attribute__((format(printf, 1, 2))) char *xasprintf(const char *format, ...);

/* Overwrites memory in a way that the compiler keeps. NULL is allowed. */
void wipe(void *memory, size_t size);

/* Wipes a NUL-terminated text and frees it. NULL is allowed. */
void wipe_free(char *text);

#endif
