/*
 * Reading the values of config.json: one function a kind of row.
 *
 * Called by config_parse.c for each known key. A wrong value leaves a problem behind
 * and the member as it was, or cut short: the configuration is thrown away then.
 */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "common/alloc.h"
#include "common/config_check.h"
#include "common/config_reader.h"
#include "common/json_text.h"
#include "common/suggest.h"
#include "common/text.h"

/* Bytes of the description of what is allowed for a key. */
#define ALLOWED_SIZE 260

/* ---- Describing ---- */

const char *
config_describe(const json_t *value, char found[CONFIG_FOUND_SIZE])
{
	char text[CONFIG_FOUND_SIZE - 16];

	switch (json_typeof(value)) {
	case JSON_STRING:
		config_escape(json_string_value(value), text, sizeof text);
		snprintf(found, CONFIG_FOUND_SIZE, "the text \"%s\"", text);
		break;
	case JSON_INTEGER:
		snprintf(found, CONFIG_FOUND_SIZE, "%" JSON_INTEGER_FORMAT,
		    json_integer_value(value));
		break;
	case JSON_REAL:
		snprintf(found, CONFIG_FOUND_SIZE,
		    "the number %.10g with a fraction or exponent",
		    json_real_value(value));
		break;
	case JSON_TRUE:
	case JSON_FALSE:
		snprintf(found, CONFIG_FOUND_SIZE, "%s",
		    json_is_true(value) ? "true" : "false");
		break;
	case JSON_NULL:
		snprintf(found, CONFIG_FOUND_SIZE, "null");
		break;
	case JSON_OBJECT:
		snprintf(found, CONFIG_FOUND_SIZE, "an object");
		break;
	case JSON_ARRAY:
		snprintf(
		    found, CONFIG_FOUND_SIZE, "a list of %zu", json_array_size(value));
		break;
	}
	return found;
}

void
config_list_words(const char *const *words, size_t count, char *text, size_t size)
{
	size_t used = 0;
	size_t i;

	text[0] = '\0';
	for (i = 0; i < count && used + 1 < size; i++) {
		snprintf(
		    text + used, size - used, "%s\"%s\"", i > 0 ? ", " : "", words[i]);
		used += strlen(text + used);
	}
}

/* What a row allows, to follow "must be". */
static const char *
describe_allowed(const struct config_option *option, char allowed[ALLOWED_SIZE])
{
	char words[ALLOWED_SIZE - 16];

	switch (option->kind) {
	case CONFIG_NUMBER:
		snprintf(allowed, ALLOWED_SIZE, "a whole number from %u to %u",
		    option->least, option->most);
		break;
	case CONFIG_FLAG:
		snprintf(allowed, ALLOWED_SIZE, "true or false");
		break;
	case CONFIG_ENUM:
		config_list_words(
		    option->words, config_words_allowed(option), words, sizeof words);
		snprintf(allowed, ALLOWED_SIZE, "one of %s", words);
		break;
	case CONFIG_TEXT:
	case CONFIG_URL:
	case CONFIG_PATH:
		snprintf(
		    allowed, ALLOWED_SIZE, "%s", config_check_allows(option->check));
		break;
	case CONFIG_LIST:
		snprintf(
		    allowed, ALLOWED_SIZE, "a list of at most %u texts", option->most);
		break;
	case CONFIG_SUBSCRIPTIONS:
		snprintf(allowed, ALLOWED_SIZE,
		    "a list of at most %u objects with \"username\" and \"events\"",
		    option->most);
		break;
	case CONFIG_FEATURES:
		snprintf(allowed, ALLOWED_SIZE,
		    "an object with at most %u names and their modes", option->most);
		break;
	case CONFIG_ACTIONS:
		snprintf(allowed, ALLOWED_SIZE, "a list of at most %u objects",
		    option->most);
		break;
	}
	return allowed;
}

static void
refuse(struct config_reader *reader, const struct config_place *place,
    const struct config_option *option, const json_t *value)
{
	char allowed[ALLOWED_SIZE];
	char found[CONFIG_FOUND_SIZE];

	config_problem_at(&reader->source, place, "must be %s, found %s",
	    describe_allowed(option, allowed), config_describe(value, found));
}

