/*
 * Events as the broker sends them: rows put together, asked for by filters, shown.
 */
#ifndef BROKER_CLI_EVENT_ROWS_H
#define BROKER_CLI_EVENT_ROWS_H

#include "broker/cli/client.h"
#include "common/buf.h"

/* Events in one question. */
#define EVENT_PAGE_MAX 500

/* Puts events together. `each` is called for every whole event; `json` holds its JSON,
 * and both are borrowed. Set cli, each and arg, all else zero. */
struct event_rows {
	const struct cli *cli;
	void (*each)(
	    void *arg, const struct proto_event *event, const struct buf *json);
	void *arg;
	uint64_t count; /* whole events so far */

	/* of the page that was asked for last */
	uint64_t seen;    /* up to which was looked */
	uint64_t last;    /* the greatest seq, 0: not said */
	uint64_t replays; /* as in events_list */

	struct proto_msg event; /* the one that is coming */
	struct buf text;
};

/* How a page is asked for. */
struct event_page {
	uint64_t after;
	uint32_t limit;   /* 1 to EVENT_PAGE_MAX */
	uint32_t wait_ms; /* so long for the first event */
	bool follow;      /* `seen` counts what did not fit the filters as well */
};

/* Asks for a page with the filters of the command line. Exit statuses as client_ask. */
int event_rows_page(
    struct event_rows *rows, struct client *client, const struct event_page *page);

/* Asks for one event by number, or by id when `seq` is 0. */
int event_rows_one(
    struct event_rows *rows, struct client *client, uint64_t seq, const char *id);

/* An event as it is typed: all digits is a number, as in GET /events/:id. 0 for an id;
 * false when no event can have that number, which was said then. */
bool event_rows_word(const char *word, uint64_t *ret_seq);

/* Whether the filters of the command line can be meant; says what is wrong with them.
 */
bool event_rows_check(const struct cli *cli);

/* One line for a person. `latency` adds how long it took to arrive. */
void event_print_line(const struct cli *cli, const struct proto_event *event,
    const struct buf *json, bool latency);

#endif
