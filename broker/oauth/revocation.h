/*
 * Telling a platform that tokens are not to be used any more.
 */
#ifndef BROKER_OAUTH_REVOCATION_H
#define BROKER_OAUTH_REVOCATION_H

#include "broker/broker.h"
#include "broker/oauth/platform.h"

struct revocation;

/* What came of it, from best to worst. */
enum revocation_result {
	REVOCATION_ok,      /* the platform revoked it, or did not know it any more */
	REVOCATION_refused, /* the platform said no */
	REVOCATION_unreachable,
	REVOCATION_MAX
};

/* "ok", "refused", "unreachable". */
const char *revocation_name(enum revocation_result result);

typedef void revocation_done_fn(void *arg, enum revocation_result result);

/*
 * Revokes the tokens of a platform, one after the other in the order it wants, within
 * timeout_ms in all. The worst result counts. `done` is called once from the loop, not
 * before this has returned and not after revocation_cancel. NULL when there is nothing
 * to revoke; `done` is not called then.
 */
struct revocation *revocation_start(struct broker *broker,
    const struct platform *platform, const struct tokens *tokens, const char *client_id,
    unsigned timeout_ms, revocation_done_fn *done, void *arg);

/* Stops it; `done` is not called. */
void revocation_cancel(struct revocation *revocation);

#endif
