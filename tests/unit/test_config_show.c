/*
 * Writing the configuration: what is shown can be read again with the same values and
 * fits the schema, every row is in both, and a change of one row is told as that row.
 */
#include <errno.h>
#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "common/alloc.h"
#include "common/config.h"
#include "tests/unit/config_examples.h"

static struct config config;
static struct config_error error;

static int
parse(const char *text)
{
	return config_parse(text, strlen(text), "config.json", &config, &error);
}

static char *
printed(int (*print)(const struct config *, FILE *), const struct config *what)
{
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);

	assert_non_null(file);
	assert_int_equal(print(what, file), 0);
	fclose(file);
	return text;
}

static int
print_schema(const struct config *unused, FILE *file)
{
	(void)unused;
	return config_schema(file);
}

static void
a_change_of_one_row_is_told_as_that_row(void **state)
{
	const struct config_option *changed[2];
	size_t count, i;
	const struct config_option *options = config_options(&count);
	struct config defaults;
	char *value, *text;

	(void)state;
	config_init(&defaults);
	assert_int_equal(config_diff(&defaults, &defaults, changed, 2), 0);
	for (i = 0; i < count; i++) {
		value = other_value(&options[i]);
		text = document_with(options[i].key, value);
		assert_int_equal(parse(text), 0);
		assert_int_equal(config_diff(&defaults, &config, changed, 2), 1);
		assert_ptr_equal(changed[0], &options[i]);
		assert_ptr_equal(config_option_find(options[i].key), &options[i]);
		config_clear(&config);
		free(value);
		free(text);
	}
	assert_null(config_option_find("server"));
	assert_int_equal(config_option_find("server.port")->when, CONFIG_WHEN_RESTART);
	assert_int_equal(config_option_find("logging.level")->when, CONFIG_WHEN_RELOAD);
	config_clear(&defaults);
}

/* ---- Showing and the schema ---- */

/* A document in which no row has its default. */
static char *
document_of_others(void)
{
	json_t *root = json_object();
	size_t count, i;
	const struct config_option *options = config_options(&count);
	char *value, *text;
	json_t *one;

	for (i = 0; i < count; i++) {
		value = other_value(&options[i]);
		text = document_with(options[i].key, value);
		one = json_loads(text, 0, NULL);
		assert_non_null(one);
		json_object_update_recursive(root, one);
		json_decref(one);
		free(value);
		free(text);
	}
	text = json_dumps(root, 0);
	json_decref(root);
	return text;
}

static void
what_is_shown_can_be_read_again_with_the_same_values(void **state)
{
	size_t count;
	struct config first;
	char *texts[] = { xstrdup("{}"), document_of_others() };
	char *shown, *again;
	size_t i;

	(void)state;
	(void)config_options(&count);
	for (i = 0; i < 2; i++) {
		assert_int_equal(parse(texts[i]), 0);
		first = config;
		shown = printed(config_show, &first);
		assert_int_equal(parse(shown), 0);
		assert_int_equal(config_diff(&first, &config, NULL, 0), 0);
		again = printed(config_show, &config);
		assert_string_equal(shown, again);
		config_clear(&config);
		config_init(&config);
		assert_int_equal(
		    config_diff(&first, &config, NULL, 0), i == 0 ? 0 : count);
		config_clear(&config);
		config_clear(&first);
		free(shown);
		free(again);
		free(texts[i]);
	}
}

/* As much of JSON Schema as ours uses; false when the value does not fit. */
static bool fits(const json_t *schema, json_t *value);

static bool
fits_type(const char *type, const json_t *value)
{
	return !type || (!strcmp(type, "object") && json_is_object(value)) ||
	    (!strcmp(type, "array") && json_is_array(value)) ||
	    (!strcmp(type, "string") && json_is_string(value)) ||
	    (!strcmp(type, "integer") && json_is_integer(value)) ||
	    (!strcmp(type, "boolean") && json_is_boolean(value));
}

static bool
fits_pattern(const char *pattern, const char *text)
{
	regex_t regex;
	bool fits_it;

	assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
	fits_it = regexec(&regex, text, 0, NULL, 0) == 0;
	regfree(&regex);
	return fits_it;
}

static bool
fits_object(const json_t *schema, json_t *value)
{
	const json_t *properties = json_object_get(schema, "properties");
	const json_t *others = json_object_get(schema, "additionalProperties");
	const json_t *names = json_object_get(schema, "propertyNames");
	const json_t *rule;
	const char *key;
	json_t *member;

	json_object_foreach(value, key, member)
	{
		rule = json_object_get(properties, key);
		if (!rule && json_is_false(others))
			return false;
		if (!rule)
			rule = others;
		if (names &&
		    !fits_pattern(
			json_string_value(json_object_get(names, "pattern")), key))
			return false;
		if (rule && !fits(rule, member))
			return false;
	}
	return true;
}

static bool
within(const json_t *schema, const char *least, const char *most, json_int_t value)
{
	const json_t *low = json_object_get(schema, least);
	const json_t *high = json_object_get(schema, most);

	return (!low || value >= json_integer_value(low)) &&
	    (!high || value <= json_integer_value(high));
}

