/*
 * From a delivery to a durable event:
 *
 *   check   freshness on the loop, the signature over the exact bytes on threads
 *   look    whose channel, which type; mark it, never drop it
 *   store   one row, in the commit that gathers with others
 *   answer  after the commit: stored, duplicate, foreign, unknown
 *
 * Deliveries are not flows: thousands a second pass here, each waits only for its
 * commit, and once checked it is stored whether or not its sender is still there.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/events/check_pool.h"
#include "broker/events/ingest.h"
#include "broker/events/kick_event.h"
#include "broker/events/kick_keys.h"
#include "broker/events/kick_upkeep.h"
#include "broker/events/latency.h"
#include "broker/events/ours.h"
#include "broker/events/silence.h"
#include "broker/health.h"
#include "broker/store/store_event.h"
#include "broker/subscriptions/subs.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/text.h"
#include "common/time.h"

struct ingest_job {
	struct check_job check; /* first the one, then the other */
	struct store_job job;
	struct ingest *ingest;
	struct client *client; /* NULL once it is gone */
	struct proto_msg msg;
	struct kick_event view;
	struct kick_keys *keys;
	uint64_t generation; /* of them */
	enum kick_verdict verdict;
	enum kick_key_use signer;
	int64_t sent;              /* by its own word, wall clock ms */
	struct store_delivery row; /* borrows from msg and view */
	uint64_t seq;
	uint64_t duplicate_of; /* the same event under another id, 0: none */
	bool duplicate;
	LIST_ENTRY(ingest_job) entry;
};

struct ingest {
	struct broker *broker;
	struct kick_ring *ring;
	struct check_pool *pool;
	struct ingest_stats stats;
	LIST_HEAD(ingest_jobs, ingest_job) pending;
};

static struct ingest_job *
of_check(struct check_job *base)
{
	return (struct ingest_job *)((char *)base - offsetof(struct ingest_job, check));
}

static struct ingest_job *
of_store(struct store_job *base)
{
	return (struct ingest_job *)((char *)base - offsetof(struct ingest_job, job));
}

/* Check. */

/* The counter of what is wrong with the time of sending; NULL: nothing is. */
static uint64_t *
find_staleness(struct ingest *ingest, const struct proto_delivery *delivery,
    int64_t now, int64_t *ret_sent)
{
	int64_t tolerance =
	    (int64_t)ingest->broker->config.webhooks.timestamp_tolerance_s * 1000;
	int64_t sent;

	if (time_parse(delivery->timestamp, strlen(delivery->timestamp), &sent) < 0)
		return &ingest->stats.refused_time;
	*ret_sent = sent;
	if (tolerance == 0)
		return NULL;
	if (sent < now - tolerance)
		return &ingest->stats.refused_old;
	return sent > now + tolerance ? &ingest->stats.refused_future : NULL;
}

/* Counts and answers a refusal; the sender learns nothing of its reason. */
static void
refuse(struct client *client, const struct proto_msg *msg, uint64_t *counter,
    const char *why)
{
	const struct proto_msg answer = { .type = MSG_delivered,
		.delivered = { .verdict = "refused" } };

	(*counter)++;
	log_debug("ingest", "delivery '%s' refused: %s",
	    log_quote(msg->delivery.message_id), why);
	client_answer(client, msg->rid, &answer);
}

/* On a thread of the pool, or on the loop. */
static void
work_check(struct check_job *base, struct kick_checker *checker)
{
	struct ingest_job *job = of_check(base);
	const struct proto_delivery *delivery = &job->msg.delivery;

	kick_checker_use(checker, job->keys);
	job->verdict =
	    kick_checker_verify(checker, job->row.received_at, delivery->message_id,
		delivery->timestamp, delivery->body.data, delivery->body.length,
		delivery->signature.data, delivery->signature.length, &job->signer);
	if (job->verdict == KICK_GOOD)
		kick_event_read(delivery->type, job->row.version, delivery->body.data,
		    delivery->body.length, &job->view);
}

/* Store. */

static int
run_put(struct store_job *base, struct db *db)
{
	struct ingest_job *job = of_store(base);
	int result = store_event_put(db, &job->row, &job->seq);

	if (result < 0)
		return result;
	job->duplicate = result == 0;
	return 0;
}

