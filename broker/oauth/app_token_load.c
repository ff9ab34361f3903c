/*
 * App access tokens that are stored:
 *
 *   load    the sealed token and the sealed client secret
 *   unseal  the token; one that is of this client and lives long enough is given out
 *   check   instead of giving it out, where a platform wants that
 *
 * and further in app_token_fetch.c where there is none of use. Called by app_token.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/oauth/accounts.h"
#include "broker/oauth/app_token_run.h"
#include "broker/store/store_secret.h"
#include "broker/vault/vault.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/text.h"
#include "common/time.h"

struct load_job {
	struct steps_job steps;
	char *token_name;
	char *client_name;
	bool has_token;
	bool has_client;
	uint64_t token_generation;
	uint64_t client_generation;
	struct buf token_sealed;
	struct buf client_sealed;
};

static int run_load(struct store_job *, struct db *);
static void on_loaded(struct store_job *, int);
static void take_loaded(struct app_flow *, struct load_job *);
static void on_token(void *, int, struct secret *);
static bool unpack(struct app_flow *, const struct secret *);
static bool is_usable(struct app_flow *);
static void ask_check(struct app_flow *);
static void on_check(void *, struct fetch_reply *);

void
app_token_start(struct broker *broker, const struct platform *platform, bool checking)
{
	const struct store_credential *credential =
	    accounts_credential(broker->accounts, platform);
	struct app_flow *app = xcalloc(1, sizeof(*app));
	struct load_job *job = xcalloc(1, sizeof(*job));

	app_token_state(broker, platform)->running = true;
	flow_init(&app->flow, broker, NULL, 0, "app_token", APP_TOKEN_DEADLINE_MS,
	    app_token_release);
	app->platform = platform;
	app->checking = checking;
	app->client_id = credential ? xstrdup(credential->client_id) : NULL;
	app->grant.error = ERR_timed_out;
	app->grant.sentence = "The app token did not come in time";
	flow_step(&app->flow, "load");
	job->token_name = accounts_app_name(platform);
	job->client_name = accounts_client_name(platform);
	steps_submit(&app->flow, &job->steps, run_load, on_loaded);
}

static int
run_load(struct store_job *store_job, struct db *db)
{
	struct load_job *job = (struct load_job *)store_job;
	int result = store_secret_get(db, job->token_name, &job->has_token,
	    &job->token_generation, &job->token_sealed);

	if (result == 0)
		result = store_secret_get(db, job->client_name, &job->has_client,
		    &job->client_generation, &job->client_sealed);
	return result;
}

static void
on_loaded(struct store_job *store_job, int result)
{
	struct load_job *job = (struct load_job *)store_job;
	struct app_flow *app = (struct app_flow *)steps_done(&job->steps);

	if (app && result < 0)
		app_token_fail(app, ERR_storage_failed, 0, "The database failed: %s",
		    strerror(-result));
	else if (app)
		take_loaded(app, job);
	free(job->token_name);
	free(job->client_name);
	buf_clear(&job->token_sealed);
	buf_clear(&job->client_sealed);
	free(job);
}

static void
take_loaded(struct app_flow *app, struct load_job *job)
{
	char sentence[STEPS_SENTENCE_SIZE];

	if (!app->client_id || !job->has_client) {
		steps_no_credentials(app->platform, sentence);
		app_token_fail(app, ERR_no_credentials, 0, "%s", sentence);
		return;
	}
	app->client_sealed = job->client_sealed;
	job->client_sealed = BUF_EMPTY;
	app->client_generation = job->client_generation;
	if (!job->has_token) {
		app_token_fetch(app);
		return;
	}
	flow_step(&app->flow, "unseal");
	app->grant.generation = job->token_generation;
	steps_wait_vault(&app->flow,
	    vault_unseal(app->flow.broker->vault, job->token_name,
		job->token_generation, buf_bytes(&job->token_sealed),
		buf_length(&job->token_sealed), on_token, app));
}

/* A token that cannot be opened any more is as good as none; a keystore that is away is
 * a failure. */
static void
on_token(void *arg, int result, struct secret *plain)
{
	struct app_flow *app = arg;

	flow_resume(&app->flow);
	if (result < 0 && result != -EBADMSG)
		app_token_fail_vault(app, "app token", "opened", result);
	else if (result < 0 || !unpack(app, plain) || !is_usable(app))
		app_token_fetch(app);
	else if (app->checking)
		ask_check(app);
	else
		app_token_succeed(app);
}

/* The next line of the packed form, with a NUL in the place of its end. */
static char *
next_line(char **at)
{
	char *line = *at;
	char *end = strchr(line, '\n');

	if (!end)
		return NULL;
	*end = '\0';
	*at = end + 1;
	return line;
}

static bool
unpack(struct app_flow *app, const struct secret *plain)
{
	struct secret copy = secret_copy(plain->bytes, plain->length);
	char *at = (char *)copy.bytes;
	const char *format = next_line(&at);
	const char *expires = format ? next_line(&at) : NULL;
	const char *client_id = expires ? next_line(&at) : NULL;
	uint64_t ms = 0;
	bool good = client_id && strcmp(format, "1") == 0 &&
	    text_to_u64(expires, strlen(expires), INT64_MAX, &ms) &&
	    strcmp(client_id, app->client_id) == 0 && *at;

	if (good) {
		app->token = secret_copy(at, strlen(at));
		app->grant.expires_at = (int64_t)ms;
	}
	secret_clear(&copy);
	return good;
}

static bool
is_usable(struct app_flow *app)
{
	const struct app_state *state =
	    app_token_state(app->flow.broker, app->platform);

	return app->grant.generation > state->rejected &&
	    app->grant.expires_at - time_now_ms() >= APP_TOKEN_LEAST_MS;
}

/* ---- Checking ---- */

static void
ask_check(struct app_flow *app)
{
	const struct config_platform *config =
	    &app->flow.broker->config.platform[app->platform->index];
	const struct platform_grant grant = {
		.config = config, .client_id = app->client_id, .access = &app->token
	};
	struct platform_request request = { .url = "" };

	flow_step(&app->flow, "check");
	app->platform->check->ask(&grant, &request);
	request.fetch.ca_file = config->ca_file;
	request.fetch.timeout_ms = APP_TOKEN_CALL_MS;
	steps_wait_fetch(&app->flow,
	    fetch_start(app->flow.broker->fetcher, &request.fetch, on_check, app));
}

static void
on_check(void *arg, struct fetch_reply *reply)
{
	struct app_flow *app = arg;
	struct broker *broker = app->flow.broker;
	const struct platform_grant grant = { .client_id = app->client_id };
	struct identity identity = { .user_id = NULL };
	enum check_verdict verdict = CHECK_unreachable;

	flow_resume(&app->flow);
	if (reply->result == FETCH_answered)
		verdict = app->platform->check->hear(
		    &grant, reply->status, &reply->body, &identity);
	identity_clear(&identity);
	app_token_state(broker, app->platform)->checked_at = time_now_ms();
	if (verdict == CHECK_refused || verdict == CHECK_other_client) {
		log_info("oauth", "%s does not take its app token any more",
		    app->platform->title);
		app_token_rejected(broker, app->platform, app->grant.generation);
		secret_clear(&app->token);
		app_token_fetch(app);
		return;
	}
	app_token_succeed(app);
}
