/*
 * Reading the configuration: every row of the table at, below and above its bounds and
 * with values of every wrong type, and the sentences people get.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/alloc.h"
#include "common/config.h"
#include "tests/unit/config_examples.h"

static struct config config;
static struct config_error error;

/* ---- Helpers ---- */

static int
parse(const char *text)
{
	return config_parse(text, strlen(text), "config.json", &config, &error);
}

static void
assert_accepted(const char *text)
{
	int code = parse(text);

	if (code != 0)
		print_message("%s\nrefused: %s\n", text, error.error[0].sentence);
	assert_int_equal(code, 0);
	assert_int_equal(error.errors, 0);
	config_clear(&config);
}

/* Refused with one error about this key that has these words in it. */
static void
assert_refused(const char *text, const char *key, const char *words)
{
	int code = parse(text);

	if (code == 0)
		print_message("accepted: %s\n", text);
	assert_int_equal(code, -EINVAL);
	assert_true(error.errors >= 1);
	if (!strstr(error.error[0].sentence, words))
		print_message("'%s' is not in: %s\n", words, error.error[0].sentence);
	assert_non_null(strstr(error.error[0].sentence, words));
	if (strncmp(error.error[0].key, key, strlen(key)) != 0)
		print_message("key of: %s\n", error.error[0].sentence);
	assert_int_equal(strncmp(error.error[0].key, key, strlen(key)), 0);
}

static void
accepts(const char *key, const char *value)
{
	char *text = document_with(key, value);

	assert_accepted(text);
	free(text);
}

static void
refuses(const char *key, const char *value, const char *words)
{
	char *text = document_with(key, value);

	assert_refused(text, key, words);
	free(text);
}

__attribute__((format(printf, 2, 3))) static void
accepts_format(const char *key, const char *format, ...)
{
	char value[2048];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(value, sizeof value, format, arguments);
	va_end(arguments);
	accepts(key, value);
}

__attribute__((format(printf, 2, 3))) static void
refuses_format(const char *key, const char *format, ...)
{
	char value[2048];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(value, sizeof value, format, arguments);
	va_end(arguments);
	refuses(key, value, "must be ");
}

/* Calls a function for every row of a kind. */
static void
for_each(enum config_kind kind, void (*check)(const struct config_option *option))
{
	size_t count, i;
	size_t seen = 0;
	const struct config_option *options = config_options(&count);

	for (i = 0; i < count; i++) {
		if (options[i].kind == kind) {
			check(&options[i]);
			seen++;
		}
	}
	assert_true(seen > 0);
}

/* Values of every JSON type; a row refuses all but its own. */
static void
refuses_types(const struct config_option *option, const char *own)
{
	static const struct {
		const char *type;
		const char *value;
		const char *found;
	} values[] = {
		{ "text", "\"\\u0007 text\"", "found" },
		{ "number", "-7", "found -7" },
		{ "fraction", "1.5", "found the number 1.5 with a fraction" },
		{ "flag", "true", "found true" },
		{ "null", "null", "found null" },
		{ "list", "[[]]", "found" },
		{ "object", "{\"a\":1}", "" },
	};
	size_t i;

	for (i = 0; i < COUNT(values); i++) {
		if (strcmp(values[i].type, own) != 0)
			refuses(option->key, values[i].value, values[i].found);
	}
}

/* ---- Every row ---- */

static void
check_number(const struct config_option *option)
{
	accepts_format(option->key, "%u", option->least);
	accepts_format(option->key, "%u", option->most);
	refuses_format(option->key, "%lld", (long long)option->least - 1);
	refuses_format(option->key, "%lld", (long long)option->most + 1);
	refuses_format(option->key, "%lld", (1LL << 32) + option->least);
	refuses_format(option->key, "%u.0", option->least);
	refuses_types(option, "number");
	assert_in_range(option->number, option->least, option->most);
}

static void
check_flag(const struct config_option *option)
{
	accepts(option->key, "true");
	accepts(option->key, "false");
	refuses(option->key, "0", "must be true or false, found 0");
	refuses_types(option, "flag");
}

static void
check_enum(const struct config_option *option)
{
	size_t i;

	for (i = 0; i < option->word_count; i++) {
		if (strcmp(option->words[i], "memory") != 0)
			accepts_format(option->key, "\"%s\"", option->words[i]);
		refuses_format(option->key, "\"%s \"", option->words[i]);
		refuses_format(option->key, "%zu", i);
	}
	refuses_types(option, "");
}

