/*
 * Owns broker->trigger_key. Making a key takes so long that a thread of its own does
 * it; the thread touches nothing but its own struct until it is joined.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <unistd.h>

#include <event2/event.h>

#include "broker/events/ingest.h"
#include "broker/events/kick_keys.h"
#include "broker/events/trigger_key.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/time.h"

/* The thread that makes a key. */
struct making {
	pthread_t thread;
	int done; /* eventfd */
	struct kick_signer *signer;
};

struct trigger_key {
	struct broker *broker;
	struct kick_signer *signer; /* NULL: none */
	int64_t until;              /* wall clock ms of its end */
	int64_t until_boot;         /* the same, boot time */
	struct event *timer;        /* wipes it, and answers those that wait */
	struct making *making;      /* NULL: none is made */
	struct event *made;
	TAILQ_HEAD(trigger_waits, trigger_wait) waits;
};

static void on_timer(evutil_socket_t, short, void *);
static void on_made(evutil_socket_t, short, void *);

static struct trigger_key *
key_of(struct broker *broker)
{
	struct trigger_key *key = broker->trigger_key;

	if (key)
		return key;
	key = xcalloc(1, sizeof(*key));
	key->broker = broker;
	key->timer = event_new(broker->base, -1, 0, on_timer, key);
	if (!key->timer)
		abort();
	TAILQ_INIT(&key->waits);
	broker->trigger_key = key;
	return key;
}

static void
set_timer(struct trigger_key *key, int64_t wait_ms)
{
	const struct timeval wait = { .tv_sec = wait_ms / 1000,
		.tv_usec = (wait_ms % 1000) * 1000 };

	event_add(key->timer, &wait);
}

/* Make. */

static void *
make(void *arg)
{
	struct making *making = arg;
	const uint64_t one = 1;

	making->signer = kick_signer_make();
	(void)!write(making->done, &one, sizeof(one));
	return NULL;
}

static bool
start_making(struct trigger_key *key)
{
	struct making *making = xcalloc(1, sizeof(*making));

	making->done = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (making->done < 0 ||
	    pthread_create(&making->thread, NULL, make, making) != 0) {
		if (making->done >= 0)
			(void)close(making->done);
		free(making);
		return false;
	}
	key->making = making;
	key->made = event_new(key->broker->base, making->done, EV_READ, on_made, key);
	if (!key->made || event_add(key->made, NULL) < 0)
		abort();
	return true;
}

/* Waits for the thread; gives what it made. */
static struct kick_signer *
end_making(struct trigger_key *key)
{
	struct kick_signer *signer;

	(void)pthread_join(key->making->thread, NULL);
	signer = key->making->signer;
	event_free(key->made);
	(void)close(key->making->done);
	free(key->making);
	key->making = NULL;
	key->made = NULL;
	return signer;
}

/* Use. */

static void
answer_all(struct trigger_key *key)
{
	struct trigger_wait *wait;

	while ((wait = TAILQ_FIRST(&key->waits))) {
		TAILQ_REMOVE(&key->waits, wait, entry);
		wait->ready(wait->arg, key->signer, key->until);
	}
}

static void
drop(struct trigger_key *key)
{
	kick_signer_free(key->signer);
	key->signer = NULL;
}

static void
take(struct trigger_key *key, struct kick_signer *signer)
{
	const char *pem = kick_signer_pem(signer);

	drop(key);
	key->signer = signer;
	key->until = time_now_ms() + TRIGGER_KEY_LIFE_MS;
	key->until_boot = time_boot_ms() + TRIGGER_KEY_LIFE_MS;
	(void)kick_ring_put(ingest_ring(key->broker->ingest), pem, strlen(pem),
	    KICK_KEY_synthetic, key->until);
	log_info("trigger",
	    "a key for synthetic deliveries was made; it is good for %d minutes",
	    TRIGGER_KEY_LIFE_MS / 60000);
}

static void
on_made(evutil_socket_t fd, short what, void *arg)
{
	struct trigger_key *key = arg;
	struct kick_signer *signer = end_making(key);

	(void)fd;
	(void)what;
	if (signer)
		take(key, signer);
	else
		log_error("trigger", "OpenSSL cannot make a key");
	answer_all(key);
	set_timer(key, TRIGGER_KEY_LIFE_MS);
}

/* What is left of the life of the key, ms. */
static int64_t
left(const struct trigger_key *key)
{
	return key->signer ? key->until_boot - time_boot_ms() : 0;
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct trigger_key *key = arg;

	(void)fd;
	(void)what;
	answer_all(key);
	if (!key->signer)
		return;
	if (left(key) > 0) {
		set_timer(key, left(key));
		return;
	}
	drop(key);
	(void)kick_ring_expire(ingest_ring(key->broker->ingest), key->until);
}

void
trigger_key_wait(struct broker *broker, struct trigger_wait *wait)
{
	struct trigger_key *key = key_of(broker);

	TAILQ_INSERT_TAIL(&key->waits, wait, entry);
	if (key->making)
		return;
	if (left(key) > TRIGGER_KEY_REST_MS) {
		set_timer(key, 0);
		return;
	}
	drop(key);
	if (!start_making(key))
		set_timer(key, 0);
}

void
trigger_key_cancel(struct broker *broker, struct trigger_wait *wait)
{
	TAILQ_REMOVE(&broker->trigger_key->waits, wait, entry);
}

void
trigger_key_stop(struct broker *broker)
{
	struct trigger_key *key = broker->trigger_key;

	if (!key)
		return;
	if (key->making)
		kick_signer_free(end_making(key));
	drop(key);
	event_free(key->timer);
	free(key);
	broker->trigger_key = NULL;
}
