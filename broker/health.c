/*
 * The health of each component, judged from what the broker has seen itself.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "broker/events/ingest.h"
#include "broker/events/kick_upkeep.h"
#include "broker/health.h"
#include "broker/vault/vault.h"
#include "common/log.h"
#include "common/time.h"

struct judgement {
	const char *state;
	char detail[400];
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
	struct judgement judgement = { .state = trouble ? "unhealthy" : "healthy" };

	if (trouble)
		(void)snprintf(judgement.detail, sizeof(judgement.detail), "%s: %.350s",
		    vault_state(broker->vault), trouble);
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

static const struct {
	const char *component;
	bool needed; /* for readiness */
	struct judgement (*judge)(struct broker *broker);
} components[] = {
	{ "broker", true, judge_broker },
	{ "database", true, judge_database },
	{ "keystore", true, judge_keystore },
	{ "webhooks", false, judge_webhooks },
};

void
on_health_get(struct client *client, struct proto_msg *msg)
{
	const struct proto_msg last = { .type = MSG_list_end };
	size_t i;

	for (i = 0; i < sizeof(components) / sizeof(components[0]); i++) {
		const struct judgement judgement = components[i].judge(client->broker);
		const struct proto_msg row = { .type = MSG_health,
			.health = { .component = components[i].component,
			    .state = judgement.state,
			    .needed = components[i].needed,
			    .detail = judgement.detail } };

		client_answer(client, msg->rid, &row);
	}
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
