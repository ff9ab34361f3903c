/*
 * Reading config.json: strictly, and saying everything that is wrong at once.
 *
 * Called by the programs at their start and on SIGHUP. jansson checks the JSON, the
 * table says what each key may hold, config_check.c what texts look like. Nothing is
 * taken over unless the whole document is right.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "common/alloc.h"
#include "common/config_check.h"
#include "common/config_table.h"
#include "common/paths.h"
#include "common/suggest.h"
#include "common/text.h"

/* Bytes of the description of a value, and of what is allowed for a key. */
#define FOUND_SIZE 100
#define ALLOWED_SIZE 260

/* Keys that one group can have, for suggestions. */
#define CHILDREN_MAX 24

/* One document being read. */
struct reader {
	struct config_source source;
	struct config *config;
};

static void
read_object(struct reader *reader, const struct config_place *place, json_t *object);

/* ---- Describing ---- */

/* What a value is, to follow "found". */
static const char *
describe_found(const json_t *value, char found[FOUND_SIZE])
{
	char text[FOUND_SIZE - 16];

	switch (json_typeof(value)) {
	case JSON_STRING:
		config_escape(json_string_value(value), text, sizeof text);
		snprintf(found, FOUND_SIZE, "the text \"%s\"", text);
		break;
	case JSON_INTEGER:
		snprintf(found, FOUND_SIZE, "%" JSON_INTEGER_FORMAT,
		    json_integer_value(value));
		break;
	case JSON_REAL:
		snprintf(
		    found, FOUND_SIZE, "the fraction %.10g", json_real_value(value));
		break;
	case JSON_TRUE:
	case JSON_FALSE:
		snprintf(
		    found, FOUND_SIZE, "%s", json_is_true(value) ? "true" : "false");
		break;
	case JSON_NULL:
		snprintf(found, FOUND_SIZE, "null");
		break;
	case JSON_OBJECT:
		snprintf(found, FOUND_SIZE, "an object");
		break;
	case JSON_ARRAY:
		snprintf(found, FOUND_SIZE, "a list of %zu", json_array_size(value));
		break;
	}
	return found;
}

