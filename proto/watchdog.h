/*
 * The supervisor's watchdog, fed by an event loop: what hangs is the loop itself, so a
 * loop that stands still is what the supervisor finds out (reliability.md 3.1).
 */
#ifndef PROTO_WATCHDOG_H
#define PROTO_WATCHDOG_H

struct event;
struct event_base;

/* Times within the interval that the supervisor is told of life. */
#define WATCHDOG_FEEDS 4

/* Tells the supervisor from `base` that it is alive, WATCHDOG_FEEDS times in the
 * interval it asks for. NULL when it does not ask (process_watchdog_us), else an event
 * for event_free. process_notify_open comes first. */
struct event *watchdog_new(struct event_base *base);

#endif
