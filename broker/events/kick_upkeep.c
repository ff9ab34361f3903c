/*
 * The public key, from a question to its use:
 *
 *   ask     at start, daily, after failures, or because a delivery does not verify
 *   judge   the answer is hostile until it holds one good RSA key
 *   store   the new key, the end of the one before, and an event that tells of it
 *   use     the ring changes, and deliveries that waited are looked at again
 *
 * The key in use stays whatever goes wrong on this way. Owns broker->kick_upkeep.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "broker/events/ingest.h"
#include "broker/events/kick_hold.h"
#include "broker/events/kick_keys.h"
#include "broker/events/kick_upkeep.h"
#include "broker/events/kick_upkeep_plan.h"
#include "broker/metrics.h"
#include "broker/oauth/reply_json.h"
#include "broker/outbound/fetch.h"
#include "broker/store/store_event.h"
#include "broker/store/store_key.h"
#include "common/alloc.h"
#include "common/crypto.h"
#include "common/log.h"
#include "common/time.h"

/* A suspended machine asks when it wakes, at most so much later. */
#define TICK_MAX_MS 60000

#define CHANGED_EVENT "public_key.changed"

struct kick_upkeep {
	struct broker *broker;
	struct event *timer;
	struct event *hold_timer;
	struct kick_plan plan;
	struct fetch *fetch;  /* of the question under way; NULL: none */
	bool adopting;        /* its answer is being stored */
	bool held_for_long;   /* nothing waits for the question under way any more */
	uint32_t retry_after; /* seconds, as the last answer said it */
	struct kick_hold hold;
	struct kick_upkeep_stats stats;
};

struct adopt_job {
	struct store_job job;
	struct kick_upkeep *upkeep;
	struct kick_keys *before;
	char *pem;
	char id[KICK_KEY_ID_SIZE];
	int64_t now;
	int64_t until; /* of the keys before */
	char event_id[128];
	char *body;
};

static void plan_timer(struct kick_upkeep *);
static void on_timer(evutil_socket_t, short, void *);
static void on_hold_timer(evutil_socket_t, short, void *);
static void ask(struct kick_upkeep *);
static void on_reply(void *, struct fetch_reply *);
static const char *judge(const struct fetch_reply *, char **);
static void adopt(struct kick_upkeep *, char *);
static int run_adopt(struct store_job *, struct db *);
static void done_adopt(struct store_job *, int);
static void question_over(struct kick_upkeep *, bool);
static void write_metrics(struct metrics *, void *);

static const char *
platform_name(void)
{
	return config_platform_name(CONFIG_PLATFORM_KICK);
}

static const struct config_platform *
settings(const struct kick_upkeep *upkeep)
{
	return &upkeep->broker->config.platform[CONFIG_PLATFORM_KICK];
}

/* Start. */

struct load_job {
	struct store_job job;
	struct kick_ring *ring;
	int result;
};

/* The key in use comes last and so before all others in the ring. */
static void
load_key(void *arg, const struct store_key *key)
{
	struct kick_ring *ring = arg;

	kick_ring_drop(ring, key->id);
	if (key->until != 0 && key->until <= time_now_ms())
		return;
	if (kick_ring_put(
		ring, key->pem, strlen(key->pem), KICK_KEY_platform, key->until) < 0)
		log_error("key", "the stored public key '%s' is no key; it is not used",
		    log_quote(key->id));
}

static int
run_load(struct store_job *job, struct db *db)
{
	struct load_job *load = (struct load_job *)job;

	return store_key_load(db, platform_name(), load_key, load->ring);
}

static void
done_load(struct store_job *job, int result)
{
	((struct load_job *)job)->result = result;
}

static int
load_keys(struct broker *broker)
{
	struct kick_ring *ring = ingest_ring(broker->ingest);
	struct load_job load = { .job = { .run = run_load, .done = done_load },
		.ring = ring };

	store_run_now(broker->store, &load.job);
	if (load.result < 0)
		return load.result;
	if (kick_ring_keys(ring)->count == 0)
		(void)kick_ring_put(ring, kick_public_key, strlen(kick_public_key),
		    KICK_KEY_platform, 0);
	return 0;
}

