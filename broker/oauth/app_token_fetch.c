/*
 * App access tokens, a new one:
 *
 *   client  the client secret is unsealed
 *   fetch
 *   seal
 *   store
 *
 * Called by app_token_load.c when no stored one is of use.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/oauth/accounts.h"
#include "broker/oauth/app_token_run.h"
#include "broker/oauth/form.h"
#include "broker/oauth/token_reply.h"
#include "broker/store/store_secret.h"
#include "broker/vault/vault.h"
#include "common/alloc.h"
#include "common/time.h"

/* Begins the packed form: format, expiry, client id and token, a line each. */
#define PACKED_FORMAT "1\n"

struct keep_job {
	struct steps_job steps;
	char *name;
	uint64_t generation;
	uint64_t generation_before;
	struct buf sealed;
};

static void on_client(void *, int, struct secret *);
static void on_fetched(void *, struct fetch_reply *);
static void keep(struct app_flow *);
static void on_sealed(void *, int, const struct buf *);
static int run_keep(struct store_job *, struct db *);
static void on_kept(struct store_job *, int);

/* Nothing is asked while the last failure is fresh; a check that finds no token has
 * nothing to do. */
void
app_token_fetch(struct app_flow *app)
{
	const struct store_credential *credential =
	    accounts_credential(app->flow.broker->accounts, app->platform);
	struct app_state *state = app_token_state(app->flow.broker, app->platform);
	int64_t paused = state->paused_until - time_boot_ms();
	char *name;

	secret_clear(&app->token);
	if (app->checking && TAILQ_EMPTY(&state->waits)) {
		app_token_finish(app);
		return;
	}
	if (paused > 0 && credential &&
	    credential->updated_at == state->paused_version) {
		snprintf(app->sentence, sizeof(app->sentence), "%s", state->trouble);
		app->grant.error = state->trouble_error;
		app->grant.sentence = app->sentence;
		app->grant.retry_after_s = (uint32_t)(paused / 1000 + 1);
		app_token_finish(app);
		return;
	}
	flow_step(&app->flow, "client");
	name = accounts_client_name(app->platform);
	steps_wait_vault(&app->flow,
	    vault_unseal(app->flow.broker->vault, name, app->client_generation,
		buf_bytes(&app->client_sealed), buf_length(&app->client_sealed),
		on_client, app));
	free(name);
}

static void
on_client(void *arg, int result, struct secret *plain)
{
	struct app_flow *app = arg;
	const struct config_platform *config =
	    &app->flow.broker->config.platform[app->platform->index];
	struct fetch_request request = {
		.method = "POST",
		.url = config->token_url,
		.ca_file = config->ca_file,
		.timeout_ms = APP_TOKEN_CALL_MS,
	};
	struct buf form;

	flow_resume(&app->flow);
	if (result < 0) {
		app_token_fail_vault(app, "client secret", "opened", result);
		return;
	}
	flow_step(&app->flow, "fetch");
	form = form_new();
	form_add(&form, "grant_type", "client_credentials");
	form_add(&form, "client_id", app->client_id);
	form_add_secret(&form, "client_secret", plain);
	request.body = form_take(&form);
	steps_wait_fetch(&app->flow,
	    fetch_start(app->flow.broker->fetcher, &request, on_fetched, app));
}

static void
fail_refused(struct app_flow *app, const struct fetch_reply *reply)
{
	struct token_error error;
	char sentence[TOKEN_ERROR_SENTENCE_SIZE];
	enum refusal refusal;

	token_error_read(&reply->body, &error);
	token_error_sentence(reply->status, &error, sentence);
	refusal = token_error_judge(app->platform, reply->status, &error);
	app_token_fail(app, ERR_exchange_failed,
	    refusal == REFUSAL_transient ? reply->retry_after_s
					 : APP_TOKEN_BACKOFF_LAST_MS / 1000,
	    "%s gave no app token: %s%s", app->platform->title, sentence,
	    refusal == REFUSAL_config ? ". Check client id and client secret" : "");
}

static void
on_fetched(void *arg, struct fetch_reply *reply)
{
	struct app_flow *app = arg;
	struct token_reply read;
	const char *what;

	flow_resume(&app->flow);
	if (reply->result != FETCH_answered) {
		app_token_fail(app, ERR_exchange_failed, 0, "%s gave no app token: %s",
		    app->platform->title, reply->problem);
		return;
	}
	if (reply->status != 200) {
		fail_refused(app, reply);
		return;
	}
	if (token_reply_read(&reply->body, &read, &what) < 0) {
		app_token_fail(app, ERR_exchange_failed, 0, "%s gave no app token: %s",
		    app->platform->title, what);
		return;
	}
	app->token = secret_move(&read.access);
	app->grant.expires_at = token_reply_expires_at(
	    &read, reply->started_at, app->platform->assumed_life_s);
	token_reply_clear(&read);
	app_token_state(app->flow.broker, app->platform)->fetched++;
	keep(app);
}

static void
keep(struct app_flow *app)
{
	struct broker *broker = app->flow.broker;
	char *name = accounts_app_name(app->platform);
	struct buf packed = form_new();
	struct secret plain;

	flow_step(&app->flow, "seal");
	buf_printf(&packed, PACKED_FORMAT "%" PRId64 "\n%s\n", app->grant.expires_at,
	    app->client_id);
	buf_add(&packed, app->token.bytes, app->token.length);
	plain = form_take(&packed);
	app->grant.generation = accounts_next_generation(broker->accounts);
	steps_wait_vault(&app->flow,
	    vault_seal(
		broker->vault, name, app->grant.generation, &plain, on_sealed, app));
	secret_clear(&plain);
	free(name);
}

static void
on_sealed(void *arg, int result, const struct buf *sealed)
{
	struct app_flow *app = arg;
	struct keep_job *job;

	flow_resume(&app->flow);
	if (result < 0) {
		app_token_fail_vault(app, "app token", "kept", result);
		return;
	}
	flow_step(&app->flow, "store");
	job = xcalloc(1, sizeof(*job));
	job->name = accounts_app_name(app->platform);
	job->generation = app->grant.generation;
	buf_add(&job->sealed, buf_bytes(sealed), buf_length(sealed));
	steps_submit(&app->flow, &job->steps, run_keep, on_kept);
}

static int
run_keep(struct store_job *store_job, struct db *db)
{
	struct keep_job *job = (struct keep_job *)store_job;
	struct buf before = BUF_EMPTY;
	bool found;
	int result =
	    store_secret_get(db, job->name, &found, &job->generation_before, &before);

	buf_clear(&before);
	if (result == 0)
		result = store_secret_put(db, job->name, job->generation, &job->sealed);
	return result;
}

static void
on_kept(struct store_job *store_job, int result)
{
	struct keep_job *job = (struct keep_job *)store_job;
	struct app_flow *app = (struct app_flow *)steps_done(&job->steps);

	if (result == 0 && job->generation_before)
		vault_forget(
		    job->steps.broker->vault, job->name, job->generation_before);
	if (app && result < 0)
		app_token_fail(app, ERR_storage_failed, 0, "The database failed: %s",
		    strerror(-result));
	else if (app)
		app_token_succeed(app);
	free(job->name);
	buf_clear(&job->sealed);
	free(job);
}
