/*
 * Fuzzer of what a request for events asks for: any query, Last-Event-ID and Accept
 * give a refusal with a sentence, or lists within their sizes whose words are told
 * apart as they were written, and a filter that says of an event what a slow and simple
 * one says.
 *
 * Input: the query up to the first line feed, then Last-Event-ID, then Accept.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/event.h"
#include "common/event_filter.h"
#include "httpd/accept.h"
#include "httpd/event_query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(int condition, const char *claim)
{
	if (condition)
		return;
	fprintf(stderr, "broken: %s\n", claim);
	abort();
}

/* The bytes up to the next line feed. */
static struct http_text
cut(const uint8_t **at, size_t *left)
{
	const uint8_t *end = *left ? memchr(*at, '\n', *left) : NULL;
	struct http_text text = { (const char *)*at,
		end ? (size_t)(end - *at) : *left };

	*at += text.length + (end != NULL);
	*left -= text.length + (end != NULL);
	return text;
}

/* Whether the parameter named so has the word. */
static int
asks_for(const struct url_query *from, const char *name, const char *word, int nocase)
{
	char copy[URL_TEXT_MAX + 2];
	char *place;
	char *one;
	int any = 0;
	size_t i;

	for (i = 0; i < from->count; i++) {
		if (strcmp(from->parameters[i].name.data, name) != 0)
			continue;
		snprintf(copy, sizeof(copy), "%s", from->parameters[i].value.data);
		for (one = strtok_r(copy, ",", &place); one;
		     one = strtok_r(NULL, ",", &place)) {
			any = 1;
			if ((nocase ? strcasecmp : strcmp)(one, word) == 0)
				return 1;
		}
	}
	return !any;
}

static void
check_filter(const struct url_query *from, const struct event_query *query)
{
	static const struct event_facts events[] = {
		{ "chat.message.sent", "kick", "chat", "7", "Streamer", 0 },
		{ "a", "twitch", "gift", "8", "b", EVENT_FOREIGN },
		{ "c", "youtube", "unknown", "d", "E", EVENT_SYNTHETIC | EVENT_LATE },
	};
	const struct event_filter filter = event_query_filter(query);
	size_t i;

	for (i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		const struct event_facts *event = &events[i];
		int expected = asks_for(from, "type", event->type, 0) &&
		    asks_for(from, "platform", event->platform, 0) &&
		    asks_for(from, "kind", event->kind, 0) &&
		    (asks_for(from, "broadcaster", event->broadcaster_id, 0) ||
			asks_for(from, "broadcaster", event->broadcaster_name, 1)) &&
		    !(event->flags & EVENT_ASKED_FOR & ~query->include);

		require(event_filter_fits(&filter, event) == expected,
		    "the filter fits as it was asked for");
	}
}

static void
check_list(const char *list)
{
	const char *at = list;
	const char *word;
	size_t length;

	require(strlen(list) < EVENT_LIST_SIZE, "a list is within its size");
	while (event_list_next(&at, &word, &length))
		require(length > 0 && length <= EVENT_WORD_MAX &&
			!memchr(word, ',', length),
		    "a word is within its size");
}

static void
check_query(struct http_text text, struct http_text id)
{
	static struct url_query from;
	struct event_query query;
	const char *problem = NULL;

	if (url_query_decode(text.data, text.length, &from) < 0)
		return;
	if (event_query_read(&from, &query, &problem) < 0) {
		require(problem && *problem, "a refusal is told");
		return;
	}
	require(
	    query.limit >= 1 && query.limit <= EVENT_LIMIT_MAX, "the limit is kept");
	require(!(query.include & ~(uint32_t)EVENT_ASKED_FOR), "only known marks");
	require(!query.now || query.after_given, "now is a place to begin");
	check_list(query.types);
	check_list(query.platforms);
	check_list(query.kinds);
	check_list(query.broadcasters);
	check_filter(&from, &query);
	if (event_query_last_id(&query, id, &problem) < 0)
		require(problem && *problem, "a refusal is told");
	else
		require(
		    id.length == 0 || (query.after_given && !query.now), "an id wins");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_text query = cut(&data, &size);
	struct http_text id = cut(&data, &size);
	struct http_text accept = cut(&data, &size);

	check_query(query, id);
	(void)accept_allows(accept, "text/event-stream");
	return 0;
}
