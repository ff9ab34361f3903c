/*
 * Deliveries that do not verify and wait while the platform is asked for its key: if it
 * has changed they are good, and the platform does not send them again.
 */
#ifndef BROKER_EVENTS_KICK_HOLD_H
#define BROKER_EVENTS_KICK_HOLD_H

#include <sys/queue.h>

#include "broker/dispatch.h"

/* How many wait, and the bytes of their bodies; what comes beyond is refused. */
#define KICK_HOLD_MAX 256
#define KICK_HOLD_BYTES_MAX (4 * 1024 * 1024)
/* The longest wait; less than httpd waits for an answer (DELIVERY_MS). */
#define KICK_HOLD_MS 1800

struct kick_held;

struct kick_hold {
	TAILQ_HEAD(kick_held_list, kick_held) list;
	size_t count;
	size_t bytes;
};

void kick_hold_init(struct kick_hold *hold);

/* Takes a delivery over and empties *msg. False when there is no room. */
bool
kick_hold_add(struct kick_hold *hold, struct client *client, struct proto_msg *msg);

/* Gives each to on_delivery once more, oldest first. */
void kick_hold_release(struct kick_hold *hold);

/* Drops those of a client that is gone; NULL: all. */
void kick_hold_drop(struct kick_hold *hold, const struct client *client);

#endif
