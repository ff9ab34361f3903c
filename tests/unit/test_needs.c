/*
 * What will not work for want of a scope: what was asked for and what the configuration
 * switches on, against what was granted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/oauth/needs.h"

#define DEFAULTS \
	"user:read channel:read channel:write events:subscribe chat:write kicks:read"
#define GOOGLE(name) "https://www.googleapis.com/auth/" name
#define ROW(events) \
	"\"subscriptions\":{\"kick\":[{\"username\":\"Bob\",\"events\":[" events "]}]" \
	"}"
#define FOLLOWS \
	ROW("\"channel.followed\",\"channel.subscription.new\",\"chat.message.sent\"")
#define ACTION "\"actions\":[{\"type\":\"chat.message.sent\"}]"
#define NO_FOLLOWS \
	"events:subscribe follows, subs and chat messages of bob will not arrive\n"
#define NO_CHAT "chat:write chat messages cannot be sent as bob\n"

static const struct {
	const char *name; /* of the case */
	const char *platform;
	const char *config;
	const char *asked;
	const char *granted;
	const char *unmet; /* NULL: nothing */
} cases[] = {
	{ "all granted", "kick", "{" FOLLOWS "," ACTION "}", DEFAULTS, DEFAULTS, NULL },
	{ "another order", "kick", "{" FOLLOWS "}", "user:read events:subscribe",
	    "events:subscribe user:read", NULL },
	{ "asked, and nothing wants it", "kick", "{}", DEFAULTS,
	    "user:read channel:read channel:write chat:write kicks:read",
	    "events:subscribe events of bob will not arrive\n" },
	{ "asked and wanted", "kick", "{" FOLLOWS "}", DEFAULTS,
	    "user:read channel:read channel:write chat:write kicks:read", NO_FOLLOWS },
	{ "wanted and not asked", "kick", "{" FOLLOWS "}", "user:read", "user:read",
	    NO_FOLLOWS },
	{ "neither wanted nor asked", "kick", "{}", "user:read", "user:read", NULL },
	{ "wanted for somebody else", "kick",
	    "{\"subscriptions\":{\"kick\":[{\"username\":\"eve\",\"events\":["
	    "\"channel.followed\"]}]}}",
	    "user:read", "user:read", NULL },
	{ "deliveries are switched off", "kick",
	    "{" FOLLOWS ",\"webhooks\":{\"enabled\":false}}", "user:read", "user:read",
	    NULL },
	{ "the feature is off", "kick",
	    "{" FOLLOWS ",\"features\":{\"webhook_events\":\"off\"}}", "user:read",
	    "user:read", NULL },
	{ "the feature is in shadow", "kick",
	    "{" FOLLOWS ",\"features\":{\"webhook_events\":\"shadow\"}}", "user:read",
	    "user:read", NO_FOLLOWS },
	{ "one event", "kick", "{" ROW("\"kicks.gifted\"") "}", "user:read",
	    "user:read", "events:subscribe gifted KICKs of bob will not arrive\n" },
	{ "actions", "kick", "{" ACTION "}", "user:read", "user:read", NO_CHAT },
	{ "actions are off", "kick", "{" ACTION ",\"features\":{\"actions\":\"off\"}}",
	    "user:read", "user:read", NULL },
	{ "a part of a word is no scope", "kick", "{" ACTION "}", "user:read",
	    "user:read chat:writer xchat:write", NO_CHAT },
	{ "the look-up", "kick", "{}", "events:subscribe", "events:subscribe",
	    "user:read who logged in as bob cannot be looked up, and a new name goes "
	    "unnoticed\n" },
	{ "several", "kick", "{" FOLLOWS "}", DEFAULTS, "user:read",
	    NO_FOLLOWS NO_CHAT
	    "channel:read the channel of bob cannot be read\n"
	    "channel:write title and category of the channel of bob cannot be changed\n"
	    "kicks:read the KICKs leaderboard of bob cannot be read\n" },
	{ "a scope that includes the other", "kick", "{}",
	    "user:read channel:rewards:read", "user:read channel:rewards:write", NULL },
	{ "an unknown scope", "kick", "{}", "user:read new:scope", "user:read",
	    "new:scope calls for bob that need it fail\n" },
	{ "defaults of Twitch", "twitch", "{" FOLLOWS "," ACTION "}",
	    "chat:read bits:read", "chat:read",
	    "bits:read cheers in the channel of bob cannot be read\n" },
	{ "Twitch without any", "twitch", "{" FOLLOWS "}", "", "", NULL },
	{ "YouTube with a smaller scope", "youtube", "{}", GOOGLE("youtube"),
	    GOOGLE("youtube.readonly"),
	    GOOGLE("youtube") " the channel and the broadcasts of bob cannot be "
			      "changed\n" GOOGLE(
				  "youtube") " chat messages cannot be sent as "
					     "bob\n" GOOGLE("youtube") " videos cannot "
								       "be uploaded as "
								       "bob\n" },
	{ "YouTube with a greater scope", "youtube", "{}",
	    GOOGLE("youtube") " " GOOGLE("youtube.upload"), GOOGLE("youtube.force-ssl"),
	    NULL },
	{ "YouTube without any", "youtube", "{}", "openid", "openid",
	    GOOGLE("youtube") " which channel logged in as bob cannot be looked up\n" },
};