/* Words in quotes with commas: "a", "b", "c". */
static void
list_words(const char *const *words, size_t count, char *text, size_t size)
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
		list_words(
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
refuse(struct reader *reader, const struct config_place *place,
    const struct config_option *option, const json_t *value)
{
	char allowed[ALLOWED_SIZE];
	char found[FOUND_SIZE];

	config_problem_at(&reader->source, place, "must be %s, found %s",
	    describe_allowed(option, allowed), describe_found(value, found));
}

/* A word that is none of those known; says which was meant or which there are. */
static void
refuse_word(struct reader *reader, const struct config_place *place,
    const json_t *value, const char *const *words, size_t count)
{
	const char *meant = json_is_string(value)
	    ? suggest_nearest(json_string_value(value), words, count)
	    : NULL;
	char allowed[ALLOWED_SIZE + 80];
	char found[FOUND_SIZE];

	list_words(words, count, allowed, sizeof allowed);
	config_problem_at(&reader->source, place, "must be one of %s, found %s%s%s%s",
	    allowed, describe_found(value, found), meant ? "; did you mean \"" : "",
	    meant ? meant : "", meant ? "\"?" : "");
}

/* ---- Unknown keys ---- */

/* The names that may follow a prefix ("" or "server."): copies, freed by the caller. */
static size_t
list_children(const char *prefix, char *children[CHILDREN_MAX])
{
	size_t prefix_length = strlen(prefix);
	size_t option_count, i, j;
	const struct config_option *options = config_options(&option_count);
	size_t count = 0;
	char *child;

	for (i = 0; i < option_count && count < CHILDREN_MAX; i++) {
		if (strncmp(options[i].key, prefix, prefix_length) != 0)
			continue;
		child = xstrndup(options[i].key + prefix_length,
		    strcspn(options[i].key + prefix_length, "."));
		for (j = 0; j < count && strcmp(children[j], child) != 0; j++)
			;
		if (j == count)
			children[count++] = child;
		else
			free(child);
	}
	return count;
}

/* A row that has this key elsewhere, or written with dots; NULL when there is none. */
static const struct config_option *
find_elsewhere(const char *key)
{
	size_t count, i;
	const struct config_option *options = config_options(&count);
	const char *last;

	for (i = 0; i < count; i++) {
		last = strrchr(options[i].key, '.');
		if (last &&
		    (strcmp(last + 1, key) == 0 || strcmp(options[i].key, key) == 0))
			return &options[i];
	}
	return NULL;
}

static bool
looks_like_credentials(const char *key)
{
	return strcmp(key, "client_id") == 0 || strstr(key, "secret") != NULL ||
	    strstr(key, "token") != NULL;
}

static void
refuse_key(struct reader *reader, const struct config_place *place, const char *prefix)
{
	char *children[CHILDREN_MAX];
	size_t count = list_children(prefix, children);
	const char *meant =
	    suggest_nearest(place->key, (const char *const *)children, count);
	const struct config_option *elsewhere = find_elsewhere(place->key);
	char known[ALLOWED_SIZE];
	size_t i;

	list_words((const char *const *)children, count, known, sizeof known);
	if (meant)
		config_problem_at(&reader->source, place,
		    "is not a known key; did you mean \"%s%s\"?", prefix, meant);
	else if (looks_like_credentials(place->key))
		config_problem_at(&reader->source, place,
		    "is not a known key; credentials are not kept in this file but "
		    "added "
		    "with `streamhold app add`");
	else if (elsewhere)
		config_problem_at(&reader->source, place,
		    "is not a known key here; did you mean \"%s\", each name before a "
		    "dot "
		    "being an object?",
		    elsewhere->key);
	else
		config_problem_at(&reader->source, place,
		    "is not a known key; known here are %s", known);
	for (i = 0; i < count; i++)
		free(children[i]);
}

/* ---- Texts ---- */

/* A refused address is not repeated when it may carry a password. */
static void
refuse_text(struct reader *reader, const struct config_place *place,
    enum config_check check, const json_t *value, const char *reason)
{
	char found[FOUND_SIZE];

	if (strchr(json_string_value(value), '@') &&
	    strchr(json_string_value(value), '/'))
		snprintf(found, sizeof found, "an address with '@', not shown here");
	else
		describe_found(value, found);
	config_problem_at(&reader->source, place, "must be %s, found %s: %s",
	    config_check_allows(check), found, reason);
}

/* Whether a value is a text of the right form; says what is wrong when it is not. */
static bool
check_text(struct reader *reader, const struct config_place *place,
    enum config_check check, size_t longest, const json_t *value)
{
	const char *reason;
	char found[FOUND_SIZE];
	size_t length;

	if (!json_is_string(value)) {
		config_problem_at(&reader->source, place, "must be %s, found %s",
		    config_check_allows(check), describe_found(value, found));
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

/* A copy of a checked text; bases of addresses lose the '/' at their end. */
static char *
copy_text(enum config_check check, const json_t *value)
{
	char *text = xstrdup(json_string_value(value));
	size_t length = strlen(text);

	if (check == CONFIG_CHECK_URL_BASE) {
		while (length > 0 && text[length - 1] == '/')
			text[--length] = '\0';
	}
	return text;
}

static void
read_text(struct reader *reader, const struct config_place *place,
    const struct config_option *option, const json_t *value)
{
	if (check_text(reader, place, option->check, option->longest, value))
		config_set_text(
		    reader->config, option, copy_text(option->check, value));
}

static void
read_list(struct reader *reader, const struct config_place *place,
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
read_number(struct reader *reader, const struct config_place *place,
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
read_flag(struct reader *reader, const struct config_place *place,
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
read_enum(struct reader *reader, const struct config_place *place,
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
read_older_event(struct reader *reader, const struct config_place *place,
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
read_events(struct reader *reader, const struct config_place *place,
    const json_t *value, struct config_list *events)
{
	struct config_place entry = { .parent = place };
	const json_t *name;
	char found[FOUND_SIZE];
	uint32_t index;
	size_t count;
	const char *const *names = config_event_names(&count);

	if (!json_is_array(value) || json_array_size(value) == 0 ||
	    json_array_size(value) > 2 * count) {
		config_problem_at(&reader->source, place,
		    "must be a list of 1 to %zu event names, found %s", 2 * count,
		    describe_found(value, found));
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
read_subscription(struct reader *reader, const struct config_place *place,
    json_t *object, struct config_subscription *subscription)
{
	struct config_place member = { .parent = place };
	bool has_username = false;
	bool has_events = false;
	char found[FOUND_SIZE];
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
				    TEXT_USERNAME_MAX, describe_found(value, found));
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
read_subscriptions(struct reader *reader, const struct config_place *place,
    const struct config_option *option, const json_t *value)
{
	struct config_subscriptions *list = config_member(reader->config, option);
	struct config_place entry = { .parent = place };
	size_t count = json_array_size(value);
	char found[FOUND_SIZE];
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
			    describe_found(object, found));
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
read_features(struct reader *reader, const struct config_place *place,
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
	config_set_text(reader->config, option, json_dumps(value, JSON_COMPACT));
}

static void
read_actions(struct reader *reader, const struct config_place *place,
    const struct config_option *option, const json_t *value)
{
	struct config_place entry = { .parent = place };
	char found[FOUND_SIZE];

	if (!json_is_array(value) || json_array_size(value) > option->most) {
		refuse(reader, place, option, value);
		return;
	}
	for (; entry.index < json_array_size(value); entry.index++) {
		if (!json_is_object(json_array_get(value, entry.index)))
			config_problem_at(&reader->source, &entry,
			    "must be an object, found %s",
			    describe_found(json_array_get(value, entry.index), found));
	}
	config_set_text(reader->config, option, json_dumps(value, JSON_COMPACT));
}

/* ---- The document ---- */

static void
read_option(struct reader *reader, const struct config_place *place,
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

/* Whether rows have keys below this one. */
static bool
is_group(const char *key)
{
	size_t length = strlen(key);
	size_t count, i;
	const struct config_option *options = config_options(&count);

	for (i = 0; i < count; i++) {
		if (strncmp(options[i].key, key, length) == 0 &&
		    options[i].key[length] == '.')
			return true;
	}
	return false;
}

/* One member of an object: a row, a group, or unknown. */
static void
read_member(struct reader *reader, const struct config_place *place, const char *prefix,
    json_t *value)
{
	const struct config_option *option = NULL;
	char key[CONFIG_KEY_MAX];
	char found[FOUND_SIZE];
	int length;

	length = snprintf(key, sizeof key, "%s%s", prefix, place->key);
	/* A dot within a key is not the dot between two keys. */
	if (length >= (int)sizeof key || strchr(place->key, '.')) {
		refuse_key(reader, place, prefix);
		return;
	}
	option = config_option_find(key);
	if (option)
		read_option(reader, place, option, value);
	else if (!is_group(key))
		refuse_key(reader, place, prefix);
	else if (!json_is_object(value))
		config_problem_at(&reader->source, place, "must be an object, found %s",
		    describe_found(value, found));
	else
		read_object(reader, place, value);
}

static void
read_object(struct reader *reader, const struct config_place *place, json_t *object)
{
	struct config_place member = { .parent = place };
	char prefix[CONFIG_KEY_MAX];
	size_t length;
	json_t *value;

	config_place_name(place, prefix);
	length = strlen(prefix);
	if (length > 0)
		snprintf(prefix + length, sizeof prefix - length, ".");
	json_object_foreach(object, member.key, value)
	    read_member(reader, &member, prefix, value);
}

/* Things that are allowed and yet hardly meant. */
static void
warn_about(struct reader *reader)
{
	const struct config_place root = { .parent = NULL };
	const struct config_place server = { .parent = &root, .key = "server" };
	const struct config_place host = { .parent = &server, .key = "host" };
	const struct config_place oauth = { .parent = &root, .key = "oauth" };
	const struct config_place base = { .parent = &oauth, .key = "redirect_base" };
	const struct config *config = reader->config;

	if (!config_host_is_loopback(config->server.host))
		config_warning_at(&reader->source, &host,
		    "lets other machines reach the API, which trusts everybody who can "
		    "reach it");
	if (config->oauth.redirect_base &&
	    config_url_is_loopback(config->oauth.redirect_base) &&
	    !strstr(config->oauth.redirect_base, "://localhost"))
		config_warning_at(&reader->source, &base,
		    "should name the host localhost, as platforms refuse or rewrite "
		    "loopback addresses");
}

/* Says why jansson refused the document. */
static void
refuse_json(const struct config_source *source, const json_error_t *error)
{
	char text[JSON_ERROR_TEXT_LENGTH + 40];
	size_t offset = error->position > 0 ? (size_t)error->position : 0;

	switch (json_error_code(error)) {
	case json_error_duplicate_key:
		config_problem_offset(
		    source, offset, "is given twice; each key may be given once");
		break;
	case json_error_numeric_overflow:
		config_problem_offset(
		    source, offset, "is a number too large to be read");
		break;
	default:
		config_escape(error->text, text, sizeof text);
		config_problem_line(source, error->line > 0 ? (unsigned)error->line : 0,
		    "must be JSON, found an error: %s", text);
	}
}

/* A copy with NUL in which comment lines are blanks. */
static char *
copy_without_comments(const char *text, size_t length)
{
	char *copy = xmalloc(length + 1);
	bool line_start = true;
	bool comment = false;
	size_t i;

	for (i = 0; i < length; i++) {
		if (line_start)
			comment = text[i] == '#';
		line_start = text[i] == '\n';
		copy[i] = comment && !line_start ? ' ' : text[i];
	}
	copy[length] = '\0';
	return copy;
}

/* Reads the copy into reader->config. */
static void
read_document(struct reader *reader, size_t length)
{
	const struct config_source *source = &reader->source;
	const struct config_place root = { .parent = NULL };
	json_error_t error;
	json_t *document;

	if (source->text[strspn(source->text, " \t\r\n")] == '\0' &&
	    strlen(source->text) == length) {
		config_problem_line(source, 0,
		    "must be a JSON object, found nothing; {} means all defaults");
		return;
	}
	document = json_loadb(
	    source->text, length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
	if (!document)
		refuse_json(source, &error);
	else if (!json_is_object(document))
		config_problem_line(source, 1, "must be a JSON object");
	else
		read_object(reader, &root, document);
	json_decref(document);
	if (source->error->errors == 0)
		warn_about(reader);
}

int
config_parse(const char *text, size_t length, const char *name,
    struct config *ret_config, struct config_error *ret_error)
{
	struct config config;
	struct reader reader = {
		.source = { .name = name, .error = ret_error },
		.config = &config,
	};
	char *copy;

	memset(ret_error, 0, sizeof *ret_error);
	if (length > CONFIG_SIZE_MAX) {
		config_problem_line(
		    &reader.source, 0, "must be at most %d bytes", CONFIG_SIZE_MAX);
		return -EINVAL;
	}
	copy = copy_without_comments(text, length);
	reader.source.text = copy;
	config_init(&config);
	read_document(&reader, length);
	free(copy);
	if (ret_error->errors > 0) {
		config_clear(&config);
		return -EINVAL;
	}
	*ret_config = config;
	return 0;
}

/* ---- The file ---- */

/* Reads all of a regular file, at most CONFIG_SIZE_MAX + 1 bytes. */
static int
read_file(int file, char **ret_text, size_t *ret_length)
{
	char *text = xmalloc(CONFIG_SIZE_MAX + 1);
	size_t length = 0;
	ssize_t got;

	while (length <= CONFIG_SIZE_MAX) {
		got = read(file, text + length, CONFIG_SIZE_MAX + 1 - length);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			free(text);
			return -errno;
		}
		if (got == 0)
			break;
		length += (size_t)got;
	}
	*ret_text = text;
	*ret_length = length;
	return 0;
}

static int
open_file(const char *path)
{
	struct stat status;
	int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (file < 0)
		return -errno;
	if (fstat(file, &status) < 0 || !S_ISREG(status.st_mode)) {
		close(file);
		return -EBADF;
	}
	return file;
}

static int
refuse_file(const char *path, int code, struct config_error *ret_error)
{
	const struct config_source source = { .name = path, .error = ret_error };

	memset(ret_error, 0, sizeof *ret_error);
	if (code == -EBADF) {
		config_problem_line(&source, 0, "must be a regular file");
		return -EINVAL;
	}
	config_problem_line(
	    &source, 0, "the configuration cannot be read: %s", strerror(-code));
	return code;
}

int
config_load(const char *path, bool must_exist, struct config *ret_config,
    struct config_error *ret_error)
{
	int file = open_file(path);
	size_t length;
	char *text;
	int code;

	if ((file == -ENOENT || file == -ENOTDIR) && !must_exist) {
		memset(ret_error, 0, sizeof *ret_error);
		config_init(ret_config);
		return 0;
	}
	if (file < 0)
		return refuse_file(path, file, ret_error);
	code = read_file(file, &text, &length);
	close(file);
	if (code < 0)
		return refuse_file(path, code, ret_error);
	code = config_parse(text, length, path, ret_config, ret_error);
	free(text);
	return code;
}

static const char *
absolute(const char *folder)
{
	return folder && folder[0] == '/' ? folder : NULL;
}

void
config_find_path(const char *option, bool system, const struct paths_env *env,
    char **ret_path, bool *ret_must_exist)
{
	const char *home = absolute(env->home);
	const char *folder = absolute(env->xdg_config_home);
	char *path = NULL;

	*ret_must_exist = option != NULL;
	if (option) {
		*ret_path = xstrdup(option);
		return;
	}
	if (!system && folder)
		path = xasprintf("%s/streamhold/config.json", folder);
	else if (!system && home)
		path = xasprintf("%s/.config/streamhold/config.json", home);
	/* A file that is there and cannot be read is an error, not a reason to go on.
	 */
	if (path && access(path, F_OK) < 0 && (errno == ENOENT || errno == ENOTDIR)) {
		free(path);
		path = NULL;
	}
	*ret_path = path ? path : xasprintf("%s/etc/streamhold/config.json", env->root);
}
