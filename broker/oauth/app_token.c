/*
 * App access tokens, from vault or platform to those who wait:
 *
 *   load    the sealed token and the sealed client secret
 *   unseal  the token; one that is of this client and lives long enough is given out
 *   client  the client secret is unsealed
 *   fetch   a new token
 *   seal
 *   store
 *
 * One flow a platform at a time. The same flow checks a stored token where a platform
 * wants that (`check` instead of `client`). Owns broker->accounts->app_tokens; a plain
 * token is in memory only while a flow runs.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "broker/oauth/accounts.h"
#include "broker/oauth/app_token.h"
#include "broker/oauth/form.h"
#include "broker/oauth/steps.h"
#include "broker/oauth/token_reply.h"
#include "broker/store/store_secret.h"
#include "broker/vault/vault.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/text.h"
#include "common/time.h"

#define FLOW_DEADLINE_MS 12000
#define FETCH_MS 10000
/* After a failure nobody is asked again for so long: doubling from the first to the
 * last. New credentials end it. */
#define BACKOFF_FIRST_MS 2000
#define BACKOFF_LAST_MS (15 * 60 * 1000)
#define FIRST_CHECK_S 2
/* Begins the packed form: format, expiry, client id and token, a line each. */
#define PACKED_FORMAT "1\n"

struct app_token_wait {
	app_token_fn *done;
	void *arg;
	TAILQ_ENTRY(app_token_wait) entry;
	struct app_token_waits *list;
};

TAILQ_HEAD(app_token_waits, app_token_wait);

struct app_state {
	struct app_token_waits waits;
	bool running;
	uint64_t rejected; /* the generation that is not given out any more */
	uint64_t fetched;
	int64_t expires_at;
	int64_t checked_at;
	char trouble[STEPS_SENTENCE_SIZE]; /* "": none */
	enum proto_error trouble_error;
	int64_t paused_until;   /* boot-time ms */
	int64_t paused_version; /* updated_at of the credentials at that time */
	unsigned failures;      /* one after the other */
};

struct app_tokens {
	struct broker *broker;
	struct event *timer;
	struct app_state state[CONFIG_PLATFORM_MAX];
};

struct app_flow {
	struct flow flow;
	const struct platform *platform;
	bool checking;
	struct buf client_sealed;
	uint64_t client_generation;
	char *client_id;
	struct secret token;
	struct app_token_grant grant;
	char sentence[STEPS_SENTENCE_SIZE];
};

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

struct keep_job {
	struct steps_job steps;
	char *name;
	uint64_t generation;
	uint64_t generation_before;
	struct buf sealed;
};

static void start(struct broker *, const struct platform *, bool);
static int run_load(struct store_job *, struct db *);
static void on_loaded(struct store_job *, int);
static void take_loaded(struct app_flow *, struct load_job *);
static void on_token(void *, int, struct secret *);
static bool unpack(struct app_flow *, const struct secret *);
static bool is_usable(struct app_flow *);
static void succeed(struct app_flow *);
static void ask_check(struct app_flow *);
static void on_check(void *, struct fetch_reply *);
static void unseal_client(struct app_flow *);
static void on_client(void *, int, struct secret *);
static void on_fetched(void *, struct fetch_reply *);
static void keep(struct app_flow *);
static void on_sealed(void *, int, const struct buf *);
static int run_keep(struct store_job *, struct db *);
static void on_kept(struct store_job *, int);
static void fail(struct app_flow *, enum proto_error, uint32_t, const char *, ...)
    __attribute__((format(printf, 4, 5)));
static void fail_vault(struct app_flow *, const char *, const char *, int);
static void on_timer(evutil_socket_t, short, void *);
static void release(struct flow *);

static struct app_state *
state_of(const struct broker *broker, const struct platform *platform)
{
	return &broker->accounts->app_tokens->state[platform->index];
}

/* ---- For others ---- */

void
app_tokens_start(struct broker *broker)
{
	const struct timeval first = { .tv_sec = FIRST_CHECK_S };
	struct app_tokens *tokens = xcalloc(1, sizeof(*tokens));
	size_t i;

	tokens->broker = broker;
	for (i = 0; i < CONFIG_PLATFORM_MAX; i++)
		TAILQ_INIT(&tokens->state[i].waits);
	tokens->timer = event_new(broker->base, -1, 0, on_timer, tokens);
	if (!tokens->timer)
		abort();
	event_add(tokens->timer, &first);
	broker->accounts->app_tokens = tokens;
}

void
app_tokens_stop(struct broker *broker)
{
	struct app_tokens *tokens = broker->accounts->app_tokens;
	struct app_token_wait *wait;
	size_t i;

	if (!tokens)
		return;
	for (i = 0; i < CONFIG_PLATFORM_MAX; i++)
		while ((wait = TAILQ_FIRST(&tokens->state[i].waits)))
			app_token_cancel(wait);
	event_free(tokens->timer);
	free(tokens);
	broker->accounts->app_tokens = NULL;
}

