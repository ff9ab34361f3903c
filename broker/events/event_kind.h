/*
 * What an event is, whatever its platform calls it.
 */
#ifndef BROKER_EVENTS_EVENT_KIND_H
#define BROKER_EVENTS_EVENT_KIND_H

#include <stdint.h>

#include "common/event.h"

/* The kind of an event, static text, never NULL. `flags` are those of the stored event;
 * absent texts may be NULL. */
const char *
event_kind(const char *platform, const char *type, uint32_t version, uint32_t flags);

#endif