/* A word that is none of those known; says which was meant or which there are. */
static void
refuse_word(struct config_reader *reader, const struct config_place *place,
    const json_t *value, const char *const *words, size_t count)
{
	const char *meant = json_is_string(value)
	    ? suggest_nearest(json_string_value(value), words, count)
	    : NULL;
	char allowed[ALLOWED_SIZE + 80];
	char found[CONFIG_FOUND_SIZE];

	config_list_words(words, count, allowed, sizeof allowed);
	config_problem_at(&reader->source, place, "must be one of %s, found %s%s%s%s",
	    allowed, config_describe(value, found), meant ? "; did you mean \"" : "",
	    meant ? meant : "", meant ? "\"?" : "");
}

/* ---- Texts ---- */

/* A refused text is not repeated when it may be an address with a password. */
static void
refuse_text(struct config_reader *reader, const struct config_place *place,
    enum config_check check, const json_t *value, const char *reason)
{
	char found[CONFIG_FOUND_SIZE];

	if (strchr(json_string_value(value), '@'))
		snprintf(found, sizeof found, "a text with '@', not shown here");
	else
		config_describe(value, found);
	config_problem_at(&reader->source, place, "must be %s, found %s: %s",
	    config_check_allows(check), found, reason);
}

/* Whether a value is a text of the right form; says what is wrong when it is not. */
static bool
check_text(struct config_reader *reader, const struct config_place *place,
    enum config_check check, size_t longest, const json_t *value)
{
	const char *reason;
	char found[CONFIG_FOUND_SIZE];
	size_t length;

	if (!json_is_string(value)) {
		config_problem_at(&reader->source, place, "must be %s, found %s",
		    config_check_allows(check), config_describe(value, found));
		return false;
	}
	length = json_string_length(value);
	if (length == 0 || length > longest) {
		config_problem_at(&reader->source, place,
		    "must be %s of 1 to %zu bytes, found a text of %zu bytes",
		    config_check_allows(check), longest, length);
		return false;
	}
	reason = config_check_text(check, json_string_value(value));
	if (reason) {
		refuse_text(reader, place, check, value, reason);
		return false;
	}
	return true;
}

/* A copy of a checked text. Bases of addresses and paths lose the '/' at their end: a
 * path with it would be followed even where it is a symbolic link. */
static char *
copy_text(enum config_check check, const json_t *value)
{
	char *text = xstrdup(json_string_value(value));
	size_t length = strlen(text);

	if (check == CONFIG_CHECK_URL_BASE || check == CONFIG_CHECK_PATH) {
		while (length > 1 && text[length - 1] == '/')
			text[--length] = '\0';
	}
	return text;
}

static void
read_text(struct config_reader *reader, const struct config_place *place,
    const struct config_option *option, const json_t *value)
{
	if (check_text(reader, place, option->check, option->longest, value))
		config_set_text(
		    reader->config, option, copy_text(option->check, value));
}

static void
read_list(struct config_reader *reader, const struct config_place *place,
    const struct config_option *option, const json_t *value)
{
	struct config_list *list = config_member(reader->config, option);
	struct config_place entry = { .parent = place };
	const json_t *text;

	if (!json_is_array(value) || json_array_size(value) > option->most) {
		refuse(reader, place, option, value);
		return;
	}
	config_list_clear(list);
	for (; entry.index < json_array_size(value); entry.index++) {
		text = json_array_get(value, entry.index);
		if (!check_text(reader, &entry, option->check, option->longest, text))
			continue;
		if (config_list_has(list, json_string_value(text)))
			config_problem_at(&reader->source, &entry,
			    "must not repeat an earlier entry of the list");
		else
			config_list_add(list, json_string_value(text));
	}
}

/* ---- Numbers, flags, words ---- */

static void
read_number(struct config_reader *reader, const struct config_place *place,
    const struct config_option *option, const json_t *value)
{
	if (!json_is_integer(value) || json_integer_value(value) < option->least ||
	    json_integer_value(value) > option->most)
		refuse(reader, place, option, value);
	else
		config_set_number(
		    reader->config, option, (uint32_t)json_integer_value(value));
}

