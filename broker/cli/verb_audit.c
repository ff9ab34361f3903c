/*
 * `streamhold audit`: who asked for tokens, newest last.
 */
#include <pwd.h>
#include <stdio.h>

#include "broker/cli/rows.h"
#include "broker/cli/talk.h"
#include "broker/cli/words.h"

#define LIMIT_DEFAULT 50
#define LIMIT_MAX 500

static void
print_json(const struct rows *rows)
{
	struct out_json json;
	size_t i;

	out_json_start(&json);
	out_json_open(&json, "audit", '[');
	for (i = 0; i < rows->count; i++) {
		const struct proto_audit *row = &rows->items[i].audit;

		out_json_open(&json, NULL, '{');
		out_json_number(&json, "number", row->number);
		out_json_time(&json, "at", row->at);
		out_json_number(&json, "uid", row->uid);
		out_json_number(&json, "pid", row->pid);
		out_json_text(&json, "what", row->what);
		out_json_text(&json, "platform", row->platform);
		out_json_text(&json, "username", row->username);
		out_json_text(&json, "outcome", row->outcome);
		out_json_close(&json, '}');
	}
	out_json_close(&json, ']');
	out_json_finish(&json);
}

static void
add_row(struct out_table *table, const struct proto_audit *row)
{
	const struct passwd *user = getpwuid((uid_t)row->uid);
	char text[WORDS_SIZE];

	words_time(row->at, text);
	out_table_add(table, text);
	(void)snprintf(text, sizeof(text), "%u", row->uid);
	out_table_add(table, user ? user->pw_name : text);
	(void)snprintf(text, sizeof(text), "%u", row->pid);
	out_table_add(table, text);
	out_table_add(table, row->what);
	out_table_add(table, row->platform);
	out_table_add(table, row->username);
	out_table_add(table, row->outcome);
}

static void
print_text(const struct rows *rows)
{
	static const char *const headings[] = { "TIME", "USER", "PROCESS", "WHAT",
		"PLATFORM", "NAME", "OUTCOME", NULL };
	struct out_table table;
	size_t i;

	if (rows->count == 0) {
		talk("Nobody asked for a token yet.");
		return;
	}
	out_table_init(&table, headings);
	for (i = 0; i < rows->count; i++)
		add_row(&table, &rows->items[i].audit);
	out_table_print(&table);
}

int
verb_audit(struct cli *cli)
{
	struct proto_msg msg = { .type = MSG_audit_list };
	struct rows rows;
	uint64_t limit = LIMIT_DEFAULT;
	int status;

	if (cli->limit && !words_number("limit", cli->limit, 1, LIMIT_MAX, &limit))
		return CLI_USAGE;
	msg.audit_list.limit = (uint32_t)limit;
	status = rows_ask_once(cli, &msg, &rows, NULL);
	if (status == CLI_OK && cli->json)
		print_json(&rows);
	else if (status == CLI_OK)
		print_text(&rows);
	rows_clear(&rows);
	return status;
}
