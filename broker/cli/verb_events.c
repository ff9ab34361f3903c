/*
 * `streamhold events list`: what has arrived, oldest first.
 *
 * Text is printed as it comes; JSON is what the broker composed, as in GET /events.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "broker/cli/client.h"
#include "broker/cli/out.h"
#include "broker/cli/talk.h"
#include "broker/cli/words.h"
#include "common/alloc.h"
#include "common/buf.h"
#include "common/text.h"
#include "common/time.h"

#define LIMIT_DEFAULT 100
#define LIMIT_MAX 10000
#define PAGE_MAX 500 /* of events_list */

struct listing {
	const struct cli *cli;
	struct out_json json;
	struct proto_msg event; /* the one whose JSON is being collected */
	struct buf text;        /* its JSON */
	uint64_t count;
};

/* ---- Output ---- */

/* Whose channel an event is about; NULL when it does not say. */
static const char *
whose_of(const json_t *document)
{
	const json_t *broadcaster = json_object_get(document, "broadcaster");
	const char *name = json_string_value(json_object_get(broadcaster, "name"));

	return name ? name : json_string_value(json_object_get(broadcaster, "id"));
}

static void
print_text(const struct listing *listing)
{
	const struct proto_event *event = &listing->event.event;
	json_t *document = json_loadb((const char *)buf_bytes(&listing->text),
	    buf_length(&listing->text), JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);
	const char *name = whose_of(document);
	const char *when = json_string_value(json_object_get(document, "received_at"));
	char *type = out_escape(event->type, strlen(event->type));
	char *whose = name ? out_escape(name, strlen(name)) : xstrdup("-");
	char shown[WORDS_SIZE] = "-";
	int64_t received;

	if (when && time_parse(when, strlen(when), &received) == 0)
		words_time((uint64_t)received, shown);
	(void)printf("%s  %s#%-6llu%s %-8s %-32s ", shown,
	    talk_on(listing->cli, TALK_DIM), (unsigned long long)event->seq,
	    talk_off(listing->cli, TALK_DIM), event->platform, type);
	if (*event->flags)
		(void)printf("%-20s %s\n", whose, event->flags);
	else
		(void)printf("%s\n", whose);
	free(type);
	free(whose);
	json_decref(document);
}

static void
finish_event(struct listing *listing)
{
	if (listing->event.type == MSG_event) {
		if (listing->cli->json)
			out_json_raw(&listing->json, NULL, buf_bytes(&listing->text),
			    buf_length(&listing->text));
		else
			print_text(listing);
	}
	proto_clear(&listing->event);
	buf_clear(&listing->text);
}

/* An event, and then the rest of its JSON in parts. */
static void
on_row(void *arg, struct proto_msg *row)
{
	struct listing *listing = arg;
	const struct proto_bytes *bytes;

	if (row->type == MSG_event) {
		finish_event(listing);
		listing->count++;
		listing->event = proto_move(row);
		bytes = &listing->event.event.json;
	} else if (row->type == MSG_event_part) {
		bytes = &row->event_part.json;
	} else {
		return;
	}
	if (bytes->length > 0)
		buf_add(&listing->text, bytes->data, bytes->length);
}

/* ---- Pages ---- */

/* The broker ends a page early when it has become large, so pages are asked for until
 * one is empty or there are enough. */
static int
list_pages(
    struct client *client, struct listing *listing, uint64_t *after, uint64_t limit)
{
	uint64_t before;
	int status;

	do {
		uint64_t rest = limit - listing->count;
		const struct proto_msg msg = { .type = MSG_events_list,
			.events_list = { .after = *after,
			    .limit = (uint32_t)(rest < PAGE_MAX ? rest : PAGE_MAX),
			    .type = listing->cli->type,
			    .platform = listing->cli->platform,
			    .foreign = listing->cli->include_foreign } };
		const struct client_question question = { .msg = &msg,
			.deadline_ms = CLIENT_ANSWER_MS,
			.on_row = on_row,
			.arg = listing };
		struct proto_msg end = { .type = MSG_none };

		before = listing->count;
		status = client_ask(client, &question, &end);
		finish_event(listing);
		if (status == CLI_OK)
			*after = end.list_end.next;
		proto_clear(&end);
	} while (status == CLI_OK && listing->count > before && listing->count < limit);
	return status;
}

static bool
read_numbers(const struct cli *cli, uint64_t *ret_after, uint64_t *ret_limit)
{
	*ret_after = 0;
	*ret_limit = LIMIT_DEFAULT;
	if (cli->after && !words_number("after", cli->after, 0, UINT64_MAX, ret_after))
		return false;
	if (cli->limit && !words_number("limit", cli->limit, 1, LIMIT_MAX, ret_limit))
		return false;
	return !cli->platform || words_platform(cli->platform);
}

int
verb_events_list(struct cli *cli)
{
	struct listing listing = { .cli = cli, .event = { .type = MSG_none } };
	struct client *client;
	uint64_t after;
	uint64_t limit;
	int status;

	if (!read_numbers(cli, &after, &limit))
		return CLI_USAGE;
	status = client_open(cli, &client);
	if (status != CLI_OK)
		return status;
	out_json_start(&listing.json);
	out_json_open(&listing.json, "events", '[');
	status = list_pages(client, &listing, &after, limit);
	out_json_close(&listing.json, ']');
	out_json_number(&listing.json, "next_after", after);
	if (status == CLI_OK && cli->json)
		out_json_finish(&listing.json);
	else
		buf_clear(&listing.json.text);
	if (status == CLI_OK && !cli->json && listing.count == 0) {
		talk("No such event has arrived.");
		talk_next("streamhold status");
	}
	client_close(client);
	return status;
}