static void
read_flag(struct config_reader *reader, const struct config_place *place,
    const struct config_option *option, const json_t *value)
{
	if (!json_is_boolean(value))
		refuse(reader, place, option, value);
	else
		config_set_number(reader->config, option, json_is_true(value));
}

static bool
find_word(
    const json_t *value, const char *const *words, size_t count, uint32_t *ret_index)
{
	uint32_t i;

	for (i = 0; json_is_string(value) && i < count; i++) {
		if (strcmp(json_string_value(value), words[i]) == 0) {
			*ret_index = i;
			return true;
		}
	}
	return false;
}

static void
read_enum(struct config_reader *reader, const struct config_place *place,
    const struct config_option *option, const json_t *value)
{
	size_t count = config_words_allowed(option);
	uint32_t index;

	if (find_word(value, option->words, count, &index))
		config_set_number(reader->config, option, index);
	else
		refuse_word(reader, place, value, option->words, count);
}

/* ---- Subscriptions ---- */

/* Adds the event of this older name under its real names; false when it is none. */
static bool
read_older_event(struct config_reader *reader, const struct config_place *place,
    const char *name, struct config_list *events)
{
	size_t count, i;
	const struct config_older_event *older = config_older_events(&count);

	for (i = 0; i < count; i++) {
		if (strcmp(older[i].older, name) != 0)
			continue;
		config_warning_at(&reader->source, place,
		    "is the older name \"%s\", which the platform does not know; taken "
		    "as "
		    "\"%s\"%s%s%s",
		    older[i].older, older[i].name,
		    older[i].further_name ? " and \"" : "",
		    older[i].further_name ? older[i].further_name : "",
		    older[i].further_name ? "\"" : "");
		if (!config_list_has(events, older[i].name))
			config_list_add(events, older[i].name);
		if (older[i].further_name &&
		    !config_list_has(events, older[i].further_name))
			config_list_add(events, older[i].further_name);
		return true;
	}
	return false;
}

static void
read_events(struct config_reader *reader, const struct config_place *place,
    const json_t *value, struct config_list *events)
{
	struct config_place entry = { .parent = place };
	const json_t *name;
	char found[CONFIG_FOUND_SIZE];
	uint32_t index;
	size_t count;
	const char *const *names = config_event_names(&count);

	if (!json_is_array(value) || json_array_size(value) == 0 ||
	    json_array_size(value) > 2 * count) {
		config_problem_at(&reader->source, place,
		    "must be a list of 1 to %zu event names, found %s", 2 * count,
		    config_describe(value, found));
		return;
	}
	for (; entry.index < json_array_size(value); entry.index++) {
		name = json_array_get(value, entry.index);
		if (find_word(name, names, count, &index)) {
			/* Twice is allowed: older names share their real ones. */
			if (!config_list_has(events, names[index]))
				config_list_add(events, names[index]);
		} else if (!json_is_string(name) ||
		    !read_older_event(
			reader, &entry, json_string_value(name), events)) {
			refuse_word(reader, &entry, name, names, count);
		}
	}
}

static bool
is_username(const json_t *value)
{
	return json_is_string(value) &&
	    text_is_username(json_string_value(value), json_string_length(value));
}

/* One object of the list, into `subscription`, which is zeroed. */
static void
read_subscription(struct config_reader *reader, const struct config_place *place,
    json_t *object, struct config_subscription *subscription)
{
	struct config_place member = { .parent = place };
	bool has_username = false;
	bool has_events = false;
	char found[CONFIG_FOUND_SIZE];
	json_t *value;

	json_object_foreach(object, member.key, value)
	{
		if (strcmp(member.key, "username") == 0) {
			has_username = true;
			if (is_username(value))
				subscription->username =
				    xstrdup(json_string_value(value));
			else
				config_problem_at(&reader->source, &member,
				    "must be a user name of 1 to %d bytes without '/' "
				    "and "
				    "control characters, found %s",
				    TEXT_USERNAME_MAX, config_describe(value, found));
		} else if (strcmp(member.key, "events") == 0) {
			has_events = true;
			read_events(reader, &member, value, &subscription->events);
		} else {
			config_problem_at(&reader->source, &member,
			    "is not a known key; known here are \"username\", "
			    "\"events\"");
		}
	}
	if (!has_username || !has_events)
		config_problem_at(&reader->source, place,
		    "must have \"username\" and \"events\", found no \"%s\"",
		    has_username ? "events" : "username");
}

