/*
 * Query parameters to what is asked for. Called by page_events.c and page_stream.c; the
 * input is hostile. Reading is pure: no allocation, no logging.
 */
#include <errno.h>
#include <string.h>

#include "common/config.h"
#include "common/text.h"
#include "httpd/event_query.h"
#include "httpd/respond.h"

/* Has a published text of its own. */
static const char no_platform[] = "a platform that there is not";

typedef bool check_fn(const char *word, size_t length);

static bool
is_platform(const char *word, size_t length)
{
	const char *name;
	int i;

	for (i = 0; i < CONFIG_PLATFORM_MAX; i++) {
		name = config_platform_name((enum config_platform_index)i);
		if (strlen(name) == length && memcmp(name, word, length) == 0)
			return true;
	}
	return false;
}

/* The parameters that are lists. */
static const struct {
	const char *name;
	size_t list; /* offset in struct event_query */
	check_fn *check;
	const char *unknown;
	const char *too_long;
} lists[] = {
	{ "type", offsetof(struct event_query, types), NULL, NULL,
	    "type has more than 1023 bytes, or one of more than 128" },
	{ "platform", offsetof(struct event_query, platforms), is_platform, no_platform,
	    "platform has more than 1023 bytes" },
	{ "kind", offsetof(struct event_query, kinds), event_kind_exists,
	    "kind must be of follow, subscription, gift, tip, chat, stream, reward, "
	    "moderation, account, notice and unknown, with commas between",
	    "kind has more than 1023 bytes" },
	{ "broadcaster", offsetof(struct event_query, broadcasters), NULL, NULL,
	    "broadcaster has more than 1023 bytes, or one of more than 128" },
};

/* Adds a word unless it is there. False when it is too long. */
static bool
add_word(char *list, const char *word, size_t length)
{
	const char *at = list;
	const char *other;
	size_t other_length;
	size_t used = strlen(list);

	while (event_list_next(&at, &other, &other_length))
		if (other_length == length && memcmp(other, word, length) == 0)
			return true;
	if (length > EVENT_WORD_MAX || used + 1 + length >= EVENT_LIST_SIZE)
		return false;
	if (used > 0)
		list[used++] = ',';
	memcpy(list + used, word, length);
	list[used + length] = '\0';
	return true;
}

/* The words of one parameter. NULL, or what is wrong. */
static const char *
add_words(struct event_query *query, size_t row, const char *text)
{
	char *list = (char *)query + lists[row].list;
	const char *word;
	size_t length;

	while (event_list_next(&text, &word, &length)) {
		if (lists[row].check && !lists[row].check(word, length))
			return lists[row].unknown;
		if (!add_word(list, word, length))
			return lists[row].too_long;
	}
	return NULL;
}

static const char *
add_include(struct event_query *query, const char *text)
{
	const char *word;
	uint32_t bit;
	size_t length;

	while (event_list_next(&text, &word, &length)) {
		bit = event_include_bit(word, length);
		if (!bit)
			return "include must be of foreign, synthetic and quarantined, "
			       "with commas between";
		query->include |= bit;
	}
	return NULL;
}

static const char *
take_parameter(struct event_query *query, const struct url_parameter *parameter)
{
	size_t i;

	if (strcmp(parameter->name.data, "include") == 0)
		return add_include(query, parameter->value.data);
	for (i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		if (strcmp(parameter->name.data, lists[i].name) == 0)
			return add_words(query, i, parameter->value.data);
	if (strcmp(parameter->name.data, "after") == 0 ||
	    strcmp(parameter->name.data, "limit") == 0)
		return NULL; /* numbers, read before */
	/* A filter that is misspelt would let everything through. */
	return "there is no such parameter; there are after, limit, type, platform, "
	       "kind, broadcaster and include";
}

static const char *
read_after(struct event_query *query, const struct url_query *from)
{
	struct url_text value;
	int result = url_query_find(from, "after", &value);

	if (result == -ENOENT)
		return NULL;
	query->after_given = true;
	if (result == 0 && strcmp(value.data, "now") == 0)
		query->now = true;
	else if (result < 0 ||
	    !text_to_u64(value.data, value.length, UINT64_MAX, &query->after))
		return "after must be a whole number, or now";
	return NULL;
}

static const char *
read_limit(struct event_query *query, const struct url_query *from)
{
	struct url_text value;
	int result = url_query_find(from, "limit", &value);
	uint64_t limit = 0;

	if (result == -ENOENT)
		return NULL;
	if (result < 0 ||
	    !text_to_u64(value.data, value.length, EVENT_LIMIT_MAX, &limit) ||
	    limit == 0)
		return "limit must be a whole number from 1 to 500";
	query->limit = (uint32_t)limit;
	return NULL;
}

int
event_query_read(const struct url_query *from, struct event_query *ret_query,
    const char **ret_problem)
{
	const char *problem;
	size_t i;

	*ret_query = (struct event_query){ .limit = EVENT_LIMIT_DEFAULT };
	problem = read_after(ret_query, from);
	if (!problem)
		problem = read_limit(ret_query, from);
	for (i = 0; !problem && i < from->count; i++)
		problem = take_parameter(ret_query, &from->parameters[i]);
	if (!problem)
		return 0;
	*ret_problem = problem;
	return -EINVAL;
}

int
event_query_last_id(
    struct event_query *query, struct http_text value, const char **ret_problem)
{
	uint64_t id;

	if (value.length == 0)
		return 0;
	if (!text_to_u64(value.data, value.length, UINT64_MAX, &id)) {
		*ret_problem =
		    "Last-Event-ID must be the id of an event of this stream";
		return -EINVAL;
	}
	query->after = id;
	query->after_given = true;
	query->now = false;
	return 0;
}

void
event_query_refuse(struct request *request, const char *problem)
{
	if (problem == no_platform)
		respond_invalid_platform(request);
	else
		respond_error(request, ERR_invalid_request, problem);
}

struct event_filter
event_query_filter(const struct event_query *query)
{
	return (struct event_filter){ .types = query->types,
		.platforms = query->platforms,
		.kinds = query->kinds,
		.broadcasters = query->broadcasters,
		.include = query->include };
}
