/*
 * Writes Server-Sent Events. Pure; called by feed.c and stream.c.
 */
#include <errno.h>
#include <string.h>

#include "common/event.h"
#include "httpd/sse.h"

static bool
is_line(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ')
			return false;
	return true;
}

static void
add_type(struct buf *out, const char *type)
{
	if (type && is_line(type))
		buf_printf(out, "event: %s\n", type);
}

/* Bytes up to the next line break. */
static size_t
line_length(const uint8_t *bytes, size_t length)
{
	const uint8_t *feed = memchr(bytes, '\n', length);
	const uint8_t *back;

	if (feed)
		length = (size_t)(feed - bytes);
	back = memchr(bytes, '\r', length);
	return back ? (size_t)(back - bytes) : length;
}

static void
add_data(struct sse_frame *frame, const uint8_t *bytes, size_t length)
{
	size_t part;

	while (length > 0) {
		if (frame->after_return && *bytes == '\n') {
			bytes++; /* the second half of a line break */
			length--;
			frame->after_return = false;
			continue;
		}
		part = line_length(bytes, length);
		buf_add(&frame->text, bytes, part);
		frame->after_return = part < length && bytes[part] == '\r';
		if (part < length)
			buf_add_text(&frame->text, "\ndata: ");
		part += part < length;
		bytes += part;
		length -= part;
	}
}

static int
take_bytes(struct sse_frame *frame, const struct proto_bytes *bytes)
{
	if (bytes->length > frame->missing)
		return -EBADMSG;
	frame->missing -= bytes->length;
	add_data(frame, bytes->data, bytes->length);
	if (frame->missing > 0)
		return 0;
	buf_add(&frame->text, "\n\n", 2);
	return 1;
}

int
sse_take_row(struct sse_frame *frame, const struct proto_msg *row)
{
	const struct proto_event *event = &row->event;

	if (row->type == MSG_event_part && frame->missing > 0)
		return take_bytes(frame, &row->event_part.json);
	if (row->type != MSG_event || frame->missing > 0)
		return -EBADMSG;
	sse_frame_clear(frame);
	frame->seq = event->seq;
	frame->missing = event->length;
	/* One that is handed out again is no place to go on from. */
	if (!(event->flag_bits & EVENT_REDELIVERED))
		buf_printf(&frame->text, "id: %llu\n", (unsigned long long)event->seq);
	add_type(&frame->text, event->type);
	buf_add_text(&frame->text, "data: ");
	return take_bytes(frame, &event->json);
}

void
sse_frame_clear(struct sse_frame *frame)
{
	buf_clear(&frame->text);
	*frame = (struct sse_frame){ .seq = 0 };
}

void
sse_add_notice(struct buf *out, const char *type, const char *json)
{
	add_type(out, type);
	buf_printf(out, "data: %s\n\n", json);
}

void
sse_add_retry(struct buf *out, unsigned ms)
{
	buf_printf(out, "retry: %u\n\n", ms);
}

void
sse_add_id(struct buf *out, uint64_t id)
{
	buf_printf(out, "id: %llu\n\n", (unsigned long long)id);
}

void
sse_add_beat(struct buf *out)
{
	buf_add_text(out, ": alive\n\n");
}