int
kick_upkeep_start(struct broker *broker)
{
	struct kick_upkeep *upkeep;
	int result;

	upkeep = xcalloc(1, sizeof(*upkeep));
	upkeep->broker = broker;
	kick_hold_init(&upkeep->hold);
	broker->kick_upkeep = upkeep;
	metrics_add(broker,
	    &(const struct metric_source){ .write = write_metrics, .arg = upkeep });
	if (settings(upkeep)->public_key_file) {
		upkeep->stats.off = true;
		return 0;
	}
	result = load_keys(broker);
	if (result < 0)
		return result;
	upkeep->timer = event_new(broker->base, -1, 0, on_timer, upkeep);
	upkeep->hold_timer = event_new(broker->base, -1, 0, on_hold_timer, upkeep);
	if (!upkeep->timer || !upkeep->hold_timer)
		abort();
	kick_plan_start(&upkeep->plan, time_boot_ms());
	plan_timer(upkeep);
	return 0;
}

void
kick_upkeep_stop(struct broker *broker)
{
	struct kick_upkeep *upkeep = broker->kick_upkeep;

	if (!upkeep)
		return;
	kick_hold_drop(&upkeep->hold, NULL);
	if (upkeep->timer)
		event_free(upkeep->timer);
	if (upkeep->hold_timer)
		event_free(upkeep->hold_timer);
	free(upkeep);
	broker->kick_upkeep = NULL;
}

/* Ask. */

static void
set_timer(struct event *timer, int64_t wait_ms)
{
	const struct timeval wait = { .tv_sec = wait_ms / 1000,
		.tv_usec = (wait_ms % 1000) * 1000 };

	event_add(timer, &wait);
}

static void
plan_timer(struct kick_upkeep *upkeep)
{
	int64_t wait = upkeep->plan.due - time_boot_ms();

	wait = wait < 1 ? 1 : wait;
	set_timer(upkeep->timer, wait < TICK_MAX_MS ? wait : TICK_MAX_MS);
}

static bool
is_asking(const struct kick_upkeep *upkeep)
{
	return upkeep->fetch || upkeep->adopting;
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct kick_upkeep *upkeep = arg;

	(void)fd;
	(void)what;
	if (kick_ring_expire(ingest_ring(upkeep->broker->ingest), time_now_ms()))
		log_info("key",
		    "the public key before the one in use is not taken any "
		    "more");
	if (is_asking(upkeep))
		return;
	if (kick_plan_is_due(&upkeep->plan, time_boot_ms()))
		ask(upkeep);
	else
		plan_timer(upkeep);
}

static void
ask(struct kick_upkeep *upkeep)
{
	const struct config_platform *config = settings(upkeep);
	char *url = config->public_key_url
	    ? xstrdup(config->public_key_url)
	    : xasprintf("%s/public-key", config->api_url);
	struct fetch_request request = { .method = "GET",
		.url = url,
		.ca_file = config->ca_file,
		.timeout_ms = KICK_KEY_ASK_MS };

	event_del(upkeep->timer);
	upkeep->held_for_long = false;
	upkeep->fetch =
	    fetch_start(upkeep->broker->fetcher, &request, on_reply, upkeep);
	free(url);
}

bool
kick_upkeep_hold(struct client *client, struct proto_msg *msg)
{
	struct kick_upkeep *upkeep = client->broker->kick_upkeep;

	if (!upkeep || upkeep->stats.off ||
	    kick_keys_is_synthetic(msg->delivery.message_id))
		return false;
	if (!is_asking(upkeep)) {
		if (!kick_plan_suspect(&upkeep->plan, time_boot_ms()))
			return false;
		upkeep->stats.suspicions++;
		log_info("key",
		    "a delivery does not verify: looking whether the "
		    "public key has changed");
		ask(upkeep);
	}
	if (upkeep->held_for_long || !kick_hold_add(&upkeep->hold, client, msg))
		return false;
	if (upkeep->hold.count == 1)
		set_timer(upkeep->hold_timer, KICK_HOLD_MS);
	upkeep->stats.held++;
	return true;
}

static void
on_hold_timer(evutil_socket_t fd, short what, void *arg)
{
	struct kick_upkeep *upkeep = arg;

	(void)fd;
	(void)what;
	upkeep->held_for_long = true;
	kick_hold_release(&upkeep->hold);
}

void
kick_upkeep_client_gone(struct broker *broker, const struct client *client)
{
	if (broker->kick_upkeep)
		kick_hold_drop(&broker->kick_upkeep->hold, client);
}

/* Judge. */

