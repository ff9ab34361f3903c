/*
 * Secrets: owned bytes that are wiped when they go. Used by the broker, by the
 * protocol codec and, for what a client itself sends, by httpd.
 */
#include <stdarg.h>
#include <string.h>

#include "common/locked_memory.h"
#include "common/secret.h"

struct secret
secret_new(size_t length)
{
	struct secret secret = { .bytes = locked_new(length + 1), .length = length };

	memset(secret.bytes, 0, length + 1);
	return secret;
}

struct secret
secret_copy(const void *bytes, size_t length)
{
	struct secret secret = { .bytes = locked_new(length + 1), .length = length };

	if (length)
		memcpy(secret.bytes, bytes, length);
	secret.bytes[length] = '\0';
	return secret;
}

struct secret
secret_join(const char *text, ...)
{
	struct secret secret;
	unsigned char *at;
	va_list rest;
	size_t length = 0;
	const char *next;

	va_start(rest, text);
	for (next = text; next; next = va_arg(rest, const char *))
		length += strlen(next);
	va_end(rest);
	secret = secret_new(length);
	at = secret.bytes;
	va_start(rest, text);
	for (next = text; next; next = va_arg(rest, const char *)) {
		memcpy(at, next, strlen(next));
		at += strlen(next);
	}
	va_end(rest);
	return secret;
}

void
secret_clear(struct secret *secret)
{
	if (!secret || !secret->bytes)
		return;
	locked_free(secret->bytes);
	*secret = SECRET_NONE;
}

struct secret
secret_move(struct secret *from)
{
	struct secret moved = *from;

	*from = SECRET_NONE;
	return moved;
}

bool
secret_equal(const struct secret *a, const struct secret *b)
{
	unsigned char difference = 0;
	size_t i;

	if (a->length != b->length)
		return false;
	for (i = 0; i < a->length; i++)
		difference |= (unsigned char)(a->bytes[i] ^ b->bytes[i]);
	return difference == 0;
}

const char *
secret_text(const struct secret *secret)
{
	return secret->bytes ? (const char *)secret->bytes : "";
}

bool
secret_is_text(const struct secret *secret)
{
	size_t i;

	for (i = 0; i < secret->length; i++)
		if (secret->bytes[i] < 0x21 || secret->bytes[i] > 0x7e)
			return false;
	return true;
}
