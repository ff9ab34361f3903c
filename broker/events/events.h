/*
 * Reading events back: pages and single ones.
 */
#ifndef BROKER_EVENTS_EVENTS_H
#define BROKER_EVENTS_EVENTS_H

#include "broker/dispatch.h"

/* A page ends after so many bytes of payload (the first event always fits). */
#define EVENTS_PAGE_BYTES (1024 * 1024)
/* Bytes that a peer may still have to read when it is given events. */
#define EVENTS_BACKLOG_MAX (16 * 1024 * 1024)

struct flow;
struct store_event;

/* Sends an event as rows of a flow's answer: `event`, and its further bytes as
 * `event_part`. `extra_flags` are of this reader (enum event_flag). */
void
events_send(struct flow *flow, const struct store_event *event, uint32_t extra_flags);

/* Messages `events_list`, `event_get` and `events_handed`. */
dispatch_fn on_events_list;
dispatch_fn on_event_get;
dispatch_fn on_events_handed;

#endif
