/*
 * `streamhold logout PLATFORM/NAME`: revokes the tokens of a login at the platform and
 * erases it here, after having asked.
 *
 *   look   is there such a login, and what is its name as it was first written?
 *   ask    unless --yes; what the revocation reaches beyond this login is said
 *   erase  and say what the platform said
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/cli/client.h"
#include "broker/cli/out.h"
#include "broker/cli/prompt.h"
#include "broker/cli/talk.h"
#include "broker/cli/words.h"
#include "common/alloc.h"

/* What a revocation ends beside this login, by platform (facts C.6). */
static const struct {
	const char *platform;
	const char *sentence;
} reaches[] = {
	{ "youtube",
	    "Google revokes by account and project: every program and computer that "
	    "this Google account is logged in to with a client of the same Google "
	    "Cloud project is logged out too, and so are its other channels here. " },
};

/* What the platform said, and the exit status for it. The login is gone from here in
 * every case. */
static const struct {
	const char *revocation;
	int status;
	const char *sentence;
} outcomes[] = {
	{ "ok", CLI_OK, "the tokens are revoked" },
	{ "refused", CLI_PROVIDER,
	    "the platform refused to revoke the tokens, which may live until they "
	    "expire; remove the access on the platform's own pages" },
	{ "unreachable", CLI_PROVIDER,
	    "the platform could not be asked to revoke the tokens, which may live "
	    "until they expire; remove the access on the platform's own pages" },
};

static const char *
reach_of(const char *platform)
{
	size_t i;

	for (i = 0; i < sizeof(reaches) / sizeof(reaches[0]); i++)
		if (strcmp(reaches[i].platform, platform) == 0)
			return reaches[i].sentence;
	return "";
}

static int
look(struct client *client, const struct words_account *account, char **ret_name)
{
	const struct proto_msg msg = { .type = MSG_account_get,
		.account_get = {
		    .platform = account->platform, .username = account->name } };
	const struct client_question question = { .msg = &msg,
		.deadline_ms = CLIENT_ANSWER_MS,
		.platform = account->platform,
		.username = account->name };
	struct proto_msg answer = { .type = MSG_none };
	int status = client_ask(client, &question, &answer);

	if (status == CLI_OK)
		*ret_name = xstrdup(answer.account.username);
	proto_clear(&answer);
	return status;
}

static int
confirm(const struct cli *cli, const char *platform, const char *name)
{
	char *shown;
	char *question;
	bool yes;

	if (cli->yes)
		return CLI_OK;
	if (!prompt_possible()) {
		talk_error("streamhold logout PLATFORM/NAME --yes",
		    "standard input is no terminal, so nobody can be asked. "
		    "%sNothing was done.",
		    reach_of(platform));
		return CLI_USAGE;
	}
	shown = out_escape(name, strlen(name));
	question = xasprintf("Revoke the tokens of %s at %s and erase the login here? "
			     "%s[y/N] ",
	    shown, platform, reach_of(platform));
	yes = prompt_confirm(question);
	free(question);
	free(shown);
	if (yes)
		return CLI_OK;
	talk("Nothing was done.");
	return CLI_FAILURE;
}

static int
tell(const struct cli *cli, const struct proto_account_deleted *gone)
{
	size_t count = sizeof(outcomes) / sizeof(outcomes[0]);
	struct out_json json;
	char *name = out_escape(gone->username, strlen(gone->username));
	size_t i = 0;

	while (i + 1 < count && strcmp(outcomes[i].revocation, gone->revocation) != 0)
		i++;
	if (cli->json) {
		out_json_start(&json);
		out_json_text(&json, "platform", gone->platform);
		out_json_text(&json, "username", gone->username);
		out_json_flag(&json, "erased", true);
		out_json_text(&json, "revocation", gone->revocation);
		out_json_finish(&json);
	} else {
		(void)printf("Logged %s out of %s.\n", name, gone->platform);
		(void)fflush(stdout);
		talk("%s: %s", gone->platform, outcomes[i].sentence);
	}
	free(name);
	return outcomes[i].status;
}

static int
erase(struct client *client, const struct cli *cli, const struct words_account *account)
{
	const struct proto_msg msg = { .type = MSG_account_delete,
		.account_delete = {
		    .platform = account->platform, .username = account->name } };
	const struct client_question question = { .msg = &msg,
		.deadline_ms = CLIENT_DELETE_MS,
		.platform = account->platform,
		.username = account->name };
	struct proto_msg answer = { .type = MSG_none };
	int status = client_ask(client, &question, &answer);

	if (status == CLI_OK)
		status = tell(cli, &answer.account_deleted);
	proto_clear(&answer);
	return status;
}

int
verb_logout(struct cli *cli)
{
	struct words_account account;
	struct client *client;
	char *name = NULL;
	int status;

	if (!words_account(cli->words[0], &account))
		return CLI_USAGE;
	status = client_open(cli, &client);
	if (status != CLI_OK)
		return status;
	status = look(client, &account, &name);
	if (status == CLI_OK)
		status = confirm(cli, account.platform, name);
	if (status == CLI_OK)
		status = erase(client, cli, &account);
	free(name);
	client_close(client);
	return status;
}
