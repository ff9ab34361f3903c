/*
 * Authorize addresses of all platforms, to the letter, and who is behind a token.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/oauth/authorize.h"
#include "broker/oauth/platform.h"

static void
test_addresses_are_exact_for_each_platform(void **state)
{
	static const struct {
		const char *platform;
		const char *url;
		const char *expected;
	} cases[] = {
		{ "twitch", "https://id.twitch.tv/oauth2/authorize",
		    "https://id.twitch.tv/oauth2/"
		    "authorize?client_id=abc123&redirect_uri="
		    "http%3A%2F%2Flocalhost%3A3000%2Foauth%2Fcallback%2Ftwitch&"
		    "response_type=code&scope=a:b+c&state=S-_1&force_verify=true" },
		{ "kick", "https://id.kick.com/oauth/authorize",
		    "https://id.kick.com/oauth/authorize?client_id=abc123&redirect_uri="
		    "http%3A%2F%2Flocalhost%3A3000%2Foauth%2Fcallback%2Fkick&"
		    "response_type=code&scope=a:b+c&state=S-_1&code_challenge=CH&"
		    "code_challenge_method=S256" },
		{ "youtube", "https://accounts.google.com/o/oauth2/v2/auth",
		    "https://accounts.google.com/o/oauth2/v2/auth?client_id=abc123&"
		    "redirect_uri=http%3A%2F%2Flocalhost%3A3000%2Foauth%2Fcallback%2F"
		    "youtube&response_type=code&scope=a:b+c&state=S-_1&code_challenge="
		    "CH&code_challenge_method=S256&access_type=offline&prompt="
		    "consent" },
		{ "twitch", "http://localhost:9/authorize?x=1",
		    "http://localhost:9/authorize?x=1&client_id=abc123&redirect_uri="
		    "http%3A%2F%2Flocalhost%3A3000%2Foauth%2Fcallback%2Ftwitch&"
		    "response_type=code&scope=a:b+c&state=S-_1&force_verify=true" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct platform *platform = platform_find(cases[i].platform);
		char redirect[128];
		char *url;

		strcpy(redirect, "http://localhost:3000/oauth/callback/");
		strcat(redirect, cases[i].platform);
		url = authorize_url(platform,
		    &(const struct authorize){
			.url = cases[i].url,
			.client_id = "abc123",
			.redirect_uri = redirect,
			.scopes = "a:b c",
			.state = "S-_1",
			.challenge = platform->pkce ? "CH" : NULL,
		    });
		assert_string_equal(url, cases[i].expected);
		free(url);
	}
}

static const struct {
	const char *platform;
	const char *question;
	const char *body;
	bool heard;
	const char *user_id;
	const char *own_name;
	const char *names[4]; /* that must fit */
	const char *other;    /* that must not */
} identities[] = {
	{ "kick", "users",
	    "{\"data\":[{\"email\":\"\",\"name\":\"Some_One\",\"profile_picture\":\"\","
	    "\"user_id\":123}],\"message\":\"OK\"}",
	    true, "123", "Some_One", { "some_one", "SOME-ONE", NULL }, "someone" },
	{ "kick", "users",
	    "{\"data\":[{\"name\":\"x\",\"user_id\":18446744073709551615}]}", false,
	    NULL, NULL, { NULL }, "x" },
	{ "kick", "users", "{\"data\":[],\"message\":\"OK\"}", false, NULL, NULL,
	    { NULL }, "x" },
	{ "kick", "users", "{\"data\":{},\"message\":\"Unauthorized\"}", false, NULL,
	    NULL, { NULL }, "x" },
	{ "kick", "users", "", false, NULL, NULL, { NULL }, "x" },
	{ "kick", "users", "{\"data\":[{\"name\":null,\"user_id\":1}]}", false, NULL,
	    NULL, { NULL }, "x" },
	{ "kick", "channels",
	    "{\"data\":[{\"broadcaster_user_id\":123,\"slug\":\"x-y\"}]}", true, "123",
	    "x-y", { "X-Y", NULL }, "x_y" },
	{ "twitch", "users",
	    "{\"data\":[{\"id\":\"141981764\",\"login\":\"twitchdev\","
	    "\"display_name\":\"TwitchDev!\"}]}",
	    true, "141981764", "twitchdev", { "TwitchDev", NULL }, "TwitchDev!" },
	{ "twitch", "users", "{\"data\":[{\"id\":141981764,\"login\":\"a\"}]}", false,
	    NULL, NULL, { NULL }, "a" },
	{ "twitch", "validate",
	    "{\"client_id\":\"client\",\"login\":\"twitchdev\",\"scopes\":null,"
	    "\"user_id\":\"1\",\"expires_in\":5520838}",
	    true, "1", "twitchdev", { "TWITCHDEV", NULL }, "x" },
	{ "twitch", "validate",
	    "{\"client_id\":\"other\",\"login\":\"twitchdev\",\"user_id\":\"1\","
	    "\"expires_in\":5}",
	    false, NULL, NULL, { NULL }, "twitchdev" },
	{ "twitch", "validate",
	    "{\"client_id\":\"client\",\"login\":null,\"user_id\":null}", false, NULL,
	    NULL, { NULL }, "x" },
	{ "youtube", "channels",
	    "{\"items\":[{\"id\":\"UC01\",\"snippet\":{\"title\":\"A Title\","
	    "\"customUrl\":\"@handle\"}}]}",
	    true, "UC01", "handle", { "uc01", "a title", "@handle", "Handle" }, "x" },
	{ "youtube", "channels", "{\"items\":[{\"id\":\"UC01\"}]}", true, "UC01",
	    "UC01", { "UC01", NULL }, "x" },
	{ "youtube", "channels",
	    "{\"items\":[{\"id\":\"UC01\",\"snippet\":{\"title\":\"a/b\"}}]}", true,
	    "UC01", "UC01", { "UC01", NULL }, "x" },
	{ "youtube", "channels", "{\"items\":[]}", false, NULL, NULL, { NULL }, "x" },
	{ "youtube", "channels", "{}", false, NULL, NULL, { NULL }, "x" },
};

