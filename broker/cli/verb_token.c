/*
 * `streamhold token get|allow|deny PLATFORM/NAME`: an access token for a program that
 * needs one, and whether such are given.
 *
 * The token is written to standard output and wiped here; nothing else is written
 * there.
 */
#include <stdio.h>
#include <stdlib.h>

#include "broker/cli/out.h"
#include "broker/cli/talk.h"
#include "broker/cli/token.h"
#include "broker/cli/words.h"

/* Seconds for which a token must live when nobody says. */
#define MIN_TTL_DEFAULT 300
#define MIN_TTL_MAX 86400

static int
ask(const struct cli *cli, const struct words_account *account,
    const struct proto_msg *msg, struct proto_msg *ret_answer)
{
	const struct client_question question = { .msg = msg,
		.deadline_ms = CLIENT_TOKEN_MS,
		.platform = account->platform,
		.username = account->name };

	return client_ask_once(cli, &question, ret_answer);
}

int
token_ask(const struct cli *cli, bool command, struct proto_msg *ret_given)
{
	struct words_account account;
	struct proto_msg msg = { .type = MSG_token_get };
	uint64_t min_ttl = MIN_TTL_DEFAULT;

	if (!words_account(cli->words[0], &account))
		return CLI_USAGE;
	if (cli->min_ttl &&
	    !words_number("min-ttl", cli->min_ttl, 0, MIN_TTL_MAX, &min_ttl))
		return CLI_USAGE;
	msg.token_get = (struct proto_token_get){ .platform = account.platform,
		.username = account.name,
		.min_ttl = (uint32_t)min_ttl,
		.command = command };
	return ask(cli, &account, &msg, ret_given);
}

static void
print(const struct cli *cli, const struct proto_token_given *given)
{
	struct out_json json;

	/* No copy stays behind in a buffer of the library. */
	(void)setvbuf(stdout, NULL, _IONBF, 0);
	if (cli->json) {
		out_json_start(&json);
		out_json_text(&json, "platform", given->platform);
		out_json_text(&json, "username", given->username);
		out_json_text(&json, "access_token", secret_text(&given->access_token));
		out_json_time(&json, "expires_at", given->expires_at);
		out_json_finish(&json);
		return;
	}
	if (cli->header)
		(void)fputs("Authorization: Bearer ", stdout);
	(void)fwrite(given->access_token.bytes, 1, given->access_token.length, stdout);
	(void)fputc('\n', stdout);
}

int
verb_token_get(struct cli *cli)
{
	struct proto_msg given = { .type = MSG_none };
	int status = token_ask(cli, false, &given);

	if (status == CLI_OK)
		print(cli, &given.token_given);
	proto_clear(&given);
	return status;
}

static int
allow(const struct cli *cli, bool allowed)
{
	struct words_account account;
	struct proto_msg answer = { .type = MSG_none };
	struct proto_msg msg = { .type = MSG_token_allow };
	struct out_json json;
	int status;

	if (!words_account(cli->words[0], &account))
		return CLI_USAGE;
	msg.token_allow = (struct proto_token_allow){ .platform = account.platform,
		.username = account.name,
		.allowed = allowed };
	status = ask(cli, &account, &msg, &answer);
	if (status == CLI_OK && cli->json) {
		out_json_start(&json);
		out_json_text(&json, "platform", answer.token_allowed.platform);
		out_json_text(&json, "username", answer.token_allowed.username);
		out_json_flag(&json, "allowed", answer.token_allowed.allowed);
		out_json_finish(&json);
	} else if (status == CLI_OK) {
		talk("Access tokens of %s at %s are %s.", answer.token_allowed.username,
		    answer.token_allowed.platform,
		    allowed ? "handed out to whoever may use this command"
			    : "not handed out any more; those that were given live "
			      "until they expire");
		if (allowed)
			talk_next("streamhold token get %s/%s",
			    answer.token_allowed.platform,
			    answer.token_allowed.username);
	}
	proto_clear(&answer);
	return status;
}

int
verb_token_allow(struct cli *cli)
{
	return allow(cli, true);
}

int
verb_token_deny(struct cli *cli)
{
	return allow(cli, false);
}