const char *
ingest_verdict_name(enum ingest_verdict verdict)
{
	static const char *const names[INGEST_VERDICT_MAX] = {
		[INGEST_duplicate] = "duplicate",
		[INGEST_foreign] = "foreign",
		[INGEST_quarantined] = "quarantined",
		[INGEST_unknown] = "unknown",
		[INGEST_stored] = "stored",
	};

	return names[verdict];
}

static enum ingest_verdict
verdict(const struct ingest_job *job)
{
	if (job->duplicate)
		return INGEST_duplicate;
	if (job->row.flags & EVENT_FOREIGN)
		return INGEST_foreign;
	if (job->row.flags & EVENT_QUARANTINED)
		return INGEST_quarantined;
	return job->row.flags & EVENT_UNKNOWN ? INGEST_unknown : INGEST_stored;
}

/* The id of the subscription is not signed (facts/kick.md 2.2), and a subscription may
 * have been made by hand or be too young to be on record: counted, not refused. */
static bool
is_stranger(const struct ingest_job *job)
{
	const struct kick_event *view = &job->view;

	if (job->row.flags & (EVENT_FOREIGN | EVENT_SYNTHETIC))
		return false;
	return subscriptions_is_stranger(job->ingest->broker, view->broadcaster_id,
	    view->broadcaster_name, view->broadcaster_slug, job->row.subscription_id);
}

static void
count(struct ingest_stats *stats, const struct ingest_job *job)
{
	const uint32_t flags = job->row.flags;

	stats->verdicts[verdict(job)]++;
	if (job->duplicate) {
		stats->duplicates++;
		return;
	}
	stats->stored++;
	stats->foreign += (flags & EVENT_FOREIGN) != 0;
	stats->strangers += is_stranger(job);
	stats->unknown += (flags & EVENT_UNKNOWN) != 0;
	stats->repeated += job->duplicate_of != 0;
	stats->alien += job->view.alien;
	stats->ill_typed += job->view.ill_typed && !job->view.alien;
	stats->late += (flags & EVENT_LATE) != 0;
	stats->synthetic += (flags & EVENT_SYNTHETIC) != 0;
	stats->masked += (flags & EVENT_MASKED) != 0;
	if (!(flags & EVENT_SYNTHETIC))
		stats->last_at = job->row.received_at;
}

/* Answer. */

static void
end(struct ingest_job *job)
{
	LIST_REMOVE(job, entry);
	job->ingest->stats.pending--;
	proto_clear(&job->msg);
	free(job);
}

static void
done_put(struct store_job *base, int result)
{
	struct ingest_job *job = of_store(base);
	struct ingest *ingest = job->ingest;
	const struct proto_msg answer = { .type = MSG_delivered,
		.delivered = { .verdict = ingest_verdict_name(verdict(job)) } };

	if (result == 0) {
		count(&ingest->stats, job);
		if (!job->duplicate) {
			latency_stored(ingest->broker, &job->row);
			silence_stored(ingest->broker, &job->row);
		}
		if (job->client)
			client_answer(job->client, job->msg.rid, &answer);
	} else {
		ingest->stats.failed++;
		log_error("ingest", "delivery '%s' could not be stored: %s",
		    log_quote(job->msg.delivery.message_id), strerror(-result));
		if (job->client)
			client_fail(
			    job->client, job->msg.rid, ERR_storage_failed, NULL);
	}
	/* For a duplicate nothing was written, so it tells nothing of the disk. */
	if (result < 0 || !job->duplicate)
		health_storage(ingest->broker, result);
	end(job);
}

static const char *
or_null(const char *text)
{
	return text[0] ? text : NULL;
}

/* Whether it came long after it was sent, or after it happened. */
static bool
is_late(const struct ingest *ingest, const struct kick_event *view, int64_t now,
    int64_t sent)
{
	int64_t limit = (int64_t)ingest->broker->config.events.late_after_s * 1000;

	return limit > 0 &&
	    ((sent > 0 && sent < now - limit) ||
		(view->own_time > 0 && view->own_time < now - limit));
}

