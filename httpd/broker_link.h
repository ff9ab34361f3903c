/*
 * The link to the broker: accepts it, keeps requests until they are answered, and holds
 * them while it is away.
 *
 * The broker connects to the link socket. A request that finds no broker waits up to
 * HOLD_MS after its arrival. When the link breaks, messages marked `again` wait for the
 * next broker within the same time and are sent once more; of others nobody knows what
 * became, and they fail with outcome_unknown.
 */
#ifndef HTTPD_BROKER_LINK_H
#define HTTPD_BROKER_LINK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "proto/proto.h"

struct broker_link;
struct event_base;

/* What becomes of a request. `answer` is a row (`last` false), or the answer or a
 * `failed` message, which is made here when the broker did not answer (`last` true).
 * NULL with `last` false: the request goes out again, forget the rows so far. The
 * message is cleared after the callback unless taken with proto_move. */
typedef void link_answer_fn(void *arg, struct proto_msg *answer, bool last);

/* A request in progress, memory of the asker. All zero when not in use. */
struct link_request {
	TAILQ_ENTRY(link_request) entry;
	struct broker_link *link;
	const struct proto_msg *msg; /* stays as it is until the end */
	link_answer_fn *on_answer;
	void *arg;
	int64_t arrived;  /* boot-time ms */
	int64_t deadline; /* boot-time ms */
	uint32_t rid;
	bool again; /* may be sent to another broker */
	enum { LINK_NONE, LINK_HELD, LINK_SENT } state;
};

/* What is counted and reported to the broker. */
enum link_counter {
#define LINK_COUNTER(name) LINK_COUNT_##name,
#define LINK_COUNTERS \
	LINK_COUNTER(refused_header_missing) \
	LINK_COUNTER(refused_header_empty) \
	LINK_COUNTER(refused_header_doubled) \
	LINK_COUNTER(refused_header_form) \
	LINK_COUNTER(refused_size) \
	LINK_COUNTER(refused_type) \
	LINK_COUNTER(refused_host) \
	LINK_COUNTER(refused_origin) \
	LINK_COUNTER(refused_rate) \
	LINK_COUNTER(refused_memory) \
	LINK_COUNTER(refused_malformed) \
	LINK_COUNTER(connections) \
	LINK_COUNTER(answered_2xx) \
	LINK_COUNTER(answered_3xx) \
	LINK_COUNTER(answered_4xx) \
	LINK_COUNTER(answered_5xx) \
	LINK_COUNTER(held) \
	LINK_COUNTER(held_expired) \
	LINK_COUNTER(stream_opened) \
	LINK_COUNTER(stream_refused) \
	LINK_COUNTER(stream_slow) \
	LINK_COUNTER(stream_gap) \
	LINK_COUNTER(link_stranger)
	LINK_COUNTERS
#undef LINK_COUNTER
	    LINK_COUNT_MAX
};

struct link_options {
	const char *role; /* api or webhook, lives as long as the link */
	uid_t broker_uid; /* who may connect */
	size_t frame_max; /* longest frame, bytes */
	uint16_t port;    /* told to the broker, as are the next two */
	const char *addresses;
	const char *sandbox;
	/* The broker sent settings. */
	void (*on_settings)(void *arg, const struct proto_settings *settings);
	/* How much there is to do; `waiting` is filled in by the link. */
	void (*tell_load)(void *arg, struct proto_load *load);
	void *arg;
};

/* Waits for the broker on a listening Unix socket, which it owns from here. `options`
 * is copied. link_free closes everything; requests in progress get no callback. */
struct broker_link *
link_new(struct event_base *base, int listener, const struct link_options *options);
void link_free(struct broker_link *link);

/* Whether a broker is linked and may be asked. */
bool link_is_up(const struct broker_link *link);

/* Asks. `request` must not be in use. 0, or -EBUSY when too many wait already (no
 * callback then), or -EINVAL when a field of the message is out of its bounds. */
int link_ask(struct broker_link *link, struct link_request *request,
    const struct proto_msg *msg, unsigned deadline_ms, link_answer_fn *on_answer,
    void *arg);

/* Forgets a request; harmless when it is not in use. */
void link_cancel(struct broker_link *link, struct link_request *request);

/* Sends a notification. Without a broker it is lost. */
void link_tell(struct broker_link *link, const struct proto_msg *msg);

/* Counts one; the broker is told at most once every COUNT_MS. */
void link_count(struct broker_link *link, enum link_counter counter);

/* Tells the broker that this front stops in order. */
void link_tell_leaving(struct broker_link *link);

/* Writes the state to the log (SIGUSR1). */
void link_dump(const struct broker_link *link);

#endif
