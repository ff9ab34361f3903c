/*
 * The table of options and `struct config` itself: defaults, members by row, freeing,
 * comparing. Made from options.def.
 *
 * Used by everybody who has a configuration; reading it is config_parse.c, writing it
 * config_show.c.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/config.h"
#include "common/config_table.h"
#include "common/log.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* The indexes are handed to log_set_level and log_set_format as they are. */
_Static_assert((int)CONFIG_LOG_LEVEL_DEBUG == (int)LOG_LEVEL_debug, "log levels");
_Static_assert((int)CONFIG_LOG_FORMAT_JSON == (int)LOG_FORMAT_json, "log formats");

/* Enums are stored through their compatible type, see config_set_number. */
_Static_assert(sizeof(enum config_log_level) == sizeof(uint32_t), "enum size");

/* keystore_backend_words[] and so on. */
#define OPTION_WORDS(type) static const char *const type##_words[] = {
#define OPTION_WORD(type, ID, text) [CONFIG_##ID] = text,
#define OPTION_WORDS_END(type, TYPE) \
	} \
	;
#include "common/options.def"

#define ROW(section, name) \
	.key = #section "." #name, .offset = offsetof(struct config, section.name)
#define TOP_ROW(name) .key = #name, .offset = offsetof(struct config, name)
#define USE(when_, who_, sentence_) \
	.when = CONFIG_WHEN_##when_, .who = CONFIG_FOR_##who_, .sentence = sentence_

static const struct config_option options[] = {
#define OPTION_NUMBER(section, name, default_, least_, most_, when, who, sentence) \
	{ ROW(section, name), .kind = CONFIG_NUMBER, .number = default_, \
		.least = least_, .most = most_, USE(when, who, sentence) },
#define OPTION_FLAG(section, name, default_, when, who, sentence) \
	{ ROW(section, name), .kind = CONFIG_FLAG, .number = default_, \
		USE(when, who, sentence) },
#define OPTION_TEXT(section, name, default_, longest_, check_, when, who, sentence) \
	{ ROW(section, name), .kind = CONFIG_TEXT, .text = default_, \
		.longest = longest_, .check = CONFIG_CHECK_##check_, \
		USE(when, who, sentence) },
#define OPTION_URL(section, name, default_, check_, when, who, sentence) \
	{ ROW(section, name), .kind = CONFIG_URL, .text = default_, \
		.longest = CONFIG_URL_MAX, .check = CONFIG_CHECK_##check_, \
		USE(when, who, sentence) },
#define OPTION_PATH(section, name, longest_, when, who, sentence) \
	{ ROW(section, name), .kind = CONFIG_PATH, .longest = longest_, \
		.check = CONFIG_CHECK_PATH, USE(when, who, sentence) },
#define OPTION_ENUM(section, name, type, DEFAULT, when, who, sentence) \
	{ ROW(section, name), .kind = CONFIG_ENUM, .number = CONFIG_##DEFAULT, \
		.words = type##_words, .word_count = COUNT(type##_words), \
		USE(when, who, sentence) },
#define OPTION_LIST( \
    section, name, default_, items, longest_, check_, when, who, sentence) \
	{ ROW(section, name), .kind = CONFIG_LIST, .text = default_, .most = items, \
		.longest = longest_, .check = CONFIG_CHECK_##check_, \
		USE(when, who, sentence) },
#define OPTION_SUBSCRIPTIONS(section, name, items, when, who, sentence) \
	{ ROW(section, name), .kind = CONFIG_SUBSCRIPTIONS, .most = items, \
		USE(when, who, sentence) },
#define OPTION_FEATURES(name, items, when, who, sentence) \
	{ TOP_ROW(name), .kind = CONFIG_FEATURES, .most = items, .text = "{}", \
		USE(when, who, sentence) },
#define OPTION_ACTIONS(name, items, when, who, sentence) \
	{ TOP_ROW(name), .kind = CONFIG_ACTIONS, .most = items, .text = "[]", \
		USE(when, who, sentence) },
#include "common/options.def"
};

static const struct {
	const char *name;
	const char *sentence;
} sections[] = {
#define OPTION_SECTION(section, sentence) { #section, sentence },
#define OPTION_PLATFORMS { "platforms", "The platforms: addresses and scopes." },
#include "common/options.def"
};

static const char *const platform_names[] = {
#define OPTION_PLATFORM(ID, name, a, t, r, v, i, d, api, s) #name,
#include "common/options.def"
};

