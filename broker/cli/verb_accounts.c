/*
 * `streamhold accounts`: the state of every login.
 */
#include <string.h>

#include "broker/cli/rows.h"
#include "broker/cli/talk.h"
#include "broker/cli/words.h"

static void
print_json(const struct rows *rows, const struct rows *refused)
{
	struct out_json json;
	size_t i;

	out_json_start(&json);
	out_json_open(&json, "accounts", '[');
	for (i = 0; i < rows->count; i++)
		rows_account_json(&json, &rows->items[i].account);
	out_json_close(&json, ']');
	rows_refused_json(&json, refused);
	out_json_finish(&json);
}

static void
print_text(const struct rows *rows, const struct rows *refused)
{
	struct out_table table;
	size_t i;

	if (rows->count == 0) {
		talk("No account is logged in yet.");
		talk_next("streamhold login PLATFORM NAME");
	} else {
		rows_account_table(&table);
		for (i = 0; i < rows->count; i++)
			rows_account_add(&table, &rows->items[i].account);
		out_table_print(&table);
		rows_accounts_unmet(rows);
	}
	rows_refused_print(refused);
}

/* Asks about each account, one at a time. One that cannot be asked about has been
 * spoken of; the others are asked all the same. */
static void
ask_platforms(struct client *client, const struct rows *rows)
{
	size_t i;

	for (i = 0; i < rows->count; i++) {
		const struct proto_account *account = &rows->items[i].account;
		const struct proto_msg msg = { .type = MSG_account_check,
			.account_check = { .platform = account->platform,
			    .username = account->username } };
		const struct client_question question = { .msg = &msg,
			.deadline_ms = CLIENT_ANSWER_MS };
		struct proto_msg checked = { .type = MSG_none };

		if (strcmp(account->status, "reauth_required") == 0)
			continue;
		(void)client_ask(client, &question, &checked);
		proto_clear(&checked);
	}
}

int
verb_accounts(struct cli *cli)
{
	struct client *client;
	struct rows rows;
	struct rows refused;
	int status;

	if (cli->platform && !words_platform(cli->platform))
		return CLI_USAGE;
	status = client_open(cli, &client);
	if (status != CLI_OK)
		return status;
	status = rows_accounts_ask(client, cli->platform, &rows, &refused);
	if (status == CLI_OK && cli->ask) {
		ask_platforms(client, &rows);
		rows_clear(&rows);
		rows_clear(&refused);
		status = rows_accounts_ask(client, cli->platform, &rows, &refused);
	}
	if (status == CLI_OK && cli->json)
		print_json(&rows, &refused);
	else if (status == CLI_OK)
		print_text(&rows, &refused);
	rows_clear(&rows);
	rows_clear(&refused);
	client_close(client);
	return status;
}