static const struct platform_question *
question_of(const struct platform *platform, const char *name)
{
	const struct platform_question *question = platform->questions;

	while (strcmp(question->name, name) != 0)
		question++;
	return question;
}

static void
test_accounts_are_known_by_the_names_that_people_use(void **state)
{
	size_t i;
	size_t k;

	(void)state;
	for (i = 0; i < sizeof(identities) / sizeof(identities[0]); i++) {
		const struct platform *platform = platform_find(identities[i].platform);
		const struct platform_grant grant = { .client_id = "client" };
		struct secret body =
		    secret_copy(identities[i].body, strlen(identities[i].body));
		struct identity identity = { .user_id = NULL };

		print_message("%s\n", identities[i].body);
		assert_int_equal(question_of(platform, identities[i].question)
				     ->hear(&grant, &body, &identity),
		    identities[i].heard);
		assert_int_equal(identity_is_known(&identity), identities[i].heard);
		if (identities[i].user_id)
			assert_string_equal(identity.user_id, identities[i].user_id);
		if (identities[i].own_name)
			assert_string_equal(
			    identity_own_name(&identity), identities[i].own_name);
		for (k = 0; k < 4 && identities[i].names[k]; k++)
			assert_true(
			    identity_has_name(&identity, identities[i].names[k]));
		assert_false(identity_has_name(&identity, identities[i].other));
		identity_clear(&identity);
		secret_clear(&body);
	}
}

static void
test_questions_put_tokens_into_header_lines_and_bodies_only(void **state)
{
	const struct secret access = secret_copy("TOKEN", 5);
	char base[] = "https://api.example/v1";
	const struct config_platform config = {
		.api_url = base, .validate_url = base, .introspect_url = base
	};
	const struct platform_grant grant = {
		.config = &config, .client_id = "client", .access = &access
	};
	const struct platform_question *question;
	size_t i;

	(void)state;
	for (i = 0; i < CONFIG_PLATFORM_MAX; i++) {
		question = platform_at((enum config_platform_index)i)->questions;
		for (; question->name; question++) {
			struct platform_request request = { .url = "" };

			question->ask(&grant, &request);
			assert_null(strstr(request.fetch.url, "TOKEN"));
			assert_memory_equal(request.fetch.url, base, strlen(base));
			assert_true(request.fetch.header_count > 0 ||
			    strcmp(secret_text(&request.fetch.body),
				"access_token=TOKEN") == 0);
			fetch_request_clear(&request.fetch);
		}
	}
	free(access.bytes);
}

static void
test_revocations_come_in_the_order_of_the_platform(void **state)
{
	static const struct {
		const char *platform;
		const char *access;
		const char *refresh;
		const char *forms[2];
	} rows[] = {
		{ "kick", "A+", "R/",
		    { "token=R%2F&token_hint_type=refresh_token",
			"token=A%2B&token_hint_type=access_token" } },
		{ "kick", "A", "", { "token=A&token_hint_type=access_token", NULL } },
		{ "twitch", "A", "R", { "client_id=client&token=A", NULL } },
		{ "youtube", "A", "R", { "token=R", NULL } },
		{ "youtube", "A", "", { "token=A", NULL } },
		{ "twitch", "", "R", { NULL, NULL } },
	};
	size_t i;
	size_t k;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct tokens tokens = {
			.access = secret_copy(rows[i].access, strlen(rows[i].access)),
			.refresh =
			    secret_copy(rows[i].refresh, strlen(rows[i].refresh)),
		};
		struct secret forms[PLATFORM_REVOCATIONS_MAX];
		size_t count = platform_find(rows[i].platform)
				   ->revocations(&tokens, "client", forms);

		for (k = 0; k < count; k++) {
			assert_non_null(rows[i].forms[k]);
			assert_string_equal(secret_text(&forms[k]), rows[i].forms[k]);
			secret_clear(&forms[k]);
		}
		assert_true(count == 2 || !rows[i].forms[count]);
		tokens_clear(&tokens);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses_are_exact_for_each_platform),
		cmocka_unit_test(test_accounts_are_known_by_the_names_that_people_use),
		cmocka_unit_test(
		    test_questions_put_tokens_into_header_lines_and_bodies_only),
		cmocka_unit_test(test_revocations_come_in_the_order_of_the_platform),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
