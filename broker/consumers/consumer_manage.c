/*
 * Looking after consumers: list, delete, enable, and dead letters. Each is answered
 * from memory or by one job.
 */
#include <stdlib.h>
#include <string.h>

#include "broker/consumers/consumers.h"
#include "broker/consumers/push.h"
#include "broker/oauth/steps.h"
#include "broker/store/store_secret.h"
#include "broker/vault/vault.h"
#include "common/alloc.h"
#include "common/log.h"

struct manage_job {
	struct steps_job steps;
	char *name;
	uint64_t consumer;   /* the number of its life */
	uint64_t generation; /* of its secret */
	uint64_t old_generation;
	uint64_t seq;
	uint64_t count;
	uint64_t retry;
	uint32_t limit;
	struct store_dead *letters;
};

static void
release(struct flow *flow)
{
	free(flow);
}

static struct flow *
flow_new(struct client *client, uint32_t rid, const char *kind)
{
	struct flow *flow = xcalloc(1, sizeof(*flow));

	flow_init(flow, client->broker, client, rid, kind, STEPS_DEADLINE_MS, release);
	return flow;
}

/* NULL after the request was answered. */
static struct consumer *
find(struct client *client, uint32_t rid, const char *name)
{
	struct consumer *consumer = consumers_find(client->broker, name);

	if (!consumer)
		consumer_fail_unknown(client, rid, name);
	return consumer;
}

static struct consumer *
find_pushed(struct client *client, uint32_t rid, const char *name)
{
	struct consumer *consumer = find(client, rid, name);

	if (!consumer || consumer->row.url)
		return consumer;
	client_fail(client, rid, ERR_conflict,
	    "This consumer asks for its events by itself; nothing is pushed to it");
	return NULL;
}

static struct manage_job *
job_new(const struct consumer *consumer)
{
	struct manage_job *job = xcalloc(1, sizeof(*job));

	job->name = xstrdup(consumer->row.name);
	job->consumer = consumer->id;
	job->generation = consumer->row.generation;
	job->old_generation = consumer->row.old_generation;
	return job;
}

static void
job_free(struct manage_job *job)
{
	uint64_t i;

	for (i = 0; job->letters && i < job->count; i++)
		store_dead_clear(&job->letters[i]);
	free(job->letters);
	free(job->name);
	free(job);
}

/* ---- List ---- */

static void
send_consumer(struct flow *flow, const struct consumer *consumer)
{
	const bool whole = flow->client->role == CLIENT_admin;
	char origin[CONSUMER_ORIGIN_SIZE];
	struct proto_msg msg;

	consumer_show(flow->broker, consumer, whole, origin, &msg);
	flow_row(flow, &msg);
}

void
on_consumers_list(struct client *client, struct proto_msg *msg)
{
	const char *name = msg->consumers_list.name;
	const struct proto_msg end = { .type = MSG_list_end };
	struct consumer *consumer = name ? find(client, msg->rid, name) : NULL;
	struct flow *flow;

	if (name && !consumer)
		return;
	flow = flow_new(client, msg->rid, "consumers_list");
	if (consumer)
		send_consumer(flow, consumer);
	else
		LIST_FOREACH (consumer, &client->broker->consumers->list, entry)
			send_consumer(flow, consumer);
	flow_answer(flow, &end);
}

/* ---- Delete ---- */

static int
run_delete(struct store_job *store_job, struct db *db)
{
	const struct manage_job *job = (const struct manage_job *)store_job;
	int result = store_consumer_delete(db, job->name);
	char *secret = consumer_secret_name(job->name);
	char *old_secret = consumer_old_secret_name(job->name);

	if (result == 0)
		result = store_secret_delete(db, secret);
	if (result == 0)
		result = store_secret_delete(db, old_secret);
	free(secret);
	free(old_secret);
	return result;
}

static void
forget(const struct manage_job *job, struct consumer *consumer)
{
	struct vault *vault = job->steps.broker->vault;
	char *secret = consumer_secret_name(job->name);
	char *old_secret = consumer_old_secret_name(job->name);

	if (job->generation)
		vault_forget(vault, secret, job->generation);
	if (job->old_generation)
		vault_forget(vault, old_secret, job->old_generation);
	free(secret);
	free(old_secret);
	log_info("consumers", "'%s' removed", job->name);
	consumers_remove(job->steps.broker, consumer);
}

static void
on_deleted(struct store_job *store_job, int result)
{
	struct manage_job *job = (struct manage_job *)store_job;
	struct flow *flow = steps_done(&job->steps);
	struct consumer *consumer = consumers_find_id(job->steps.broker, job->consumer);

	if (result == 0 && consumer)
		forget(job, consumer);
	else if (consumer && consumer->row.url && !consumer->push)
		consumer->push = push_new(job->steps.broker, consumer);
	if (flow && result < 0)
		steps_fail_store(flow, result);
	else if (flow)
		flow_answer(flow,
		    &(const struct proto_msg){ .type = MSG_consumer_deleted,
			.consumer_deleted = { .name = job->name } });
	job_free(job);
}

/* Its pusher ends first, so that it writes nothing about a consumer that is gone. */
void
on_consumer_delete(struct client *client, struct proto_msg *msg)
{
	struct consumer *consumer = find(client, msg->rid, msg->consumer_delete.name);
	struct manage_job *job;

	if (!consumer)
		return;
	push_free(consumer->push);
	consumer->push = NULL;
	job = job_new(consumer);
	steps_submit(flow_new(client, msg->rid, "consumer_delete"), &job->steps,
	    run_delete, on_deleted);
}