/* A JSON text of a length; *ret_exact is false when that length cannot be right. */
static char *
text_of_length(const struct examples *example, size_t length)
{
	size_t fixed = strlen(example->head) + strlen(example->tail);
	size_t filling = length > fixed ? length - fixed : 0;
	char *fill = xmalloc(filling + 1);
	char *text;

	memset(fill, 'a', filling);
	fill[filling] = '\0';
	text = xasprintf("\"%s%s%s\"", example->head, fill, example->tail);
	free(fill);
	return text;
}

static void
check_text(const struct config_option *option)
{
	const struct examples *example = &examples[option->check];
	char *text;
	size_t i;

	for (i = 0; i < COUNT(example->right) && example->right[i]; i++)
		accepts_format(option->key, "\"%s\"", example->right[i]);
	for (i = 0; i < COUNT(example->wrong) && example->wrong[i]; i++)
		refuses_format(option->key, "\"%s\"", example->wrong[i]);
	text = text_of_length(example, option->longest);
	assert_int_equal(strlen(text), option->longest + 2);
	accepts(option->key, text);
	free(text);
	text = text_of_length(example, option->longest + 1);
	if (strlen(text) == option->longest + 3)
		refuses(option->key, text, "found a text of");
	free(text);
	refuses(option->key, "\"\"", "found a text of 0 bytes");
	refuses_types(option, "");
}

static void
check_list(const struct config_option *option)
{
	const struct examples *example = &examples[option->check];
	char *list = xstrdup("");
	char *more, *full;
	size_t i;

	for (i = 0; i < COUNT(example->right) && example->right[i]; i++)
		accepts_format(option->key, "[\"%s\"]", example->right[i]);
	for (i = 0; i < COUNT(example->wrong) && example->wrong[i]; i++)
		refuses_format(option->key, "[\"%s\"]", example->wrong[i]);
	refuses_format(option->key, "[\"\"]");
	refuses_format(option->key, "[\"%s\", 3]", example->right[0]);
	refuses_format(option->key, "[null]");
	full = document_with(option->key, "[\"https://a\",\"https://a\"]");
	assert_int_equal(parse(full), -EINVAL);
	free(full);
	accepts(option->key, "[]");
	for (i = 0; i <= option->most; i++) {
		more = xasprintf("%s%s\"%s%zu\"", list, i > 0 ? "," : "",
		    option->check == CONFIG_CHECK_ORIGIN ? "https://a" : "a", i);
		free(list);
		list = more;
		if (i + 1 < option->most)
			continue;
		full = xasprintf("[%s]", list);
		if (i + 1 == option->most)
			accepts(option->key, full);
		else
			refuses(option->key, full, "found a list of");
		free(full);
	}
	free(list);
	full = text_of_length(example, option->longest);
	accepts_format(option->key, "[%s]", full);
	free(full);
	full = text_of_length(example, option->longest + 1);
	refuses_format(option->key, "[%s]", full);
	free(full);
	refuses_types(option, "");
}

static void
every_number_has_its_bounds(void **state)
{
	(void)state;
	for_each(CONFIG_NUMBER, check_number);
}

static void
every_flag_is_true_or_false(void **state)
{
	(void)state;
	for_each(CONFIG_FLAG, check_flag);
}

static void
every_enum_takes_its_words_only(void **state)
{
	(void)state;
	for_each(CONFIG_ENUM, check_enum);
#ifdef STREAMHOLD_TEST_BUILD
	accepts("keystore.backend", "\"memory\"");
#else
	refuses("keystore.backend", "\"memory\"",
	    "must be one of \"auto\", \"secret-service\", \"file\", found");
#endif
}

static void
every_text_has_its_form_and_length(void **state)
{
	(void)state;
	for_each(CONFIG_TEXT, check_text);
	for_each(CONFIG_URL, check_text);
	for_each(CONFIG_PATH, check_text);
}

static void
every_list_has_its_form_and_length(void **state)
{
	(void)state;
	for_each(CONFIG_LIST, check_list);
}

