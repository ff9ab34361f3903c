/*
 * A new secret for a consumer that is pushed to, while the one before it goes on
 * signing for a while:
 *
 *   key     get the secret in use from the vault
 *   seal    the new one
 *   keep    the one in use, sealed anew under the name of old secrets
 *   store   both and the row in one transaction, if the secret is still the one in use
 *   answer  the new one, when it was made here, and until when the old one is good
 *
 * An old secret is good until the time in the row, which every signature looks at. Soon
 * after that it is removed from the database and the keystore for good.
 *
 * Over the API only who knows the secret in use may set another one: a program that
 * reads port 3000 cannot make itself the one whose events a bot believes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "broker/consumers/consumers.h"
#include "broker/consumers/push.h"
#include "broker/consumers/push_key.h"
#include "broker/consumers/push_sign.h"
#include "broker/oauth/accounts.h"
#include "broker/oauth/steps.h"
#include "broker/store/store_secret.h"
#include "broker/vault/vault.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/time.h"

/* The wall clock may be set: it is looked at this often at least. */
#define OLD_SECRETS_LOOK_MS 60000

struct rotate_flow {
	struct flow flow;
	char name[CONSUMER_NAME_MAX + 1];
	struct secret
	    current; /* what the asker says that it is; empty: not asked for */
	struct secret fresh;
	struct secret before; /* empty: it ends at once */
	bool made;            /* the fresh one was made here */
	uint64_t overlap_ms;
	uint64_t expected; /* generation of the one in use */
	uint64_t generation;
	uint64_t old_generation;
	struct buf sealed;
};

struct rotate_job {
	struct steps_job steps;
	struct store_consumer row; /* name and secrets only */
	uint64_t expected;
	struct buf sealed;
	struct buf old_sealed; /* empty: the old one ends */
	bool changed;
};

struct drop_job {
	struct store_job job;
	struct broker *broker;
	char *name;
	uint64_t generation;
	bool changed;
};

static void cancel_key(void *);
static void on_key(void *, struct push_secrets *, const char *);
static void seal_fresh(struct rotate_flow *);
static void on_fresh_sealed(void *, int, const struct buf *);
static void on_old_sealed(void *, int, const struct buf *);
static void store(struct rotate_flow *, const struct buf *);
static int run_rotate(struct store_job *, struct db *);
static void on_rotated(struct store_job *, int);
static void release(struct flow *);

/* ---- What is asked ---- */

static bool
refuse(struct client *client, const struct proto_msg *msg, enum proto_error error,
    const char *sentence)
{
	client_fail(client, msg->rid, error, sentence);
	return false;
}

static bool
check(struct client *client, const struct proto_msg *msg)
{
	const struct proto_consumer_rotate *wanted = &msg->consumer_rotate;
	const struct consumer *consumer = consumers_find(client->broker, wanted->name);

	if (!consumer) {
		consumer_fail_unknown(client, msg->rid, wanted->name);
		return false;
	}
	if (!consumer->row.url)
		return refuse(client, msg, ERR_conflict,
		    "This consumer asks for its events by itself; nothing is signed "
		    "for it");
	if (client->role != CLIENT_admin &&
	    (!wanted->current.length || !wanted->secret.length))
		return refuse(client, msg, ERR_invalid_request,
		    "current and secret are required");
	if (wanted->secret.length && push_secret_check(&wanted->secret) < 0)
		return refuse(client, msg, ERR_invalid_request,
		    "The secret must be whsec_ and base64 of 24 to 64 bytes");
	return true;
}

void
on_consumer_rotate(struct client *client, struct proto_msg *msg)
{
	const struct proto_consumer_rotate *wanted = &msg->consumer_rotate;
	struct broker *broker = client->broker;
	const struct consumer *consumer;
	struct rotate_flow *rotate;
	uint32_t overlap_s;

	if (!check(client, msg))
		return;
	consumer = consumers_find(broker, wanted->name);
	overlap_s = wanted->overlap_said
	    ? wanted->overlap_s
	    : (uint32_t)broker->config.consumers.secret_overlap_s;
	rotate = xcalloc(1, sizeof(*rotate));
	flow_init(&rotate->flow, broker, client, msg->rid, "consumer_rotate",
	    STEPS_DEADLINE_MS, release);
	(void)snprintf(rotate->name, sizeof(rotate->name), "%s", wanted->name);
	rotate->overlap_ms = (uint64_t)overlap_s * 1000;
	rotate->current = secret_copy(wanted->current.bytes, wanted->current.length);
	rotate->made = !wanted->secret.length;
	rotate->fresh = rotate->made
	    ? push_secret_make()
	    : secret_copy(wanted->secret.bytes, wanted->secret.length);
	rotate->expected = consumer->row.generation;
	/* A secret that is to end at once may be lost already. */
	if (!rotate->overlap_ms && !rotate->current.length) {
		seal_fresh(rotate);
		return;
	}
	flow_step(&rotate->flow, "key");
	flow_wait(
	    &rotate->flow, cancel_key, push_key_load(broker, consumer, on_key, rotate));
}

