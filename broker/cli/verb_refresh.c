/*
 * `streamhold refresh PLATFORM/NAME`: refreshes the tokens of a login now, and says
 * what is in force afterwards.
 */
#include <stdio.h>
#include <string.h>

#include "broker/cli/rows.h"
#include "broker/cli/talk.h"
#include "broker/cli/words.h"

static int
read_account(const struct cli *cli, struct words_account *account)
{
	if (cli->word_count == 1)
		return words_account(cli->words[0], account) ? CLI_OK : CLI_USAGE;
	if (!words_platform(cli->words[0]))
		return CLI_USAGE;
	(void)snprintf(
	    account->platform, sizeof(account->platform), "%s", cli->words[0]);
	account->name = cli->words[1];
	return CLI_OK;
}

static void
print(const struct cli *cli, const struct proto_account *account)
{
	struct out_json json;
	struct out_table table;

	if (cli->json) {
		out_json_start(&json);
		out_json_open(&json, "accounts", '[');
		rows_account_json(&json, account);
		out_json_close(&json, ']');
		out_json_finish(&json);
		return;
	}
	rows_account_table(&table);
	rows_account_add(&table, account);
	out_table_print(&table);
}

/* The table names the next command of a login that is lost. */
static int
tell(const struct cli *cli, const struct proto_account *account)
{
	print(cli, account);
	return rows_account_needs_login(account) ? CLI_LOGIN : CLI_OK;
}

static int
ask(const struct cli *cli, const struct words_account *account)
{
	const struct proto_msg msg = { .type = MSG_token_refresh,
		.token_refresh = {
		    .platform = account->platform, .username = account->name } };
	const struct client_question question = { .msg = &msg,
		.deadline_ms = CLIENT_REFRESH_MS,
		.platform = account->platform,
		.username = account->name };
	struct proto_msg answer = { .type = MSG_none };
	int status = client_ask_once(cli, &question, &answer);

	if (status == CLI_OK)
		status = tell(cli, &answer.account);
	proto_clear(&answer);
	return status;
}

int
verb_refresh(struct cli *cli)
{
	struct words_account account;
	int status = read_account(cli, &account);

	return status == CLI_OK ? ask(cli, &account) : status;
}
