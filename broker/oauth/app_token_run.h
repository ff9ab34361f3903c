/*
 * One app token on its way and what is known of each platform's, shared by the files
 * that tell its story: app_token.c (who asks, and how it ends), app_token_load.c (one
 * that is stored) and app_token_fetch.c (a new one).
 */
#ifndef BROKER_OAUTH_APP_TOKEN_RUN_H
#define BROKER_OAUTH_APP_TOKEN_RUN_H

#include <sys/queue.h>

#include "broker/flow.h"
#include "broker/oauth/app_token.h"
#include "broker/oauth/steps.h"
#include "common/buf.h"

#define APP_TOKEN_DEADLINE_MS 12000
#define APP_TOKEN_CALL_MS 10000

/* After a failure nobody is asked again for so long: doubling from the first to the
 * last. New credentials end it. */
#define APP_TOKEN_BACKOFF_FIRST_MS 2000
#define APP_TOKEN_BACKOFF_LAST_MS (15 * 60 * 1000)

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
	int64_t check_due; /* boot-time ms; 0: at the first look */
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

struct app_state *
app_token_state(const struct broker *broker, const struct platform *platform);

/* Begins with what is stored, or only checks it. */
void
app_token_start(struct broker *broker, const struct platform *platform, bool checking);

/* There is no token of use: fetches one, or tells why none is fetched at present. */
void app_token_fetch(struct app_flow *app);

/* End the flow. A failure is logged and remembered; a refusal keeps the next request
 * off for a while. */
void app_token_finish(struct app_flow *app);
void app_token_succeed(struct app_flow *app);
__attribute__((format(printf, 4, 5))) void app_token_fail(struct app_flow *app,
    enum proto_error error, uint32_t retry_after_s, const char *format, ...);

/* After a failed call of the vault: "The <secret> of Kick cannot be <deed>: ...". */
void app_token_fail_vault(
    struct app_flow *app, const char *secret, const char *deed, int result);

/* Frees it and tells everybody who waits. */
void app_token_release(struct flow *flow);

#endif
