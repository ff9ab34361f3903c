/*
 * Whether an event of Kick says that a stream begins or ends.
 */
#ifndef BROKER_EVENTS_KICK_LIVE_H
#define BROKER_EVENTS_KICK_LIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether it says so, and which. */
bool kick_live_read(const char *type, uint32_t version, const uint8_t *body,
    size_t length, bool *ret_live);

#endif
