/*
 * The token of a comparison: that of the channel's login, or that of the application
 * where the login is none, lost, or may not; and what to do when a call with it is
 * refused. Called by sub_pass.c and sub_create.c.
 */
#include <stdio.h>
#include <string.h>

#include "broker/oauth/app_token.h"
#include "broker/oauth/token_use.h"
#include "broker/subscriptions/sub_pass.h"

/* The token must live for the calls of a pass. */
#define TOKEN_LEAST_MS 60000
#define SCOPE "events:subscribe"

static void on_user_token(void *, const struct token_grant *);
static void on_app_token(void *, const struct app_token_grant *);

static const struct account *
account_of(const struct sub_pass *pass)
{
	const struct sub_channel *channel = sub_pass_channel(pass);

	return channel ? sub_channel_account(pass->flow.broker, channel) : NULL;
}

/* Whether the login can be used, and how it does. */
static enum sub_login
judge_login(const struct sub_pass *pass, const struct account *account)
{
	const struct sub_channel *channel = sub_pass_channel(pass);

	if (!account)
		return SUB_LOGIN_none;
	if (strcmp(account->row.status, STORE_ACCOUNT_LOST) == 0)
		return SUB_LOGIN_lost;
	if (!sub_has_word(account->row.scopes, SCOPE) ||
	    (channel && channel->login_refused == account->row.generation))
		return SUB_LOGIN_scope;
	return SUB_LOGIN_good;
}

static void
cancel_use(void *arg)
{
	token_use_cancel(arg);
}

static void
cancel_app(void *arg)
{
	app_token_cancel(arg);
}

/* The id that a login tells counts before one that was looked up. */
static void
take_user_id(struct sub_pass *pass, const struct account *account)
{
	const struct sub_channel *channel = sub_pass_channel(pass);
	const char *id = channel ? channel->broadcaster_id : NULL;

	if (account && account->row.user_id)
		id = account->row.user_id;
	if (id && strspn(id, "0123456789") == strlen(id) &&
	    strlen(id) < sizeof(pass->user_id))
		(void)snprintf(pass->user_id, sizeof(pass->user_id), "%s", id);
}

void
sub_pass_token(struct sub_pass *pass, sub_step_fn *step)
{
	const struct account *account = account_of(pass);
	struct sub_channel *channel = sub_pass_channel(pass);
	enum sub_login login = judge_login(pass, account);

	flow_step(&pass->flow, "token");
	pass->step = step;
	pass->user = login == SUB_LOGIN_good && !pass->fallback;
	take_user_id(pass, account);
	if (channel) {
		channel->login = login;
		channel->token = pass->user ? "user" : "app";
	}
	if (pass->user)
		flow_wait(&pass->flow, cancel_use,
		    token_use(pass->flow.broker, account, TOKEN_LEAST_MS, on_user_token,
			pass));
	else
		flow_wait(&pass->flow, cancel_app,
		    app_token_get(
			pass->flow.broker, &platform_kick, on_app_token, pass));
}

/* The login's token is of no use: everything from the list on with the application's.
 */
static void
fall_back(struct sub_pass *pass)
{
	pass->fallback = true;
	pass->retried = false;
	sub_pass_token(pass, pass->first);
}

static void
take_token(struct sub_pass *pass, const struct secret *token, uint64_t generation)
{
	secret_clear(&pass->token);
	pass->token = secret_copy(token->bytes, token->length);
	pass->generation = generation;
	pass->step(pass);
}

static void
on_user_token(void *arg, const struct token_grant *grant)
{
	struct sub_pass *pass = arg;

	flow_resume(&pass->flow);
	if (grant->error == ERR_none)
		take_token(pass, grant->access, grant->generation);
	else if (grant->error == ERR_keystore_unavailable ||
	    grant->error == ERR_keystore_locked || grant->error == ERR_storage_failed)
		sub_pass_fail(pass, SUB_unavailable, grant->sentence);
	else
		fall_back(pass);
}

/* Which state a failure to get the application's token is. */
static enum sub_state
state_of_grant(enum proto_error error)
{
	switch (error) {
	case ERR_no_credentials:
		return SUB_no_credentials;
	case ERR_keystore_unavailable:
	case ERR_keystore_locked:
	case ERR_storage_failed:
		return SUB_unavailable;
	default:
		return SUB_unreachable;
	}
}

static void
on_app_token(void *arg, const struct app_token_grant *grant)
{
	struct sub_pass *pass = arg;

	flow_resume(&pass->flow);
	if (grant->good) {
		take_token(pass, grant->token, grant->generation);
		return;
	}
	pass->end.retry_after_s = grant->retry_after_s;
	sub_pass_fail(pass, state_of_grant(grant->error), grant->sentence);
}

/* Only that of a login has a refresh token before it that is kept until then. */
void
sub_pass_accepted(const struct sub_pass *pass)
{
	const struct account *account = account_of(pass);

	if (pass->user && account)
		token_accepted(pass->flow.broker, account, pass->generation);
}

/* 401. A token is renewed once; after that the trouble is not its age. */
static void
token_refused(struct sub_pass *pass, sub_step_fn *again, const char *said)
{
	const struct account *account = account_of(pass);
	struct broker *broker = pass->flow.broker;

	if (pass->user && (pass->retried || !account)) {
		fall_back(pass);
	} else if (pass->retried) {
		sub_pass_fail(pass, SUB_refused, said);
	} else if (pass->user) {
		pass->retried = true;
		pass->step = again;
		flow_step(&pass->flow, "token");
		flow_wait(&pass->flow, cancel_use,
		    token_rejected(
			broker, account, pass->generation, on_user_token, pass));
	} else {
		app_token_rejected(broker, &platform_kick, pass->generation);
		sub_pass_token(pass, again);
		pass->retried = true;
	}
}

/* 403. */
static void
scope_refused(struct sub_pass *pass, const char *said)
{
	struct sub_channel *channel = sub_pass_channel(pass);

	if (!pass->user) {
		sub_pass_fail(pass, SUB_refused, said);
		return;
	}
	if (channel)
		channel->login_refused = pass->generation;
	fall_back(pass);
}

/* A reply that is no success of the call as a whole. */
void
sub_pass_refused(struct sub_pass *pass, enum kick_subs_verdict verdict,
    const struct fetch_reply *reply, sub_step_fn *again, const char *said)
{
	pass->end.retry_after_s = reply->retry_after_s;
	switch (verdict) {
	case KICK_SUBS_token:
		token_refused(pass, again, said);
		break;
	case KICK_SUBS_scope:
		scope_refused(pass, said);
		break;
	case KICK_SUBS_limit:
		sub_pass_fail(pass, SUB_limit_reached, said);
		break;
	case KICK_SUBS_webhooks:
		sub_pass_fail(pass, SUB_webhooks_off, said);
		break;
	case KICK_SUBS_refused:
		sub_pass_fail(pass, SUB_refused, said);
		break;
	default:
		sub_pass_fail(pass, SUB_unreachable, said);
		break;
	}
}
