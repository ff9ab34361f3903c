/*
 * Tokens that a platform has handed out and that nothing will come of: those of an
 * account that is turned away, and those that cannot be stored. They are revoked before
 * the person is told. Called by login_identify.c and login_store.c.
 */
#include <stdio.h>
#include <string.h>

#include "broker/oauth/accounts.h"
#include "broker/oauth/login_finish.h"
#include "broker/oauth/revocation.h"
#include "broker/oauth/steps.h"

static void cancel_revocation(void *);
static void on_revoked(void *, enum revocation_result);
static void tell(struct login_finish *);

/* Revoking the new tokens of an account that is stored already would end the stored
 * login too, where revocation reaches that far. Of an account that is not known any
 * stored one may be the same. */
static bool
must_not_revoke(const struct login_finish *login)
{
	const struct accounts *accounts = login->flow.broker->accounts;
	const char *platform = login->platform->name;
	const char *user_id = login->identity.user_id;

	if (!login->platform->revokes_widely)
		return false;
	if (!user_id)
		return accounts_platform_count(accounts, platform) > 0;
	return accounts_have_channel(
	    accounts, platform, user_id, login->username, NULL);
}

void
login_drop(struct login_finish *login, enum proto_error error, const char *sentence)
{
	/* Borrowed: revocation_start makes forms of them. */
	const struct tokens tokens = { .access = login->reply.access,
		.refresh = login->reply.refresh };
	struct revocation *revocation = NULL;

	login->drop_error = error;
	(void)snprintf(
	    login->drop_sentence, sizeof(login->drop_sentence), "%s", sentence);
	flow_step(&login->flow, "revoke");
	if (!must_not_revoke(login))
		revocation = revocation_start(login->flow.broker, login->platform,
		    &tokens, login->login.client_id,
		    login_time_left(login, LOGIN_REVOKE_UNTIL_MS), on_revoked, login);
	if (revocation)
		flow_wait(&login->flow, cancel_revocation, revocation);
	else
		tell(login);
}

static void
cancel_revocation(void *arg)
{
	revocation_cancel(arg);
}

static void
on_revoked(void *arg, enum revocation_result result)
{
	struct login_finish *login = arg;

	(void)result; /* revocation.c has logged what went wrong */
	flow_resume(&login->flow);
	tell(login);
}

static void
tell(struct login_finish *login)
{
	login_fail(login, login->drop_error, "%s", login->drop_sentence);
}
