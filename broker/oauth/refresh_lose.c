/*
 * Refreshes, the end of a login: its state and the event of that are stored, and the
 * tokens are erased with it, or kept where the platform has not refused them. Called
 * by refresh.c and refresh_reply.c.
 */
#include <stdlib.h>
#include <string.h>

#include "broker/oauth/account_event.h"
#include "broker/oauth/refresh_run.h"
#include "broker/store/store_refresh.h"
#include "broker/store/store_secret.h"
#include "broker/subscriptions/subs.h"
#include "broker/vault/vault.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/text.h"
#include "common/time.h"

/* Bytes of the column `reason`; messages.def allows 512. */
#define REASON_SIZE 512

struct lose_job {
	struct steps_job steps;
	struct store_account row;
	const struct platform *platform;
	char *secret_name;
	char *previous_name;
	struct account_event event;
	bool current;
};

static int run_lose(struct store_job *, struct db *);
static void on_lost(struct store_job *, int);

bool
refresh_is_lost(const struct account *account)
{
	return strcmp(account->row.status, STORE_ACCOUNT_LOST) == 0;
}

static char *
copy_of(const char *text)
{
	return text ? xstrdup(text) : NULL;
}

static void
make_lost_row(const struct store_account *from, const char *reason, bool kept,
    struct store_account *row)
{
	*row = (struct store_account){
		.platform = xstrdup(from->platform),
		.username_key = xstrdup(from->username_key),
		.username = xstrdup(from->username),
		.user_id = copy_of(from->user_id),
		.login = copy_of(from->login),
		.display_name = copy_of(from->display_name),
		.identity = xstrdup(from->identity),
		.scopes = xstrdup(from->scopes),
		.scopes_asked = xstrdup(from->scopes_asked),
		.obtained_at = from->obtained_at,
		.expires_at = from->expires_at,
		.refreshable = kept,
		.generation = from->generation,
		.status = xstrdup(STORE_ACCOUNT_LOST),
		.reason = xstrdup(reason),
		.since = time_now_ms(),
		.client_id = copy_of(from->client_id),
		.refresh_expires_at = kept ? from->refresh_expires_at : 0,
	};
	text_cut(row->reason, REASON_SIZE - 1);
}

void
refresh_lose(struct refresh *refresh, const char *reason, bool kept)
{
	const struct account *account = refresh_account(refresh);
	struct lose_job *job;

	if (!account) {
		refresh_end_well(refresh);
		return;
	}
	flow_step(&refresh->flow, "lose");
	job = xcalloc(1, sizeof(*job));
	job->platform = refresh->platform;
	job->secret_name = xstrdup(refresh->secret_name);
	job->previous_name = xstrdup(refresh->previous_name);
	make_lost_row(&account->row, reason, kept, &job->row);
	/* It is told once. */
	if (!refresh_is_lost(account))
		account_event_make(&job->event, ACCOUNT_EVENT_LOST, &job->row);
	steps_submit(&refresh->flow, &job->steps, run_lose, on_lost);
}

static int
run_lose(struct store_job *store_job, struct db *db)
{
	struct lose_job *job = (struct lose_job *)store_job;
	int result = store_refresh_is_current(db, job->row.platform,
	    job->row.username_key, job->row.generation, &job->current);

	if (result < 0 || !job->current)
		return result;
	result = store_account_put(db, &job->row);
	if (result == 0 && !job->row.refreshable)
		result = store_secret_delete(db, job->secret_name);
	if (result == 0 && !job->row.refreshable)
		result = store_secret_delete(db, job->previous_name);
	if (result == 0)
		result =
		    store_refresh_delete(db, job->row.platform, job->row.username_key);
	if (result == 0)
		result = account_event_put(db, &job->event);
	return result;
}

static void
publish_loss(struct lose_job *job)
{
	struct broker *broker = job->steps.broker;
	struct account *account =
	    accounts_find(broker->accounts, job->platform, job->row.username);
	uint64_t generation = job->row.generation;

	log_error("oauth",
	    "the login of '%s' at %s is lost, its tokens are %s: %s. Log in again: "
	    "streamhold login %s '%s'",
	    log_quote(job->row.username), job->platform->name,
	    job->row.refreshable ? "kept" : "erased", log_quote(job->row.reason),
	    job->platform->name, log_quote(job->row.username));
	broker_count(broker, "logins_lost", 1);
	if (!job->row.refreshable) {
		vault_forget(broker->vault, job->secret_name, generation);
		vault_forget(broker->vault, job->previous_name, generation);
	}
	if (!account || account->row.generation != generation)
		return;
	refresh_plan_clear(&account->plan);
	accounts_put(broker->accounts, job->platform, &job->row);
	subscriptions_account_changed(
	    broker, job->platform->name, account->row.username);
}

static void
on_lost(struct store_job *store_job, int result)
{
	struct lose_job *job = (struct lose_job *)store_job;
	struct refresh *refresh = (struct refresh *)steps_done(&job->steps);

	if (result == 0 && job->current)
		publish_loss(job);
	if (refresh && result == 0)
		refresh_end_well(refresh);
	else if (refresh)
		refresh_fail(refresh, ERR_storage_failed, 0,
		    "the loss of the login could not be stored: %s", strerror(-result));
	store_account_clear(&job->row);
	account_event_clear(&job->event);
	free(job->secret_name);
	free(job->previous_name);
	free(job);
}
