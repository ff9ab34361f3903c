/*
 * Writing the configuration: the effective values, single values, and the JSON Schema.
 *
 * Called by `streamhold config show|schema`, by the state dump and by what makes the
 * manual. All of it is made from the table.
 */
#include <errno.h>
#include <string.h>

#include <jansson.h>

#include "common/config_check.h"
#include "common/config_table.h"
#include "common/text.h"

/* ---- Values ---- */

static json_t *
json_of_list(const struct config_list *list)
{
	json_t *array = json_array();
	size_t i;

	for (i = 0; i < list->count; i++)
		json_array_append_new(array, json_string(list->items[i]));
	return array;
}

static json_t *
json_of_subscriptions(const struct config_subscriptions *list)
{
	json_t *array = json_array();
	json_t *object;
	size_t i;

	for (i = 0; i < list->count; i++) {
		object = json_object();
		json_object_set_new(
		    object, "username", json_string(list->items[i].username));
		json_object_set_new(
		    object, "events", json_of_list(&list->items[i].events));
		json_array_append_new(array, object);
	}
	return array;
}

/* The value of a row; NULL when it is unset. */
static json_t *
json_of_option(const struct config *config, const struct config_option *option)
{
	const char *text;

	switch (option->kind) {
	case CONFIG_NUMBER:
		return json_integer(config_number(config, option));
	case CONFIG_FLAG:
		return json_boolean(config_number(config, option));
	case CONFIG_ENUM:
		return json_string(option->words[config_number(config, option)]);
	case CONFIG_LIST:
		return json_of_list(config_member_const(config, option));
	case CONFIG_SUBSCRIPTIONS:
		return json_of_subscriptions(config_member_const(config, option));
	case CONFIG_FEATURES:
	case CONFIG_ACTIONS:
		text = config_text(config, option);
		return text ? json_loads(text, 0, NULL) : NULL;
	case CONFIG_TEXT:
	case CONFIG_URL:
	case CONFIG_PATH:
		break;
	}
	text = config_text(config, option);
	return text ? json_string(text) : NULL;
}

/* The object `name` within `parent`, made when it is missing; borrowed. */
static json_t *
child_object(json_t *parent, const char *name)
{
	json_t *child = json_object_get(parent, name);

	if (!child) {
		child = json_object();
		json_object_set_new(parent, name, child);
	}
	return child;
}

/* Writes the document as text with an end of line, and gives it back. */
static int
write_document(json_t *document, FILE *file)
{
	int failed = json_dumpf(document, file, JSON_INDENT(2));

	json_decref(document);
	if (failed || fputc('\n', file) == EOF || fflush(file) == EOF)
		return -EIO;
	return 0;
}

int
config_show(const struct config *config, FILE *file)
{
	json_t *document = json_object();
	size_t count, i;
	const struct config_option *options = config_options(&count);
	const char *name, *dot;
	json_t *parent, *value;
	char group[CONFIG_KEY_MAX];

	for (i = 0; i < count; i++) {
		value = json_of_option(config, &options[i]);
		if (!value)
			continue;
		parent = document;
		name = options[i].key;
		while ((dot = strchr(name, '.'))) {
			snprintf(group, sizeof group, "%.*s", (int)(dot - name), name);
			parent = child_object(parent, group);
			name = dot + 1;
		}
		json_object_set_new(parent, name, value);
	}
	return write_document(document, file);
}

int
config_option_value(
    const struct config_option *option, const struct config *config, FILE *file)
{
	json_t *value = json_of_option(config, option);
	int failed;

	if (!value)
		value = json_null();
	failed = json_dumpf(value, file, JSON_ENCODE_ANY);
	json_decref(value);
	return failed ? -EIO : 0;
}

int
config_option_default(const struct config_option *option, FILE *file)
{
	struct config config;
	int code;

	config_init(&config);
	code = config_option_value(option, &config, file);
	config_clear(&config);
	return code;
}

/* ---- The schema ---- */

static void
set_number(json_t *object, const char *key, size_t value)
{
	json_object_set_new(object, key, json_integer((json_int_t)value));
}

static void
set_text(json_t *object, const char *key, const char *text)
{
	json_object_set_new(object, key, json_string(text));
}

static json_t *
schema_of_type(const char *type)
{
	json_t *schema = json_object();

	set_text(schema, "type", type);
	return schema;
}

static json_t *
schema_of_words(const char *const *words, size_t count)
{
	json_t *schema = json_object();
	json_t *array = json_array();
	size_t i;

	for (i = 0; i < count; i++)
		json_array_append_new(array, json_string(words[i]));
	json_object_set_new(schema, "enum", array);
	return schema;
}

static json_t *
schema_of_text(const struct config_option *option)
{
	json_t *schema = schema_of_type("string");
	const char *pattern = config_check_pattern(option->check);

	set_number(schema, "minLength", 1);
	set_number(schema, "maxLength", option->longest);
	if (pattern)
		set_text(schema, "pattern", pattern);
	return schema;
}

