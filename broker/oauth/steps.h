/*
 * What flows share: a database job that may outlive the flow that wanted it, waits that
 * can be cancelled, and the sentences of common failures. For the files of this folder
 * and the flows of consumers.
 */
#ifndef BROKER_OAUTH_STEPS_H
#define BROKER_OAUTH_STEPS_H

#include "broker/flow.h"
#include "broker/oauth/platform.h"
#include "broker/store/store.h"

struct account;
struct fetch;
struct vault;
struct vault_call;

/* Deadlines of flows, a little below those of the fronts. */
#define STEPS_DEADLINE_MS 4500
#define STEPS_DELETE_DEADLINE_MS 9500
#define STEPS_LOGIN_DEADLINE_MS 19000
#define STEPS_REFRESH_DEADLINE_MS 19000

/*
 * A job that belongs to nobody but itself. What it did is made known by its done
 * function, also when the flow that wanted it has ended meanwhile: `flow` is NULL
 * then. Embedded first in the job of a flow.
 */
struct steps_job {
	struct store_job job;
	struct broker *broker;
	struct flow *flow;
};

/* Submits; the flow waits for it. `job` was made with xcalloc and belongs to `done`. */
void steps_submit(
    struct flow *flow, struct steps_job *job, store_run_fn *run, store_done_fn *done);

/* Called first by every done function: resumes the flow and returns it, or NULL. */
struct flow *steps_done(struct steps_job *job);

/* Make the flow wait for a call. */
void steps_wait_fetch(struct flow *flow, struct fetch *fetch);
void steps_wait_vault(struct flow *flow, struct vault_call *call);

/* Ends the flow after a failed job. */
void steps_fail_store(struct flow *flow, int result);

/* What a failed call of the vault means: keystore_locked or keystore_unavailable, and a
 * sentence that is good until the loop goes on. */
enum proto_error
steps_vault_error(const struct vault *vault, int result, const char **ret_sentence);

/* Ends the flow after a failed call of the vault. */
void steps_fail_vault(struct flow *flow, int result);

/* The platform, or NULL after the request has been answered with a failure. */
const struct platform *
steps_platform(struct client *client, uint32_t rid, const char *name);

/* Whether a user name may be used; if not the request has been answered. */
bool steps_username(struct client *client, uint32_t rid, const char *username);

/* The account of a platform and user name, or NULL after the request has been answered
 * with a failure. *ret_platform may be NULL. */
const struct account *steps_account(struct client *client, uint32_t rid,
    const char *name, const char *username, const struct platform **ret_platform);

/* The contract's sentences. `out` takes STEPS_SENTENCE_SIZE bytes. */
#define STEPS_SENTENCE_SIZE 1024
void steps_no_credentials(const struct platform *platform, char *out);
void steps_no_token(const struct platform *platform, const char *username, char *out);

#endif
