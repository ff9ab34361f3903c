/*
 * `streamhold consumers list|show|remove|enable|test`: who follows the events.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/cli/consumers.h"
#include "broker/cli/prompt.h"
#include "broker/cli/rows.h"
#include "broker/cli/talk.h"
#include "broker/cli/words.h"
#include "common/alloc.h"
#include "common/time.h"

/* A push may take as long as consumers.push_timeout_ms allows. */
#define TEST_MS 20000

/* ---- Asking ---- */

int
consumers_ask(const struct cli *cli, const struct proto_msg *msg, const char *next,
    struct proto_msg *ret_answer)
{
	const struct client_question question = { .msg = msg,
		.deadline_ms =
		    msg->type == MSG_consumer_test ? TEST_MS : CLIENT_ANSWER_MS,
		.next = next };

	return client_ask_once(cli, &question, ret_answer);
}

int
consumers_find(const struct cli *cli, const char *name, struct proto_msg *ret_row)
{
	const struct proto_msg msg = { .type = MSG_consumers_list,
		.consumers_list = { .name = name } };
	struct rows rows;
	int status = rows_ask_once(cli, &msg, &rows, NULL);

	if (status == CLI_OK && rows.count > 0)
		*ret_row = proto_move(&rows.items[0]);
	rows_clear(&rows);
	return status;
}

/* ---- Showing ---- */

/* A list with commas as a list of texts; null when there is none. */
static void
json_list(struct out_json *json, const char *name, const char *list)
{
	char *words;
	char *at;

	if (!list) {
		out_json_null(json, name);
		return;
	}
	words = xstrdup(list);
	for (at = words; *at; at++)
		if (*at == ',')
			*at = ' ';
	out_json_words(json, name, words);
	free(words);
}

void
consumers_json(
    struct out_json *json, const char *name, const struct proto_consumer *row)
{
	out_json_open(json, name, '{');
	out_json_text(json, "name", row->name);
	out_json_text(json, "forward", row->url);
	out_json_flag(json, "allow_private", row->private_too);
	json_list(json, "type", row->type);
	json_list(json, "platform", row->platform);
	json_list(json, "kind", row->kind);
	json_list(json, "broadcaster", row->broadcaster);
	json_list(json, "include", row->include);
	out_json_number(json, "cursor", row->cursor);
	out_json_number(json, "handed_out", row->handed);
	out_json_number(json, "lag", row->lag);
	out_json_number(json, "dead_letters", row->dead);
	out_json_time(json, "created_at", row->created_at);
	out_json_time(json, "last_seen_at", row->seen_at);
	out_json_text(json, "state", row->state);
	out_json_text(json, "trouble", row->trouble);
	out_json_time(json, "since", row->since);
	out_json_time(json, "retry_at", row->retry_at);
	out_json_time(json, "old_secret_until", row->old_until);
	out_json_close(json, '}');
}

static void
print_list_json(const struct rows *rows)
{
	struct out_json json;
	size_t i;

	out_json_start(&json);
	out_json_open(&json, "consumers", '[');
	for (i = 0; i < rows->count; i++)
		consumers_json(&json, NULL, &rows->items[i].consumer);
	out_json_close(&json, ']');
	out_json_finish(&json);
}

static void
add_row(struct out_table *table, const struct proto_consumer *row)
{
	char text[WORDS_SIZE];

	out_table_add(table, row->name);
	out_table_add(table, row->url ? row->url : "(asks by itself)");
	out_table_add(table, row->state);
	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)row->lag);
	out_table_add(table, text);
	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)row->dead);
	out_table_add(table, text);
	words_when(row->seen_at, (uint64_t)time_now_ms(), text);
	out_table_add(table, row->seen_at ? text : "never");
	out_table_add(table, row->trouble ? row->trouble : "");
}

static void
print_list(const struct rows *rows)
{
	static const char *const headings[] = { "NAME", "PUSHED TO", "STATE", "LAG",
		"DEAD", "LAST SEEN", "NOTE", NULL };
	struct out_table table;
	size_t i;

	if (rows->count == 0) {
		talk("There is no named consumer yet.");
		talk_next("streamhold consumers add NAME");
		return;
	}
	out_table_init(&table, headings);
	for (i = 0; i < rows->count; i++)
		add_row(&table, &rows->items[i].consumer);
	out_table_print(&table);
}

int
verb_consumers_list(struct cli *cli)
{
	const struct proto_msg msg = { .type = MSG_consumers_list };
	struct rows rows;
	int status = rows_ask_once(cli, &msg, &rows, NULL);

	if (status == CLI_OK && cli->json)
		print_list_json(&rows);
	else if (status == CLI_OK)
		print_list(&rows);
	rows_clear(&rows);
	return status;
}

static void
line(const char *name, const char *text)
{
	char *safe;

	if (!text || !*text)
		return;
	safe = out_escape(text, strlen(text));
	(void)printf("%-13s %s\n", name, safe);
	free(safe);
}

static void
line_number(const char *name, uint64_t number)
{
	(void)printf("%-13s %llu\n", name, (unsigned long long)number);
}

