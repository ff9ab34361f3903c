/*
 * The list of deliveries that wait for a key. Owned by kick_upkeep.c.
 */
#include <stdlib.h>

#include "broker/events/ingest.h"
#include "broker/events/kick_hold.h"
#include "common/alloc.h"

struct kick_held {
	struct client *client;
	struct proto_msg msg;
	TAILQ_ENTRY(kick_held) entry;
};

void
kick_hold_init(struct kick_hold *hold)
{
	*hold = (struct kick_hold){ .count = 0 };
	TAILQ_INIT(&hold->list);
}

bool
kick_hold_add(struct kick_hold *hold, struct client *client, struct proto_msg *msg)
{
	size_t length = msg->delivery.body.length;
	struct kick_held *held;

	if (hold->count >= KICK_HOLD_MAX || length > KICK_HOLD_BYTES_MAX - hold->bytes)
		return false;
	held = xcalloc(1, sizeof(*held));
	held->client = client;
	held->msg = proto_move(msg);
	TAILQ_INSERT_TAIL(&hold->list, held, entry);
	hold->count++;
	hold->bytes += length;
	return true;
}

static struct kick_held *
take(struct kick_hold *hold, struct kick_held *held)
{
	TAILQ_REMOVE(&hold->list, held, entry);
	hold->count--;
	hold->bytes -= held->msg.delivery.body.length;
	return held;
}

static void
held_free(struct kick_held *held)
{
	proto_clear(&held->msg);
	free(held);
}

void
kick_hold_release(struct kick_hold *hold)
{
	struct kick_held *held;

	while ((held = TAILQ_FIRST(&hold->list))) {
		(void)take(hold, held);
		on_delivery(held->client, &held->msg);
		held_free(held);
	}
}

void
kick_hold_drop(struct kick_hold *hold, const struct client *client)
{
	struct kick_held *held = TAILQ_FIRST(&hold->list);
	struct kick_held *next;

	for (; held; held = next) {
		next = TAILQ_NEXT(held, entry);
		if (!client || held->client == client)
			held_free(take(hold, held));
	}
}
