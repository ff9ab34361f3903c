/*
 * `streamhold events list`: what has arrived, oldest first.
 *
 * Text is printed as it comes; JSON has the shape of GET /events with the payload
 * spliced in as it was received.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/cli/client.h"
#include "broker/cli/out.h"
#include "broker/cli/talk.h"
#include "broker/cli/words.h"
#include "common/alloc.h"
#include "common/buf.h"
#include "common/text.h"

#define LIMIT_DEFAULT 100
#define LIMIT_MAX 10000
#define PAGE_MAX 500 /* of events_list */

struct listing {
	const struct cli *cli;
	struct out_json json;
	struct proto_msg event; /* the one whose payload is being collected */
	struct buf payload;
	uint64_t count;
};

/* ---- Output ---- */

static void
print_json(struct listing *listing)
{
	const struct proto_event *event = &listing->event.event;
	struct out_json *json = &listing->json;
	char *encoded;

	out_json_open(json, NULL, '{');
	out_json_number(json, "seq", event->seq);
	out_json_text(json, "id", event->id);
	out_json_text(json, "platform", event->platform);
	out_json_text(json, "type", event->type);
	out_json_number(json, "version", event->version);
	out_json_time(json, "received_at", event->received_at);
	out_json_time(json, "occurred_at", event->occurred_at);
	if (event->broadcaster_id || event->broadcaster_name) {
		out_json_open(json, "broadcaster", '{');
		out_json_text(json, "id", event->broadcaster_id);
		out_json_text(json, "name", event->broadcaster_name);
		out_json_close(json, '}');
	} else {
		out_json_null(json, "broadcaster");
	}
	out_json_words(json, "flags", event->flags);
	if (event->json) {
		out_json_raw(json, "payload", buf_bytes(&listing->payload),
		    buf_length(&listing->payload));
	} else {
		encoded = base64_encode(
		    buf_bytes(&listing->payload), buf_length(&listing->payload));
		out_json_text(json, "payload_base64", encoded);
		free(encoded);
	}
	out_json_close(json, '}');
}

static void
print_text(const struct listing *listing)
{
	const struct proto_event *event = &listing->event.event;
	const char *name = event->broadcaster_name ? event->broadcaster_name
	    : event->broadcaster_id                ? event->broadcaster_id
						   : "-";
	char *type = out_escape(event->type, strlen(event->type));
	char *whose = out_escape(name, strlen(name));
	char when[WORDS_SIZE];

	words_time(event->received_at, when);
	(void)printf("%s  %s#%-6llu%s %-8s %-32s ", when,
	    talk_on(listing->cli, TALK_DIM), (unsigned long long)event->seq,
	    talk_off(listing->cli, TALK_DIM), event->platform, type);
	if (*event->flags)
		(void)printf("%-20s %s\n", whose, event->flags);
	else
		(void)printf("%s\n", whose);
	free(type);
	free(whose);
}

static void
finish_event(struct listing *listing)
{
	if (listing->event.type == MSG_event) {
		if (listing->cli->json)
			print_json(listing);
		else
			print_text(listing);
	}
	proto_clear(&listing->event);
	buf_clear(&listing->payload);
}

/* An event, and then the rest of its payload in parts. */
static void
on_row(void *arg, struct proto_msg *row)
{
	struct listing *listing = arg;
	const struct proto_bytes *bytes;

	if (row->type == MSG_event) {
		finish_event(listing);
		listing->count++;
		listing->event = proto_move(row);
		bytes = &listing->event.event.payload;
	} else if (row->type == MSG_event_part) {
		bytes = &row->event_part.payload;
	} else {
		return;
	}
	if (listing->cli->json && bytes->length > 0)
		buf_add(&listing->payload, bytes->data, bytes->length);
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
