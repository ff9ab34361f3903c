/*
 * `streamhold events tail`: the newest events, and with --follow each one that comes.
 *
 *   find    looks backwards until there are enough, by windows that grow
 *   show    the last of what was found, oldest first
 *   follow  asks for what is after the last one, and waits for it
 *   again   when the broker goes, until it is there again; nothing is left out
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/cli/event_rows.h"
#include "broker/cli/out.h"
#include "broker/cli/talk.h"
#include "broker/cli/words.h"
#include "common/alloc.h"
#include "common/text.h"
#include "proto/proto.h"

#define SHOWN_DEFAULT 10
#define SHOWN_MAX 500
/* The first window, and how far back is looked in all. */
#define WINDOW_FIRST 500
#define WINDOW_MAX 128000
/* How long one question waits, and the pauses while the broker is away. */
#define WAIT_MS 20000
#define AWAY_FIRST_MS 100
#define AWAY_MAX_MS 2000

/* An event that was found and may be shown. */
struct kept {
	char *platform;
	char *type;
	char *flags;
	uint64_t seq;
	struct buf json;
};

struct tail {
	struct event_rows rows;
	struct client *client;
	struct kept *ring; /* of `wanted`; the newest replace the oldest */
	uint64_t wanted;
	uint64_t found;
	uint64_t after; /* everything up to it was shown or not wanted */
};

static volatile sig_atomic_t interrupted;

static void
on_signal(int number)
{
	(void)number;
	interrupted = 1;
}

/* Between two connections nobody else watches for Ctrl-C. */
static void
catch_interrupt(void)
{
	const struct sigaction action = { .sa_handler = on_signal };

	(void)sigaction(SIGINT, &action, NULL);
}

/* ---- Output ---- */

static void
print(const struct cli *cli, const struct proto_event *event, const struct buf *json)
{
	struct out_json line;

	if (cli->json) {
		out_json_start_line(&line);
		out_json_raw(&line, "event", buf_bytes(json), buf_length(json));
		out_json_finish(&line);
	} else {
		event_print_line(cli, event, json, true);
	}
	(void)fflush(stdout);
}

static void
print_now(void *arg, const struct proto_event *event, const struct buf *json)
{
	print(((struct tail *)arg)->rows.cli, event, json);
}

/* ---- Find ---- */

static void
kept_clear(struct kept *kept)
{
	free(kept->platform);
	free(kept->type);
	free(kept->flags);
	buf_clear(&kept->json);
	*kept = (struct kept){ .seq = 0 };
}

static void
keep(void *arg, const struct proto_event *event, const struct buf *json)
{
	struct tail *tail = arg;
	struct kept *kept = &tail->ring[tail->found++ % tail->wanted];

	kept_clear(kept);
	*kept = (struct kept){ .platform = xstrdup(event->platform),
		.type = xstrdup(event->type),
		.flags = xstrdup(event->flags),
		.seq = event->seq };
	buf_add(&kept->json, buf_bytes(json), buf_length(json));
}

/* Keeps the last of what fits after `from` and at least up to `last`. */
static int
look_from(struct tail *tail, uint64_t from, uint64_t last)
{
	int status = CLI_OK;

	tail->found = 0;
	tail->after = from;
	while (status == CLI_OK) {
		const struct event_page page = {
			.after = tail->after, .limit = EVENT_PAGE_MAX, .follow = true
		};

		status = event_rows_page(&tail->rows, tail->client, &page);
		if (status != CLI_OK || tail->rows.seen <= tail->after)
			break;
		tail->after = tail->rows.seen;
		if (tail->after >= last)
			break;
	}
	return status;
}

static int
find(struct tail *tail)
{
	const struct event_page nothing = {
		.after = UINT64_MAX, .limit = 1, .follow = true
	};
	int status = event_rows_page(&tail->rows, tail->client, &nothing);
	uint64_t last = tail->rows.last;
	uint64_t window;

	tail->after = last;
	if (tail->wanted == 0)
		return status;
	for (window = WINDOW_FIRST; status == CLI_OK; window *= 4) {
		uint64_t from = last > window ? last - window : 0;

		status = look_from(tail, from, last);
		if (tail->found >= tail->wanted || from == 0 || window >= WINDOW_MAX)
			break;
	}
	return status;
}

static void
show(struct tail *tail)
{
	uint64_t at = tail->found > tail->wanted ? tail->found - tail->wanted : 0;

	for (; at < tail->found; at++) {
		const struct kept *kept = &tail->ring[at % tail->wanted];
		const struct proto_event event = { .seq = kept->seq,
			.platform = kept->platform,
			.type = kept->type,
			.flags = kept->flags };

		print(tail->rows.cli, &event, &kept->json);
	}
}

/* ---- Follow ---- */

static int
wait_for_more(struct tail *tail)
{
	const struct event_page page = { .after = tail->after,
		.limit = EVENT_PAGE_MAX,
		.wait_ms = WAIT_MS,
		.follow = true };
	int status = event_rows_page(&tail->rows, tail->client, &page);

	if (status == CLI_OK && tail->rows.seen > tail->after)
		tail->after = tail->rows.seen;
	/* A database that was made anew begins at 1. */
	else if (status == CLI_OK && tail->rows.last < tail->after)
		tail->after = 0;
	return status;
}

/* Tries until the broker is there again. */
static int
come_back(struct tail *tail)
{
	unsigned pause_ms = AWAY_FIRST_MS;
	int status = CLI_STOPPED;

	client_close(tail->client);
	tail->client = NULL;
	catch_interrupt();
	talk("Waiting until the broker is there again.");
	while (status == CLI_STOPPED && !interrupted) {
		(void)usleep(pause_ms * 1000);
		pause_ms = pause_ms * 2 > AWAY_MAX_MS ? AWAY_MAX_MS : pause_ms * 2;
		status = client_try(tail->rows.cli, &tail->client);
	}
	return interrupted ? CLI_INTERRUPTED : status;
}

static int
follow(struct tail *tail)
{
	int status = CLI_OK;

	tail->rows.each = print_now;
	while (status == CLI_OK) {
		status = wait_for_more(tail);
		if (status == CLI_STOPPED)
			status = come_back(tail);
	}
	return status;
}

int
verb_events_tail(struct cli *cli)
{
	struct tail tail = { .rows = { .cli = cli, .each = keep, .arg = &tail },
		.wanted = SHOWN_DEFAULT };
	uint64_t i;
	int status;

	if (!event_rows_check(cli) ||
	    (cli->limit &&
		!words_number(
		    "limit", cli->limit, cli->follow ? 0 : 1, SHOWN_MAX, &tail.wanted)))
		return CLI_USAGE;
	status = client_open(cli, &tail.client);
	if (status != CLI_OK)
		return status;
	tail.ring = xcalloc(tail.wanted + 1, sizeof(*tail.ring));
	status = find(&tail);
	if (status == CLI_OK) {
		show(&tail);
		if (cli->follow)
			status = follow(&tail);
	}
	for (i = 0; i < tail.wanted; i++)
		kept_clear(&tail.ring[i]);
	free(tail.ring);
	client_close(tail.client);
	return status;
}
