/*
 * What fronts tell about themselves.
 */
#ifndef BROKER_FRONT_MESSAGES_H
#define BROKER_FRONT_MESSAGES_H

#include "broker/dispatch.h"

dispatch_fn on_listening;
dispatch_fn on_count;
dispatch_fn on_leaving;
dispatch_fn on_load;

#endif