static void
cancel_key(void *arg)
{
	push_key_cancel(arg);
}

static void
on_key(void *arg, struct push_secrets *secrets, const char *trouble)
{
	struct rotate_flow *rotate = arg;
	struct flow *flow = &rotate->flow;

	flow_resume(flow);
	if (trouble) {
		flow_fail(flow, ERR_keystore_unavailable, trouble);
	} else if (rotate->current.length &&
	    !secret_equal(&rotate->current, &secrets->now)) {
		flow_fail(flow, ERR_secret_wrong, NULL);
	} else if (secret_equal(&rotate->fresh, &secrets->now)) {
		flow_fail(
		    flow, ERR_conflict, "That is the secret that is in use already");
	} else {
		if (rotate->overlap_ms)
			rotate->before = secret_move(&secrets->now);
		seal_fresh(rotate);
	}
}

/* ---- Sealing ---- */

static void
seal(struct rotate_flow *rotate, char *name, uint64_t generation,
    const struct secret *secret, vault_sealed_fn *done)
{
	steps_wait_vault(&rotate->flow,
	    vault_seal(
		rotate->flow.broker->vault, name, generation, secret, done, rotate));
	free(name);
}

static void
seal_fresh(struct rotate_flow *rotate)
{
	rotate->generation = accounts_next_generation(rotate->flow.broker->accounts);
	flow_step(&rotate->flow, "seal");
	seal(rotate, consumer_secret_name(rotate->name), rotate->generation,
	    &rotate->fresh, on_fresh_sealed);
}

static void
on_fresh_sealed(void *arg, int result, const struct buf *sealed)
{
	struct rotate_flow *rotate = arg;

	flow_resume(&rotate->flow);
	if (result < 0) {
		steps_fail_vault(&rotate->flow, result);
		return;
	}
	buf_add(&rotate->sealed, buf_bytes(sealed), buf_length(sealed));
	if (!rotate->before.length) {
		store(rotate, NULL);
		return;
	}
	rotate->old_generation =
	    accounts_next_generation(rotate->flow.broker->accounts);
	flow_step(&rotate->flow, "keep");
	seal(rotate, consumer_old_secret_name(rotate->name), rotate->old_generation,
	    &rotate->before, on_old_sealed);
}

static void
on_old_sealed(void *arg, int result, const struct buf *sealed)
{
	struct rotate_flow *rotate = arg;

	flow_resume(&rotate->flow);
	if (result < 0)
		steps_fail_vault(&rotate->flow, result);
	else
		store(rotate, sealed);
}

/* ---- Storing ---- */

static void
store(struct rotate_flow *rotate, const struct buf *old_sealed)
{
	struct rotate_job *job = xcalloc(1, sizeof(*job));

	flow_step(&rotate->flow, "store");
	job->row.name = xstrdup(rotate->name);
	job->row.generation = rotate->generation;
	job->row.updated_at = time_now_ms();
	job->expected = rotate->expected;
	buf_add(&job->sealed, buf_bytes(&rotate->sealed), buf_length(&rotate->sealed));
	if (old_sealed) {
		job->row.old_generation = rotate->old_generation;
		job->row.old_until = job->row.updated_at + (int64_t)rotate->overlap_ms;
		buf_add(
		    &job->old_sealed, buf_bytes(old_sealed), buf_length(old_sealed));
	}
	steps_submit(&rotate->flow, &job->steps, run_rotate, on_rotated);
}

static int
store_secrets(struct db *db, const struct rotate_job *job)
{
	char *name = consumer_secret_name(job->row.name);
	char *old_name = consumer_old_secret_name(job->row.name);
	int result = store_secret_put(db, name, job->row.generation, &job->sealed);

	if (result == 0 && job->row.old_generation)
		result = store_secret_put(
		    db, old_name, job->row.old_generation, &job->old_sealed);
	else if (result == 0)
		result = store_secret_delete(db, old_name);
	free(name);
	free(old_name);
	return result;
}

static int
run_rotate(struct store_job *store_job, struct db *db)
{
	struct rotate_job *job = (struct rotate_job *)store_job;
	int result = store_consumer_rotate(db, &job->row, job->expected, &job->changed);

	return result < 0 || !job->changed ? result : store_secrets(db, job);
}

/* Tells the keystore which values nothing refers to any more. */
static void
forget(struct broker *broker, const struct store_consumer *row)
{
	char *name = consumer_secret_name(row->name);
	char *old_name = consumer_old_secret_name(row->name);

	if (row->generation)
		vault_forget(broker->vault, name, row->generation);
	if (row->old_generation)
		vault_forget(broker->vault, old_name, row->old_generation);
	free(name);
	free(old_name);
}

static void
take_over(struct broker *broker, const struct store_consumer *row)
{
	struct consumer *consumer = consumers_find(broker, row->name);

	if (!consumer)
		return;
	forget(broker, &consumer->row);
	consumer->row.generation = row->generation;
	consumer->row.old_generation = row->old_generation;
	consumer->row.old_until = row->old_until;
	consumer->row.updated_at = row->updated_at;
	consumer->old_dropping = false;
	push_rekey(consumer->push);
	consumer_secrets_watch(broker);
	log_info("consumers", "'%s' has a new secret", row->name);
}

