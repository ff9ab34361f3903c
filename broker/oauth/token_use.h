/*
 * Access tokens for calls to the platforms: a token that lives long enough, and what to
 * do when the platform refuses one.
 *
 *	use = token_use(broker, account, 60 * 1000, on_token, call);
 *	on_token: send; on 401 (never on 403):
 *	use = token_rejected(broker, account, generation, on_token, call);
 *	on_token: send once more; another 401 is final: the trouble is not the age
 *	on 2xx: token_accepted(broker, account, generation)
 */
#ifndef BROKER_OAUTH_TOKEN_USE_H
#define BROKER_OAUTH_TOKEN_USE_H

#include <stdint.h>

#include "broker/oauth/accounts.h"
#include "common/secret.h"
#include "proto/proto.h"

struct token_use;

/* What came of it. */
struct token_grant {
	enum proto_error error;      /* ERR_none: there is a token */
	const char *sentence;        /* of a failure; for a person */
	const struct secret *access; /* the access token; borrowed until the callback
				      * returns, NULL after a failure */
	uint64_t generation;         /* of the token, for token_rejected */
	int64_t expires_at;          /* wall clock ms */
};

typedef void token_use_fn(void *arg, const struct token_grant *grant);

/*
 * Gives the access token of an account. One that lives shorter than min_ttl_ms is
 * refreshed first, or a refresh that runs is waited for; when that fails, a token that
 * has not expired yet is given all the same. min_ttl_ms beyond the refresh margin
 * counts as the margin.
 *
 * `done` is called once from the loop, never before this has returned and not after
 * token_use_cancel. Failures: ERR_no_token, ERR_login_needed, ERR_refresh_failed,
 * ERR_no_credentials, ERR_keystore_locked, ERR_keystore_unavailable,
 * ERR_storage_failed. The account is looked at before this returns and not kept.
 */
struct token_use *token_use(struct broker *broker, const struct account *account,
    int64_t min_ttl_ms, token_use_fn *done, void *arg);

/*
 * The platform answered 401 to the token of this generation. Refreshes unless that has
 * happened since, and gives the new token for the one retry. At most one refresh for a
 * generation, and none within REFRESH_FLOOR_MS of another, so that a platform that
 * refuses every token is not asked for ever: ERR_refresh_failed then.
 */
struct token_use *token_rejected(struct broker *broker, const struct account *account,
    uint64_t generation, token_use_fn *done, void *arg);

/* The platform took the token of this generation for a call. */
void token_accepted(
    struct broker *broker, const struct account *account, uint64_t generation);

/* Stops waiting; `done` is not called. A refresh that runs goes on. */
void token_use_cancel(struct token_use *use);

#endif
