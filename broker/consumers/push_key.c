/*
 * A consumer's secret:
 *
 *   load    the sealed bytes, from the database
 *   open    them, by the vault
 *
 * Called by push.c and consumer_test.c.
 */
#include <errno.h>
#include <stdlib.h>

#include "broker/consumers/consumers.h"
#include "broker/consumers/push_key.h"
#include "broker/store/store_secret.h"
#include "broker/vault/vault.h"
#include "common/alloc.h"

/* The job outlives a call that is cancelled. */
struct push_key {
	struct store_job job;
	struct broker *broker;
	char *name;
	bool found;
	uint64_t generation;
	struct buf sealed;
	struct vault_call *call;
	push_key_fn *done; /* NULL: cancelled while the database has the job */
	void *arg;
};

static void
key_free(struct push_key *key)
{
	free(key->name);
	buf_clear(&key->sealed);
	free(key);
}

static void
end(struct push_key *key, struct secret *secret, const char *trouble)
{
	key->done(key->arg, secret, trouble);
	key_free(key);
}

static void
on_opened(void *arg, int result, struct secret *plain)
{
	struct push_key *key = arg;
	const char *trouble = vault_trouble(key->broker->vault);

	key->call = NULL;
	if (result == 0)
		end(key, plain, NULL);
	else if (result == -EAGAIN)
		end(key, NULL, trouble ? trouble : "the keystore does not answer");
	else
		end(key, NULL,
		    "its secret cannot be opened any more; give it a new one with "
		    "`consumers add`");
}

static int
run_load(struct store_job *store_job, struct db *db)
{
	struct push_key *key = (struct push_key *)store_job;

	return store_secret_get(
	    db, key->name, &key->found, &key->generation, &key->sealed);
}

static void
on_loaded(struct store_job *store_job, int result)
{
	struct push_key *key = (struct push_key *)store_job;

	if (!key->done)
		key_free(key);
	else if (result < 0)
		end(key, NULL, "its secret could not be read from the database");
	else if (!key->found)
		end(key, NULL,
		    "its secret is gone; give it a new one with `consumers add`");
	else
		key->call = vault_unseal(key->broker->vault, key->name, key->generation,
		    buf_bytes(&key->sealed), buf_length(&key->sealed), on_opened, key);
}

struct push_key *
push_key_load(struct broker *broker, const char *consumer, push_key_fn *done, void *arg)
{
	struct push_key *key = xcalloc(1, sizeof(*key));

	key->job = (struct store_job){ .run = run_load, .done = on_loaded };
	key->broker = broker;
	key->name = consumer_secret_name(consumer);
	key->done = done;
	key->arg = arg;
	store_submit(broker->store, &key->job);
	return key;
}

void
push_key_cancel(struct push_key *key)
{
	if (key->call) {
		vault_cancel(key->call);
		key_free(key);
	} else {
		key->done = NULL;
	}
}
