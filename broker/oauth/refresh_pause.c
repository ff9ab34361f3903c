/*
 * Platforms at which nothing is refreshed, since they do not take the client id or the
 * secret: begun by refresh_reply.c, ended by other credentials (credentials.c). Both
 * are said in the log and by an event; meanwhile the health, every account of the
 * platform and a figure show it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "broker/events/notice.h"
#include "broker/oauth/refresh_run.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/time.h"

#define PAUSED_EVENT "refresh.paused"
#define RESUMED_EVENT "refresh.resumed"

/* `reason` NULL: there is none to tell. */
static void
tell(struct broker *broker, const char *type, const struct platform *platform,
    const char *reason)
{
	json_t *json =
	    json_pack("{s:s, s:s*}", "platform", platform->name, "reason", reason);
	char *body = json ? json_dumps(json, JSON_COMPACT) : NULL;
	json_free_t release;
	char id[80];

	(void)snprintf(
	    id, sizeof(id), "%s.%s.%" PRId64, type, platform->name, time_now_ms());
	notice_store(broker,
	    &(const struct notice){ .type = type,
		.id = id,
		.platform = platform->name,
		.body = body ? body : "{}" });
	json_decref(json);
	json_get_alloc_funcs(NULL, &release);
	release(body);
}

void
refresh_pause_begin(
    struct broker *broker, const struct platform *platform, const char *sentence)
{
	char **pause = &refresher_of(broker)->pauses[platform->index];

	log_error("oauth", "%s", log_quote(sentence));
	if (!*pause) {
		broker_count(broker, "refresh_paused", 1);
		tell(broker, PAUSED_EVENT, platform, sentence);
	}
	free(*pause);
	*pause = xstrdup(sentence);
}

/* Due at once, since whether the new credentials are the right ones is not known until
 * they are used, and a token that was refused meanwhile could not be replaced; what is
 * in doubt keeps its time, and what is being refreshed is not sent once more. */
static void
try_again(const struct broker *broker, struct account *account)
{
	struct refresh_plan *plan = &account->plan;

	if (refresh_running(broker, account))
		return;
	free(plan->trouble);
	plan->trouble = NULL;
	plan->failures = 0;
	plan->not_before = 0;
	if (plan->in_doubt)
		return;
	refresh_plan_make(plan, &account->row, 0, time_now_ms(), time_boot_ms());
	if (plan->due)
		plan->due = time_boot_ms();
}

/* What failed during the pause, and what the platform refused meanwhile. */
static void
try_all_again(struct broker *broker, const struct platform *platform, bool paused)
{
	size_t count;
	struct account **accounts = accounts_sorted(broker->accounts, platform, &count);
	size_t i;

	for (i = 0; i < count; i++) {
		struct account *account = accounts[i];

		if (account->other_client && !refresh_is_lost(account))
			log_error("oauth", "'%s' at %s: %s",
			    log_quote(account->row.username), platform->name,
			    log_quote(account->other_client));
		if ((paused && account->plan.trouble) ||
		    account->verdict == CHECK_refused)
			try_again(broker, account);
	}
	free(accounts);
}

static void
end_pause(struct broker *broker, const struct platform *platform)
{
	char **pause = &refresher_of(broker)->pauses[platform->index];

	free(*pause);
	*pause = NULL;
	if (!accounts_credential(broker->accounts, platform))
		return;
	log_info(
	    "oauth", "%s has other credentials: refreshing goes on", platform->title);
	tell(broker, RESUMED_EVENT, platform, NULL);
}

void
refresh_credentials_changed(struct broker *broker, const struct platform *platform)
{
	bool paused = refresh_pause(broker, platform) != NULL;

	try_all_again(broker, platform, paused);
	if (paused)
		end_pause(broker, platform);
	refresh_schedule(broker);
}

const char *
refresh_pause(const struct broker *broker, const struct platform *platform)
{
	return refresher_of(broker)->pauses[platform->index];
}

const char *
refresh_trouble(const struct broker *broker, const struct account *account)
{
	const char *pause = refresh_pause(broker, account->platform);

	if (account->other_client && account->row.refreshable)
		return account->other_client;
	if (account->plan.trouble)
		return account->plan.trouble;
	if (!pause && account->row.refreshable &&
	    !accounts_credential(broker->accounts, account->platform))
		return "no client id and secret are stored for the platform";
	return pause;
}
