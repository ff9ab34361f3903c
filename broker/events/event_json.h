/*
 * The one shape in which consumers get events, whatever way they take: a JSON object,
 * described in docs/events.md and docs/event.schema.json.
 */
#ifndef BROKER_EVENTS_EVENT_JSON_H
#define BROKER_EVENTS_EVENT_JSON_H

#include <stdint.h>

#include "broker/store/store_event.h"
#include "common/buf.h"

/* Version of the shape. Members may be added under the same number. */
#define EVENT_SHAPE_VERSION 1

/* Bytes of the words of all flags, with NUL. */
#define EVENT_FLAGS_SIZE 160

/* Appends the event to *out. `extra_flags` are of this reader, for instance
 * EVENT_REDELIVERED. The payload is the original text, the last member. Always 0. */
int event_json_write(
    const struct store_event *event, uint32_t extra_flags, struct buf *out);

/* Writes the flags that readers see as words with spaces between. */
void event_flags_text(uint32_t flags, char text[static EVENT_FLAGS_SIZE]);

#endif