static const char *const event_names[] = {
#define OPTION_EVENT(name) name,
#include "common/options.def"
};

static const struct config_older_event older_events[] = {
#define OPTION_OLDER_EVENT(older, name, further_name) { older, name, further_name },
#include "common/options.def"
};

static const char *const feature_words[] = { "off", "shadow", "on" };

/* ---- The table ---- */

const struct config_option *
config_options(size_t *ret_count)
{
	*ret_count = COUNT(options);
	return options;
}

const struct config_option *
config_option_find(const char *key)
{
	size_t i;

	for (i = 0; i < COUNT(options); i++) {
		if (strcmp(options[i].key, key) == 0)
			return &options[i];
	}
	return NULL;
}

const char *
config_section_sentence(const char *section)
{
	size_t i;

	for (i = 0; i < COUNT(sections); i++) {
		if (strcmp(sections[i].name, section) == 0)
			return sections[i].sentence;
	}
	return NULL;
}

const char *
config_platform_name(enum config_platform_index platform)
{
	return platform_names[platform];
}

const char *const *
config_event_names(size_t *ret_count)
{
	*ret_count = COUNT(event_names);
	return event_names;
}

const struct config_older_event *
config_older_events(size_t *ret_count)
{
	*ret_count = COUNT(older_events);
	return older_events;
}

const char *const *
config_feature_words(size_t *ret_count)
{
	*ret_count = COUNT(feature_words);
	return feature_words;
}

size_t
config_words_allowed(const struct config_option *option)
{
#ifndef STREAMHOLD_TEST_BUILD
	/* The keystore that forgets everything is the last of its words. */
	if (option->words == keystore_backend_words)
		return CONFIG_KEYSTORE_BACKEND_MEMORY;
#endif
	return option->word_count;
}

/* ---- Members ---- */

void *
config_member(struct config *config, const struct config_option *option)
{
	return (char *)config + option->offset;
}

const void *
config_member_const(const struct config *config, const struct config_option *option)
{
	return (const char *)config + option->offset;
}

uint32_t
config_number(const struct config *config, const struct config_option *option)
{
	const void *member = config_member_const(config, option);
	uint32_t value;

	if (option->kind == CONFIG_FLAG)
		return *(const bool *)member;
	memcpy(&value, member, sizeof value);
	return value;
}

void
config_set_number(
    struct config *config, const struct config_option *option, uint32_t value)
{
	void *member = config_member(config, option);

	if (option->kind == CONFIG_FLAG)
		*(bool *)member = value != 0;
	else
		memcpy(member, &value, sizeof value);
}

const char *
config_text(const struct config *config, const struct config_option *option)
{
	return *(char *const *)config_member_const(config, option);
}

void
config_set_text(struct config *config, const struct config_option *option, char *text)
{
	char **member = config_member(config, option);

	free(*member);
	*member = text;
}

/* ---- Lists ---- */

void
config_list_add(struct config_list *list, const char *text)
{
	list->items = xrealloc(list->items, (list->count + 1) * sizeof *list->items);
	list->items[list->count++] = xstrdup(text);
}

bool
config_list_has(const struct config_list *list, const char *text)
{
	size_t i;

	for (i = 0; i < list->count; i++) {
		if (strcmp(list->items[i], text) == 0)
			return true;
	}
	return false;
}

struct config_list
config_list_of_words(const char *text)
{
	struct config_list list = { .items = NULL };
	size_t length;
	char *word;

	while (*text) {
		length = strcspn(text, " ");
		word = xstrndup(text, length);
		config_list_add(&list, word);
		free(word);
		text += length;
		text += *text == ' ';
	}
	return list;
}

void
config_list_clear(struct config_list *list)
{
	size_t i;

	for (i = 0; i < list->count; i++)
		free(list->items[i]);
	free(list->items);
	*list = (struct config_list){ .items = NULL };
}

void
config_subscriptions_clear(struct config_subscriptions *subscriptions)
{
	size_t i;

	for (i = 0; i < subscriptions->count; i++) {
		free(subscriptions->items[i].username);
		config_list_clear(&subscriptions->items[i].events);
	}
	free(subscriptions->items);
	*subscriptions = (struct config_subscriptions){ .items = NULL };
}

/* ---- The whole ---- */

