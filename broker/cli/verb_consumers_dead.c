/*
 * `streamhold consumers dead|retry NAME`: events that could not be pushed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/cli/consumers.h"
#include "broker/cli/rows.h"
#include "broker/cli/talk.h"
#include "broker/cli/words.h"

#define LIMIT_DEFAULT 100
#define LIMIT_MAX 500

static void
print_json(const struct rows *rows, uint64_t next)
{
	struct out_json json;
	size_t i;

	out_json_start(&json);
	out_json_open(&json, "dead_letters", '[');
	for (i = 0; i < rows->count; i++) {
		const struct proto_dead *row = &rows->items[i].dead;

		out_json_open(&json, NULL, '{');
		out_json_number(&json, "seq", row->seq);
		out_json_text(&json, "type", row->type);
		out_json_text(&json, "id", row->id);
		out_json_number(&json, "attempts", row->tries);
		out_json_time(&json, "died_at", row->died_at);
		out_json_text(&json, "reason", row->reason);
		out_json_flag(&json, "retry", row->retry);
		out_json_close(&json, '}');
	}
	out_json_close(&json, ']');
	out_json_number(&json, "next_after", next);
	out_json_finish(&json);
}

static void
add_row(struct out_table *table, const struct proto_dead *row)
{
	char text[WORDS_SIZE];

	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)row->seq);
	out_table_add(table, text);
	out_table_add(table, row->type);
	words_time(row->died_at, text);
	out_table_add(table, text);
	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)row->tries);
	out_table_add(table, text);
	out_table_add(table, row->retry ? "about to be tried again" : row->reason);
}

static void
print_text(const struct cli *cli, const struct rows *rows)
{
	static const char *const headings[] = { "EVENT", "TYPE", "GIVEN UP", "ATTEMPTS",
		"REASON", NULL };
	struct out_table table;
	size_t i;

	if (rows->count == 0) {
		talk("%s has no dead letters.", cli->words[0]);
		return;
	}
	out_table_init(&table, headings);
	for (i = 0; i < rows->count; i++)
		add_row(&table, &rows->items[i].dead);
	out_table_print(&table);
	talk_next("streamhold consumers retry %s --all", cli->words[0]);
}

int
verb_consumers_dead(struct cli *cli)
{
	struct proto_msg msg = { .type = MSG_dead_list,
		.dead_list = { .name = cli->words[0] } };
	uint64_t limit = LIMIT_DEFAULT;
	struct rows rows;
	uint64_t next = 0;
	int status;

	if (cli->limit && !words_number("limit", cli->limit, 1, LIMIT_MAX, &limit))
		return CLI_USAGE;
	if (cli->after &&
	    !words_number("after", cli->after, 0, UINT64_MAX, &msg.dead_list.after))
		return CLI_USAGE;
	msg.dead_list.limit = (uint32_t)limit;
	status = rows_ask_once(cli, &msg, &rows, &next);
	if (status == CLI_OK && cli->json)
		print_json(&rows, next ? next : msg.dead_list.after);
	else if (status == CLI_OK)
		print_text(cli, &rows);
	rows_clear(&rows);
	return status;
}

int
verb_consumers_retry(struct cli *cli)
{
	struct proto_msg msg = { .type = MSG_dead_retry,
		.dead_retry = { .name = cli->words[0] } };
	struct proto_msg answer = { .type = MSG_none };
	struct out_json json;
	int status;

	if (cli->all == (cli->word_count > 1)) {
		talk_error("streamhold consumers dead NAME",
		    "say which event: its number, or --all");
		return CLI_USAGE;
	}
	if (!cli->all &&
	    !words_number("SEQ", cli->words[1], 1, UINT64_MAX, &msg.dead_retry.seq))
		return CLI_USAGE;
	status = consumers_ask(cli, &msg, "streamhold consumers show NAME", &answer);
	if (status == CLI_OK && cli->json) {
		out_json_start(&json);
		out_json_number(&json, "count", answer.dead_retried.count);
		out_json_finish(&json);
	} else if (status == CLI_OK) {
		talk("%llu will be pushed again, in turn.",
		    (unsigned long long)answer.dead_retried.count);
		talk_next("streamhold consumers dead %s", cli->words[0]);
	}
	proto_clear(&answer);
	return status;
}
