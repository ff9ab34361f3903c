/*
 * Making and changing consumers.
 *
 * consumer_put (and consumer_forward, which has a target):
 *
 *   seal    the secret, when there is a new one
 *   store   row and secret in one transaction
 *   answer  how the consumer stands
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/consumers/consumers.h"
#include "broker/consumers/push_sign.h"
#include "broker/consumers/target.h"
#include "broker/events/retention.h"
#include "broker/oauth/accounts.h"
#include "broker/oauth/steps.h"
#include "broker/store/store_secret.h"
#include "broker/vault/vault.h"
#include "common/alloc.h"
#include "common/event_filter.h"
#include "common/log.h"
#include "common/text.h"
#include "common/time.h"

struct put_flow {
	struct flow flow;
	struct store_consumer row;
	bool moved;           /* the start was said: the cursor is the row's */
	struct secret secret; /* a new one */
	bool made;            /* the secret was made here */
	bool forward;         /* the request was consumer_forward */
};

struct put_job {
	struct steps_job steps;
	struct store_consumer row;
	unsigned changes;  /* STORE_CONSUMER_... */
	struct buf sealed; /* empty: the secret stays */
};

static bool check(struct client *, const struct proto_msg *);
static bool take_filters(struct client *, const struct proto_msg *, struct put_flow *);
static bool take_start(struct client *, const struct proto_msg *, struct put_flow *);
static void begin(struct client *, const struct proto_msg *, struct put_flow *);
static void store(struct put_flow *, const struct buf *);
static void on_sealed(void *, int, const struct buf *);
static int run_put(struct store_job *, struct db *);
static void on_put(struct store_job *, int);
static void answer(struct put_flow *, const struct consumer *);
static void release(struct flow *);

/* Both messages begin with the same fields; this is the place that knows. */
struct wanted {
	const char *name;
	const char *type;
	const char *platform;
	const char *kind;
	const char *broadcaster;
	const char *include;
	const char *start;
};

static struct wanted
wanted_of(const struct proto_msg *msg)
{
	const struct proto_consumer_put *put = &msg->consumer_put;
	const struct proto_consumer_forward *forward = &msg->consumer_forward;

	if (msg->type == MSG_consumer_forward)
		return (struct wanted){ forward->name, forward->type, forward->platform,
			forward->kind, forward->broadcaster, forward->include,
			forward->start };
	return (struct wanted){ put->name, put->type, put->platform, put->kind,
		put->broadcaster, put->include, put->start };
}

static bool
refuse(struct client *client, const struct proto_msg *msg, const char *sentence)
{
	client_fail(client, msg->rid, ERR_invalid_request, sentence);
	return false;
}

/* ---- What is asked ---- */

static bool
check(struct client *client, const struct proto_msg *msg)
{
	const struct wanted wanted = wanted_of(msg);
	const struct consumer *known;

	if (!consumer_name_good(wanted.name))
		return refuse(client, msg,
		    "The name of a consumer is 1 to 64 letters, digits, '.', '-' and "
		    "'_', and does not begin with a dot");
	known = consumers_find(client->broker, wanted.name);
	if (known && !known->row.url && msg->type == MSG_consumer_forward) {
		client_fail(client, msg->rid, ERR_conflict,
		    "A consumer of that name asks for its events by itself; take "
		    "another name, or remove it first");
		return false;
	}
	if (!known && client->broker->consumers->count >= CONSUMERS_MAX) {
		client_fail(client, msg->rid, ERR_conflict,
		    "There are 100 consumers already; remove one first");
		return false;
	}
	if (!known && msg->type == MSG_consumer_forward &&
	    consumers_pushed(client->broker) >= CONSUMERS_PUSHED_MAX) {
		client_fail(client, msg->rid, ERR_conflict,
		    "Events are pushed to 32 consumers already; remove one first");
		return false;
	}
	return true;
}

static char *
copy(const char *text)
{
	return text && *text ? xstrdup(text) : NULL;
}

static bool
is_platform(const char *word, size_t length)
{
	char name[32] = "";

	if (length < sizeof(name))
		memcpy(name, word, length);
	return platform_find(name) != NULL;
}

static bool
is_include(const char *word, size_t length)
{
	return event_include_bit(word, length) != 0;
}

/* Whether every word of a list is one of those that there are. */
static bool
all_fit(const char *list, bool (*fits)(const char *word, size_t length))
{
	const char *word;
	size_t length;

	while (list && event_list_next(&list, &word, &length))
		if (!fits(word, length))
			return false;
	return true;
}

