/*
 * What `events list`, `tail` and `show` share.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "broker/cli/event_rows.h"
#include "broker/cli/out.h"
#include "broker/cli/talk.h"
#include "broker/cli/words.h"
#include "common/alloc.h"
#include "common/event.h"
#include "common/event_filter.h"
#include "common/text.h"
#include "common/time.h"

/* ---- Rows ---- */

static void
finish_event(struct event_rows *rows)
{
	if (rows->event.type == MSG_event) {
		rows->count++;
		rows->each(rows->arg, &rows->event.event, &rows->text);
	}
	proto_clear(&rows->event);
	buf_clear(&rows->text);
}

/* An event, and then the rest of its JSON in parts. */
static void
on_row(void *arg, struct proto_msg *row)
{
	struct event_rows *rows = arg;
	const struct proto_bytes *bytes;

	if (row->type == MSG_events_span) {
		rows->last = row->events_span.last;
		rows->replays = row->events_span.replay + 1;
		return;
	}
	if (row->type == MSG_event) {
		finish_event(rows);
		rows->event = proto_move(row);
		bytes = &rows->event.event.json;
	} else if (row->type == MSG_event_part) {
		bytes = &row->event_part.json;
	} else {
		return;
	}
	if (bytes->length > 0)
		buf_add(&rows->text, bytes->data, bytes->length);
}

static int
ask(struct event_rows *rows, struct client *client, const struct proto_msg *msg,
    unsigned wait_ms)
{
	const struct client_question question = { .msg = msg,
		.deadline_ms = CLIENT_ANSWER_MS + wait_ms,
		.on_row = on_row,
		.arg = rows };
	struct proto_msg end = { .type = MSG_none };
	int status = client_ask(client, &question, &end);

	finish_event(rows);
	if (status == CLI_OK)
		rows->seen = end.list_end.next;
	proto_clear(&end);
	return status;
}

static bool
includes(const struct cli *cli, uint32_t flag)
{
	const char *at = cli->include ? cli->include : "";
	const char *word;
	size_t length;

	if (flag == EVENT_FOREIGN && cli->include_foreign)
		return true;
	while (event_list_next(&at, &word, &length))
		if (event_include_bit(word, length) == flag)
			return true;
	return false;
}

int
event_rows_page(
    struct event_rows *rows, struct client *client, const struct event_page *page)
{
	const struct cli *cli = rows->cli;
	const struct proto_msg msg = { .type = MSG_events_list,
		.events_list = { .after = page->after,
		    .limit = page->limit,
		    .type = cli->type,
		    .platform = cli->platform,
		    .kind = cli->kind,
		    .broadcaster = cli->broadcaster,
		    .foreign = includes(cli, EVENT_FOREIGN),
		    .synthetic = includes(cli, EVENT_SYNTHETIC),
		    .quarantined = includes(cli, EVENT_QUARANTINED),
		    .follow = page->follow,
		    .replays = rows->replays,
		    .wait_ms = page->wait_ms } };

	return ask(rows, client, &msg, page->wait_ms);
}

int
event_rows_one(
    struct event_rows *rows, struct client *client, uint64_t seq, const char *id)
{
	const struct proto_msg msg = { .type = MSG_event_get,
		.event_get = { .seq = seq, .id = seq ? NULL : id } };

	return ask(rows, client, &msg, 0);
}

bool
event_rows_word(const char *word, uint64_t *ret_seq)
{
	uint64_t seq = 0;

	if (word[strspn(word, "0123456789")] == '\0' &&
	    (!text_to_u64(word, strlen(word), INT64_MAX, &seq) || seq == 0)) {
		talk_error(
		    "streamhold events list", "no event has the number '%s'", word);
		return false;
	}
	*ret_seq = seq;
	return true;
}

/* ---- Filters ---- */

static bool
check_include(const char *words)
{
	const char *word;
	size_t length;

	while (event_list_next(&words, &word, &length)) {
		if (event_include_bit(word, length))
			continue;
		talk_error("streamhold help events",
		    "--include takes foreign, synthetic and quarantined, with commas "
		    "between, not '%.*s'",
		    (int)length, word);
		return false;
	}
	return true;
}

static bool
check_kinds(const char *words)
{
	const char *word;
	size_t length;

	while (event_list_next(&words, &word, &length)) {
		if (event_kind_exists(word, length))
			continue;
		talk_error("streamhold help events",
		    "there is no kind '%.*s'; kinds are follow, subscription, gift, "
		    "tip, chat, stream, reward, moderation, account, notice and "
		    "unknown",
		    (int)length, word);
		return false;
	}
	return true;
}

static bool
check_platforms(const char *words)
{
	const char *word;
	size_t length;

	while (event_list_next(&words, &word, &length)) {
		char *name = xstrndup(word, length);
		bool exists = words_platform(name);

		free(name);
		if (!exists)
			return false;
	}
	return true;
}

bool
event_rows_check(const struct cli *cli)
{
	return (!cli->include || check_include(cli->include)) &&
	    (!cli->kind || check_kinds(cli->kind)) &&
	    (!cli->platform || check_platforms(cli->platform));
}

/* ---- Text ---- */

/* The name of somebody in an event, else the id; NULL when it does not say. */
static const char *
person_of(const json_t *document, const char *member)
{
	const json_t *person = json_object_get(document, member);
	const char *name = json_string_value(json_object_get(person, "name"));

	return name ? name : json_string_value(json_object_get(person, "id"));
}

static void
print_escaped(const char *format, const char *text)
{
	char *escaped = out_escape(text, strlen(text));

	(void)printf(format[0] == '-' ? "%-32s " : "%-20s", escaped);
	free(escaped);
}

static void
print_latency(const json_t *document)
{
	const json_t *latency = json_object_get(document, "latency_ms");

	if (json_is_number(latency))
		(void)printf("  %+.1fs", json_number_value(latency) / 1000);
}

void
event_print_line(const struct cli *cli, const struct proto_event *event,
    const struct buf *json, bool latency)
{
	json_t *document = json_loadb((const char *)buf_bytes(json), buf_length(json),
	    JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);
	const char *whose = person_of(document, "broadcaster");
	const char *actor = person_of(document, "actor");
	const char *when = json_string_value(json_object_get(document, "received_at"));
	char shown[WORDS_SIZE] = "-";
	int64_t received;

	if (when && time_parse(when, strlen(when), &received) == 0)
		words_time((uint64_t)received, shown);
	(void)printf("%s  %s#%-6llu%s %-8s ", shown, talk_on(cli, TALK_DIM),
	    (unsigned long long)event->seq, talk_off(cli, TALK_DIM), event->platform);
	print_escaped("-", event->type);
	print_escaped("", whose ? whose : "-");
	if (latency && actor) {
		char *escaped = out_escape(actor, strlen(actor));

		(void)printf("  from=%s", escaped);
		free(escaped);
	}
	if (latency)
		print_latency(document);
	if (*event->flags)
		(void)printf(" %s%s%s", talk_on(cli, TALK_WARN), event->flags,
		    talk_off(cli, TALK_WARN));
	(void)putchar('\n');
	json_decref(document);
}