/* The defaults that people were promised; the rest of them is in the table alone. */
static void
defaults_are_those_of_the_design(void **state)
{
	(void)state;
	assert_int_equal(parse("{}"), 0);
	assert_string_equal(config.server.host, "localhost");
	assert_int_equal(config.server.port, 3000);
	assert_int_equal(config.server.allowed_hosts.count, 0);
	assert_int_equal(config.server.shutdown_timeout_ms, 10000);
	assert_int_equal(config.server.rate_limit_per_s, 2000);
	assert_int_equal(config.server.max_connections, 1024);
	assert_null(config.server.socket);
	assert_true(config.webhooks.enabled);
	assert_string_equal(config.webhooks.host, "127.0.0.1");
	assert_int_equal(config.webhooks.port, 3001);
	assert_string_equal(config.webhooks.path, "/webhooks/kick");
	assert_null(config.webhooks.public_url);
	assert_int_equal(config.webhooks.max_body_bytes, 262144);
	assert_int_equal(config.webhooks.timestamp_tolerance_s, 86400);
	assert_int_equal(config.webhooks.rate_limit_per_s, 0);
	assert_int_equal(config.webhooks.max_connections, 1024);
	assert_int_equal(config.keystore.backend, CONFIG_KEYSTORE_BACKEND_AUTO);
	assert_false(config.oauth.state_in_path);
	assert_int_equal(config.oauth.state_ttl_s, 600);
	assert_int_equal(config.oauth.refresh_margin_s, 300);
	assert_string_equal(
	    config.platforms.twitch.token_url, "https://id.twitch.tv/oauth2/token");
	assert_string_equal(
	    config.platforms.kick.api_url, "https://api.kick.com/public/v1");
	assert_int_equal(config.platforms.kick.default_scopes.count, 6);
	assert_string_equal(
	    config.platforms.kick.default_scopes.items[5], "kicks:read");
	assert_string_equal(config.platform[CONFIG_PLATFORM_YOUTUBE].authorize_url,
	    "https://accounts.google.com/o/oauth2/v2/auth");
	assert_string_equal(config_platform_name(CONFIG_PLATFORM_YOUTUBE), "youtube");
	assert_int_equal(config.subscriptions.kick.count, 0);
	assert_false(config.subscriptions.clear_on_shutdown);
	assert_int_equal(config.subscriptions.reconcile_interval_s, 600);
	assert_string_equal(config.features, "{}");
	assert_string_equal(config.actions, "[]");
	assert_int_equal(config.events.retention_days, 30);
	assert_int_equal(config.events.max_rows, 1000000);
	assert_int_equal(config.logging.level, CONFIG_LOG_LEVEL_INFO);
	assert_int_equal(config.logging.format, CONFIG_LOG_FORMAT_TEXT);
	config_clear(&config);
	config_clear(&config);
}

/* ---- Sentences ---- */

