/*
 * The middle of login_finish: who is behind the tokens?
 *
 *   ask     the platform's questions, one after the other, as far as they are needed
 *   judge   the account that was asked for, by name or by the id that is stored for
 *           that name; another one, which is adopted or turned away; or not to be
 *           found out, which is said
 *
 * The tokens of an account that is turned away are revoked (login_drop.c).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/oauth/accounts.h"
#include "broker/oauth/login_finish.h"
#include "broker/oauth/steps.h"
#include "common/alloc.h"
#include "common/log.h"

static bool life_known(const struct login_finish *);
static struct platform_grant grant_of(const struct login_finish *);
static void ask(struct login_finish *);
static void on_heard(void *, struct fetch_reply *);
static void judge(struct login_finish *);
static void set_expiry(struct login_finish *);
static void turn_away(struct login_finish *);

void
login_identify(struct login_finish *login)
{
	flow_step(&login->flow, "identify");
	login->question = login->platform->questions;
	ask(login);
}

/* A life of 0 in a token reply says nothing that can be used (facts E.4). */
static bool
life_known(const struct login_finish *login)
{
	return login->identity.life_known ||
	    (login->reply.expires_known && login->reply.expires_in_s > 0);
}

static struct platform_grant
grant_of(const struct login_finish *login)
{
	return (struct platform_grant){
		.config = &login->flow.broker->config.platform[login->platform->index],
		.client_id = login->login.client_id,
		.access = &login->reply.access,
	};
}

static void
ask(struct login_finish *login)
{
	struct platform_grant grant = grant_of(login);
	struct platform_request request = { .url = "" };
	const struct platform_question *question = login->question;

	while (question->name && !question->needed(&login->identity, life_known(login)))
		question++;
	login->question = question;
	if (!question->name) {
		judge(login);
		return;
	}
	question->ask(&grant, &request);
	request.fetch.ca_file = grant.config->ca_file;
	request.fetch.timeout_ms = login_time_left(login, LOGIN_IDENTIFY_UNTIL_MS);
	steps_wait_fetch(&login->flow,
	    fetch_start(login->flow.broker->fetcher, &request.fetch, on_heard, login));
}

static void
on_heard(void *arg, struct fetch_reply *reply)
{
	struct login_finish *login = arg;
	struct platform_grant grant = grant_of(login);
	const struct platform_question *question = login->question++;
	struct token_error error;
	char sentence[TOKEN_ERROR_SENTENCE_SIZE];

	flow_resume(&login->flow);
	if (reply->result == FETCH_answered && reply->status == 200) {
		if (!question->hear(&grant, &reply->body, &login->identity))
			log_warning("oauth", "%s: '%s' told nothing; continuing",
			    login->platform->title, question->name);
	} else if (reply->result == FETCH_answered) {
		token_error_read(&reply->body, &error);
		token_error_sentence(reply->status, &error, sentence);
		log_warning("oauth", "%s: '%s' was refused: %s; continuing",
		    login->platform->title, question->name, log_quote(sentence));
	} else {
		log_warning("oauth", "%s: '%s' failed: %s; continuing",
		    login->platform->title, question->name, reply->problem);
	}
	ask(login);
}

/* An account that is stored under the name that was asked for is known by its id: its
 * name at the platform may have changed since. */
static bool
is_stored(const struct login_finish *login)
{
	const struct account *account = accounts_find(
	    login->flow.broker->accounts, login->platform, login->login.username);
	const char *id = login->identity.user_id;

	return account && account->row.user_id && id &&
	    strcmp(account->row.user_id, id) == 0;
}

static void
judge(struct login_finish *login)
{
	const char *asked = login->login.username;
	const char *own = identity_own_name(&login->identity);
	bool known = identity_is_known(&login->identity);

	set_expiry(login);
	login->verified = known;
	if (!known || identity_has_name(&login->identity, asked) || is_stored(login)) {
		login->username = xstrdup(asked);
		login_store(login);
	} else if (login->login.adopt && own) {
		login->username = xstrdup(own);
		login_store(login);
	} else {
		turn_away(login);
	}
}

/* Counted from before the request was sent, so that the real expiry is later. */
static void
set_expiry(struct login_finish *login)
{
	struct token_reply *reply = &login->reply;

	if (login->identity.life_known) {
		reply->expires_known = true;
		reply->expires_in_s = login->identity.life_s;
	}
	login->expires_at = token_reply_expires_at(
	    reply, login->asked_at, login->platform->assumed_life_s);
	if (reply->refresh.length && reply->refresh_expires_known)
		login->refresh_expires_at =
		    login->asked_at + reply->refresh_expires_in_s * 1000;
}

static void
turn_away(struct login_finish *login)
{
	char own[FOREIGN_SIZE];
	char asked[FOREIGN_SIZE];
	char sentence[STEPS_SENTENCE_SIZE];
	const char *name = login->identity.own_name;

	foreign_text(name ? name : login->identity.user_id, own);
	foreign_text(login->login.username, asked);
	refused_note(login->flow.broker, login->platform, login->login.username, own);
	snprintf(sentence, sizeof(sentence),
	    "The login was started for '%s', but the account that logged in at %s is "
	    "'%s'. Nothing was stored and its tokens were dropped. Log in with the "
	    "account that was meant, or start the login with adopt=true to store "
	    "'%s'.",
	    asked, login->platform->title, own, own);
	login_drop(login, ERR_other_account, sentence);
}
