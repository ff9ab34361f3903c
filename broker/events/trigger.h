/*
 * Synthetic deliveries, for `streamhold trigger`: made and signed here, sent over HTTP
 * by whoever asked. Nothing in them decides that they are synthetic but the key that
 * verifies them (kick_keys.h).
 */
#ifndef BROKER_EVENTS_TRIGGER_H
#define BROKER_EVENTS_TRIGGER_H

#include "broker/dispatch.h"

/* How old a late one claims to be, unless such an age is refused. */
#define TRIGGER_LATE_MS (3LL * 60 * 60 * 1000)

/* Message `trigger`. */
dispatch_fn on_trigger;

#endif
