/*
 * The byte buffer under connections and channels, in httpd and broker.
 */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/buf.h"
#include "common/locked_memory.h"

static void
give_back(struct buf *buf)
{
	if (buf->locked)
		locked_free(buf->data);
	else
		free(buf->data);
}

void
buf_clear(struct buf *buf)
{
	give_back(buf);
	*buf = (struct buf){ .locked = buf->locked };
}

void
buf_wipe(struct buf *buf)
{
	if (!buf->locked)
		wipe(buf->data, buf->capacity);
	buf_clear(buf);
}

size_t
buf_length(const struct buf *buf)
{
	return buf->end - buf->start;
}

uint8_t *
buf_bytes(const struct buf *buf)
{
	static uint8_t none[1];

	return buf->data ? buf->data + buf->start : none;
}

/* Growth copies by hand instead of realloc, so that outgrown memory, which may have
 * held what a client sent in confidence, is wiped. */
static void
grow(struct buf *buf, size_t wanted)
{
	size_t length = buf_length(buf);
	size_t capacity = buf->capacity ? buf->capacity : 512;
	uint8_t *data;

	while (capacity < wanted)
		capacity *= 2;
	data = buf->locked ? locked_new(capacity) : xmalloc(capacity);
	if (length)
		memcpy(data, buf->data + buf->start, length);
	if (!buf->locked)
		wipe(buf->data, buf->end);
	give_back(buf);
	*buf = (struct buf){
		.data = data, .end = length, .capacity = capacity, .locked = buf->locked
	};
}

uint8_t *
buf_reserve(struct buf *buf, size_t size)
{
	size_t length = buf_length(buf);

	assert(size <= SIZE_MAX / 4 && length <= SIZE_MAX / 4);
	if (buf->capacity - buf->end >= size && buf->data)
		return buf->data + buf->end;
	if (buf->data && buf->capacity >= length + size &&
	    buf->start >= buf->capacity / 2) {
		memmove(buf->data, buf->data + buf->start, length);
		/* The old place is not what its user wipes later. */
		wipe(buf->data + length, buf->end - length);
		buf->start = 0;
		buf->end = length;
		return buf->data + buf->end;
	}
	grow(buf, length + size);
	return buf->data + buf->end;
}

void
buf_added(struct buf *buf, size_t size)
{
	assert(size <= buf->capacity - buf->end);
	buf->end += size;
}

void
buf_add(struct buf *buf, const void *bytes, size_t size)
{
	uint8_t *room;

	if (size == 0)
		return;
	/* Mostly there is room, and most of what is added is a few bytes. */
	room = buf->data && buf->capacity - buf->end >= size ? buf->data + buf->end
							     : buf_reserve(buf, size);
	memcpy(room, bytes, size);
	buf->end += size;
}

void
buf_add_text(struct buf *buf, const char *text)
{
	buf_add(buf, text, strlen(text));
}

void
buf_printf(struct buf *buf, const char *format, ...)
{
	va_list arguments;
	va_list again;
	int length;

	va_start(arguments, format);
	va_copy(again, arguments);
	length = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	assert(length >= 0);
	(void)vsnprintf((char *)buf_reserve(buf, (size_t)length + 1),
	    (size_t)length + 1, format, again);
	va_end(again);
	buf_added(buf, (size_t)length);
}

void
buf_consume(struct buf *buf, size_t size)
{
	assert(size <= buf_length(buf));
	buf->start += size;
	if (buf->start < buf->end)
		return;
	if (buf->capacity > BUF_KEEP)
		buf_clear(buf);
	buf->start = 0;
	buf->end = 0;
}
