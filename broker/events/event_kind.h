/*
 * What an event is, whatever its platform calls it.
 */
#ifndef BROKER_EVENTS_EVENT_KIND_H
#define BROKER_EVENTS_EVENT_KIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/event.h"

struct json_out;

/* The kind of an event, static text, never NULL. `flags` are those of the stored event;
 * absent texts may be NULL. */
const char *
event_kind(const char *platform, const char *type, uint32_t version, uint32_t flags);

/* What is known about a platform's types. */
struct event_model {
	/* The kind; NULL when the type is not known. */
	const char *(*kind)(const char *type, uint32_t version);
	/* Writes `actor` and `data`; false, with nothing written, when it cannot. */
	bool (*write)(struct json_out *json, const char *type, uint32_t version,
	    const uint8_t *body, size_t length);
};

/* NULL when there are no models for a platform. */
const struct event_model *event_model_of(const char *platform);

#endif
