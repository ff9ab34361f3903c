/*
 * Pure: no allocation, no logging. Called for every row that a page looks at and for
 * every live event and reader.
 */
#include <string.h>
#include <strings.h>

#include "common/event.h"
#include "common/event_filter.h"

static const struct {
	const char *word;
	uint32_t bit;
} includes[] = {
	{ "foreign", EVENT_FOREIGN },
	{ "synthetic", EVENT_SYNTHETIC },
	{ "quarantined", EVENT_QUARANTINED },
};

static const char *const kinds[] = {
	EVENT_KIND_FOLLOW,
	EVENT_KIND_SUBSCRIPTION,
	EVENT_KIND_GIFT,
	EVENT_KIND_TIP,
	EVENT_KIND_CHAT,
	EVENT_KIND_STREAM,
	EVENT_KIND_REWARD,
	EVENT_KIND_MODERATION,
	EVENT_KIND_ACCOUNT,
	EVENT_KIND_NOTICE,
	EVENT_KIND_UNKNOWN,
};

bool
event_list_next(const char **at, const char **ret_word, size_t *ret_length)
{
	*at += strspn(*at, ",");
	*ret_word = *at;
	*ret_length = strcspn(*at, ",");
	*at += *ret_length;
	return *ret_length > 0;
}

static bool
is_word(const char *text, const char *word, size_t length)
{
	return strlen(text) == length && memcmp(text, word, length) == 0;
}

static bool
has(const char *list, const char *text)
{
	const char *word;
	size_t length;

	if (!event_filter_has(list))
		return true;
	while (text && event_list_next(&list, &word, &length))
		if (is_word(text, word, length))
			return true;
	return false;
}

static bool
has_name(const char *list, const char *text)
{
	const char *word;
	size_t length;

	while (text && event_list_next(&list, &word, &length))
		if (strlen(text) == length && strncasecmp(text, word, length) == 0)
			return true;
	return false;
}

bool
event_filter_fits(const struct event_filter *filter, const struct event_facts *facts)
{
	if (facts->flags & EVENT_ASKED_FOR & ~filter->include)
		return false;
	if (!has(filter->types, facts->type) ||
	    !has(filter->platforms, facts->platform) ||
	    !has(filter->kinds, facts->kind))
		return false;
	return has(filter->broadcasters, facts->broadcaster_id) ||
	    has_name(filter->broadcasters, facts->broadcaster_name);
}

uint32_t
event_include_bit(const char *word, size_t length)
{
	size_t i;

	for (i = 0; i < sizeof(includes) / sizeof(includes[0]); i++)
		if (is_word(includes[i].word, word, length))
			return includes[i].bit;
	return 0;
}

bool
event_kind_exists(const char *word, size_t length)
{
	size_t i;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (is_word(kinds[i], word, length))
			return true;
	return false;
}