struct app_token_wait *
app_token_get(struct broker *broker, const struct platform *platform,
    app_token_fn *done, void *arg)
{
	struct app_state *state = state_of(broker, platform);
	struct app_token_wait *wait = xcalloc(1, sizeof(*wait));

	wait->done = done;
	wait->arg = arg;
	wait->list = &state->waits;
	TAILQ_INSERT_TAIL(wait->list, wait, entry);
	if (!state->running)
		start(broker, platform, false);
	return wait;
}

void
app_token_cancel(struct app_token_wait *wait)
{
	TAILQ_REMOVE(wait->list, wait, entry);
	free(wait);
}

void
app_token_rejected(
    struct broker *broker, const struct platform *platform, uint64_t generation)
{
	struct app_state *state = state_of(broker, platform);

	if (generation > state->rejected)
		state->rejected = generation;
	broker_count(broker, "app_token_rejected", 1);
}

void
app_token_stats(const struct broker *broker, const struct platform *platform,
    struct app_token_stats *ret_stats)
{
	const struct app_state *state = state_of(broker, platform);

	*ret_stats = (struct app_token_stats){
		.has = platform->app_tokens &&
		    accounts_credential(broker->accounts, platform),
		.fetched = state->fetched,
		.expires_at = state->expires_at,
		.checked_at = state->checked_at,
		.trouble = *state->trouble ? state->trouble : NULL,
	};
}

/* Every interval of a platform that wants checks. One that is busy has its token in
 * use, which tells as much. */
static void
on_timer(evutil_socket_t fd, short events, void *arg)
{
	struct app_tokens *tokens = arg;
	struct timeval again = { .tv_sec = 3600 };
	size_t i;

	(void)fd;
	(void)events;
	for (i = 0; i < CONFIG_PLATFORM_MAX; i++) {
		const struct platform *platform =
		    platform_at((enum config_platform_index)i);

		if (!platform->app_tokens || !platform->check->at_start)
			continue;
		again.tv_sec = platform->check->interval_s;
		if (!tokens->state[i].running &&
		    accounts_credential(tokens->broker->accounts, platform))
			start(tokens->broker, platform, true);
	}
	event_add(tokens->timer, &again);
}

/* ---- The flow ---- */