static json_t *
schema_of_list(json_t *items, size_t least, size_t most)
{
	json_t *schema = schema_of_type("array");

	json_object_set_new(schema, "items", items);
	if (least > 0)
		set_number(schema, "minItems", least);
	set_number(schema, "maxItems", most);
	return schema;
}

static json_t *
schema_of_events(void)
{
	size_t name_count, older_count, i;
	const char *const *names = config_event_names(&name_count);
	const struct config_older_event *older = config_older_events(&older_count);
	json_t *words = schema_of_words(names, name_count);
	json_t *list = json_object_get(words, "enum");

	for (i = 0; i < older_count; i++)
		json_array_append_new(list, json_string(older[i].older));
	return schema_of_list(words, 1, 2 * name_count);
}

static json_t *
schema_of_subscriptions(const struct config_option *option)
{
	json_t *object = schema_of_type("object");
	json_t *properties = json_object();
	json_t *username = schema_of_type("string");

	set_number(username, "minLength", 1);
	set_number(username, "maxLength", TEXT_USERNAME_MAX);
	json_object_set_new(properties, "username", username);
	json_object_set_new(properties, "events", schema_of_events());
	json_object_set_new(object, "properties", properties);
	json_object_set_new(
	    object, "required", json_pack("[ss]", "username", "events"));
	json_object_set_new(object, "additionalProperties", json_false());
	return schema_of_list(object, 0, option->most);
}

static json_t *
schema_of_features(const struct config_option *option)
{
	json_t *schema = schema_of_type("object");
	json_t *names = json_object();
	size_t count;
	const char *const *words = config_feature_words(&count);

	set_number(schema, "maxProperties", option->most);
	set_text(names, "pattern", CONFIG_FEATURE_NAME_PATTERN);
	json_object_set_new(schema, "propertyNames", names);
	json_object_set_new(
	    schema, "additionalProperties", schema_of_words(words, count));
	return schema;
}

static json_t *
schema_of_number(const struct config_option *option)
{
	json_t *schema = schema_of_type("integer");

	set_number(schema, "minimum", option->least);
	set_number(schema, "maximum", option->most);
	return schema;
}

static json_t *
schema_of_kind(const struct config_option *option)
{
	json_t *schema;

	switch (option->kind) {
	case CONFIG_NUMBER:
		return schema_of_number(option);
	case CONFIG_FLAG:
		return schema_of_type("boolean");
	case CONFIG_ENUM:
		return schema_of_words(option->words, config_words_allowed(option));
	case CONFIG_LIST:
		schema = schema_of_list(schema_of_text(option), 0, option->most);
		json_object_set_new(schema, "uniqueItems", json_true());
		return schema;
	case CONFIG_SUBSCRIPTIONS:
		return schema_of_subscriptions(option);
	case CONFIG_FEATURES:
		return schema_of_features(option);
	case CONFIG_ACTIONS:
		return schema_of_list(schema_of_type("object"), 0, option->most);
	case CONFIG_TEXT:
	case CONFIG_URL:
	case CONFIG_PATH:
		break;
	}
	return schema_of_text(option);
}

/* The schema of the group `name` within that of `parent`; borrowed. */
static json_t *
group_schema(json_t *parent, const char *name)
{
	json_t *properties = child_object(parent, "properties");
	json_t *group = json_object_get(properties, name);
	const char *sentence = config_section_sentence(name);

	if (group)
		return group;
	group = schema_of_type("object");
	if (sentence)
		set_text(group, "description", sentence);
	json_object_set_new(group, "additionalProperties", json_false());
	json_object_set_new(properties, name, group);
	return group;
}

static void
add_option_schema(
    json_t *root, const struct config_option *option, const struct config *defaults)
{
	json_t *schema = schema_of_kind(option);
	json_t *value = json_of_option(defaults, option);
	const char *name = option->key;
	json_t *parent = root;
	char group[CONFIG_KEY_MAX];
	const char *dot;

	while ((dot = strchr(name, '.'))) {
		snprintf(group, sizeof group, "%.*s", (int)(dot - name), name);
		parent = group_schema(parent, group);
		name = dot + 1;
	}
	set_text(schema, "description", option->sentence);
	if (value)
		json_object_set_new(schema, "default", value);
	json_object_set_new(child_object(parent, "properties"), name, schema);
}

int
config_schema(FILE *file)
{
	json_t *root = json_object();
	size_t count, i;
	const struct config_option *options = config_options(&count);
	struct config defaults;

	set_text(root, "$schema", "https://json-schema.org/draft/2020-12/schema");
	set_text(root, "title", "config.json of Streamhold");
	set_text(root, "type", "object");
	json_object_set_new(root, "additionalProperties", json_false());
	config_init(&defaults);
	for (i = 0; i < count; i++)
		add_option_schema(root, &options[i], &defaults);
	config_clear(&defaults);
	return write_document(root, file);
}