static void
mistakes_are_told_in_one_sentence(void **state)
{
	static const struct {
		const char *text;
		const char *sentence;
	} cases[] = {
		{ "{\"sever\":{}}",
		    "config.json:1: \"sever\" is not a known key; did you mean "
		    "\"server\"?" },
		{ "{\n\"server\":{\n\"prot\":1}}",
		    "config.json:3: \"server.prot\" is not a "
		    "known key; did you mean \"server.port\"?" },
		{ "{\"port\":1}",
		    "config.json:1: \"port\" is not a known key here; did you "
		    "mean \"server.port\", each name before a dot being an object?" },
		{ "{\"server.port\":1}",
		    "config.json:1: \"server.port\" is not a known key here; did you "
		    "mean "
		    "\"server.port\", each name before a dot being an object?" },
		{ "{\"logging\":{\"zzzzzz\":1}}",
		    "config.json:1: \"logging.zzzzzz\" is not a known key; known here "
		    "are "
		    "\"level\", \"format\"" },
		{ "{\"platforms\":{\"twich\":{}}}",
		    "config.json:1: \"platforms.twich\" is not a known key; did you "
		    "mean "
		    "\"platforms.twitch\"?" },
		{ "{\"platforms\":{\"kick\":{\"client_secret\":\"hush\"}}}",
		    "config.json:1: \"platforms.kick.client_secret\" is not a known "
		    "key; "
		    "credentials are not kept in this file but added with `streamhold "
		    "app "
		    "add`" },
		{ "{\"server\":[]}",
		    "config.json:1: \"server\" must be an object, found a list of 0" },
		{ "# a\n\n{\"server\":\n {\"port\": 65536}}",
		    "config.json:4: \"server.port\" must be a whole number from 0 to "
		    "65535, "
		    "found 65536" },
		{ "{\"server\":{\"port\":\"3000\"}}",
		    "config.json:1: \"server.port\" must be a whole number from 0 to "
		    "65535, "
		    "found the text \"3000\"" },
		{ "{\"server\":{\"p\\u006frt\":\n-1}}",
		    "config.json:1: \"server.port\" must be a whole number from 0 to "
		    "65535, "
		    "found -1" },
		{ "{\"logging\":{\"level\":\"wran\"}}",
		    "config.json:1: \"logging.level\" must be one of \"error\", "
		    "\"warn\", "
		    "\"info\", \"debug\", found the text \"wran\"; did you mean "
		    "\"warn\"?" },
		{ "{\"webhooks\":{\"public_url\":\"http://a.example/\"}}",
		    "config.json:1: \"webhooks.public_url\" must be an https address "
		    "(http "
		    "only for localhost, 127.0.0.0/8 and [::1]), found the text "
		    "\"http://a.example/\": plain http is accepted for loopback hosts "
		    "only" },
		{ "{\"webhooks\":{\"public_url\":\"https://me:hush@a.example/\"}}",
		    "config.json:1: \"webhooks.public_url\" must be an https address "
		    "(http "
		    "only for localhost, 127.0.0.0/8 and [::1]), found a text with "
		    "'@', not "
		    "shown here: a user name must not be in it" },
		{ "{\"paths\":{\"state_dir\":\"a\\u001b[2J\\u00e9\\\"\"}}",
		    "config.json:1: \"paths.state_dir\" must be an absolute path, "
		    "found the "
		    "text \"a\\x1b[2J\\xc3\\xa9\\\"\": it does not start with '/'" },
		{ "{\"server\":{\"port\":1,\n\"port\":2}}",
		    "config.json:2: \"server.port\" is given twice; each key may be "
		    "given "
		    "once" },
		{ "{\"a\":[1,\n{\"b\":0,\"b\":0}]}",
		    "config.json:2: \"a[1].b\" is given twice; each key may be given "
		    "once" },
		{ "{\"server\":{\"port\":99999999999999999999}}",
		    "config.json:1: \"server.port\" is a number too large to be read" },
		{ "{\n\"server\":{},\n}",
		    "config.json:3: must be JSON, found an error: string "
		    "or '}' expected near '}'; no comma may stand before it" },
		{ "{\"server\":{\"allowed_hosts\":[\"a\",]}}",
		    "config.json:1: must be JSON, found an error: unexpected token "
		    "near ']'; no comma may stand before it" },
		{ "{'server':{}}",
		    "config.json:1: must be JSON, found an error: string or '}' "
		    "expected near '''; names and texts stand in \"double quotes\"" },
		{ "{} // nothing",
		    "config.json:1: must be JSON, found an error: end of file "
		    "expected near '/'; a comment is a line whose first character is "
		    "#" },
		{ "\xef\xbb\xbf{}",
		    "config.json:1: must be JSON, found an error: invalid token near "
		    "'\\xef\\xbb\\xbf'; the file begins with a byte order mark, save "
		    "it as UTF-8 without one" },
		{ "[]", "config.json:1: must be a JSON object" },
		{ " # not at the start of its line\n{}",
		    "config.json:1: must be JSON, found an error: invalid token near "
		    "'#'; a comment is a line whose first character is #" },
		{ "\n# nothing\n",
		    "config.json: must be a JSON object, found nothing; {} means all "
		    "defaults" },
		{ "{\"subscriptions\":{\"kick\":[{\"username\":\"a\",\n\"events\":["
		  "\"channel."
		  "folowed\"]}]}}",
		    "config.json:2: \"subscriptions.kick[0].events[0]\" must be one of "
		    "\"chat.message.sent\", \"channel.followed\", "
		    "\"channel.subscription.new\", \"channel.subscription.renewal\", "
		    "\"channel.subscription.gifts\", "
		    "\"channel.reward.redemption.updated\", "
		    "\"livestream.status.updated\", \"livestream.metadata.updated\", "
		    "\"moderation.banned\", \"kicks.gifted\", found the text "
		    "\"channel.folowed\"; did you mean \"channel.followed\"?" },
		{ "{\"features\":{\"actions\":\"maybe\"}}",
		    "config.json:1: \"features.actions\" must be one of \"off\", "
		    "\"shadow\", "
		    "\"on\", found the text \"maybe\"" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		assert_int_equal(parse(cases[i].text), -EINVAL);
		assert_string_equal(error.error[0].sentence, cases[i].sentence);
		assert_int_equal(error.errors, 1);
		assert_int_equal(error.warnings, 0);
	}
}

static void
all_errors_are_counted_and_twenty_kept(void **state)
{
	char text[4096] = "{\"a0\":0";
	char more[32];
	char *output = NULL;
	size_t size, i;
	FILE *file = open_memstream(&output, &size);

	(void)state;
	for (i = 1; i < 23; i++) {
		snprintf(more, sizeof more, ",\n\"a%zu\":0", i);
		memcpy(text + strlen(text), more, strlen(more) + 1);
	}
	memcpy(text + strlen(text), "}", 2);
	assert_int_equal(parse(text), -EINVAL);
	assert_int_equal(error.errors, 23);
	assert_int_equal(error.error[CONFIG_PROBLEMS_MAX - 1].line, 20);
	config_error_print(&error, file);
	fclose(file);
	assert_non_null(strstr(output, "\n3 more errors are not shown\n"));
	free(output);
}

static void
long_texts_are_cut_in_sentences(void **state)
{
	char *text = xmalloc(100000);
	char *key;

	(void)state;
	memset(text, '\t', 99999);
	text[99999] = '\0';
	memset(text, 'x', 50000);
	text[50000] = '\0';
	key = xasprintf("{\"%s\":1,\"logging\":{\"level\":\"%s\"}}", text, text);
	assert_int_equal(parse(key), -EINVAL);
	assert_int_equal(error.errors, 2);
	assert_true(strlen(error.error[0].sentence) < CONFIG_SENTENCE_MAX - 1);
	assert_true(strlen(error.error[0].key) < 80);
	assert_true(strlen(error.error[1].sentence) < 300);
	assert_non_null(strstr(error.error[1].sentence, "xxx...\""));
	free(key);
	free(text);
}

/* ---- Subscriptions, features, actions ---- */

static void
older_event_names_are_taken_with_a_warning(void **state)
{
	const struct config_list *events;

	(void)state;
	assert_int_equal(
	    parse("{\"subscriptions\":{\"kick\":[{\"username\":\"Ann\","
		  "\"events\":[\"channel.followed\",\n\"channel.subscribed\","
		  "\"channel.subscription.gifted\","
		  "\"channel.subscription.renewal\"]}]}}"),
	    0);
	assert_int_equal(config.subscriptions.kick.count, 1);
	assert_string_equal(config.subscriptions.kick.items[0].username, "Ann");
	events = &config.subscriptions.kick.items[0].events;
	assert_int_equal(events->count, 4);
	assert_string_equal(events->items[1], "channel.subscription.new");
	assert_string_equal(events->items[2], "channel.subscription.renewal");
	assert_string_equal(events->items[3], "channel.subscription.gifts");
	assert_int_equal(error.warnings, 2);
	assert_string_equal(error.warning[0].sentence,
	    "config.json:2: \"subscriptions.kick[0].events[1]\" is the older name "
	    "\"channel.subscribed\", which the platform does not know; taken as "
	    "\"channel.subscription.new\" and \"channel.subscription.renewal\"");
	assert_non_null(strstr(
	    error.warning[1].sentence, "taken as \"channel.subscription.gifts\""));
	config_clear(&config);
}

static void
subscriptions_are_checked(void **state)
{
	static const char *const wrong[][2] = {
		{ "{}", "must be a list" },
		{ "[1]", "must be an object" },
		{ "[{}]", "found no \"username\"" },
		{ "[{\"username\":\"a\"}]", "found no \"events\"" },
		{ "[{\"username\":\"a\",\"events\":[]}]", "1 to 20 event names" },
		{ "[{\"username\":\"a\",\"events\":\"kicks.gifted\"}]", "event names" },
		{ "[{\"username\":\"a\",\"events\":[1]}]", "found 1" },
		{ "[{\"username\":\"\",\"events\":[\"kicks.gifted\"]}]", "user name" },
		{ "[{\"username\":\"a/b\",\"events\":[\"kicks.gifted\"]}]",
		    "user name" },
		{ "[{\"username\":\"a\",\"events\":[\"kicks.gifted\"],\"x\":1}]",
		    "known here are" },
		{ "[{\"username\":\"a\",\"events\":[\"kicks.gifted\"]},"
		  "{\"username\":\"A\",\"events\":[\"kicks.gifted\"]}]",
		    "no earlier entry" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(wrong); i++)
		refuses("subscriptions.kick", wrong[i][0], wrong[i][1]);
	accepts("subscriptions.kick", "[]");
}

static void
features_and_actions_are_kept_as_text(void **state)
{
	(void)state;
	assert_int_equal(parse("{\"features\": {\"b\": \"on\", \"a\": \"off\"},"
			       "\"actions\": [{\"type\": \"chat\", \"n\": 1.50}]}"),
	    0);
	assert_string_equal(config.features, "{\"b\":\"on\",\"a\":\"off\"}");
	assert_string_equal(config.actions, "[{\"type\":\"chat\",\"n\":1.5}]");
	config_clear(&config);
	refuses("features", "[]", "must be an object");
	refuses("features", "{\"Bad\":\"on\"}", "must have a name");
	refuses("features", "{\"\":\"on\"}", "must have a name");
	refuses("features", "{\"a\":true}", "found true");
	refuses("actions", "{}", "must be a list");
	refuses("actions", "[{},1]", "must be an object, found 1");
}

static void
a_listener_or_redirect_hardly_meant_is_warned_about(void **state)
{
	(void)state;
	assert_int_equal(parse("{\"server\":{\n\"host\":\"0.0.0.0\"},\"oauth\":{"
			       "\n\"redirect_base\":\"http://127.0.0.1:3000/\"}}"),
	    0);
	assert_int_equal(error.warnings, 2);
	assert_int_equal(error.warning[0].line, 2);
	assert_string_equal(error.warning[0].key, "server.host");
	assert_int_equal(error.warning[1].line, 3);
	assert_string_equal(config.oauth.redirect_base, "http://127.0.0.1:3000");
	config_clear(&config);
	assert_int_equal(parse("{\"server\":{\"host\":\"::1\"},\"oauth\":{"
			       "\"redirect_base\":\"http://localhost:1\"}}"),
	    0);
	assert_int_equal(error.warnings, 0);
	config_clear(&config);
}

static void
two_listeners_of_one_address_and_port_are_warned_about(void **state)
{
	static const struct {
		const char *text;
		size_t warnings;
	} cases[] = {
		{ "{\"server\":{\"port\":3001}}", 1 },
		{ "{\"server\":{\"port\":3002}}", 0 },
		{ "{\"server\":{\"port\":3001},\"webhooks\":{\"enabled\":false}}", 0 },
		{ "{\"server\":{\"port\":0},\"webhooks\":{\"port\":0}}", 0 },
		{ "{\"server\":{\"port\":3001},\"webhooks\":{\"host\":\"0.0.0.0\"}}", 1 },
		{ "{\"server\":{\"host\":\"::1\",\"port\":3001}}", 0 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		assert_int_equal(parse(cases[i].text), 0);
		assert_int_equal(error.warnings, cases[i].warnings);
		if (cases[i].warnings)
			assert_string_equal(error.warning[0].key, "webhooks.port");
		config_clear(&config);
	}
}

/* ---- Broken texts ---- */

static void
no_text_that_breaks_off_is_accepted(void **state)
{
	static const char text[] =
	    "# a\n{\"server\": {\"port\": 1, \"allowed_hosts\": [\"a\", \"b\"]},\n"
	    "# b\n\"features\": {\"a\": \"on\"}, \"actions\": [{\"\\u00e9\": 1.5}]}";
	size_t length;
	char *copy;

	(void)state;
	for (length = 0; length < sizeof text - 1; length++) {
		copy = xmemdup(text, length);
		assert_int_equal(
		    config_parse(copy, length, "x", &config, &error), -EINVAL);
		assert_true(error.errors >= 1);
		free(copy);
	}
	assert_accepted(text);
	assert_int_equal(config_parse("{}\0{}", 5, "x", &config, &error), -EINVAL);
	assert_int_equal(config_parse("\xff{}", 3, "x", &config, &error), -EINVAL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_number_has_its_bounds),
		cmocka_unit_test(every_flag_is_true_or_false),
		cmocka_unit_test(every_enum_takes_its_words_only),
		cmocka_unit_test(every_text_has_its_form_and_length),
		cmocka_unit_test(every_list_has_its_form_and_length),
		cmocka_unit_test(defaults_are_those_of_the_design),
		cmocka_unit_test(mistakes_are_told_in_one_sentence),
		cmocka_unit_test(all_errors_are_counted_and_twenty_kept),
		cmocka_unit_test(long_texts_are_cut_in_sentences),
		cmocka_unit_test(older_event_names_are_taken_with_a_warning),
		cmocka_unit_test(subscriptions_are_checked),
		cmocka_unit_test(features_and_actions_are_kept_as_text),
		cmocka_unit_test(a_listener_or_redirect_hardly_meant_is_warned_about),
		cmocka_unit_test(two_listeners_of_one_address_and_port_are_warned_about),
		cmocka_unit_test(no_text_that_breaks_off_is_accepted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