static char *
unmet_of(const char *platform, const char *config, const struct store_account *row)
{
	struct config_error problem;
	struct broker broker = { .base = NULL };
	char *text;

	assert_int_equal(
	    config_parse(config, strlen(config), "test", &broker.config, &problem), 0);
	text = needs_unmet(&broker, platform_find(platform), row);
	config_clear(&broker.config);
	return text;
}

static struct store_account
row_of(const char *platform, const char *asked, const char *granted)
{
	return (struct store_account){ .platform = (char *)(uintptr_t)platform,
		.username = (char *)(uintptr_t) "bob",
		.status = (char *)(uintptr_t)STORE_ACCOUNT_OK,
		.scopes = (char *)(uintptr_t)granted,
		.scopes_asked = (char *)(uintptr_t)asked };
}

static void
test_every_case(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct store_account row =
		    row_of(cases[i].platform, cases[i].asked, cases[i].granted);
		char *text = unmet_of(cases[i].platform, cases[i].config, &row);

		if ((text == NULL) != (cases[i].unmet == NULL) ||
		    (text && strcmp(text, cases[i].unmet) != 0))
			fail_msg("%s: '%s'", cases[i].name, text ? text : "nothing");
		free(text);
	}
}

/* The account is meant by its slug or the name that is shown, too. */
static void
test_the_wanted_account_is_found_by_each_of_its_names(void **state)
{
	struct store_account row = row_of("kick", "user:read", "user:read");
	char *text;

	(void)state;
	row.username = (char *)(uintptr_t) "other";
	text = unmet_of("kick", "{" FOLLOWS "}", &row);
	assert_null(text);
	row.login = (char *)(uintptr_t) "BOB";
	text = unmet_of("kick", "{" FOLLOWS "}", &row);
	assert_non_null(text);
	free(text);
	row.login = NULL;
	row.display_name = (char *)(uintptr_t) "bob";
	text = unmet_of("kick", "{" FOLLOWS "}", &row);
	assert_non_null(text);
	free(text);
}

/* A lost login is told as such, and not by its scopes. */
static void
test_a_lost_login_lacks_nothing(void **state)
{
	struct store_account row = row_of("kick", DEFAULTS, "");

	(void)state;
	row.status = (char *)(uintptr_t)STORE_ACCOUNT_LOST;
	assert_null(unmet_of("kick", "{" FOLLOWS "}", &row));
}

/* The longest sets still fit into a message, and no line is cut. */
static void
test_many_scopes_are_cut_by_lines(void **state)
{
	char asked[8192] = "user:read";
	struct store_account row = row_of("kick", asked, "user:read");
	size_t used = strlen(asked);
	unsigned i;
	char *text;

	(void)state;
	for (i = 0; used + 20 < sizeof(asked); i++)
		used += (size_t)snprintf(
		    asked + used, sizeof(asked) - used, " scope:%u", i);
	text = unmet_of("kick", "{}", &row);
	assert_non_null(text);
	assert_in_range(strlen(text), NEEDS_SIZE_MAX - 100, NEEDS_SIZE_MAX);
	assert_string_equal(text + strlen(text) - 6, " fail\n");
	free(text);
}

/* Every scope of the defaults has a sentence of its own. */
static void
test_every_default_scope_is_explained(void **state)
{
	struct config config;
	size_t i;
	size_t k;

	(void)state;
	config_init(&config);
	for (i = 0; i < CONFIG_PLATFORM_MAX; i++) {
		const struct platform *platform =
		    platform_at((enum config_platform_index)i);
		const struct config_list *scopes = &config.platform[i].default_scopes;

		assert_true(scopes->count > 0);
		for (k = 0; k < scopes->count; k++) {
			char asked[200];
			struct store_account row = row_of(platform->name, asked, "");
			char *text;

			(void)snprintf(asked, sizeof(asked), "%s", scopes->items[k]);
			text = unmet_of(platform->name, "{}", &row);
			assert_non_null(text);
			assert_null(strstr(text, "calls for"));
			free(text);
		}
	}
	config_clear(&config);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_case),
		cmocka_unit_test(test_the_wanted_account_is_found_by_each_of_its_names),
		cmocka_unit_test(test_a_lost_login_lacks_nothing),
		cmocka_unit_test(test_many_scopes_are_cut_by_lines),
		cmocka_unit_test(test_every_default_scope_is_explained),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
