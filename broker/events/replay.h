/*
 * Events that are handed out again because a person asked for it (`streamhold events
 * replay`): to those who read live at this moment, marked EVENT_REDELIVERED. Nothing is
 * stored by it and no cursor moves.
 *
 * Replays have increasing numbers, from 1 with each start of the broker. Readers say
 * the last that they know, so that one which asks a moment later gets it too.
 */
#ifndef BROKER_EVENTS_REPLAY_H
#define BROKER_EVENTS_REPLAY_H

#include "broker/dispatch.h"
#include "broker/store/store_event.h"

/* The newest replays that are kept for readers which are about to ask, and the bytes of
 * their bodies. */
#define REPLAYS_MAX 64
#define REPLAY_BYTES_MAX (4 * 1024 * 1024)

struct replays;

/* Message `event_replay`. */
dispatch_fn on_event_replay;

/* The number of the last, 0: there was none. */
uint64_t replay_last(const struct broker *broker);

/* The first that is kept with a greater number, which goes to *ret_number. NULL when
 * there is none. */
const struct store_event *
replay_after(const struct broker *broker, uint64_t number, uint64_t *ret_number);

/* NULL is allowed. */
void replays_free(struct replays *replays);

#endif