static void
start(struct broker *broker, const struct platform *platform, bool checking)
{
	const struct store_credential *credential =
	    accounts_credential(broker->accounts, platform);
	struct app_flow *app = xcalloc(1, sizeof(*app));
	struct load_job *job = xcalloc(1, sizeof(*job));

	state_of(broker, platform)->running = true;
	flow_init(&app->flow, broker, NULL, 0, "app_token", FLOW_DEADLINE_MS, release);
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
		fail(app, ERR_storage_failed, 0, "The database failed: %s",
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
		fail(app, ERR_no_credentials, 0, "%s", sentence);
		return;
	}
	app->client_sealed = job->client_sealed;
	job->client_sealed = BUF_EMPTY;
	app->client_generation = job->client_generation;
	if (!job->has_token) {
		unseal_client(app);
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
		fail_vault(app, "app token", "opened", result);
	else if (result < 0 || !unpack(app, plain) || !is_usable(app))
		unseal_client(app);
	else if (app->checking)
		ask_check(app);
	else
		succeed(app);
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
	const struct app_state *state = state_of(app->flow.broker, app->platform);

	return app->grant.generation > state->rejected &&
	    app->grant.expires_at - time_now_ms() >= APP_TOKEN_LEAST_MS;
}

/* Ends the flow; release tells those who wait what is in `grant`. */
static void
finish(struct app_flow *app)
{
	const struct proto_msg nothing = { .type = MSG_none };

	flow_answer(&app->flow, &nothing);
}

static void
succeed(struct app_flow *app)
{
	struct app_state *state = state_of(app->flow.broker, app->platform);

	state->expires_at = app->grant.expires_at;
	state->failures = 0;
	*state->trouble = '\0';
	app->grant.good = true;
	app->grant.sentence = NULL;
	app->grant.token = &app->token;
	finish(app);
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
	request.fetch.timeout_ms = FETCH_MS;
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
	state_of(broker, app->platform)->checked_at = time_now_ms();
	if (verdict == CHECK_refused || verdict == CHECK_other_client) {
		log_info("oauth", "%s does not take its app token any more",
		    app->platform->title);
		app_token_rejected(broker, app->platform, app->grant.generation);
		secret_clear(&app->token);
		unseal_client(app);
		return;
	}
	succeed(app);
}

/* ---- Fetching ---- */

/* Nothing is asked while the last failure is fresh; a check that finds no token has
 * nothing to do. */
static void
unseal_client(struct app_flow *app)
{
	const struct store_credential *credential =
	    accounts_credential(app->flow.broker->accounts, app->platform);
	struct app_state *state = state_of(app->flow.broker, app->platform);
	int64_t paused = state->paused_until - time_boot_ms();
	char *name;

	secret_clear(&app->token);
	if (app->checking && TAILQ_EMPTY(&state->waits)) {
		finish(app);
		return;
	}
	if (paused > 0 && credential &&
	    credential->updated_at == state->paused_version) {
		snprintf(app->sentence, sizeof(app->sentence), "%s", state->trouble);
		app->grant.error = state->trouble_error;
		app->grant.sentence = app->sentence;
		app->grant.retry_after_s = (uint32_t)(paused / 1000 + 1);
		finish(app);
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
		.timeout_ms = FETCH_MS,
	};
	struct buf form;

	flow_resume(&app->flow);
	if (result < 0) {
		fail_vault(app, "client secret", "opened", result);
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
	fail(app, ERR_exchange_failed,
	    refusal == REFUSAL_transient ? reply->retry_after_s
					 : BACKOFF_LAST_MS / 1000,
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
		fail(app, ERR_exchange_failed, 0, "%s gave no app token: %s",
		    app->platform->title, reply->problem);
		return;
	}
	if (reply->status != 200) {
		fail_refused(app, reply);
		return;
	}
	if (token_reply_read(&reply->body, &read, &what) < 0) {
		fail(app, ERR_exchange_failed, 0, "%s gave no app token: %s",
		    app->platform->title, what);
		return;
	}
	app->token = secret_move(&read.access);
	app->grant.expires_at = token_reply_expires_at(
	    &read, reply->started_at, app->platform->assumed_life_s);
	token_reply_clear(&read);
	state_of(app->flow.broker, app->platform)->fetched++;
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
		fail_vault(app, "app token", "kept", result);
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
		fail(app, ERR_storage_failed, 0, "The database failed: %s",
		    strerror(-result));
	else if (app)
		succeed(app);
	free(job->name);
	buf_clear(&job->sealed);
	free(job);
}

/* ---- The end ---- */

/* A failure is remembered for a while, so that many callers are not many requests. */
static void
pause_after(struct app_flow *app, uint32_t retry_after_s)
{
	const struct store_credential *credential =
	    accounts_credential(app->flow.broker->accounts, app->platform);
	struct app_state *state = state_of(app->flow.broker, app->platform);
	int64_t wait = BACKOFF_FIRST_MS;
	unsigned i;

	for (i = 0; i < state->failures && wait < BACKOFF_LAST_MS; i++)
		wait *= 2;
	if ((int64_t)retry_after_s * 1000 > wait)
		wait = (int64_t)retry_after_s * 1000;
	if (wait > BACKOFF_LAST_MS)
		wait = BACKOFF_LAST_MS;
	state->failures++;
	state->paused_until = time_boot_ms() + wait;
	state->paused_version = credential ? credential->updated_at : 0;
}

static void
fail(struct app_flow *app, enum proto_error error, uint32_t retry_after_s,
    const char *format, ...)
{
	struct app_state *state = state_of(app->flow.broker, app->platform);
	va_list values;

	va_start(values, format);
	vsnprintf(app->sentence, sizeof(app->sentence), format, values);
	va_end(values);
	log_warning("oauth", "%s", log_quote(app->sentence));
	snprintf(state->trouble, sizeof(state->trouble), "%s", app->sentence);
	state->trouble_error = error;
	app->grant.error = error;
	app->grant.sentence = app->sentence;
	app->grant.retry_after_s = retry_after_s;
	if (error == ERR_exchange_failed)
		pause_after(app, retry_after_s);
	finish(app);
}

static void
fail_vault(struct app_flow *app, const char *secret, const char *deed, int result)
{
	const char *sentence;
	enum proto_error error =
	    steps_vault_error(app->flow.broker->vault, result, &sentence);

	fail(app, error, 0, "The %s of %s cannot be %s: %s", secret,
	    app->platform->title, deed, sentence);
}

/* Those who ask from within a callback start anew. */
static void
tell(struct app_flow *app)
{
	struct app_state *state = state_of(app->flow.broker, app->platform);
	struct app_token_waits waits = TAILQ_HEAD_INITIALIZER(waits);
	struct app_token_wait *wait;

	while ((wait = TAILQ_FIRST(&state->waits))) {
		TAILQ_REMOVE(&state->waits, wait, entry);
		TAILQ_INSERT_TAIL(&waits, wait, entry);
		wait->list = &waits;
	}
	while ((wait = TAILQ_FIRST(&waits))) {
		app_token_fn *done = wait->done;
		void *arg = wait->arg;

		app_token_cancel(wait);
		done(arg, &app->grant);
	}
}

static void
release(struct flow *flow)
{
	struct app_flow *app = (struct app_flow *)flow;

	state_of(flow->broker, app->platform)->running = false;
	tell(app);
	buf_clear(&app->client_sealed);
	secret_clear(&app->token);
	free(app->client_id);
	free(app);
}
