/*
 * The report: sections of names and values, collected when it is asked for. Nothing in
 * it is secret.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>
#include <jansson.h>

#include "broker/backfill.h"
#include "broker/events/ingest.h"
#include "broker/events/kick_upkeep.h"
#include "broker/flow.h"
#include "broker/memory.h"
#include "broker/oauth/app_token.h"
#include "broker/oauth/oauth.h"
#include "broker/oauth/redirect.h"
#include "broker/oauth/validate.h"
#include "broker/outbound/fetch.h"
#include "broker/report.h"
#include "broker/sandbox.h"
#include "broker/store/store.h"
#include "broker/subscriptions/subs.h"
#include "broker/vault/vault.h"
#include "common/crypto.h"
#include "common/locked_memory.h"
#include "common/log.h"
#include "common/time.h"
#include "common/version.h"

/* Where lines go: a client, or the log. */
struct sink {
	struct broker *broker;
	struct client *client; /* NULL: the log */
	uint32_t rid;
	const char *section;
	struct buf text; /* of the section, for the log */
};

static void
line(struct sink *sink, const char *name, const char *value, bool number)
{
	const struct proto_msg row = { .type = MSG_report,
		.report = { .section = sink->section,
		    .name = name,
		    .value = value,
		    .number = number } };

	if (sink->client)
		client_answer(sink->client, sink->rid, &row);
	else
		buf_printf(&sink->text, " %s='%s'", name, log_quote(value));
}

static void
put_text(struct sink *sink, const char *name, const char *value)
{
	line(sink, name, value ? value : "", false);
}

static void
put_number(struct sink *sink, const char *name, uint64_t value)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	line(sink, name, text, true);
}

static void
put_time(struct sink *sink, const char *name, int64_t ms)
{
	char text[TIME_TEXT_SIZE];

	if (ms == 0) {
		put_text(sink, name, "never");
		return;
	}
	time_format(ms, text);
	put_text(sink, name, text);
}

static void
put_versions(struct sink *sink)
{
	put_text(sink, "streamhold", version_text());
	put_text(sink, "schema", proto_schema_id());
	put_text(sink, "sqlite", store_library_version());
	put_text(sink, "curl", fetch_library_version());
	put_text(sink, "openssl", crypto_library_version());
	put_text(sink, "libevent", event_get_version());
	put_text(sink, "jansson", jansson_version_str());
	put_text(sink, "msgpack", proto_library_version());
}

static void
put_service(struct sink *sink)
{
	const struct broker *broker = sink->broker;

	put_number(sink, "pid", (uint64_t)getpid());
	put_time(sink, "started_at", broker->started_at);
	put_text(sink, "mode", broker->system_mode ? "system" : "user");
	put_text(
	    sink, "config", broker->config_path ? broker->config_path : "defaults");
	put_text(sink, "state_dir", broker->paths.state_dir);
	put_text(sink, "runtime_dir", broker->paths.runtime_dir);
	put_text(sink, "sandbox", broker_sandbox_layers());
	put_text(sink, "log_level",
	    config_option_find("logging.level")->words[(unsigned)log_get_level()]);
}

/* Empty until the front has said its port. */
static void
put_address(struct sink *sink, const char *name, const char *host, uint32_t port,
    const char *path)
{
	char *url = port ? config_listener_url(host, port, path) : NULL;

	put_text(sink, name, url);
	free(url);
}

static void
put_listening(struct sink *sink)
{
	const struct broker *broker = sink->broker;
	const struct config *config = &broker->config;
	char uri[REDIRECT_SIZE];
	unsigned i;

	put_address(sink, "api_url", config->server.host, broker->api.port, "");
	put_number(sink, "api_port", broker->api.port);
	put_address(sink, "webhook_url", config->webhooks.host, broker->webhook.port,
	    config->webhooks.path);
	put_number(sink, "webhook_port", broker->webhook.port);
	put_text(sink, "public_url", config->webhooks.public_url);
	for (i = 0; i < CONFIG_PLATFORM_MAX; i++) {
		const struct platform *platform =
		    platform_at((enum config_platform_index)i);
		char key[32];

		(void)snprintf(key, sizeof(key), "redirect_uri.%s", platform->name);
		if (redirect_uri(broker, platform, REDIRECT_STATE, uri))
			put_text(sink, key, uri);
	}
}

static void
put_front(struct sink *sink, const char *name, const struct front_state *front)
{
	char key[64];

	(void)snprintf(key, sizeof(key), "%s.connected", name);
	put_text(sink, key, front->connected ? "yes" : "no");
	(void)snprintf(key, sizeof(key), "%s.since", name);
	put_time(sink, key, front->since);
	(void)snprintf(key, sizeof(key), "%s.connects", name);
	put_number(sink, key, front->connects);
	(void)snprintf(key, sizeof(key), "%s.addresses", name);
	put_text(sink, key, front->addresses);
	(void)snprintf(key, sizeof(key), "%s.sandbox", name);
	put_text(sink, key, front->sandbox);
}