static uint32_t
flags_of(const struct ingest_job *job)
{
	const struct kick_event *view = &job->view;
	uint32_t flags = 0;

	if (!ours_has(job->ingest->broker, view))
		flags |= EVENT_FOREIGN;
	if (!view->known)
		flags |= EVENT_UNKNOWN;
	if (!view->json)
		flags |= EVENT_NOT_JSON;
	if (view->alien || view->ill_typed)
		flags |= EVENT_QUARANTINED;
	if (is_late(job->ingest, view, job->row.received_at, job->sent))
		flags |= EVENT_LATE;
	if (job->signer == KICK_KEY_synthetic)
		flags |= EVENT_SYNTHETIC;
	if (view->named)
		flags |= EVENT_MASKED;
	return flags;
}

/* What is not handed on must not make another event its duplicate. */
static struct store_content
content_of(const struct kick_event *view, uint32_t flags)
{
	struct store_content content = view->content;

	if (flags & (EVENT_FOREIGN | EVENT_QUARANTINED))
		content.rule = STORE_CONTENT_NONE;
	if (flags & EVENT_SYNTHETIC)
		content.salt = KICK_SYNTHETIC_PREFIX;
	return content;
}

/* The row borrows the texts of message and view, which the job keeps. */
static void
fill(struct ingest_job *job)
{
	const struct proto_delivery *delivery = &job->msg.delivery;
	const struct kick_event *view = &job->view;
	struct store_delivery *row = &job->row;

	row->platform = config_platform_name(CONFIG_PLATFORM_KICK);
	row->message_id = delivery->message_id;
	row->type = delivery->type;
	row->occurred_at = job->sent > 0 ? job->sent : 0;
	row->broadcaster_id = or_null(view->broadcaster_id);
	row->broadcaster_name = or_null(view->broadcaster_name);
	row->flags = flags_of(job);
	row->subscription_id = delivery->subscription_id;
	row->timestamp = delivery->timestamp;
	row->signature = delivery->signature.data;
	row->signature_length = delivery->signature.length;
	row->content_type = delivery->content_type;
	row->user_agent = delivery->user_agent;
	row->body = delivery->body.data;
	row->body_length = delivery->body.length;
	row->content = content_of(view, row->flags);
	row->ret_duplicate_of = &job->duplicate_of;
}

/* It is refused, or it waits until the key has been asked for. */
static void
done_refused(struct ingest_job *job)
{
	struct ingest_stats *stats = &job->ingest->stats;

	if (job->verdict == KICK_WRONG && job->client &&
	    kick_upkeep_hold(job->client, &job->msg)) {
		end(job);
		return;
	}
	stats->refused_malformed += job->verdict == KICK_MALFORMED;
	if (job->client)
		refuse(job->client, &job->msg, &stats->refused_signature,
		    "the signature is wrong");
	else
		stats->refused_signature++;
	end(job);
}

/* The keys may have changed while it was checked: what no key of before verifies is
 * checked by those of now. */
static bool
check_again(struct ingest_job *job)
{
	struct kick_keys *keys = kick_ring_keys(job->ingest->ring);
	bool again = job->verdict == KICK_WRONG && keys->generation != job->generation;

	if (!again)
		return false;
	job->generation = keys->generation;
	job->keys = kick_keys_ref(keys);
	check_pool_submit(job->ingest->pool, &job->check);
	return true;
}

static void
done_check(struct check_job *base)
{
	struct ingest_job *job = of_check(base);

	kick_keys_unref(job->keys);
	if (job->verdict == KICK_GOOD) {
		fill(job);
		store_submit(job->ingest->broker->store, &job->job);
	} else if (!check_again(job)) {
		done_refused(job);
	}
}

static void
begin(struct client *client, struct proto_msg *msg, int64_t now, int64_t sent)
{
	struct ingest *ingest = client->broker->ingest;
	struct ingest_job *job = xmalloc(sizeof(*job));
	uint64_t version = 0;

	(void)text_to_u64(
	    msg->delivery.version, strlen(msg->delivery.version), UINT32_MAX, &version);
	/* All but the view, which is set with the verdict. */
	job->check = (struct check_job){ .work = work_check, .done = done_check };
	job->job = (struct store_job){ .run = run_put, .done = done_put };
	job->ingest = ingest;
	job->client = client;
	job->msg = proto_move(msg);
	job->keys = kick_keys_ref(kick_ring_keys(ingest->ring));
	job->generation = job->keys->generation;
	job->verdict = KICK_WRONG;
	job->signer = KICK_KEY_platform;
	job->sent = sent;
	job->row =
	    (struct store_delivery){ .received_at = now, .version = (uint32_t)version };
	job->seq = 0;
	job->duplicate_of = 0;
	job->duplicate = false;
	LIST_INSERT_HEAD(&ingest->pending, job, entry);
	ingest->stats.pending++;
	check_pool_submit(ingest->pool, &job->check);
}

