/*
 * App access tokens: those of the client itself, by client credentials (facts/kick.md
 * 1.3, facts/twitch-google-standards.md A.6). One a platform, sealed in the vault and
 * used by everybody; a new one is asked for when there is none, when less than
 * APP_TOKEN_LEAST_MS of its life are left, or after a 401.
 *
 *	wait = app_token_get(broker, platform, on_token, call);
 *	on_token: send; on 401 app_token_rejected(...), app_token_get(...), send once
 *	more; another 401 is final
 */
#ifndef BROKER_OAUTH_APP_TOKEN_H
#define BROKER_OAUTH_APP_TOKEN_H

#include "broker/broker.h"
#include "broker/oauth/platform.h"
#include "proto/proto.h"

struct app_tokens;
struct app_token_wait;

#define APP_TOKEN_LEAST_MS (60 * 60 * 1000)

/* What came of it. */
struct app_token_grant {
	bool good;
	enum proto_error error;     /* when it is not */
	const char *sentence;       /* of a failure; for a person */
	uint32_t retry_after_s;     /* of a failure; 0: not said */
	const struct secret *token; /* borrowed until the callback returns */
	uint64_t generation;        /* for app_token_rejected */
	int64_t expires_at;         /* wall clock ms */
};

typedef void app_token_fn(void *arg, const struct app_token_grant *grant);

/* Gives the app token of a platform that has them. All who ask while one is being
 * fetched share the result. `done` is called once from the loop, never before this has
 * returned and not after app_token_cancel. Failures: ERR_no_credentials,
 * ERR_exchange_failed, ERR_keystore_locked, ERR_keystore_unavailable,
 * ERR_storage_failed, ERR_timed_out. */
struct app_token_wait *app_token_get(struct broker *broker,
    const struct platform *platform, app_token_fn *done, void *arg);

/* Stops waiting; what was begun goes on. */
void app_token_cancel(struct app_token_wait *wait);

/* The platform answered 401 to the token of this generation: it is not given out
 * again. */
void app_token_rejected(
    struct broker *broker, const struct platform *platform, uint64_t generation);

/* Begins; credentials are loaded. Tokens of platforms that want every token checked are
 * checked at start and then as often as they want. */
void app_tokens_start(struct broker *broker);

/* After the flows have ended. */
void app_tokens_stop(struct broker *broker);

/* What reports say. Times are wall clock ms, 0: never or not known. */
struct app_token_stats {
	bool has;         /* the platform has app tokens, and credentials are stored */
	uint64_t fetched; /* since the start */
	int64_t expires_at; /* of the one that was used last */
	int64_t checked_at;
	const char *trouble;    /* of the last attempt, NULL: none */
	enum proto_error error; /* what it failed with */
};
void app_token_stats(const struct broker *broker, const struct platform *platform,
    struct app_token_stats *ret_stats);

#endif