static void
put_fronts(struct sink *sink)
{
	put_front(sink, "api", &sink->broker->api);
	if (sink->broker->config.webhooks.enabled)
		put_front(sink, "webhook", &sink->broker->webhook);
}

static void
put_database(struct sink *sink)
{
	struct store_stats stats;
	const char *backfill;
	uint64_t rows;

	store_stats(sink->broker->store, &stats);
	put_text(sink, "path", sink->broker->paths.database);
	put_text(
	    sink, "state", sink->broker->storage_trouble ? "unhealthy" : "healthy");
	put_text(sink, "trouble", sink->broker->storage_trouble);
	put_number(sink, "schema", stats.schema);
	put_number(sink, "bytes", stats.size);
	put_number(sink, "wal_bytes", stats.wal_size);
	put_number(sink, "commits", stats.commits);
	put_number(sink, "jobs", stats.jobs);
	put_number(sink, "failures", stats.failures);
	put_number(sink, "commit_us", stats.commit_us);
	put_number(sink, "backlog", store_backlog(sink->broker->store));
	backfill = backfill_running(sink->broker, &rows);
	put_text(sink, "backfill", backfill);
	if (backfill)
		put_number(sink, "backfill_rows", rows);
}

static void
put_keystore(struct sink *sink)
{
	const char *trouble = vault_trouble(sink->broker->vault);

	put_text(sink, "backend", vault_backend(sink->broker->vault));
	put_text(sink, "state", vault_state(sink->broker->vault));
	put_text(sink, "trouble", trouble);
}

static void
put_memory(struct sink *sink)
{
	struct locked_memory_figures memory = locked_memory_figures();
	char trouble[MEMORY_TROUBLE_SIZE];

	(void)memory_trouble(trouble);
	put_text(sink, "undumpable", memory.undumpable ? "yes" : "no");
	put_number(sink, "wanted_bytes", memory.wanted);
	put_number(sink, "locked_bytes", memory.locked);
	put_number(sink, "used_bytes", memory.used);
	put_number(sink, "most_bytes", memory.most);
	put_number(sink, "unlocked_bytes", memory.spare);
	put_text(sink, "trouble", trouble);
}

static void
put_public_key(struct sink *sink)
{
	struct kick_upkeep_stats stats;

	kick_upkeep_stats(sink->broker, &stats);
	put_text(sink, "public_key", ingest_key_id(sink->broker->ingest));
	put_text(sink, "public_key_upkeep", stats.off ? "off" : "on");
	if (stats.off)
		return;
	put_time(sink, "public_key_answered_at", stats.answered_at);
	put_time(sink, "public_key_changed_at", stats.changed_at);
	if (stats.old_until)
		put_time(sink, "public_key_before_until", stats.old_until);
	put_text(sink, "public_key_trouble", stats.trouble);
	put_number(sink, "public_key_answers_same", stats.same);
	put_number(sink, "public_key_answers_changed", stats.changed);
	put_number(sink, "public_key_answers_refused", stats.refused);
	put_number(sink, "public_key_answers_failed", stats.failed);
	put_number(sink, "public_key_suspicions", stats.suspicions);
	put_number(sink, "public_key_deliveries_held", stats.held);
}

static void
put_counts(struct sink *sink)
{
	const struct ingest_stats *ingest = ingest_stats(sink->broker->ingest);
	const struct counter *counter;

	put_number(sink, "deliveries_stored", ingest->stored);
	put_number(sink, "deliveries_duplicate", ingest->duplicates);
	put_number(sink, "deliveries_foreign", ingest->foreign);
	put_number(sink, "deliveries_unknown", ingest->unknown);
	put_number(sink, "deliveries_synthetic", ingest->synthetic);
	put_number(
	    sink, "deliveries_quarantined", ingest->verdicts[INGEST_quarantined]);
	put_number(sink, "deliveries_repeated", ingest->repeated);
	put_number(sink, "deliveries_late", ingest->late);
	put_number(sink, "deliveries_refused_signature", ingest->refused_signature);
	put_number(sink, "deliveries_refused_stale", ingest->refused_stale);
	put_number(sink, "deliveries_other_subscription", ingest->strangers);
	put_number(sink, "deliveries_failed", ingest->failed);
	put_number(sink, "deliveries_pending", ingest->pending);
	put_time(sink, "last_delivery_at", ingest->last_at);
	put_public_key(sink);
	LIST_FOREACH (counter, &sink->broker->counters, entry)
		put_number(sink, counter->name, counter->value);
}

/* What the platforms said of stored tokens since the start. */
static void
put_checks(struct sink *sink)
{
	struct validate_stats stats;
	char name[64];
	int i;

	validate_stats(sink->broker, &stats);
	for (i = CHECK_good; i < CHECK_VERDICT_MAX; i++) {
		(void)snprintf(name, sizeof(name), "checks_%s",
		    check_verdict_name((enum check_verdict)i));
		put_number(sink, name, stats.verdicts[i]);
	}
	put_number(sink, "checks_waiting", stats.waiting);
	put_time(sink, "last_check_at", stats.last_at);
}

