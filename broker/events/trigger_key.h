/*
 * The key that signs synthetic deliveries: made when it is first needed, in memory
 * only, good for minutes, and wiped then. It verifies ids that begin with
 * KICK_SYNTHETIC_PREFIX and nothing else.
 */
#ifndef BROKER_EVENTS_TRIGGER_KEY_H
#define BROKER_EVENTS_TRIGGER_KEY_H

#include <sys/queue.h>

#include "broker/broker.h"
#include "broker/events/kick_sign.h"

/* The life of a key, and the part of it in which it signs nothing more: what was signed
 * has to arrive. */
#define TRIGGER_KEY_LIFE_MS (10 * 60 * 1000)
#define TRIGGER_KEY_REST_MS (60 * 1000)

/* Memory of whoever waits. `ready` is called once from the loop, never before
 * trigger_key_wait has returned; `signer` is borrowed until it returns, and NULL when
 * there is none. It must not wait again by itself. */
struct trigger_wait {
	void (*ready)(void *arg, struct kick_signer *signer, int64_t until);
	void *arg;
	TAILQ_ENTRY(trigger_wait) entry;
};

/* Waits for a key, which is made when there is none. */
void trigger_key_wait(struct broker *broker, struct trigger_wait *wait);

/* Stops waiting. */
void trigger_key_cancel(struct broker *broker, struct trigger_wait *wait);

/* Wipes the key; waits for one that is being made. Call when no flow is left and before
 * ingest_free. */
void trigger_key_stop(struct broker *broker);

#endif
