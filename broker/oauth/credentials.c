/*
 * Client credentials: stored, listed, removed.
 *
 * credentials_put:
 *
 *   seal    the client secret
 *   store   row and sealed secret in one transaction
 *   answer
 *
 * credentials_list answers from memory; credentials_delete is one job.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/oauth/accounts.h"
#include "broker/oauth/oauth.h"
#include "broker/oauth/redirect.h"
#include "broker/oauth/refresh.h"
#include "broker/oauth/scopes.h"
#include "broker/oauth/steps.h"
#include "broker/store/store_secret.h"
#include "broker/subscriptions/subs.h"
#include "broker/vault/vault.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/time.h"

struct put_flow {
	struct flow flow;
	const struct platform *platform;
	struct store_credential row;
	char *secret_name;
	uint64_t generation;
};

struct put_job {
	struct steps_job steps;
	const struct platform *platform;
	struct store_credential row;
	char *secret_name;
	uint64_t generation;
	struct buf sealed;
};

struct delete_flow {
	struct flow flow;
};

struct delete_job {
	struct steps_job steps;
	const struct platform *platform;
	char *secret_name;
};

static const char *check(const struct proto_credentials_put *, char **);
static void on_sealed(void *, int, const struct buf *);
static int run_put(struct store_job *, struct db *);
static void on_stored(struct store_job *, int);
static void put_release(struct flow *);
static int run_delete(struct store_job *, struct db *);
static void on_deleted(struct store_job *, int);
static void delete_release(struct flow *);

/* ---- Storing ---- */

void
on_credentials_put(struct client *client, struct proto_msg *msg)
{
	struct proto_credentials_put *asked = &msg->credentials_put;
	const struct platform *platform =
	    steps_platform(client, msg->rid, asked->platform);
	const char *wrong;
	struct put_flow *put;
	char *scopes = NULL;

	if (!platform)
		return;
	wrong = check(asked, &scopes);
	if (wrong) {
		client_fail(client, msg->rid, ERR_invalid_request, wrong);
		return;
	}
	put = xcalloc(1, sizeof(*put));
	flow_init(&put->flow, client->broker, client, msg->rid, "credentials_put",
	    STEPS_DEADLINE_MS, put_release);
	put->platform = platform;
	put->row = (struct store_credential){
		.platform = xstrdup(platform->name),
		.client_id = xstrdup(asked->client_id),
		.scopes = scopes,
		.updated_at = time_now_ms(),
	};
	put->secret_name = accounts_client_name(platform);
	put->generation = accounts_next_generation(client->broker->accounts);
	flow_step(&put->flow, "seal");
	steps_wait_vault(&put->flow,
	    vault_seal(client->broker->vault, put->secret_name, put->generation,
		&asked->client_secret, on_sealed, put));
}

/* NULL, or what is wrong. Client ids travel in header lines, so they are held to
 * visible characters, and secrets with them. */
static const char *
check(const struct proto_credentials_put *asked, char **ret_scopes)
{
	struct secret id = secret_copy(asked->client_id, strlen(asked->client_id));
	bool good = secret_is_text(&id) && secret_is_text(&asked->client_secret);
	bool complete;

	secret_clear(&id);
	if (!asked->client_secret.length || !*asked->client_id)
		return "client_id and client_secret are required";
	if (!good)
		return "client_id and client_secret may only hold visible ASCII "
		       "characters";
	if (!asked->scopes)
		return NULL;
	*ret_scopes = scopes_of_text(asked->scopes, strlen(asked->scopes), &complete);
	if (complete && **ret_scopes)
		return NULL;
	free(*ret_scopes);
	*ret_scopes = NULL;
	return complete ? NULL
			: "scopes must be a list of scope names: visible ASCII "
			  "characters without '\"' and '\\'";
}

static void
on_sealed(void *arg, int result, const struct buf *sealed)
{
	struct put_flow *put = arg;
	struct put_job *job;

	flow_resume(&put->flow);
	if (result < 0) {
		steps_fail_vault(&put->flow, result);
		return;
	}
	flow_step(&put->flow, "store");
	job = xcalloc(1, sizeof(*job));
	job->platform = put->platform;
	job->row = put->row;
	job->secret_name = put->secret_name;
	job->generation = put->generation;
	buf_add(&job->sealed, buf_bytes(sealed), buf_length(sealed));
	put->row = (struct store_credential){ .platform = NULL };
	put->secret_name = NULL;
	steps_submit(&put->flow, &job->steps, run_put, on_stored);
}

/* App tokens are those of the client whose id and secret these are. */
static int
drop_app_token(struct db *db, const struct platform *platform)
{
	char *name = accounts_app_name(platform);
	int result = store_secret_delete(db, name);

	free(name);
	return result;
}

static int
run_put(struct store_job *store_job, struct db *db)
{
	struct put_job *job = (struct put_job *)store_job;
	int result = store_credential_put(db, &job->row);

	if (result == 0)
		result = store_secret_put(
		    db, job->secret_name, job->generation, &job->sealed);
	if (result == 0)
		result = drop_app_token(db, job->platform);
	return result;
}

