/*
 * The health of each component, judged from what the broker has seen itself.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "broker/events/ingest.h"
#include "broker/events/latency.h"
#include "broker/events/retention.h"
#include "broker/events/silence.h"
#include "broker/events/kick_upkeep.h"
#include "broker/health.h"
#include "broker/memory.h"
#include "broker/oauth/oauth.h"
#include "broker/subscriptions/subs.h"
#include "broker/vault/vault.h"
#include "common/log.h"
#include "common/time.h"

struct judgement {
	const char *state;
	char detail[OAUTH_HEALTH_SIZE];
};

static struct judgement
judge_broker(struct broker *broker)
{
	(void)broker; /* it answers */
	return (struct judgement){ .state = "healthy" };
}

static struct judgement
judge_database(struct broker *broker)
{
	struct judgement judgement = { .state = "healthy" };

	if (!broker->storage_trouble)
		return judgement;
	judgement.state = "unhealthy";
	(void)snprintf(judgement.detail, sizeof(judgement.detail),
	    "the last write failed: %s", broker->storage_trouble);
	return judgement;
}

static struct judgement
judge_keystore(struct broker *broker)
{
	const char *trouble = vault_trouble(broker->vault);
	char memory[MEMORY_TROUBLE_SIZE];
	struct judgement judgement = { .state = trouble ? "unhealthy" : "healthy" };

	if (trouble)
		(void)snprintf(judgement.detail, sizeof(judgement.detail), "%s: %.350s",
		    vault_state(broker->vault), trouble);
	else if (memory_trouble(memory))
		(void)snprintf(
		    judgement.detail, sizeof(judgement.detail), "%s", memory);
	return judgement;
}

/* For as long as the key before the one in use is good. */
static bool
key_change(struct broker *broker, char *text, size_t size)
{
	struct kick_upkeep_stats stats;
	char until[TIME_TEXT_SIZE];

	kick_upkeep_stats(broker, &stats);
	if (stats.old_until == 0)
		return false;
	time_format(stats.old_until, until);
	(void)snprintf(text, size,
	    "deliveries are signed with a new public key, '%.16s'; the one before it "
	    "is good until %s",
	    ingest_key_id(broker->ingest), until);
	return true;
}

static struct judgement
judge_webhooks(struct broker *broker)
{
	struct judgement judgement = { .state = "healthy" };
	const char *detail = "";

	if (!broker->config.webhooks.enabled) {
		detail = "switched off by webhooks.enabled";
	} else if (!broker->webhook.connected) {
		judgement.state = "unhealthy";
		detail =
		    "the webhook front is not connected; deliveries are not accepted";
	} else if (key_change(broker, judgement.detail, sizeof(judgement.detail))) {
		return judgement;
	}
	(void)snprintf(judgement.detail, sizeof(judgement.detail), "%s", detail);
	return judgement;
}

/* Everything works, and yet a person should look. */
static struct judgement
judge_events(struct broker *broker)
{
	struct judgement judgement = { .state = "healthy" };
	const char *trouble = retention_trouble(broker);

	if (!trouble)
		trouble = silence_trouble(broker);
	if (!trouble)
		return judgement;
	judgement.state = "degraded";
	(void)snprintf(judgement.detail, sizeof(judgement.detail), "%s", trouble);
	return judgement;
}

/* Whether everybody who logged in still is. */
static struct judgement
judge_logins(struct broker *broker)
{
	struct judgement judgement = { .state = "healthy" };

	if (oauth_logins_trouble(broker, judgement.detail))
		judgement.state = "degraded";
	return judgement;
}

/* Whether the platform sends what is wanted. A login that the app token stands in for
 * is trouble of the logins. */
static struct judgement
judge_subscriptions(struct broker *broker)
{
	struct judgement judgement = { .state = "healthy" };

	if (subscriptions_health(broker, judgement.detail) == SUBSCRIPTIONS_trouble)
		judgement.state = "degraded";
	return judgement;
}

static const struct {
	const char *component;
	bool needed; /* for readiness */
	struct judgement (*judge)(struct broker *broker);
} components[] = {
	{ "broker", true, judge_broker },
	{ "database", true, judge_database },
	{ "keystore", true, judge_keystore },
	{ "webhooks", false, judge_webhooks },
	{ "events", false, judge_events },
	{ "logins", false, judge_logins },
	{ "subscriptions", false, judge_subscriptions },
};

