/*
 * Server-Sent Events as text (WHATWG HTML, 9.2 "Server-sent events").
 *
 * The data of an event are the bytes of its JSON. A line feed in them (between the
 * tokens of a payload) begins another `data:` line, which readers join with line feeds
 * again, so that they get the same bytes. A carriage return cannot be carried by the
 * format: it arrives as a line feed, which is the same JSON.
 */
#ifndef HTTPD_SSE_H
#define HTTPD_SSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "proto/proto.h"

/* One event that is being put together from the broker's rows. All zero: none. */
struct sse_frame {
	struct buf text;
	uint64_t seq;
	size_t missing;    /* bytes of JSON still to come */
	bool after_return; /* the last byte was a carriage return */
};

/* Takes an `event` or `event_part`. 1 when the event is whole: `text` is one event as
 * it goes to readers, without an id when it is EVENT_REDELIVERED. 0 when more is to
 * come. -EBADMSG for a row out of order. */
int sse_take_row(struct sse_frame *frame, const struct proto_msg *row);

/* Forgets what was collected. */
void sse_frame_clear(struct sse_frame *frame);

/* Parts of a stream, appended to *out. `type` may be NULL, and is left out when it
 * holds a control character. `json` is data without line breaks. */
void sse_add_notice(struct buf *out, const char *type, const char *json);
void sse_add_retry(struct buf *out, unsigned ms);

/* Where a reader goes on after a break, though no event with this id came. */
void sse_add_id(struct buf *out, uint64_t id);

/* A comment, for readers and proxies that would take silence for death. */
void sse_add_beat(struct buf *out);

#endif