static void
answer(struct rotate_flow *rotate, const struct store_consumer *row)
{
	struct proto_msg msg = { .type = MSG_consumer_rotated,
		.consumer_rotated = {
		    .name = row->name, .old_until = (uint64_t)row->old_until } };

	if (rotate->made)
		msg.consumer_rotated.secret = rotate->fresh;
	flow_answer(&rotate->flow, &msg);
}

static void
on_rotated(struct store_job *store_job, int result)
{
	struct rotate_job *job = (struct rotate_job *)store_job;
	struct rotate_flow *rotate = (struct rotate_flow *)steps_done(&job->steps);
	struct broker *broker = job->steps.broker;

	if (result == 0 && job->changed && broker->consumers)
		take_over(broker, &job->row);
	else if (broker->consumers)
		forget(broker, &job->row);
	if (rotate && result < 0)
		steps_fail_store(&rotate->flow, result);
	else if (rotate && !job->changed)
		flow_fail(&rotate->flow, ERR_conflict,
		    "The secret was changed at the same time; look, and try again");
	else if (rotate)
		answer(rotate, &job->row);
	store_consumer_clear(&job->row);
	buf_clear(&job->sealed);
	buf_clear(&job->old_sealed);
	free(job);
}

static void
release(struct flow *flow)
{
	struct rotate_flow *rotate = (struct rotate_flow *)flow;

	secret_clear(&rotate->current);
	secret_clear(&rotate->fresh);
	secret_clear(&rotate->before);
	buf_clear(&rotate->sealed);
	free(rotate);
}

/* ---- The end of old secrets ---- */

static int
run_drop(struct store_job *store_job, struct db *db)
{
	struct drop_job *job = (struct drop_job *)store_job;
	int result =
	    store_consumer_drop_old(db, job->name, job->generation, &job->changed);
	char *name = consumer_old_secret_name(job->name);

	if (result == 0 && job->changed)
		result = store_secret_delete(db, name);
	free(name);
	return result;
}

static void
dropped(const struct drop_job *job)
{
	struct consumer *consumer = consumers_find(job->broker, job->name);
	char *name = consumer_old_secret_name(job->name);

	vault_forget(job->broker->vault, name, job->generation);
	free(name);
	if (!consumer || consumer->row.old_generation != job->generation)
		return;
	consumer->row.old_generation = 0;
	consumer->row.old_until = 0;
	push_rekey(consumer->push);
	log_info(
	    "consumers", "the secret that '%s' had before is good no more", job->name);
}

static void
on_dropped(struct store_job *store_job, int result)
{
	struct drop_job *job = (struct drop_job *)store_job;

	if (result < 0)
		log_warning("consumers",
		    "the old secret of '%s' could not be removed (%s); it is not "
		    "used, and this is tried again",
		    job->name, strerror(-result));
	else if (job->changed && job->broker->consumers)
		dropped(job);
	free(job->name);
	free(job);
}

static void
drop(struct broker *broker, struct consumer *consumer)
{
	struct drop_job *job = xcalloc(1, sizeof(*job));

	job->job = (struct store_job){ .run = run_drop, .done = on_dropped };
	job->broker = broker;
	job->name = xstrdup(consumer->row.name);
	job->generation = consumer->row.old_generation;
	consumer->old_dropping = true;
	store_submit(broker->store, &job->job);
}

static void
on_look(evutil_socket_t fd, short what, void *arg)
{
	struct broker *broker = arg;
	struct consumer *consumer;
	int64_t now = time_now_ms();

	(void)fd;
	(void)what;
	LIST_FOREACH (consumer, &broker->consumers->list, entry)
		if (consumer->row.old_generation && consumer->row.old_until <= now)
			drop(broker, consumer);
	consumer_secrets_watch(broker);
}

/* When a job failed it is given to another one after OLD_SECRETS_LOOK_MS. */
void
consumer_secrets_watch(struct broker *broker)
{
	struct consumers *consumers = broker->consumers;
	struct consumer *consumer;
	int64_t now = time_now_ms();
	int64_t wait = -1;
	struct timeval in;

	LIST_FOREACH (consumer, &consumers->list, entry) {
		int64_t left = consumer->row.old_until - now;

		if (!consumer->row.old_generation)
			continue;
		if (consumer->old_dropping || left > OLD_SECRETS_LOOK_MS)
			left = OLD_SECRETS_LOOK_MS;
		else if (left < 0)
			left = 0;
		if (wait < 0 || left < wait)
			wait = left;
	}
	if (wait < 0)
		return;
	if (!consumers->old_secrets)
		consumers->old_secrets = evtimer_new(broker->base, on_look, broker);
	if (!consumers->old_secrets)
		abort();
	in = (struct timeval){ .tv_sec = wait / 1000, .tv_usec = wait % 1000 * 1000 };
	evtimer_add(consumers->old_secrets, &in);
}
