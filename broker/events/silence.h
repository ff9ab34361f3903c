/*
 * The silence alarm: a stream is live and its chat says nothing for
 * events.silence_alarm_s. Most often that means that deliveries do not come.
 *
 * The alarm is a log line, the event SILENCE_BEGAN and `degraded` in the health; it
 * ends with the next chat message (SILENCE_ENDED), or with the stream. Only channels of
 * which chat is wanted are watched, and where nothing is said of that, those of which
 * it was ever seen.
 */
#ifndef BROKER_EVENTS_SILENCE_H
#define BROKER_EVENTS_SILENCE_H

#include "broker/broker.h"
#include "broker/store/store_event.h"

#define SILENCE_BEGAN "stream.silent"
#define SILENCE_ENDED "stream.heard"

/* How often channels are looked at, ms. */
#define SILENCE_LOOK_MS 5000
/* Channels that are watched. */
#define SILENCE_CHANNELS_MAX 64
/* A stream whose end was never told counts as over after so long, ms. */
#define SILENCE_LIVE_MAX_MS (72LL * 3600 * 1000)

struct silence;

/* Begins with the channels that were live when the broker stopped; their silence counts
 * from here. */
void silence_start(struct broker *broker);
void silence_stop(struct broker *broker);

/* A delivery was stored. */
void silence_stored(struct broker *broker, const struct store_delivery *row);

/* Looks as of this boot time, ms. Called by the timer, and by tests. */
void silence_look_at(struct broker *broker, int64_t boot);

/* Streams that are live, and those of them that are silent. */
size_t silence_live_count(const struct broker *broker);
size_t silence_count(const struct broker *broker);

/* Health: NULL, or a sentence why it is degraded. */
const char *silence_trouble(const struct broker *broker);

#endif