/* ---- Enable ---- */

static int
run_enable(struct store_job *store_job, struct db *db)
{
	return store_consumer_switch(
	    db, ((struct manage_job *)store_job)->name, 0, NULL);
}

static void
on_enabled(struct store_job *store_job, int result)
{
	struct manage_job *job = (struct manage_job *)store_job;
	struct flow *flow = steps_done(&job->steps);
	struct consumer *consumer = consumers_find_id(job->steps.broker, job->consumer);

	if (result == 0 && consumer) {
		consumer->row.disabled_at = 0;
		free(consumer->row.disabled_reason);
		consumer->row.disabled_reason = NULL;
		push_now(consumer->push);
	}
	if (flow && result < 0)
		steps_fail_store(flow, result);
	else if (flow && !consumer)
		flow_fail(flow, ERR_not_found, "The consumer was removed meanwhile");
	else if (flow)
		consumer_answer(flow, consumer, true);
	job_free(job);
}

void
on_consumer_enable(struct client *client, struct proto_msg *msg)
{
	struct consumer *consumer =
	    find_pushed(client, msg->rid, msg->consumer_enable.name);
	struct manage_job *job;

	if (!consumer)
		return;
	job = job_new(consumer);
	steps_submit(flow_new(client, msg->rid, "consumer_enable"), &job->steps,
	    run_enable, on_enabled);
}

/* ---- Dead letters ---- */

static void
take_letter(void *arg, struct store_dead *dead)
{
	struct manage_job *job = arg;

	if (job->count == job->limit)
		return;
	job->letters[job->count++] = *dead;
	*dead = (struct store_dead){ .seq = 0 };
}

static int
run_dead_list(struct store_job *store_job, struct db *db)
{
	struct manage_job *job = (struct manage_job *)store_job;

	return store_dead_list(db, job->name, job->seq, job->limit, take_letter, job);
}

static void
send_letter(struct flow *flow, const struct store_dead *dead)
{
	flow_row(flow,
	    &(const struct proto_msg){ .type = MSG_dead,
		.dead = { .seq = dead->seq,
		    .type = dead->type,
		    .id = dead->id,
		    .tries = dead->tries,
		    .died_at = (uint64_t)dead->died_at,
		    .reason = dead->reason,
		    .retry = dead->retry } });
}

static void
on_dead_listed(struct store_job *store_job, int result)
{
	struct manage_job *job = (struct manage_job *)store_job;
	struct flow *flow = steps_done(&job->steps);
	struct proto_msg end = { .type = MSG_list_end };
	uint64_t i;

	if (flow && result < 0) {
		steps_fail_store(flow, result);
	} else if (flow) {
		for (i = 0; i < job->count; i++)
			send_letter(flow, &job->letters[i]);
		if (job->count)
			end.list_end.next = job->letters[job->count - 1].seq;
		flow_answer(flow, &end);
	}
	job_free(job);
}

void
on_dead_list(struct client *client, struct proto_msg *msg)
{
	struct consumer *consumer = find_pushed(client, msg->rid, msg->dead_list.name);
	struct manage_job *job;

	if (!consumer)
		return;
	job = job_new(consumer);
	job->seq = msg->dead_list.after;
	job->limit = msg->dead_list.limit;
	job->letters = xcalloc(job->limit, sizeof(*job->letters));
	steps_submit(flow_new(client, msg->rid, "dead_list"), &job->steps,
	    run_dead_list, on_dead_listed);
}

static int
run_dead_retry(struct store_job *store_job, struct db *db)
{
	struct manage_job *job = (struct manage_job *)store_job;
	uint64_t all;
	int result = store_dead_retry(db, job->name, job->seq, &job->count);

	return result < 0 ? result : store_dead_count(db, job->name, &all, &job->retry);
}

static void
on_dead_retried(struct store_job *store_job, int result)
{
	struct manage_job *job = (struct manage_job *)store_job;
	struct flow *flow = steps_done(&job->steps);
	struct consumer *consumer = consumers_find_id(job->steps.broker, job->consumer);

	if (result == 0 && consumer) {
		consumer->dead_retry = job->retry;
		push_kick(consumer->push);
	}
	if (flow && result < 0)
		steps_fail_store(flow, result);
	else if (flow && job->seq && !job->count)
		flow_fail(flow, ERR_not_found,
		    "That event is no dead letter of this consumer");
	else if (flow)
		flow_answer(flow,
		    &(const struct proto_msg){ .type = MSG_dead_retried,
			.dead_retried = { .count = job->count } });
	job_free(job);
}

void
on_dead_retry(struct client *client, struct proto_msg *msg)
{
	struct consumer *consumer = find_pushed(client, msg->rid, msg->dead_retry.name);
	struct manage_job *job;

	if (!consumer)
		return;
	if (consumer->row.disabled_at) {
		client_fail(client, msg->rid, ERR_conflict,
		    "This consumer is switched off; enable it first");
		return;
	}
	job = job_new(consumer);
	job->seq = msg->dead_retry.seq;
	steps_submit(flow_new(client, msg->rid, "dead_retry"), &job->steps,
	    run_dead_retry, on_dead_retried);
}