static bool
take_filters(struct client *client, const struct proto_msg *msg, struct put_flow *put)
{
	const struct wanted wanted = wanted_of(msg);

	if (!all_fit(wanted.platform, is_platform)) {
		client_fail(
		    client, msg->rid, ERR_invalid_platform, platform_names_sentence());
		return false;
	}
	if (!all_fit(wanted.kind, event_kind_exists))
		return refuse(client, msg,
		    "kind must be of follow, subscription, gift, tip, chat, stream, "
		    "reward, moderation, account, notice and unknown");
	if (!all_fit(wanted.include, is_include))
		return refuse(client, msg,
		    "include must be of foreign, synthetic and quarantined");
	put->row.name = xstrdup(wanted.name);
	put->row.type = copy(wanted.type);
	put->row.platform = copy(wanted.platform);
	put->row.kind = copy(wanted.kind);
	put->row.broadcaster = copy(wanted.broadcaster);
	put->row.include = copy(wanted.include);
	return true;
}

/* Where it begins: a new one with what is stored from here on. */
static bool
take_start(struct client *client, const struct proto_msg *msg, struct put_flow *put)
{
	const char *start = wanted_of(msg).start;
	const uint64_t last = hub_last_seq(client->broker);
	char sentence[160];
	uint64_t oldest;
	uint64_t seq = last;

	put->moved = *start != '\0';
	if (strcmp(start, "beginning") == 0)
		seq = 0;
	else if (*start && strcmp(start, "now") != 0 &&
	    !text_to_u64(start, strlen(start), INT64_MAX, &seq))
		return refuse(client, msg,
		    "start must be now, beginning, or the seq of an event");
	if (seq > last) {
		(void)snprintf(sentence, sizeof(sentence),
		    "start is beyond the last event, which is %llu",
		    (unsigned long long)last);
		return refuse(client, msg, sentence);
	}
	/* Nobody needs what was deleted before he asked for it. */
	oldest = retention_oldest(client->broker);
	if (seq + 1 < oldest)
		seq = oldest - 1;
	put->row.cursor = put->row.given = put->row.handed = seq;
	return true;
}

/* What a change leaves as it is. Events before `handed` may have been handed out,
 * wherever the cursor is put. */
static void
keep(struct put_flow *put, const struct consumer *known)
{
	const struct store_consumer *old = &known->row;

	put->row.created_at = old->created_at;
	put->row.seen_at = old->seen_at;
	if (!put->moved) {
		put->row.cursor = old->cursor;
		put->row.given = old->given;
		put->row.handed = old->handed;
	} else if (old->handed > put->row.handed) {
		put->row.handed = old->handed;
	}
	put->row.url = copy(old->url);
	put->row.private_too = old->private_too;
	put->row.generation = old->generation;
	put->row.disabled_at = old->disabled_at;
	put->row.disabled_reason = copy(old->disabled_reason);
}

/* A new address is a new beginning: nothing is switched off any more. */
static bool
take_target(struct client *client, const struct proto_msg *msg, struct put_flow *put)
{
	const struct proto_consumer_forward *forward = &msg->consumer_forward;
	char error[TARGET_ERROR_SIZE];

	if (target_check(
		forward->url, forward->private_host, &put->row.private_too, error) < 0)
		return refuse(client, msg, error);
	if (forward->secret.length && push_secret_check(&forward->secret) < 0)
		return refuse(client, msg,
		    "The secret must be whsec_ and base64 of 24 to 64 bytes; leave it "
		    "out, and one is made");
	free(put->row.url);
	put->row.url = xstrdup(forward->url);
	free(put->row.disabled_reason);
	put->row.disabled_reason = NULL;
	put->row.disabled_at = 0;
	put->made = !forward->secret.length && !put->row.generation;
	if (put->made)
		put->secret = push_secret_make();
	else
		put->secret =
		    secret_copy(forward->secret.bytes, forward->secret.length);
	if (put->secret.length)
		put->row.generation =
		    accounts_next_generation(client->broker->accounts);
	return true;
}

static struct put_flow *
put_new(struct client *client, const struct proto_msg *msg)
{
	const struct consumer *known =
	    consumers_find(client->broker, wanted_of(msg).name);
	struct put_flow *put = xcalloc(1, sizeof(*put));
	bool good = take_filters(client, msg, put) && take_start(client, msg, put);

	put->row.created_at = put->row.updated_at = time_now_ms();
	if (good && known)
		keep(put, known);
	put->forward = msg->type == MSG_consumer_forward;
	if (good && put->forward)
		good = take_target(client, msg, put);
	if (good)
		return put;
	release(&put->flow);
	return NULL;
}

static void
begin(struct client *client, const struct proto_msg *msg, struct put_flow *put)
{
	char *name;

	flow_init(&put->flow, client->broker, client, msg->rid,
	    put->forward ? "consumer_forward" : "consumer_put", STEPS_DEADLINE_MS,
	    release);
	if (!put->secret.length) {
		store(put, NULL);
		return;
	}
	flow_step(&put->flow, "seal");
	name = consumer_secret_name(put->row.name);
	steps_wait_vault(&put->flow,
	    vault_seal(client->broker->vault, name, put->row.generation, &put->secret,
		on_sealed, put));
	free(name);
}

