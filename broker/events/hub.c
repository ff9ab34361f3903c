/*
 * Tells listeners that events were stored. Owns nothing: the listeners are their
 * owners', the list is the broker's. Called by the store on the loop.
 */
#include "broker/events/hub.h"
#include "broker/store/store.h"
#include "common/crypto.h"

/* The first listener that this round has not told. */
static struct hub_listener *
next_untold(struct broker *broker)
{
	struct hub_listener *listener;

	LIST_FOREACH (listener, &broker->hub_listeners, entry)
		if (!listener->told)
			return listener;
	return NULL;
}

static void
on_stored(void *arg, uint64_t last_seq)
{
	struct broker *broker = arg;
	struct hub_listener *listener;

	LIST_FOREACH (listener, &broker->hub_listeners, entry)
		listener->told = false;
	/* A listener may end any other, so each step looks anew. */
	while ((listener = next_untold(broker))) {
		listener->told = true;
		listener->stored(listener->arg, last_seq);
	}
}

void
hub_start(struct broker *broker)
{
	while (broker->hub_run == 0)
		crypto_random(&broker->hub_run, sizeof(broker->hub_run));
	broker->hub_began = hub_last_seq(broker);
	store_on_stored(broker->store, on_stored, broker);
}

void
hub_listen(struct broker *broker, struct hub_listener *listener)
{
	if (listener->listening)
		return;
	listener->listening = true;
	/* One that comes in the middle of a round reads what there is anyway. */
	listener->told = true;
	LIST_INSERT_HEAD(&broker->hub_listeners, listener, entry);
}

void
hub_unlisten(struct hub_listener *listener)
{
	if (!listener->listening)
		return;
	listener->listening = false;
	LIST_REMOVE(listener, entry);
}

uint64_t
hub_last_seq(const struct broker *broker)
{
	return store_last_seq(broker->store);
}

void
hub_tell(struct broker *broker)
{
	on_stored(broker, hub_last_seq(broker));
}
