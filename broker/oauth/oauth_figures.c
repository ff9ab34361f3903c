/*
 * Figures of logins, checks, refreshes and app tokens.
 */
#include <stdlib.h>
#include <string.h>

#include "broker/figures.h"
#include "broker/oauth/accounts.h"
#include "broker/oauth/app_token.h"
#include "broker/oauth/oauth.h"
#include "broker/oauth/platform.h"
#include "broker/oauth/validate.h"
/* Accounts that have lines of their own, and bytes of a reason. */
#define NAMED_MAX 100
#define REASON_MAX 100

static const char *const statuses[] = { "valid", "expired", "reauth_required" };

#define STATUS_COUNT (sizeof(statuses) / sizeof(statuses[0]))

static void
put_counts(struct metrics *metrics, struct account **accounts, size_t count)
{
	size_t found[CONFIG_PLATFORM_MAX][STATUS_COUNT] = { 0 };
	size_t platform;
	size_t i;

	for (i = 0; i < count; i++) {
		const char *status = accounts_status(accounts[i]);
		size_t at = 0;

		while (at + 1 < STATUS_COUNT && strcmp(status, statuses[at]) != 0)
			at++;
		found[accounts[i]->platform->index][at]++;
	}
	metric_family(metrics, "streamhold_accounts", METRIC_GAUGE,
	    "Stored logins by platform and status.");
	for (platform = 0; platform < CONFIG_PLATFORM_MAX; platform++)
		for (i = 0; i < STATUS_COUNT; i++)
			metric_put(metrics, found[platform][i], "platform",
			    config_platform_name((enum config_platform_index)platform),
			    "status", statuses[i], NULL);
}

/* The beginning of a reason, whole characters only. */
static void
cut_reason(const char *reason, char *text)
{
	size_t length = reason ? strlen(reason) : 0;

	if (length > REASON_MAX) {
		length = REASON_MAX;
		while (length > 0 && ((unsigned char)reason[length] & 0xc0) == 0x80)
			length--;
	}
	memcpy(text, reason ? reason : "", length);
	text[length] = '\0';
}

static void
put_named(struct metrics *metrics, struct account **accounts, size_t count)
{
	char reason[REASON_MAX + 1];
	size_t i;

	metric_family(metrics, "streamhold_account_status", METRIC_GAUGE,
	    "1 for each of the first 100 logins, with its status and why it was lost.");
	for (i = 0; i < count && i < NAMED_MAX; i++) {
		cut_reason(accounts[i]->row.reason, reason);
		metric_put(metrics, 1, "platform", accounts[i]->platform->name,
		    "account", accounts[i]->row.username, "status",
		    accounts_status(accounts[i]), "reason", reason, NULL);
	}
	metric_family(metrics, "streamhold_account_since_time_seconds", METRIC_GAUGE,
	    "When each of the first 100 logins that are lost was lost.");
	for (i = 0; i < count && i < NAMED_MAX; i++)
		if (accounts[i]->row.since > 0)
			metric_put_us(metrics, accounts[i]->row.since * 1000,
			    "platform", accounts[i]->platform->name, "account",
			    accounts[i]->row.username, "status",
			    accounts_status(accounts[i]), NULL);
	metric_family(metrics, "streamhold_account_expiry_time_seconds", METRIC_GAUGE,
	    "When the access token of each of the first 100 logins expires.");
	for (i = 0; i < count && i < NAMED_MAX; i++)
		metric_put_us(metrics, accounts[i]->row.expires_at * 1000, "platform",
		    accounts[i]->platform->name, "account", accounts[i]->row.username,
		    NULL);
}

static void
put_checks(struct metrics *metrics, const struct broker *broker)
{
	struct validate_stats stats;
	int i;

	validate_stats(broker, &stats);
	metric_family(metrics, "streamhold_token_checks_total", METRIC_COUNTER,
	    "What platforms said of stored tokens.");
	for (i = CHECK_good; i < CHECK_VERDICT_MAX; i++)
		metric_put(metrics, stats.verdicts[i], "verdict",
		    check_verdict_name((enum check_verdict)i), NULL);
}

static void
put_app_tokens(struct metrics *metrics, const struct broker *broker)
{
	struct app_token_stats stats[CONFIG_PLATFORM_MAX];
	int i;

	for (i = 0; i < CONFIG_PLATFORM_MAX; i++)
		app_token_stats(
		    broker, platform_at((enum config_platform_index)i), &stats[i]);
	metric_family(metrics, "streamhold_app_tokens_fetched_total", METRIC_COUNTER,
	    "App tokens that were fetched, for platforms with credentials.");
	for (i = 0; i < CONFIG_PLATFORM_MAX; i++)
		if (stats[i].has)
			metric_put(metrics, stats[i].fetched, "platform",
			    config_platform_name((enum config_platform_index)i), NULL);
	metric_family(metrics, "streamhold_app_token_healthy", METRIC_GAUGE,
	    "Whether the app token could be had when it was last asked for.");
	for (i = 0; i < CONFIG_PLATFORM_MAX; i++)
		if (stats[i].has)
			metric_put(metrics, stats[i].trouble == NULL, "platform",
			    config_platform_name((enum config_platform_index)i), NULL);
}

static void
put_refreshing(struct metrics *metrics, const struct broker *broker)
{
	int i;

	metric_one(metrics, "streamhold_logins_pending", METRIC_GAUGE,
	    "Logins that were started and have not come back.",
	    oauth_login_count(broker));
	metric_one(metrics, "streamhold_refreshes_running", METRIC_GAUGE,
	    "Refreshes in progress.", oauth_refresh_count(broker));
	metric_family(metrics, "streamhold_refresh_paused", METRIC_GAUGE,
	    "Whether nothing is refreshed at a platform until its credentials change.");
	for (i = 0; i < CONFIG_PLATFORM_MAX; i++) {
		enum config_platform_index index = (enum config_platform_index)i;

		metric_put(metrics, oauth_refresh_pause(broker, index) != NULL,
		    "platform", config_platform_name(index), NULL);
	}
}

void
figures_accounts(struct metrics *metrics, void *arg)
{
	const struct broker *broker = arg;
	size_t count;
	struct account **accounts = accounts_sorted(broker->accounts, NULL, &count);

	put_counts(metrics, accounts, count);
	put_named(metrics, accounts, count);
	free(accounts);
	put_refreshing(metrics, broker);
	put_checks(metrics, broker);
	put_app_tokens(metrics, broker);
}