static bool
has_username_before(const struct config_subscriptions *list, size_t index)
{
	size_t i;

	for (i = 0; i < index && list->items[index].username; i++) {
		if (list->items[i].username &&
		    text_equal_nocase(
			list->items[i].username, list->items[index].username))
			return true;
	}
	return false;
}

static void
read_subscriptions(struct config_reader *reader, const struct config_place *place,
    const struct config_option *option, const json_t *value)
{
	struct config_subscriptions *list = config_member(reader->config, option);
	struct config_place entry = { .parent = place };
	size_t count = json_array_size(value);
	char found[CONFIG_FOUND_SIZE];
	json_t *object;

	if (!json_is_array(value) || count > option->most) {
		refuse(reader, place, option, value);
		return;
	}
	if (count == 0)
		return;
	list->items = xcalloc(count, sizeof *list->items);
	list->count = count;
	for (; entry.index < count; entry.index++) {
		object = json_array_get(value, entry.index);
		if (!json_is_object(object)) {
			config_problem_at(&reader->source, &entry,
			    "must be an object with \"username\" and \"events\", found "
			    "%s",
			    config_describe(object, found));
			continue;
		}
		read_subscription(reader, &entry, object, &list->items[entry.index]);
		if (has_username_before(list, entry.index))
			config_problem_at(&reader->source, &entry,
			    "must have a user name that no earlier entry has");
	}
}

/* ---- Features and actions ---- */

static void
read_features(struct config_reader *reader, const struct config_place *place,
    const struct config_option *option, json_t *value)
{
	struct config_place member = { .parent = place };
	uint32_t index;
	size_t count;
	const char *const *words = config_feature_words(&count);
	json_t *mode;

	if (!json_is_object(value) || json_object_size(value) > option->most) {
		refuse(reader, place, option, value);
		return;
	}
	json_object_foreach(value, member.key, mode)
	{
		if (!config_check_feature_name(member.key))
			config_problem_at(&reader->source, &member,
			    "must have a name of at most %d lower-case letters, "
			    "digits, "
			    "'_', '.' and '-' that starts with a letter",
			    CONFIG_FEATURE_NAME_MAX);
		if (!find_word(mode, words, count, &index))
			refuse_word(reader, &member, mode, words, count);
	}
	config_set_text(reader->config, option, json_text(value));
}

static void
read_actions(struct config_reader *reader, const struct config_place *place,
    const struct config_option *option, const json_t *value)
{
	struct config_place entry = { .parent = place };
	char found[CONFIG_FOUND_SIZE];

	if (!json_is_array(value) || json_array_size(value) > option->most) {
		refuse(reader, place, option, value);
		return;
	}
	for (; entry.index < json_array_size(value); entry.index++) {
		if (!json_is_object(json_array_get(value, entry.index)))
			config_problem_at(&reader->source, &entry,
			    "must be an object, found %s",
			    config_describe(json_array_get(value, entry.index), found));
	}
	config_set_text(reader->config, option, json_text(value));
}

void
config_read_value(struct config_reader *reader, const struct config_place *place,
    const struct config_option *option, json_t *value)
{
	switch (option->kind) {
	case CONFIG_NUMBER:
		read_number(reader, place, option, value);
		break;
	case CONFIG_FLAG:
		read_flag(reader, place, option, value);
		break;
	case CONFIG_TEXT:
	case CONFIG_URL:
	case CONFIG_PATH:
		read_text(reader, place, option, value);
		break;
	case CONFIG_ENUM:
		read_enum(reader, place, option, value);
		break;
	case CONFIG_LIST:
		read_list(reader, place, option, value);
		break;
	case CONFIG_SUBSCRIPTIONS:
		read_subscriptions(reader, place, option, value);
		break;
	case CONFIG_FEATURES:
		read_features(reader, place, option, value);
		break;
	case CONFIG_ACTIONS:
		read_actions(reader, place, option, value);
		break;
	}
}