static void
on_stored(struct store_job *store_job, int result)
{
	struct put_job *job = (struct put_job *)store_job;
	struct flow *flow = steps_done(&job->steps);
	const struct proto_msg answer = {
		.type = MSG_credentials_stored,
		.credentials_stored = {
			.platform = job->platform->name,
			.created_at = (uint64_t)job->row.created_at,
			.updated_at = (uint64_t)job->row.updated_at,
		},
	};

	if (result == 0) {
		log_info("oauth", "credentials of '%s' stored", job->platform->name);
		accounts_set_credential(
		    job->steps.broker->accounts, job->platform, &job->row);
		refresh_credentials_changed(job->steps.broker, job->platform);
		subscriptions_credentials_changed(
		    job->steps.broker, job->platform->name);
	}
	if (flow && result == 0)
		flow_answer(flow, &answer);
	else if (flow)
		steps_fail_store(flow, result);
	store_credential_clear(&job->row);
	free(job->secret_name);
	buf_clear(&job->sealed);
	free(job);
}

static void
put_release(struct flow *flow)
{
	struct put_flow *put = (struct put_flow *)flow;

	store_credential_clear(&put->row);
	free(put->secret_name);
	free(put);
}

/* ---- Listing ---- */

static void
answer_row(struct client *client, uint32_t rid, const struct platform *platform,
    const struct store_credential *row)
{
	const struct broker *broker = client->broker;
	char redirect_uri[REDIRECT_SIZE];
	char *defaults = NULL;
	const char *scopes = row->scopes;

	if (!scopes)
		scopes = defaults = scopes_of_list(
		    &broker->config.platform[platform->index].default_scopes);
	redirect_shown(broker, platform, redirect_uri);
	client_answer(client, rid,
	    &(const struct proto_msg){
		.type = MSG_credentials,
		.credentials = {
			.platform = platform->name,
			.client_id = row->client_id,
			.scopes = scopes,
			.redirect_uri = redirect_uri,
			.created_at = (uint64_t)row->created_at,
			.updated_at = (uint64_t)row->updated_at,
		},
	    });
	free(defaults);
}

void
on_credentials_list(struct client *client, struct proto_msg *msg)
{
	const char *name = msg->credentials_list.platform;
	const struct platform *only = NULL;
	const struct proto_msg end = { .type = MSG_list_end };
	char sentence[STEPS_SENTENCE_SIZE];
	size_t i;

	if (name && !(only = steps_platform(client, msg->rid, name)))
		return;
	if (only && !accounts_credential(client->broker->accounts, only)) {
		steps_no_credentials(only, sentence);
		client_fail(client, msg->rid, ERR_no_credentials, sentence);
		return;
	}
	for (i = 0; i < CONFIG_PLATFORM_MAX; i++) {
		const struct platform *platform =
		    platform_at((enum config_platform_index)i);
		const struct store_credential *row =
		    accounts_credential(client->broker->accounts, platform);

		if (row && (!only || only == platform))
			answer_row(client, msg->rid, platform, row);
	}
	client_answer(client, msg->rid, &end);
}

/* ---- Removing ---- */

void
on_credentials_delete(struct client *client, struct proto_msg *msg)
{
	const struct platform *platform =
	    steps_platform(client, msg->rid, msg->credentials_delete.platform);
	struct delete_flow *flow;
	struct delete_job *job;
	char sentence[STEPS_SENTENCE_SIZE];

	if (!platform)
		return;
	if (!accounts_credential(client->broker->accounts, platform)) {
		steps_no_credentials(platform, sentence);
		client_fail(client, msg->rid, ERR_no_credentials, sentence);
		return;
	}
	flow = xcalloc(1, sizeof(*flow));
	flow_init(&flow->flow, client->broker, client, msg->rid, "credentials_delete",
	    STEPS_DEADLINE_MS, delete_release);
	flow_step(&flow->flow, "store");
	job = xcalloc(1, sizeof(*job));
	job->platform = platform;
	job->secret_name = accounts_client_name(platform);
	steps_submit(&flow->flow, &job->steps, run_delete, on_deleted);
}

static int
run_delete(struct store_job *store_job, struct db *db)
{
	struct delete_job *job = (struct delete_job *)store_job;
	int result = store_credential_delete(db, job->platform->name);

	if (result == 0)
		result = store_secret_delete(db, job->secret_name);
	if (result == 0)
		result = drop_app_token(db, job->platform);
	return result;
}

static void
on_deleted(struct store_job *store_job, int result)
{
	struct delete_job *job = (struct delete_job *)store_job;
	struct flow *flow = steps_done(&job->steps);
	const struct proto_msg answer = { .type = MSG_credentials_deleted,
		.credentials_deleted = { .platform = job->platform->name } };

	if (result == 0) {
		log_info("oauth", "credentials of '%s' removed", job->platform->name);
		accounts_set_credential(
		    job->steps.broker->accounts, job->platform, NULL);
		refresh_credentials_changed(job->steps.broker, job->platform);
		subscriptions_credentials_changed(
		    job->steps.broker, job->platform->name);
	}
	if (flow && result == 0)
		flow_answer(flow, &answer);
	else if (flow)
		steps_fail_store(flow, result);
	free(job->secret_name);
	free(job);
}

static void
delete_release(struct flow *flow)
{
	free(flow);
}
