/*
 * A consumer's secrets:
 *
 *   load    the sealed bytes, from the database
 *   open    them, by the vault, one after the other
 *
 * The secret before the one in use is there while it is being replaced
 * (consumer_secret.c). When that one is lost, events are signed without it.
 *
 * Called by push.c, consumer_test.c and consumer_secret.c.
 */
#include <errno.h>
#include <stdlib.h>

#include "broker/consumers/consumers.h"
#include "broker/consumers/push_key.h"
#include "broker/consumers/push_sign.h"
#include "broker/store/store_secret.h"
#include "broker/vault/vault.h"
#include "common/alloc.h"
#include "common/log.h"

enum which {
	NOW,
	BEFORE,
	WHICH_MAX,
};

struct sealed_key {
	char *name; /* NULL: there is none */
	bool found;
	uint64_t generation;
	struct buf sealed;
};

/* The job outlives a call that is cancelled. */
struct push_key {
	struct store_job job;
	struct broker *broker;
	struct sealed_key keys[WHICH_MAX];
	struct push_secrets secrets;
	enum which opening;
	struct vault_call *call;
	push_key_fn *done; /* NULL: cancelled while the database has the job */
	void *arg;
};

static void open_next(struct push_key *);

void
push_secrets_move(struct push_secrets *to, struct push_secrets *from)
{
	push_secrets_clear(to);
	to->now = secret_move(&from->now);
	to->before = secret_move(&from->before);
	to->before_until = from->before_until;
}

void
push_secrets_clear(struct push_secrets *secrets)
{
	secret_clear(&secrets->now);
	secret_clear(&secrets->before);
}

static void
key_free(struct push_key *key)
{
	int i;

	for (i = 0; i < WHICH_MAX; i++) {
		free(key->keys[i].name);
		buf_clear(&key->keys[i].sealed);
	}
	push_secrets_clear(&key->secrets);
	free(key);
}

static void
end(struct push_key *key, const char *trouble)
{
	key->done(key->arg, trouble ? NULL : &key->secrets, trouble);
	key_free(key);
}

/* The vault's word on the one in use. */
static void
on_now(struct push_key *key, int result, struct secret *plain)
{
	const char *trouble = vault_trouble(key->broker->vault);

	if (result == -EAGAIN) {
		end(key, trouble ? trouble : "the keystore does not answer");
	} else if (result < 0) {
		end(key,
		    "its secret cannot be opened any more; give it a new one with "
		    "`consumers add`");
	} else if (push_secret_check(plain) < 0) {
		end(key,
		    "its secret is no whsec_ secret; give it a new one with "
		    "`consumers add`");
	} else {
		key->secrets.now = secret_move(plain);
		key->opening = BEFORE;
		open_next(key);
	}
}

/* A receiver that knows only this one waits for it: a keystore that is away for a
 * moment is waited for. */
static void
on_before(struct push_key *key, int result, struct secret *plain)
{
	const char *trouble = vault_trouble(key->broker->vault);

	if (result == -EAGAIN) {
		end(key, trouble ? trouble : "the keystore does not answer");
		return;
	}
	if (result == 0 && push_secret_check(plain) == 0)
		key->secrets.before = secret_move(plain);
	else
		log_warning("push",
		    "'%s' cannot be opened any more: events are signed with the new "
		    "secret only",
		    key->keys[BEFORE].name);
	end(key, NULL);
}

static void
on_opened(void *arg, int result, struct secret *plain)
{
	struct push_key *key = arg;

	key->call = NULL;
	if (key->opening == NOW)
		on_now(key, result, plain);
	else
		on_before(key, result, plain);
}

static void
open_next(struct push_key *key)
{
	const struct sealed_key *sealed = &key->keys[key->opening];

	if (!sealed->name || !sealed->found)
		end(key, NULL);
	else
		key->call = vault_unseal(key->broker->vault, sealed->name,
		    sealed->generation, buf_bytes(&sealed->sealed),
		    buf_length(&sealed->sealed), on_opened, key);
}

static int
run_load(struct store_job *store_job, struct db *db)
{
	struct push_key *key = (struct push_key *)store_job;
	int result = 0;
	int i;

	for (i = 0; i < WHICH_MAX && result == 0; i++)
		if (key->keys[i].name)
			result =
			    store_secret_get(db, key->keys[i].name, &key->keys[i].found,
				&key->keys[i].generation, &key->keys[i].sealed);
	return result;
}

static void
on_loaded(struct store_job *store_job, int result)
{
	struct push_key *key = (struct push_key *)store_job;

	if (!key->done)
		key_free(key);
	else if (result < 0)
		end(key, "its secret could not be read from the database");
	else if (!key->keys[NOW].found)
		end(key, "its secret is gone; give it a new one with `consumers add`");
	else
		open_next(key);
}

struct push_key *
push_key_load(struct broker *broker, const struct consumer *consumer, push_key_fn *done,
    void *arg)
{
	struct push_key *key = xcalloc(1, sizeof(*key));

	key->job = (struct store_job){ .run = run_load, .done = on_loaded };
	key->broker = broker;
	key->keys[NOW].name = consumer_secret_name(consumer->row.name);
	if (consumer->row.old_generation)
		key->keys[BEFORE].name = consumer_old_secret_name(consumer->row.name);
	key->secrets.before_until = consumer->row.old_until;
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
