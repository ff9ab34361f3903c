/*
 * `streamhold events list` and `events show`: what has arrived, oldest first, and one
 * of it.
 *
 * Text is printed as it comes; JSON is what the broker composed, as in GET /events.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "broker/cli/event_rows.h"
#include "broker/cli/out.h"
#include "broker/cli/talk.h"
#include "broker/cli/words.h"

#define LIMIT_DEFAULT 100
#define LIMIT_MAX 10000

struct listing {
	struct event_rows rows;
	struct out_json json;
};

/* ---- List ---- */

static void
list_event(void *arg, const struct proto_event *event, const struct buf *json)
{
	struct listing *listing = arg;

	if (listing->rows.cli->json)
		out_json_raw(&listing->json, NULL, buf_bytes(json), buf_length(json));
	else
		event_print_line(listing->rows.cli, event, json, false);
}

/* The broker ends a page early when it has become large, so pages are asked for until
 * one is empty or there are enough. */
static int
list_pages(
    struct client *client, struct listing *listing, uint64_t *after, uint64_t limit)
{
	struct event_rows *rows = &listing->rows;
	uint64_t before;
	uint64_t from;
	int status;

	do {
		uint64_t rest = limit - rows->count;
		const struct event_page page = { .after = *after,
			.limit =
			    (uint32_t)(rest < EVENT_PAGE_MAX ? rest : EVENT_PAGE_MAX) };

		before = rows->count;
		from = *after;
		status = event_rows_page(rows, client, &page);
		if (status == CLI_OK)
			*after = rows->seen;
	} while (status == CLI_OK && (rows->count > before || *after > from) &&
	    rows->count < limit);
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
	return event_rows_check(cli);
}

int
verb_events_list(struct cli *cli)
{
	struct listing listing = {
		.rows = { .cli = cli, .each = list_event, .arg = &listing }
	};
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
	if (status == CLI_OK && !cli->json && listing.rows.count == 0) {
		talk("No such event has arrived.");
		talk_next("streamhold status");
	}
	client_close(client);
	return status;
}

/* ---- Show ---- */

/* Numbers keep their digits, as far as a number can. What a terminal must not show is
 * inside of strings, which are written in ASCII. */
static void
show_text(
    const struct cli *cli, const struct proto_event *event, const struct buf *json)
{
	json_t *document = json_loadb(
	    (const char *)buf_bytes(json), buf_length(json), JSON_ALLOW_NUL, NULL);
	char *text =
	    document ? json_dumps(document, JSON_INDENT(2) | JSON_ENSURE_ASCII) : NULL;
	char *raw;
	json_free_t release;

	event_print_line(cli, event, json, true);
	if (text) {
		(void)printf("%s\n", text);
	} else {
		raw = out_escape(buf_bytes(json), buf_length(json));
		(void)printf("%s\n", raw);
		free(raw);
	}
	json_get_alloc_funcs(NULL, &release);
	release(text);
	json_decref(document);
}

static void
show_event(void *arg, const struct proto_event *event, const struct buf *json)
{
	struct listing *listing = arg;

	if (listing->rows.cli->json)
		out_json_raw(
		    &listing->json, "event", buf_bytes(json), buf_length(json));
	else
		show_text(listing->rows.cli, event, json);
}

int
verb_events_show(struct cli *cli)
{
	struct listing listing = {
		.rows = { .cli = cli, .each = show_event, .arg = &listing }
	};
	const char *word = cli->words[0];
	struct client *client;
	uint64_t seq = 0;
	int status;

	if (!event_rows_word(word, &seq))
		return CLI_NOTHING;
	status = client_open(cli, &client);
	if (status != CLI_OK)
		return status;
	out_json_start(&listing.json);
	status = event_rows_one(&listing.rows, client, seq, word);
	if (status == CLI_OK && cli->json)
		out_json_finish(&listing.json);
	else
		buf_clear(&listing.json.text);
	client_close(client);
	return status;
}