static void
send_component(struct client *client, uint32_t rid, const char *component, bool needed,
    const struct judgement *judgement)
{
	const struct proto_msg row = { .type = MSG_health,
		.health = { .component = component,
		    .state = judgement->state,
		    .needed = needed,
		    .detail = judgement->detail } };

	client_answer(client, rid, &row);
}

/* Keeping tokens alive, for each platform that is in use. */
static void
send_platforms(struct client *client, uint32_t rid)
{
	char component[32];
	int i;

	for (i = 0; i < CONFIG_PLATFORM_MAX; i++) {
		enum config_platform_index index = (enum config_platform_index)i;
		struct judgement judgement = { .state = "healthy" };
		enum oauth_refreshing refreshing =
		    oauth_refreshing(client->broker, index, judgement.detail);

		if (refreshing == OAUTH_REFRESHING_unused)
			continue;
		if (refreshing == OAUTH_REFRESHING_trouble)
			judgement.state = "degraded";
		(void)snprintf(component, sizeof(component), "tokens_%s",
		    config_platform_name(index));
		send_component(client, rid, component, false, &judgement);
	}
}

/* What became of deliveries, and how fast events of each type come and go. */

struct figures_to {
	struct client *client;
	uint32_t rid;
};

static void
send_verdict(const struct figures_to *to, const char *name, uint64_t count)
{
	const struct proto_msg row = { .type = MSG_verdict,
		.verdict = { .name = name, .count = count } };

	client_answer(to->client, to->rid, &row);
}

static void
send_verdicts(const struct figures_to *to, const struct ingest_stats *stats)
{
	int i;

	for (i = 0; i < INGEST_VERDICT_MAX; i++)
		send_verdict(to, ingest_verdict_name((enum ingest_verdict)i),
		    stats->verdicts[i]);
	send_verdict(to, "refused_signature", stats->refused_signature);
	send_verdict(to, "refused_stale", stats->refused_stale);
	send_verdict(to, "failed", stats->failed);
}

static uint64_t
in_ms(int64_t us)
{
	return us > 0 ? (uint64_t)us / 1000 : 0;
}

static void
send_type(void *arg, const struct latency_type *type)
{
	const struct figures_to *to = arg;
	const struct latency_quantiles *in = &type->ways[LATENCY_DELIVERY];
	const struct latency_quantiles *out = &type->ways[LATENCY_HANDOUT];
	const struct proto_msg row = { .type = MSG_event_type,
		.event_type = { .type = type->type,
		    .count = type->count,
		    .last_at = type->last_at > 0 ? (uint64_t)type->last_at : 0,
		    .delivered = in->count,
		    .delivery_p50 = in_ms(in->p50),
		    .delivery_p95 = in_ms(in->p95),
		    .delivery_most = in_ms(in->most),
		    .handed = out->count,
		    .handout_p50 = in_ms(out->p50),
		    .handout_p95 = in_ms(out->p95),
		    .handout_most = in_ms(out->most) } };

	client_answer(to->client, to->rid, &row);
}

void
on_health_get(struct client *client, struct proto_msg *msg)
{
	const struct proto_msg last = { .type = MSG_list_end };
	struct figures_to to = { .client = client, .rid = msg->rid };
	size_t i;

	for (i = 0; i < sizeof(components) / sizeof(components[0]); i++) {
		const struct judgement judgement = components[i].judge(client->broker);

		send_component(client, msg->rid, components[i].component,
		    components[i].needed, &judgement);
	}
	send_platforms(client, msg->rid);
	send_verdicts(&to, ingest_stats(client->broker->ingest));
	latency_each(client->broker, send_type, &to);
	client_answer(client, msg->rid, &last);
}

void
health_storage(struct broker *broker, int result)
{
	const char *trouble =
	    result == 0 || result == -ECANCELED ? NULL : strerror(-result);

	if (trouble && !broker->storage_trouble)
		log_error("store",
		    "nothing can be stored: %s; deliveries are answered 503 "
		    "until it is mended",
		    trouble);
	if (!trouble && broker->storage_trouble)
		log_info("store", "storing works again");
	broker->storage_trouble = trouble;
}