void
config_init(struct config *ret_config)
{
	const struct config_option *option;
	size_t i;

	memset(ret_config, 0, sizeof *ret_config);
	for (i = 0; i < COUNT(options); i++) {
		option = &options[i];
		switch (option->kind) {
		case CONFIG_NUMBER:
		case CONFIG_FLAG:
		case CONFIG_ENUM:
			config_set_number(ret_config, option, option->number);
			break;
		case CONFIG_LIST:
			*(struct config_list *)config_member(ret_config, option) =
			    config_list_of_words(option->text);
			break;
		case CONFIG_SUBSCRIPTIONS:
			break;
		case CONFIG_TEXT:
		case CONFIG_URL:
		case CONFIG_PATH:
		case CONFIG_FEATURES:
		case CONFIG_ACTIONS:
			if (option->text)
				config_set_text(
				    ret_config, option, xstrdup(option->text));
			break;
		}
	}
}

void
config_clear(struct config *config)
{
	const struct config_option *option;
	size_t i;

	for (i = 0; i < COUNT(options); i++) {
		option = &options[i];
		switch (option->kind) {
		case CONFIG_NUMBER:
		case CONFIG_FLAG:
		case CONFIG_ENUM:
			break;
		case CONFIG_LIST:
			config_list_clear(config_member(config, option));
			break;
		case CONFIG_SUBSCRIPTIONS:
			config_subscriptions_clear(config_member(config, option));
			break;
		case CONFIG_TEXT:
		case CONFIG_URL:
		case CONFIG_PATH:
		case CONFIG_FEATURES:
		case CONFIG_ACTIONS:
			config_set_text(config, option, NULL);
			break;
		}
	}
	memset(config, 0, sizeof *config);
}

/* ---- Comparing ---- */

static bool
text_differs(const char *a, const char *b)
{
	return !a || !b ? a != b : strcmp(a, b) != 0;
}

static bool
list_differs(const struct config_list *a, const struct config_list *b)
{
	size_t i;

	if (a->count != b->count)
		return true;
	for (i = 0; i < a->count; i++) {
		if (strcmp(a->items[i], b->items[i]) != 0)
			return true;
	}
	return false;
}

static bool
subscriptions_differ(
    const struct config_subscriptions *a, const struct config_subscriptions *b)
{
	size_t i;

	if (a->count != b->count)
		return true;
	for (i = 0; i < a->count; i++) {
		if (strcmp(a->items[i].username, b->items[i].username) != 0 ||
		    list_differs(&a->items[i].events, &b->items[i].events))
			return true;
	}
	return false;
}

static bool
option_differs(
    const struct config_option *option, const struct config *a, const struct config *b)
{
	switch (option->kind) {
	case CONFIG_NUMBER:
	case CONFIG_FLAG:
	case CONFIG_ENUM:
		return config_number(a, option) != config_number(b, option);
	case CONFIG_LIST:
		return list_differs(
		    config_member_const(a, option), config_member_const(b, option));
	case CONFIG_SUBSCRIPTIONS:
		return subscriptions_differ(
		    config_member_const(a, option), config_member_const(b, option));
	case CONFIG_TEXT:
	case CONFIG_URL:
	case CONFIG_PATH:
	case CONFIG_FEATURES:
	case CONFIG_ACTIONS:
		break;
	}
	return text_differs(config_text(a, option), config_text(b, option));
}

size_t
config_diff(const struct config *before, const struct config *after,
    const struct config_option **ret_changed, size_t room)
{
	size_t count = 0;
	size_t i;

	for (i = 0; i < COUNT(options); i++) {
		if (!option_differs(&options[i], before, after))
			continue;
		if (count < room)
			ret_changed[count] = &options[i];
		count++;
	}
	return count;
}

static size_t
member_size(const struct config_option *option)
{
	switch (option->kind) {
	case CONFIG_NUMBER:
	case CONFIG_ENUM:
		return sizeof(uint32_t);
	case CONFIG_FLAG:
		return sizeof(bool);
	case CONFIG_LIST:
		return sizeof(struct config_list);
	case CONFIG_SUBSCRIPTIONS:
		return sizeof(struct config_subscriptions);
	case CONFIG_TEXT:
	case CONFIG_URL:
	case CONFIG_PATH:
	case CONFIG_FEATURES:
	case CONFIG_ACTIONS:
		break;
	}
	return sizeof(char *);
}

void
config_swap(struct config *a, struct config *b, const struct config_option *option)
{
	char *left = config_member(a, option);
	char *right = config_member(b, option);
	size_t i;

	for (i = 0; i < member_size(option); i++) {
		char byte = left[i];

		left[i] = right[i];
		right[i] = byte;
	}
}
