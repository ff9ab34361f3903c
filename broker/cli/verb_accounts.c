/*
 * `streamhold accounts`: the state of every login.
 */
#include "broker/cli/rows.h"
#include "broker/cli/talk.h"
#include "broker/cli/words.h"

static void
print_json(const struct rows *rows)
{
	struct out_json json;
	size_t i;

	out_json_start(&json);
	out_json_open(&json, "accounts", '[');
	for (i = 0; i < rows->count; i++)
		rows_account_json(&json, &rows->items[i].account);
	out_json_close(&json, ']');
	out_json_finish(&json);
}

static void
print_text(const struct rows *rows)
{
	struct out_table table;
	size_t i;

	if (rows->count == 0) {
		talk("No account is logged in yet.");
		talk_next("streamhold login PLATFORM NAME");
		return;
	}
	rows_account_table(&table);
	for (i = 0; i < rows->count; i++)
		rows_account_add(&table, &rows->items[i].account);
	out_table_print(&table);
}

int
verb_accounts(struct cli *cli)
{
	const struct proto_msg msg = { .type = MSG_accounts_list,
		.accounts_list = { .platform = cli->platform } };
	struct client *client;
	struct rows rows;
	int status;

	if (cli->platform && !words_platform(cli->platform))
		return CLI_USAGE;
	status = client_open(cli, &client);
	if (status != CLI_OK)
		return status;
	status = rows_ask(client, &msg, &rows, NULL);
	if (status == CLI_OK && cli->json)
		print_json(&rows);
	else if (status == CLI_OK)
		print_text(&rows);
	rows_clear(&rows);
	client_close(client);
	return status;
}