void
on_consumer_put(struct client *client, struct proto_msg *msg)
{
	struct put_flow *put = check(client, msg) ? put_new(client, msg) : NULL;

	if (put)
		begin(client, msg, put);
}

void
on_consumer_forward(struct client *client, struct proto_msg *msg)
{
	on_consumer_put(client, msg);
}

/* ---- Storing ---- */

static void
on_sealed(void *arg, int result, const struct buf *sealed)
{
	struct put_flow *put = arg;

	flow_resume(&put->flow);
	if (result < 0)
		steps_fail_vault(&put->flow, result);
	else
		store(put, sealed);
}

static void
store(struct put_flow *put, const struct buf *sealed)
{
	struct put_job *job = xcalloc(1, sizeof(*job));

	flow_step(&put->flow, "store");
	job->row = put->row;
	job->changes = (put->moved ? STORE_CONSUMER_MOVED : 0) |
	    (sealed ? STORE_CONSUMER_NEW_SECRET : 0);
	put->row = (struct store_consumer){ .name = NULL };
	if (sealed)
		buf_add(&job->sealed, buf_bytes(sealed), buf_length(sealed));
	steps_submit(&put->flow, &job->steps, run_put, on_put);
}

static int
run_put(struct store_job *store_job, struct db *db)
{
	struct put_job *job = (struct put_job *)store_job;
	int result = store_consumer_put(db, &job->row, job->changes);
	char *name;

	if (result < 0 || !buf_length(&job->sealed))
		return result;
	name = consumer_secret_name(job->row.name);
	result = store_secret_put(db, name, job->row.generation, &job->sealed);
	free(name);
	name = consumer_old_secret_name(job->row.name);
	if (result == 0)
		result = store_secret_delete(db, name);
	free(name);
	return result;
}

/* A new secret ends those before it; without one they stay as they are by now. */
static void
take_over_secrets(struct put_job *job, const struct store_consumer *known)
{
	struct vault *vault = job->steps.broker->vault;
	char *name = consumer_secret_name(known->name);
	char *old_name = consumer_old_secret_name(known->name);

	if (!(job->changes & STORE_CONSUMER_NEW_SECRET)) {
		job->row.generation = known->generation;
		job->row.old_generation = known->old_generation;
		job->row.old_until = known->old_until;
	} else if (known->generation) {
		vault_forget(vault, name, known->generation);
		if (known->old_generation)
			vault_forget(vault, old_name, known->old_generation);
	}
	free(name);
	free(old_name);
}

/* How far the consumer came while the row was on its way counts; its cursor, and what
 * it was given, do not when it is to begin elsewhere. Of that only what the job or a
 * mark has stored is durable. */
static struct consumer *
take_over(struct put_job *job)
{
	struct broker *broker = job->steps.broker;
	const struct consumer *known = consumers_find(broker, job->row.name);
	const bool moved = job->changes & STORE_CONSUMER_MOVED;
	uint64_t durable = job->row.given;
	struct consumer *consumer;

	if (known && !moved) {
		if (known->given_durable > durable)
			durable = known->given_durable;
		job->row.cursor = known->row.cursor;
		job->row.given = known->row.given;
	}
	if (known) {
		job->row.epoch = known->row.epoch + moved;
		if (known->row.handed > job->row.handed)
			job->row.handed = known->row.handed;
		take_over_secrets(job, &known->row);
	}
	log_info("consumers", "'%s' %s", job->row.name, known ? "changed" : "made");
	consumer = consumers_set(broker, &job->row, durable);
	consumer->old_dropping = false;
	return consumer;
}

static void
on_put(struct store_job *store_job, int result)
{
	struct put_job *job = (struct put_job *)store_job;
	struct put_flow *put = (struct put_flow *)steps_done(&job->steps);
	struct consumer *consumer = NULL;

	if (result == 0 && job->steps.broker->consumers)
		consumer = take_over(job);
	if (put && consumer)
		answer(put, consumer);
	else if (put)
		steps_fail_store(&put->flow, result);
	store_consumer_clear(&job->row);
	buf_clear(&job->sealed);
	free(job);
}

static void
answer(struct put_flow *put, const struct consumer *consumer)
{
	struct proto_msg msg = { .type = MSG_consumer_forwarded,
		.consumer_forwarded = { .name = consumer->row.name } };

	if (!put->forward) {
		consumer_answer(&put->flow, consumer, false);
		return;
	}
	if (put->made)
		msg.consumer_forwarded.secret = put->secret;
	flow_answer(&put->flow, &msg);
}

static void
release(struct flow *flow)
{
	struct put_flow *put = (struct put_flow *)flow;

	store_consumer_clear(&put->row);
	secret_clear(&put->secret);
	free(put);
}
