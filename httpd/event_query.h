/*
 * What a request for events asks for: the one place that reads the parameters of GET
 * /events and GET /events/stream.
 */
#ifndef HTTPD_EVENT_QUERY_H
#define HTTPD_EVENT_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/event_filter.h"
#include "httpd/http_parse.h"
#include "httpd/url.h"

/* Events on a page: the default, and the most. */
#define EVENT_LIMIT_DEFAULT 100
#define EVENT_LIMIT_MAX 500

/* Bytes of one word of a list, and of each list with its commas and NUL
 * (messages.def, events_list). */
#define EVENT_WORD_MAX 128
#define EVENT_LIST_SIZE 1024

struct event_query {
	uint64_t after;
	bool after_given;
	bool now; /* after=now: only what is stored from here on */
	uint32_t limit;
	uint32_t include; /* of EVENT_ASKED_FOR */
	/* Words with commas between, "" for all. */
	char types[EVENT_LIST_SIZE];
	char platforms[EVENT_LIST_SIZE];
	char kinds[EVENT_LIST_SIZE];
	char broadcasters[EVENT_LIST_SIZE];
};

struct request;

/* Reads `after`, `limit`, and the filters `type`, `platform`, `kind`, `broadcaster` and
 * `include`, which may come several times and may be lists with commas. Other
 * parameters are refused: a filter that is misspelt would let everything through. 0; or
 * -EINVAL with a sentence in *ret_problem (static). */
int event_query_read(const struct url_query *from, struct event_query *ret_query,
    const char **ret_problem);

/* Takes a Last-Event-ID, which wins over `after`; an empty one says nothing. 0, or
 * -EINVAL with a sentence. */
int event_query_last_id(
    struct event_query *query, struct http_text value, const char **ret_problem);

/* Answers 400 with what one of these said. */
void event_query_refuse(struct request *request, const char *problem);

/* The filters; borrowed. */
struct event_filter event_query_filter(const struct event_query *query);

#endif