/* What is wrong with an answer; NULL and the key (the caller frees) when it is good. */
static const char *
judge(const struct fetch_reply *reply, char **ret_pem)
{
	struct kick_key *key;
	const char *pem = NULL;
	const char *wrong = NULL;
	json_t *json;

	if (reply->body.length > KICK_KEY_REPLY_MAX)
		return "the answer is too large for a key";
	json = reply_json_read(&reply->body, false);
	if (!json)
		return "the answer is no JSON object";
	pem = reply_json_text(
	    json_object_get(json, "data"), "public_key", KICK_KEY_PEM_MAX);
	if (!pem)
		wrong = "the answer holds no key";
	else if (kick_key_read(pem, strlen(pem), &key) < 0)
		wrong = "the answer holds no RSA key of an accepted size";
	if (!wrong) {
		kick_key_free(key);
		*ret_pem = xstrdup(pem);
	}
	json_decref(json);
	return wrong;
}

static void
note_trouble(struct kick_upkeep *upkeep, const char *trouble)
{
	(void)snprintf(
	    upkeep->stats.trouble, sizeof(upkeep->stats.trouble), "%s", trouble);
	log_warning("key",
	    "Kick's public key could not be looked up: %s; the key in use stays",
	    upkeep->stats.trouble);
	question_over(upkeep, false);
}

static void
on_reply(void *arg, struct fetch_reply *reply)
{
	struct kick_upkeep *upkeep = arg;
	char trouble[KICK_KEY_TROUBLE_SIZE];
	const char *wrong;
	char *pem = NULL;

	upkeep->fetch = NULL;
	upkeep->retry_after = reply->retry_after_s;
	if (reply->result != FETCH_answered || reply->status != 200) {
		upkeep->stats.failed++;
		(void)snprintf(trouble, sizeof(trouble),
		    reply->result == FETCH_answered ? "%sanswered with status %u"
						    : "%s",
		    reply->problem, reply->status);
		note_trouble(upkeep, trouble);
		return;
	}
	wrong = judge(reply, &pem);
	if (wrong) {
		upkeep->stats.refused++;
		note_trouble(upkeep, wrong);
		return;
	}
	upkeep->stats.answered_at = time_now_ms();
	adopt(upkeep, pem);
}

/* Store. */

/* The event's own message id must differ when a key comes back. */
static void
write_event(struct adopt_job *job)
{
	char until[TIME_TEXT_SIZE];

	time_format(job->until, until);
	(void)snprintf(job->event_id, sizeof(job->event_id), "%s.%.16s.%lld",
	    CHANGED_EVENT, job->id, (long long)job->now);
	job->body =
	    xasprintf("{\"platform\":\"%s\",\"key\":\"%s\",\"key_before\":\"%s\","
		      "\"key_before_until\":\"%s\"}",
		platform_name(), job->id, ingest_key_id(job->upkeep->broker->ingest),
		until);
}

/* Takes `pem` over. */
static void
adopt(struct kick_upkeep *upkeep, char *pem)
{
	struct kick_keys *keys = kick_ring_keys(ingest_ring(upkeep->broker->ingest));
	struct adopt_job *job;
	struct kick_key *key;

	if (kick_key_read(pem, strlen(pem), &key) < 0)
		abort();
	if (strcmp(kick_key_id(key), ingest_key_id(upkeep->broker->ingest)) == 0) {
		upkeep->stats.same++;
		upkeep->stats.trouble[0] = '\0';
		log_debug("key", "the public key is the one in use");
		kick_key_free(key);
		free(pem);
		question_over(upkeep, true);
		return;
	}
	job = xcalloc(1, sizeof(*job));
	job->job = (struct store_job){ .run = run_adopt, .done = done_adopt };
	job->upkeep = upkeep;
	job->before = kick_keys_ref(keys);
	job->pem = pem;
	memcpy(job->id, kick_key_id(key), sizeof(job->id));
	kick_key_free(key);
	job->now = time_now_ms();
	job->until = job->now + KICK_KEY_OVERLAP_MS;
	write_event(job);
	upkeep->adopting = true;
	store_submit(upkeep->broker->store, &job->job);
}

static int
put_event(const struct adopt_job *job, struct db *db)
{
	const struct store_own_event own = {
		.platform = platform_name(),
		.id = job->event_id,
		.type = CHANGED_EVENT,
		.now = job->now,
		.body = job->body,
	};

	return store_event_put_own(db, &own);
}