static bool
fits(const json_t *schema, json_t *value)
{
	const json_t *words = json_object_get(schema, "enum");
	const char *pattern = json_string_value(json_object_get(schema, "pattern"));
	bool found = !words;
	size_t i;

	for (i = 0; i < json_array_size(words); i++)
		found = found || json_equal(json_array_get(words, i), value);
	if (!found ||
	    !fits_type(json_string_value(json_object_get(schema, "type")), value))
		return false;
	if (json_is_string(value) &&
	    (!within(schema, "minLength", "maxLength",
		 (json_int_t)json_string_length(value)) ||
		(pattern && !fits_pattern(pattern, json_string_value(value)))))
		return false;
	if (json_is_integer(value) &&
	    !within(schema, "minimum", "maximum", json_integer_value(value)))
		return false;
	if (json_is_array(value) &&
	    !within(schema, "minItems", "maxItems", (json_int_t)json_array_size(value)))
		return false;
	for (i = 0; i < json_array_size(value); i++) {
		if (!fits(json_object_get(schema, "items"), json_array_get(value, i)))
			return false;
	}
	return !json_is_object(value) || fits_object(schema, value);
}

static json_t *
schema_of_key(json_t *schema, const char *key)
{
	char *copy = xstrdup(key);
	char *name = copy;
	char *dot;

	do {
		dot = strchr(name, '.');
		if (dot)
			*dot = '\0';
		schema = json_object_get(json_object_get(schema, "properties"), name);
		name = dot ? dot + 1 : NULL;
	} while (name);
	free(copy);
	return schema;
}

static void
assert_fits(const json_t *schema, const char *text, bool expected)
{
	json_t *value = json_loads(text, 0, NULL);

	assert_non_null(value);
	if (fits(schema, value) != expected)
		print_message("%s fit: %s\n", expected ? "should" : "should not", text);
	assert_int_equal(fits(schema, value), expected);
	json_decref(value);
}

static void
the_schema_accepts_what_is_shown(void **state)
{
	char *text = printed(print_schema, NULL);
	json_t *schema = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	char *others = document_of_others();
	char *shown;

	(void)state;
	assert_non_null(schema);
	assert_string_equal(json_string_value(json_object_get(schema, "$schema")),
	    "https://json-schema.org/draft/2020-12/schema");
	assert_fits(schema, "{}", true);
	assert_fits(schema, others, true);
	assert_int_equal(parse(others), 0);
	shown = printed(config_show, &config);
	assert_fits(schema, shown, true);
	config_clear(&config);
	free(shown);
	config_init(&config);
	shown = printed(config_show, &config);
	assert_fits(schema, shown, true);
	config_clear(&config);
	free(shown);
	free(others);
	free(text);
	json_decref(schema);
}

static void
the_schema_refuses_what_is_refused(void **state)
{
	static const char *const wrong[] = {
		"{\"sever\":{}}",
		"{\"server\":{\"prot\":1}}",
		"{\"server\":{\"port\":65536}}",
		"{\"server\":{\"port\":\"1\"}}",
		"{\"server\":{\"socket\":\"x\"}}",
		"{\"webhooks\":{\"enabled\":1}}",
		"{\"logging\":{\"level\":\"warning\"}}",
		"{\"platforms\":{\"kick\":{\"token_url\":\"ftp://a\"}}}",
		"{\"platforms\":{\"kick\":{\"default_scopes\":[\"a b\"]}}}",
		"{\"subscriptions\":{\"kick\":[{\"username\":\"a\",\"events\":[]}]}}",
		("{\"subscriptions\":{\"kick\":[{\"username\":\"a\",\"events\":[\"x\"]}"
		 "]"
		 "}}"),
		"{\"features\":{\"a\":\"maybe\"}}",
		"{\"features\":{\"A\":\"on\"}}",
		"{\"actions\":[1]}",
	};
	char *text = printed(print_schema, NULL);
	json_t *schema = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(wrong); i++) {
		assert_fits(schema, wrong[i], false);
		assert_int_equal(parse(wrong[i]), -EINVAL);
	}
	free(text);
	json_decref(schema);
}

static void
every_row_is_in_the_schema_with_its_default(void **state)
{
	char *text = printed(print_schema, NULL);
	json_t *schema = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	size_t count, i;
	const struct config_option *options = config_options(&count);
	const json_t *row, *value;
	char buffer[1024];
	FILE *file;

	(void)state;
	for (i = 0; i < count; i++) {
		row = schema_of_key(schema, options[i].key);
		assert_non_null(row);
		assert_string_equal(
		    json_string_value(json_object_get(row, "description")),
		    options[i].sentence);
		file = fmemopen(buffer, sizeof buffer, "w");
		assert_int_equal(config_option_default(&options[i], file), 0);
		fclose(file);
		value = json_object_get(row, "default");
		if (!value) {
			assert_string_equal(buffer, "null");
			continue;
		}
		free(text);
		text = json_dumps(value, JSON_ENCODE_ANY);
		assert_string_equal(buffer, text);
	}
	free(text);
	json_decref(schema);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_change_of_one_row_is_told_as_that_row),
		cmocka_unit_test(what_is_shown_can_be_read_again_with_the_same_values),
		cmocka_unit_test(the_schema_accepts_what_is_shown),
		cmocka_unit_test(the_schema_refuses_what_is_refused),
		cmocka_unit_test(every_row_is_in_the_schema_with_its_default),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
