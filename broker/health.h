/*
 * Is everything well? Asked by the API (/status, /readyz) and by the command.
 */
#ifndef BROKER_HEALTH_H
#define BROKER_HEALTH_H

#include "broker/dispatch.h"

/* Message `health_get`. */
dispatch_fn on_health_get;

/* Tells how the last write to the database ended: 0 or a negative errno. */
void health_storage(struct broker *broker, int result);

#endif