static void
put_app_token(struct sink *sink, enum config_platform_index index)
{
	const char *platform = config_platform_name(index);
	struct app_token_stats stats;
	char name[64];

	app_token_stats(sink->broker, platform_at(index), &stats);
	if (!stats.has)
		return;
	(void)snprintf(name, sizeof(name), "app_token.%s.fetched", platform);
	put_number(sink, name, stats.fetched);
	(void)snprintf(name, sizeof(name), "app_token.%s.expires_at", platform);
	put_time(sink, name, stats.expires_at);
	(void)snprintf(name, sizeof(name), "app_token.%s.checked_at", platform);
	put_time(sink, name, stats.checked_at);
	(void)snprintf(name, sizeof(name), "app_token.%s.trouble", platform);
	put_text(sink, name, stats.trouble);
	(void)snprintf(name, sizeof(name), "app_token.%s.error", platform);
	put_text(
	    sink, name, stats.trouble ? proto_error_info(stats.error)->name : NULL);
}

static void
put_app_tokens(struct sink *sink)
{
	int i;

	for (i = 0; i < CONFIG_PLATFORM_MAX; i++)
		put_app_token(sink, (enum config_platform_index)i);
}

static void
put_accounts(struct sink *sink)
{
	unsigned i;

	put_number(sink, "stored", oauth_account_count(sink->broker));
	put_number(sink, "reauth_required", oauth_account_lost_count(sink->broker));
	put_checks(sink);
	put_app_tokens(sink);
	put_number(sink, "logins_pending", oauth_login_count(sink->broker));
	put_number(sink, "refreshing", oauth_refresh_count(sink->broker));
	for (i = 0; i < CONFIG_PLATFORM_MAX; i++) {
		enum config_platform_index index = (enum config_platform_index)i;
		const char *pause = oauth_refresh_pause(sink->broker, index);
		char key[48];

		(void)snprintf(
		    key, sizeof(key), "refresh_paused.%s", config_platform_name(index));
		if (pause)
			put_text(sink, key, pause);
	}
}

static void
put_subscriptions(struct sink *sink)
{
	struct subscriptions_stats stats;
	const char *worst_name;
	enum sub_state worst = subscriptions_worst(sink->broker, &worst_name);
	char name[48];
	int i;

	subscriptions_stats(sink->broker, &stats);
	put_text(sink, "state", sub_state_name(worst));
	put_text(sink, "worst_channel", worst_name);
	put_number(sink, "channels", stats.channels);
	put_number(sink, "wanted", stats.wanted);
	put_number(sink, "active", stats.active);
	put_number(sink, "not_ours", stats.strangers);
	for (i = SUB_none + 1; i < SUB_STATE_MAX; i++) {
		if (stats.states[i] == 0)
			continue;
		(void)snprintf(name, sizeof(name), "channels_%s",
		    sub_state_name((enum sub_state)i));
		put_number(sink, name, stats.states[i]);
	}
	put_time(sink, "compared_at", stats.last_at);
	put_number(sink, "compared", stats.passes);
	put_number(sink, "compared_in_vain", stats.failures);
	put_number(sink, "created", stats.created);
	put_number(sink, "removed", stats.removed);
	put_number(sink, "refused", stats.refused);
	put_number(sink, "lost", stats.lost);
}

static void
put_flow(void *arg, const char *kind, const char *step, unsigned count)
{
	char name[96];

	(void)snprintf(name, sizeof(name), "%s.%s", kind, step);
	put_number(arg, name, count);
}

static void
put_flows(struct sink *sink)
{
	put_number(sink, "outbound", fetcher_count(sink->broker->fetcher));
	flows_count(put_flow, sink);
}

static const struct {
	const char *section;
	void (*put)(struct sink *sink);
} sections[] = {
	{ "versions", put_versions },
	{ "service", put_service },
	{ "listening", put_listening },
	{ "fronts", put_fronts },
	{ "database", put_database },
	{ "keystore", put_keystore },
	{ "memory", put_memory },
	{ "accounts", put_accounts },
	{ "subscriptions", put_subscriptions },
	{ "counts", put_counts },
	{ "flows", put_flows },
};

static void
log_section(struct sink *sink)
{
	log_info("report", "%s:%.*s", sink->section, (int)buf_length(&sink->text),
	    (const char *)buf_bytes(&sink->text));
	buf_consume(&sink->text, buf_length(&sink->text));
}

static void
put_all(struct sink *sink)
{
	size_t i;

	for (i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
		sink->section = sections[i].section;
		sections[i].put(sink);
		if (!sink->client)
			log_section(sink);
	}
	buf_clear(&sink->text);
}

void
on_report_get(struct client *client, struct proto_msg *msg)
{
	const struct proto_msg last = { .type = MSG_list_end };
	struct sink sink = {
		.broker = client->broker, .client = client, .rid = msg->rid
	};

	put_all(&sink);
	client_answer(client, msg->rid, &last);
}

void
report_log(struct broker *broker)
{
	struct sink sink = { .broker = broker };

	put_all(&sink);
}
