/*
 * `streamhold login --paste`: for a browser that cannot reach this machine.
 *
 *   begin   login_start; the address is printed
 *   ask     for the address on which the browser ends, which it cannot show
 *   finish  login_finish with what is in it, over broker.sock
 *
 * The broker checks the state as it does for the callback page. That it is the state of
 * this login is checked here, so that nobody can make a person finish another one.
 */
#include <stdio.h>
#include <string.h>

#include "broker/cli/login.h"
#include "broker/cli/paste.h"
#include "broker/cli/prompt.h"
#include "broker/cli/talk.h"
#include "common/text.h"

/* Code and state are secrets until they are used, so nothing of them is shown. */
static const char question_text[] =
    "Paste the address of that page here (it is not shown): ";

static int
read_address(struct secret *ret_address)
{
	if (!prompt_possible())
		return prompt_read_secret(PASTE_MAX, ret_address);
	return prompt_secret(question_text, PASTE_MAX, ret_address);
}

static int
check(const struct login *login, const struct paste *paste, const char *problem)
{
	const struct secret expected = login->started.login_started.state;

	if (!problem && !secret_equal(&paste->state, &expected))
		problem = "this address belongs to another login";
	if (!problem)
		return CLI_OK;
	talk_error(NULL, "%s", problem);
	talk_next("streamhold login %s %s --paste", login->cli->words[0],
	    login->cli->words[1]);
	return CLI_FAILURE;
}

static int
finish(struct login *login, const struct paste *paste, struct proto_msg *ret_finished)
{
	const struct proto_msg msg = { .type = MSG_login_finish,
		.login_finish = { .platform = login->cli->words[0],
		    .state = paste->state,
		    .code = paste->code,
		    .error = paste->error,
		    .error_description = paste->error_description,
		    .iss = paste->iss } };
	const struct client_question question = { .msg = &msg,
		.deadline_ms = CLIENT_LOGIN_MS,
		.platform = login->cli->words[0],
		.username = login->cli->words[1] };

	return client_ask(login->client, &question, ret_finished);
}

int
login_paste(struct login *login, struct proto_msg *ret_finished)
{
	struct secret address = SECRET_NONE;
	struct paste paste = { .state = SECRET_NONE };
	const struct login_address shown = {
		.address = secret_text(&login->started.login_started.auth_url),
		.expires_at = login->started.login_started.expires_at,
		.where = "anywhere"
	};
	int status;

	login_show(login, &shown);
	talk("When the platform lets go of the browser, it ends on a page that it "
	     "cannot show, at an address with code= and state= in it.");
	status = read_address(&address);
	if (status == CLI_OK) {
		const char *problem = paste_read(&address, &paste);

		status = check(login, &paste, problem);
	}
	secret_clear(&address);
	if (status == CLI_OK)
		status = finish(login, &paste, ret_finished);
	paste_clear(&paste);
	return status;
}
