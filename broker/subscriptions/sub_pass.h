/*
 * A comparison in progress, shared by sub_pass.c, sub_token.c and sub_create.c only.
 */
#ifndef BROKER_SUBSCRIPTIONS_SUB_PASS_H
#define BROKER_SUBSCRIPTIONS_SUB_PASS_H

#include "broker/subscriptions/sub_commit.h"
#include "broker/subscriptions/subs_inner.h"

typedef void sub_step_fn(struct sub_pass *pass);

struct sub_pass {
	struct flow flow; /* without a client */
	struct subscriptions *subs;
	char *key; /* of the channel, which may go meanwhile */
	bool dry_run;
	bool impatient;
	bool adopt;
	bool user;     /* the token is the login's */
	bool retried;  /* it was renewed after a 401 */
	bool fallback; /* the login's token was given up */
	uint64_t generation;
	struct secret token;
	sub_step_fn *first; /* after the token */
	sub_step_fn *step;  /* what the token is for */
	char user_id[KICK_SUBS_USER_SIZE];
	struct sub_wanted *wanted; /* own copies of the names */
	size_t wanted_count;
	struct sub_listed *listed;
	size_t listed_count;
	struct sub_owned *owned; /* as they were when the plan was made */
	struct sub_plan plan;
	const char **creates; /* names of `wanted` */
	size_t create_count;
	size_t create_from;   /* of the call under way */
	size_t create_next;   /* after it */
	const char **removes; /* ids of `plan` */
	size_t remove_count;
	size_t remove_from;
	size_t remove_next;
	bool dirty; /* records changed since they were stored */
	struct sub_commit *commit;
	bool told;
	struct sub_pass_end end;
	sub_pass_done_fn *done;
	void *arg;
};

/* The channel, NULL when it is gone. */
struct sub_channel *sub_pass_channel(const struct sub_pass *pass);

/* The platform's options. */
const struct config_platform *sub_pass_config(const struct sub_pass *pass);

/* Gets a token and goes on with `step`. */
void sub_pass_token(struct sub_pass *pass, sub_step_fn *step);

/* Sends a request with the pass's token; `done` gets the reply. */
void sub_pass_send(
    struct sub_pass *pass, struct kick_subs_request *request, fetch_done_fn *done);

/* A call with the pass's token was a success: the platform took it. */
void sub_pass_accepted(const struct sub_pass *pass);

/* A reply that is no success of the call as a whole: renews the token and goes on with
 * `again`, takes the other token and begins anew, or fails. */
void sub_pass_refused(struct sub_pass *pass, enum kick_subs_verdict verdict,
    const struct fetch_reply *reply, sub_step_fn *again, const char *said);

/* Something was done, or would be. */
void sub_pass_tell(
    struct sub_pass *pass, const char *what, const char *event, const char *id);

/* Ends without a usable answer; what happened before is stored all the same. */
void sub_pass_fail(struct sub_pass *pass, enum sub_state state, const char *said);

/* The steps after removing: creates what is missing, and then stores and ends. */
sub_step_fn sub_create_start;
sub_step_fn sub_pass_keep;

/* The wanted event of a channel, NULL when it is not wanted any more. */
struct sub_event *sub_pass_event(struct sub_channel *channel, const char *name);

#endif