/* A shipped key is in no row until another follows it. */
static int
run_adopt(struct store_job *base, struct db *db)
{
	struct adopt_job *job = (struct adopt_job *)base;
	const struct store_key key = { .platform = platform_name(),
		.id = job->id,
		.pem = job->pem,
		.since = job->now };
	int result = 0;
	size_t i;

	for (i = 0; i < job->before->count && result == 0; i++) {
		const struct kick_keys_entry *entry = &job->before->entries[i];
		const struct store_key old = { .platform = platform_name(),
			.id = entry->id,
			.pem = entry->pem,
			.until = entry->until };

		if (entry->use == KICK_KEY_platform)
			result = store_key_note(db, &old);
	}
	if (result == 0)
		result = store_key_adopt(db, &key, job->until);
	return result == 0 ? put_event(job, db) : result;
}

/* Use. */

static void
change_ring(const struct adopt_job *job)
{
	struct kick_ring *ring = ingest_ring(job->upkeep->broker->ingest);
	size_t i;

	for (i = 0; i < job->before->count; i++) {
		const struct kick_keys_entry *entry = &job->before->entries[i];

		if (entry->use == KICK_KEY_platform && entry->until == 0)
			(void)kick_ring_put(ring, entry->pem, strlen(entry->pem),
			    KICK_KEY_platform, job->until);
	}
	(void)kick_ring_put(ring, job->pem, strlen(job->pem), KICK_KEY_platform, 0);
}

static void
announce(struct adopt_job *job)
{
	struct kick_upkeep *upkeep = job->upkeep;
	char until[TIME_TEXT_SIZE];

	upkeep->stats.changed++;
	upkeep->stats.changed_at = job->now;
	upkeep->stats.trouble[0] = '\0';
	time_format(job->until, until);
	log_warning("key",
	    "Kick has a new public key: '%.16s' is in use, the one before it is good "
	    "until %s",
	    job->id, until);
}

static void
done_adopt(struct store_job *base, int result)
{
	struct adopt_job *job = (struct adopt_job *)base;
	struct kick_upkeep *upkeep = job->upkeep;

	upkeep->adopting = false;
	if (result == 0) {
		change_ring(job);
		announce(job);
	} else {
		(void)snprintf(upkeep->stats.trouble, sizeof(upkeep->stats.trouble),
		    "the new key could not be stored: %s", strerror(-result));
		log_error("key", "%s; it is not used", upkeep->stats.trouble);
	}
	kick_keys_unref(job->before);
	free(job->pem);
	free(job->body);
	free(job);
	if (!store_is_closing(upkeep->broker->store))
		question_over(upkeep, result == 0);
}

static void
question_over(struct kick_upkeep *upkeep, bool good)
{
	uint32_t random;

	crypto_random(&random, sizeof(random));
	kick_plan_ended(
	    &upkeep->plan, time_boot_ms(), good, upkeep->retry_after, random);
	plan_timer(upkeep);
	event_del(upkeep->hold_timer);
	kick_hold_release(&upkeep->hold);
}

static void
write_metrics(struct metrics *metrics, void *arg)
{
	const struct kick_upkeep_stats *stats = &((struct kick_upkeep *)arg)->stats;

	metric_family(metrics, "streamhold_public_key_answers_total", METRIC_COUNTER,
	    "Questions for the key that signs deliveries, by what came back.");
	metric_put(metrics, stats->same, "result", "same", NULL);
	metric_put(metrics, stats->changed, "result", "changed", NULL);
	metric_put(metrics, stats->refused, "result", "refused", NULL);
	metric_put(metrics, stats->failed, "result", "failed", NULL);
	metric_one(metrics, "streamhold_public_key_suspicions_total", METRIC_COUNTER,
	    "Questions for the key that deliveries caused which did not verify.",
	    stats->suspicions);
	metric_one(metrics, "streamhold_public_key_held_total", METRIC_COUNTER,
	    "Deliveries that waited while the key was asked for.", stats->held);
}

void
kick_upkeep_stats(struct broker *broker, struct kick_upkeep_stats *ret_stats)
{
	const struct kick_keys *keys = kick_ring_keys(ingest_ring(broker->ingest));
	size_t i;

	*ret_stats = broker->kick_upkeep ? broker->kick_upkeep->stats
					 : (struct kick_upkeep_stats){ .off = true };
	for (i = 0; i < keys->count; i++)
		if (keys->entries[i].use == KICK_KEY_platform &&
		    keys->entries[i].until > ret_stats->old_until)
			ret_stats->old_until = keys->entries[i].until;
}