static void
line_when(const char *name, uint64_t ms)
{
	char text[WORDS_SIZE];

	words_when(ms, (uint64_t)time_now_ms(), text);
	if (ms)
		line(name, text);
}

void
consumers_print(const struct proto_consumer *row)
{
	line("name", row->name);
	line("pushed to", row->url);
	if (row->private_too)
		line("", "which may be in a private network");
	line("types", row->type);
	line("platforms", row->platform);
	line("kinds", row->kind);
	line("broadcasters", row->broadcaster);
	line("includes", row->include);
	line_number("done up to", row->cursor);
	line_number("handed out", row->handed);
	line_number("lag", row->lag);
	line_number("dead letters", row->dead);
	line_when("made", row->created_at);
	line_when("last seen", row->seen_at);
	line("state", row->state);
	line("trouble", row->trouble);
	line_when("since", row->since);
	line_when("next attempt", row->retry_at);
	line_when("old secret", row->old_until);
}

/* What a person may want to do about it. */
static void
suggest(const struct proto_consumer *row)
{
	if (strcmp(row->state, "ready") != 0)
		talk_next("streamhold consumers %s %s",
		    strcmp(row->state, "disabled") == 0 ? "enable" : "test", row->name);
	if (row->dead)
		talk_next("streamhold consumers dead %s", row->name);
}

int
verb_consumers_show(struct cli *cli)
{
	struct proto_msg row = { .type = MSG_none };
	struct out_json json;
	int status = consumers_find(cli, cli->words[0], &row);

	if (status == CLI_OK && cli->json) {
		out_json_start(&json);
		consumers_json(&json, "consumer", &row.consumer);
		out_json_finish(&json);
	} else if (status == CLI_OK) {
		consumers_print(&row.consumer);
		suggest(&row.consumer);
	}
	proto_clear(&row);
	return status;
}

/* ---- Removing ---- */

static int
confirm(const struct cli *cli)
{
	char *question;
	int status;

	if (cli->yes)
		return CLI_OK;
	question = xasprintf(
	    "Forget %s, how far it is, and its dead letters? [y/N] ", cli->words[0]);
	status = prompt_removal(question, "streamhold consumers remove NAME --yes");
	free(question);
	return status;
}

int
verb_consumers_remove(struct cli *cli)
{
	const struct proto_msg msg = { .type = MSG_consumer_delete,
		.consumer_delete = { .name = cli->words[0] } };
	struct out_json json;
	int status = confirm(cli);

	if (status == CLI_OK)
		status = consumers_ask(cli, &msg, "streamhold consumers list", NULL);
	if (status == CLI_OK && cli->json) {
		out_json_start(&json);
		out_json_text(&json, "name", cli->words[0]);
		out_json_flag(&json, "removed", true);
		out_json_finish(&json);
	} else if (status == CLI_OK) {
		talk("%s is removed.", cli->words[0]);
	}
	return status;
}

/* ---- Enabling and testing ---- */

int
verb_consumers_enable(struct cli *cli)
{
	const struct proto_msg msg = { .type = MSG_consumer_enable,
		.consumer_enable = { .name = cli->words[0] } };
	struct proto_msg answer = { .type = MSG_none };
	struct out_json json;
	int status = consumers_ask(cli, &msg, "streamhold consumers list", &answer);

	if (status == CLI_OK && cli->json) {
		out_json_start(&json);
		consumers_json(&json, "consumer", &answer.consumer);
		out_json_finish(&json);
	} else if (status == CLI_OK) {
		talk("Events are pushed to %s again, from %llu on.", cli->words[0],
		    (unsigned long long)answer.consumer.cursor + 1);
		talk_next("streamhold consumers show %s", cli->words[0]);
	}
	proto_clear(&answer);
	return status;
}

static int
tell_tested(const struct cli *cli, const struct proto_consumer_tested *tested)
{
	struct out_json json;

	if (cli->json) {
		out_json_start(&json);
		out_json_text(&json, "id", tested->id);
		out_json_flag(&json, "taken", tested->taken);
		out_json_number(&json, "status", tested->status);
		out_json_text(
		    &json, "problem", *tested->problem ? tested->problem : NULL);
		out_json_number(&json, "took_ms", tested->took_ms);
		out_json_finish(&json);
	} else if (tested->taken) {
		talk("%s took the test event %s: %u after %u ms.", cli->words[0],
		    tested->id, tested->status, tested->took_ms);
	}
	if (tested->taken)
		return CLI_OK;
	if (!cli->json)
		talk_error("streamhold consumers show NAME",
		    "%s did not take the test event: %s", cli->words[0],
		    tested->problem);
	return CLI_PROVIDER;
}

int
verb_consumers_test(struct cli *cli)
{
	const struct proto_msg msg = { .type = MSG_consumer_test,
		.consumer_test = { .name = cli->words[0] } };
	struct proto_msg answer = { .type = MSG_none };
	int status = consumers_ask(cli, &msg, "streamhold consumers list", &answer);

	if (status == CLI_OK)
		status = tell_tested(cli, &answer.consumer_tested);
	proto_clear(&answer);
	return status;
}