void
on_delivery(struct client *client, struct proto_msg *msg)
{
	struct ingest *ingest = client->broker->ingest;
	int64_t now = time_now_ms();
	int64_t sent = 0;
	uint64_t *stale;

	if (ingest->stats.pending >= INGEST_PENDING_MAX) {
		client_fail(client, msg->rid, ERR_busy, NULL);
		return;
	}
	stale = find_staleness(ingest, &msg->delivery, now, &sent);
	if (!stale) {
		begin(client, msg, now, sent);
		return;
	}
	(*stale)++;
	refuse(client, msg, &ingest->stats.refused_stale,
	    "its timestamp is ill-formed or outside the tolerance");
}

void
ingest_client_gone(struct ingest *ingest, const struct client *client)
{
	struct ingest_job *job;

	LIST_FOREACH (job, &ingest->pending, entry)
		if (job->client == client)
			job->client = NULL;
}

/* Birth and death. */

static int
read_key_file(struct kick_ring *ring, const char *path, char *error)
{
	char *pem = xmalloc(KICK_KEY_PEM_MAX + 1);
	FILE *file = fopen(path, "re");
	size_t length;
	int result;

	if (!file) {
		result = -errno;
		(void)snprintf(error, INGEST_ERROR_SIZE,
		    "public_key_file '%s' cannot be read: %s; put the key there, or "
		    "leave the option out for the key that is shipped",
		    log_quote(path), strerror(errno));
		goto out;
	}
	length = fread(pem, 1, KICK_KEY_PEM_MAX + 1, file);
	(void)fclose(file);
	result = kick_ring_put(ring, pem, length, KICK_KEY_platform, 0);
	if (result < 0)
		(void)snprintf(error, INGEST_ERROR_SIZE,
		    "public_key_file '%s' is not a PEM file with an RSA public key of "
		    "%d to %d bits; mend it, or leave the option out",
		    log_quote(path), KICK_KEY_BITS_MIN, KICK_KEY_BITS_MAX);
out:
	free(pem);
	return result;
}

int
ingest_new(struct broker *broker, struct ingest **ret_ingest, char *error)
{
	const char *path =
	    broker->config.platform[CONFIG_PLATFORM_KICK].public_key_file;
	struct kick_ring *ring = kick_ring_new();
	struct ingest *ingest;
	int result;

	if (path)
		result = read_key_file(ring, path, error);
	else
		result = kick_ring_put(ring, kick_public_key, strlen(kick_public_key),
		    KICK_KEY_platform, 0);
	if (result < 0) {
		kick_ring_free(ring);
		return result;
	}
	ingest = xcalloc(1, sizeof(*ingest));
	ingest->broker = broker;
	ingest->ring = ring;
	ingest->pool = check_pool_new(broker->base);
	LIST_INIT(&ingest->pending);
	*ret_ingest = ingest;
	return 0;
}

void
ingest_stop(struct ingest *ingest)
{
	check_pool_free(ingest->pool);
	ingest->pool = NULL;
}

void
ingest_free(struct ingest *ingest)
{
	if (!ingest)
		return;
	kick_ring_free(ingest->ring);
	free(ingest);
}

const struct ingest_stats *
ingest_stats(const struct ingest *ingest)
{
	return &ingest->stats;
}

const char *
ingest_key_id(const struct ingest *ingest)
{
	const struct kick_keys *keys = kick_ring_keys(ingest->ring);
	size_t i;

	for (i = 0; i < keys->count; i++)
		if (keys->entries[i].use == KICK_KEY_platform)
			return keys->entries[i].id;
	return "";
}

struct kick_ring *
ingest_ring(const struct ingest *ingest)
{
	return ingest->ring;
}
