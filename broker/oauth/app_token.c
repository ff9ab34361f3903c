/*
 * App access tokens: who asks for one, when a stored one is checked, and how both end.
 * One flow a platform at a time, whose result all who wait share. Owns
 * broker->accounts->app_tokens; a plain token is in memory only while a flow runs.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "broker/oauth/accounts.h"
#include "broker/oauth/app_token_run.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/time.h"

/* The first check after the start. The timer looks again after TICK_S at the latest,
 * since libevent's clock stands still during suspend. */
#define FIRST_CHECK_S 2
#define TICK_S 60

static void on_timer(evutil_socket_t, short, void *);

struct app_state *
app_token_state(const struct broker *broker, const struct platform *platform)
{
	return &broker->accounts->app_tokens->state[platform->index];
}

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
	struct app_state *state = app_token_state(broker, platform);
	struct app_token_wait *wait = xcalloc(1, sizeof(*wait));

	wait->done = done;
	wait->arg = arg;
	wait->list = &state->waits;
	TAILQ_INSERT_TAIL(wait->list, wait, entry);
	if (!state->running)
		app_token_start(broker, platform, false);
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
	struct app_state *state = app_token_state(broker, platform);

	if (generation > state->rejected)
		state->rejected = generation;
	broker_count(broker, "app_token_rejected", 1);
}

void
app_token_stats(const struct broker *broker, const struct platform *platform,
    struct app_token_stats *ret_stats)
{
	const struct app_state *state = app_token_state(broker, platform);

	*ret_stats = (struct app_token_stats){
		.has = platform->app_tokens &&
		    accounts_credential(broker->accounts, platform),
		.fetched = state->fetched,
		.expires_at = state->expires_at,
		.checked_at = state->checked_at,
		.trouble = *state->trouble ? state->trouble : NULL,
		.error = *state->trouble ? state->trouble_error : ERR_none,
	};
}

/* Every interval of a platform that wants checks. One that is busy has its token in
 * use, which tells as much. */
static void
on_timer(evutil_socket_t fd, short events, void *arg)
{
	const struct timeval again = { .tv_sec = TICK_S };
	struct app_tokens *tokens = arg;
	int64_t now = time_boot_ms();
	size_t i;

	(void)fd;
	(void)events;
	for (i = 0; i < CONFIG_PLATFORM_MAX; i++) {
		const struct platform *platform =
		    platform_at((enum config_platform_index)i);
		struct app_state *state = &tokens->state[i];

		if (!platform->app_tokens || !platform->check->at_start ||
		    now < state->check_due)
			continue;
		state->check_due = now + (int64_t)platform->check->interval_s * 1000;
		if (!state->running &&
		    accounts_credential(tokens->broker->accounts, platform))
			app_token_start(tokens->broker, platform, true);
	}
	event_add(tokens->timer, &again);
}

/* ---- The end ---- */

/* Ends the flow; release tells those who wait what is in `grant`. */
void
app_token_finish(struct app_flow *app)
{
	const struct proto_msg nothing = { .type = MSG_none };

	flow_answer(&app->flow, &nothing);
}

void
app_token_succeed(struct app_flow *app)
{
	struct app_state *state = app_token_state(app->flow.broker, app->platform);

	state->expires_at = app->grant.expires_at;
	state->failures = 0;
	*state->trouble = '\0';
	app->grant.good = true;
	app->grant.sentence = NULL;
	app->grant.token = &app->token;
	app_token_finish(app);
}

/* A failure is remembered for a while, so that many callers are not many requests. */
static void
pause_after(struct app_flow *app, uint32_t retry_after_s)
{
	const struct store_credential *credential =
	    accounts_credential(app->flow.broker->accounts, app->platform);
	struct app_state *state = app_token_state(app->flow.broker, app->platform);
	int64_t wait = APP_TOKEN_BACKOFF_FIRST_MS;
	unsigned i;

	for (i = 0; i < state->failures && wait < APP_TOKEN_BACKOFF_LAST_MS; i++)
		wait *= 2;
	if ((int64_t)retry_after_s * 1000 > wait)
		wait = (int64_t)retry_after_s * 1000;
	if (wait > APP_TOKEN_BACKOFF_LAST_MS)
		wait = APP_TOKEN_BACKOFF_LAST_MS;
	state->failures++;
	state->paused_until = time_boot_ms() + wait;
	state->paused_version = credential ? credential->updated_at : 0;
}

void
app_token_fail(struct app_flow *app, enum proto_error error, uint32_t retry_after_s,
    const char *format, ...)
{
	struct app_state *state = app_token_state(app->flow.broker, app->platform);
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
	app_token_finish(app);
}

void
app_token_fail_vault(
    struct app_flow *app, const char *secret, const char *deed, int result)
{
	const char *sentence;
	enum proto_error error =
	    steps_vault_error(app->flow.broker->vault, result, &sentence);

	app_token_fail(app, error, 0, "The %s of %s cannot be %s: %s", secret,
	    app->platform->title, deed, sentence);
}

/* Those who ask from within a callback start anew. */
static void
tell(struct app_flow *app)
{
	struct app_state *state = app_token_state(app->flow.broker, app->platform);
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

void
app_token_release(struct flow *flow)
{
	struct app_flow *app = (struct app_flow *)flow;

	app_token_state(flow->broker, app->platform)->running = false;
	tell(app);
	buf_clear(&app->client_sealed);
	secret_clear(&app->token);
	free(app->client_id);
	free(app);
}
