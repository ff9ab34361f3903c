/*
 * Allocation that ends the process when memory is gone, used by every program.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"

static void
out_of_memory(void)
{
	static const char text[] = "streamhold: out of memory\n";
	ssize_t ignored = write(STDERR_FILENO, text, sizeof(text) - 1);

	(void)ignored;
	abort();
}

void *
xmalloc(size_t size)
{
	void *memory = malloc(size ? size : 1);

	if (!memory)
		out_of_memory();
	return memory;
}

void *
xcalloc(size_t count, size_t size)
{
	void *memory = calloc(count ? count : 1, size ? size : 1);

	if (!memory)
		out_of_memory();
	return memory;
}

void *
xrealloc(void *memory, size_t size)
{
	void *grown = realloc(memory, size ? size : 1);

	if (!grown)
		out_of_memory();
	return grown;
}

char *
xstrdup(const char *text)
{
	return xstrndup(text, strlen(text));
}

char *
xstrndup(const char *text, size_t length)
{
	char *copy = xmalloc(length + 1);

	memcpy(copy, text, length);
	copy[length] = '\0';
	return copy;
}

void *
xmemdup(const void *memory, size_t size)
{
	void *copy = xmalloc(size);

	if (size)
		memcpy(copy, memory, size);
	return copy;
}

char *
xasprintf(const char *format, ...)
{
	va_list arguments;
	va_list again;
	char *text;
	int length;

	va_start(arguments, format);
	va_copy(again, arguments);
	length = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	if (length < 0)
		out_of_memory();
	text = xmalloc((size_t)length + 1);
	(void)vsnprintf(text, (size_t)length + 1, format, again);
	va_end(again);
	return text;
}

void
wipe(void *memory, size_t size)
{
	if (memory && size)
		explicit_bzero(memory, size);
}

void
wipe_free(char *text)
{
	if (text)
		wipe(text, strlen(text));
	free(text);
}
