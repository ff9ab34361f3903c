/*
 * Token replies: every row of facts/twitch-google-standards.md E.4, and the replies
 * that the platforms document.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/oauth/token_reply.h"

static int
read_text(const char *text, struct token_reply *reply, const char **what)
{
	struct secret body = secret_copy(text, strlen(text));
	int result = token_reply_read(&body, reply, what);

	secret_clear(&body);
	return result;
}

#define TOKEN "\"access_token\":\"abc\""

/* Google's, of a grant that ends by itself. What cannot be believed is not told. */
static void
test_the_life_of_a_refresh_token(void **state)
{
	static const struct {
		const char *json;
		int64_t seconds; /* 0: not told */
	} cases[] = {
		{ "604799", 604799 },
		{ "\"604799\"", 604799 },
		{ "0", 0 },
		{ "null", 0 },
		{ "-1", 0 },
		{ "\"week\"", 0 },
		{ "1e300", 0 },
		{ "{}", 0 },
	};
	struct token_reply reply;
	const char *what;
	char body[128];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(body, sizeof(body),
		    "{" TOKEN ",\"refresh_token_expires_in\":%s}", cases[i].json);
		assert_int_equal(read_text(body, &reply, &what), 0);
		assert_int_equal(reply.refresh_expires_known, cases[i].seconds > 0);
		if (cases[i].seconds)
			assert_int_equal(reply.refresh_expires_in_s, cases[i].seconds);
		token_reply_clear(&reply);
	}
	assert_int_equal(read_text("{" TOKEN "}", &reply, &what), 0);
	assert_false(reply.refresh_expires_known);
	token_reply_clear(&reply);
}

static void
test_lifetimes_are_read_in_every_form(void **state)
{
	static const struct {
		const char *json;
		bool known;
		int64_t seconds;
		bool odd;
	} cases[] = {
		{ "\"expires_in\":7200", true, 7200, false },
		{ "\"expires_in\":7200.0", true, 7200, false },
		{ "\"expires_in\":\"7200\"", true, 7200, false },
		{ "\"expires_in\":0", true, 0, false },
		{ "\"x\":1", false, 0, false },
		{ "\"expires_in\":null", false, 0, false },
		{ "\"expires_in\":\"\"", false, 0, false },
		{ "\"expires_in\":-1", false, 0, true },
		{ "\"expires_in\":1.5", false, 0, true },
		{ "\"expires_in\":\"3600abc\"", false, 0, true },
		{ "\"expires_in\":\"-5\"", false, 0, true },
		{ "\"expires_in\":\"NaN\"", false, 0, true },
		{ "\"expires_in\":1e300", false, 0, true },
		{ "\"expires_in\":99999999999999999999999999999999", false, 0, true },
		{ "\"expires_in\":\"99999999999999999999\"", false, 0, true },
		{ "\"expires_in\":316224001", false, 0, true },
		{ "\"expires_in\":316224000", true, 316224000, false },
		{ "\"expires_in\":true", false, 0, true },
		{ "\"expires_in\":[1]", false, 0, true },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct token_reply reply;
		const char *what;
		char text[256];

		snprintf(text, sizeof(text), "{" TOKEN ",%s}", cases[i].json);
		print_message("%s\n", text);
		assert_int_equal(read_text(text, &reply, &what), 0);
		assert_int_equal(reply.expires_known, cases[i].known);
		if (cases[i].known)
			assert_int_equal(reply.expires_in_s, cases[i].seconds);
		assert_int_equal(reply.expires_odd, cases[i].odd);
		token_reply_clear(&reply);
	}
}

static void
test_scopes_are_read_in_every_form(void **state)
{
	static const struct {
		const char *json;
		bool known;
		const char *scopes;
	} cases[] = {
		{ "\"scope\":\"a b\"", true, "a b" },
		{ "\"scope\":\"a,b\"", true, "a b" },
		{ "\"scope\":[\"a\",\"b\",\"a\"]", true, "a b" },
		{ "\"scope\":[]", true, "" },
		{ "\"scope\":\"\"", true, "" },
		{ "\"scope\":[1,\"b\",null]", true, "b" },
		{ "\"scope\":null", false, "" },
		{ "\"x\":1", false, "" },
		{ "\"scope\":7", false, "" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct token_reply reply;
		const char *what;
		char text[256];

		snprintf(text, sizeof(text), "{" TOKEN ",%s}", cases[i].json);
		assert_int_equal(read_text(text, &reply, &what), 0);
		assert_int_equal(reply.scopes_known, cases[i].known);
		assert_string_equal(reply.scopes, cases[i].scopes);
		token_reply_clear(&reply);
	}
}

static void
test_refresh_token_may_be_absent_but_not_odd(void **state)
{
	static const struct {
		const char *json;
		int result;
		const char *token;
	} cases[] = {
		{ "\"x\":1", 0, "" },
		{ "\"refresh_token\":null", 0, "" },
		{ "\"refresh_token\":\"\"", 0, "" },
		{ "\"refresh_token\":\"r/%+=\"", 0, "r/%+=" },
		{ "\"refresh_token\":5", -EBADMSG, "" },
		{ "\"refresh_token\":\"a b\"", -EBADMSG, "" },
		{ "\"refresh_token\":\"a\\r\\nX: y\"", -EBADMSG, "" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct token_reply reply;
		const char *what;
		char text[256];

		snprintf(text, sizeof(text), "{" TOKEN ",%s}", cases[i].json);
		assert_int_equal(read_text(text, &reply, &what), cases[i].result);
		if (cases[i].result < 0)
			continue;
		assert_string_equal(secret_text(&reply.refresh), cases[i].token);
		token_reply_clear(&reply);
	}
}

static void
test_token_type_is_bearer_in_any_case_or_absent(void **state)
{
	static const struct {
		const char *json;
		int result;
	} cases[] = {
		{ "\"token_type\":\"bearer\"", 0 },
		{ "\"token_type\":\"Bearer\"", 0 },
		{ "\"token_type\":\"BEARER\"", 0 },
		{ "\"token_type\":null", 0 },
		{ "\"x\":1", 0 },
		{ "\"token_type\":\"mac\"", -EBADMSG },
		{ "\"token_type\":\"DPoP\"", -EBADMSG },
		{ "\"token_type\":\"\"", -EBADMSG },
		{ "\"token_type\":1", -EBADMSG },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct token_reply reply;
		const char *what;
		char text[256];

		snprintf(text, sizeof(text), "{" TOKEN ",%s}", cases[i].json);
		assert_int_equal(read_text(text, &reply, &what), cases[i].result);
		if (cases[i].result == 0)
			token_reply_clear(&reply);
	}
}

static void
test_unusable_replies_are_refused(void **state)
{
	static const char *const texts[] = {
		"",
		" ",
		"null",
		"[]",
		"\"abc\"",
		"{}",
		"<html><body>502</body></html>",
		"{" TOKEN,
		"{" TOKEN "}}",
		"{" TOKEN ",\"access_token\":\"other\"}",
		"{\"access_token\":\"\"}",
		"{\"access_token\":null}",
		"{\"access_token\":5}",
		"{\"access_token\":[\"a\"]}",
		"{\"access_token\":\"a b\"}",
		"{\"access_token\":\"a\\r\\nEvil: 1\"}",
		"{\"access_token\":\"a\\u0000b\"}",
		"{\"access_token\":\"\xc3\xa4\"}",
		"{\"access_token\":\"\xff\"}",
		"{" TOKEN ",\"x\":[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}",
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct token_reply reply;
		const char *what = NULL;

		print_message("%s\n", texts[i]);
		assert_int_equal(read_text(texts[i], &reply, &what), -EBADMSG);
		assert_non_null(what);
	}
}

static void
test_depth_and_size_are_bounded_exactly(void **state)
{
	struct token_reply reply;
	const char *what;
	char *text = malloc(TOKEN_SIZE_MAX + 64);
	int extra;

	(void)state;
	assert_int_equal(
	    read_text("{" TOKEN ",\"x\":[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]],\"y\":\"[[[[[["
		      "[[[[[[[[[[[[[\\\"[[[[\"}",
		&reply, &what),
	    0);
	token_reply_clear(&reply);
	for (extra = 0; extra <= 1; extra++) {
		size_t length = (size_t)(TOKEN_SIZE_MAX + extra);
		size_t at = (size_t)sprintf(text, "{\"access_token\":\"");

		memset(text + at, 'a', length);
		strcpy(text + at + length, "\"}");
		assert_int_equal(read_text(text, &reply, &what), extra ? -EBADMSG : 0);
		if (!extra)
			token_reply_clear(&reply);
	}
	free(text);
}

static void
test_documented_replies_are_read(void **state)
{
	static const struct {
		const char *json;
		const char *access;
		const char *refresh;
		int64_t seconds;
		const char *scopes;
	} cases[] = {
		/* kick.md 1.3 */
		{ "{\"access_token\":\"A1\",\"token_type\":\"Bearer\",\"refresh_"
		  "token\":"
		  "\"R1\",\"expires_in\":7200,\"scope\":\"user:read chat:write "
		  "events:subscribe\"}",
		    "A1", "R1", 7200, "user:read chat:write events:subscribe" },
		{ "{\"access_token\":\"A2\",\"token_type\":\"Bearer\",\"expires_in\":"
		  "5184000}",
		    "A2", "", 5184000, "" },
		/* A.4 */
		{ "{\"access_token\":\"rfx2\",\"expires_in\":14124,\n\"refresh_token\":"
		  "\"5b93\",\n\"scope\":[\"channel:moderate\",\"chat:edit\",\"chat:"
		  "read\""
		  "],\"token_type\":\"bearer\"}",
		    "rfx2", "5b93", 14124, "channel:moderate chat:edit chat:read" },
		/* C.4 */
		{ "{\"access_token\":\"ya29.x\",\"expires_in\":3599,\"refresh_token\":"
		  "\"1//0g\",\"scope\":\"https://www.googleapis.com/auth/"
		  "youtube.force-ssl\",\"token_type\":\"Bearer\",\"id_token\":\"e.y."
		  "J\","
		  "\"refresh_token_expires_in\":604799}",
		    "ya29.x", "1//0g", 3599,
		    "https://www.googleapis.com/auth/youtube.force-ssl" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct token_reply reply;
		const char *what;

		assert_int_equal(read_text(cases[i].json, &reply, &what), 0);
		assert_string_equal(secret_text(&reply.access), cases[i].access);
		assert_string_equal(secret_text(&reply.refresh), cases[i].refresh);
		assert_int_equal(reply.expires_in_s, cases[i].seconds);
		assert_string_equal(reply.scopes, cases[i].scopes);
		token_reply_clear(&reply);
	}
}

static void
test_expiry_counts_from_before_the_request(void **state)
{
	struct token_reply reply = { .expires_known = true, .expires_in_s = 7200 };

	(void)state;
	assert_int_equal(token_reply_expires_at(&reply, INT64_C(4102444800000), 3600),
	    INT64_C(4102444800000) + 7200000);
	reply.expires_known = false;
	assert_int_equal(token_reply_expires_at(&reply, 1000, 3600), 3601000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lifetimes_are_read_in_every_form),
		cmocka_unit_test(test_the_life_of_a_refresh_token),
		cmocka_unit_test(test_scopes_are_read_in_every_form),
		cmocka_unit_test(test_refresh_token_may_be_absent_but_not_odd),
		cmocka_unit_test(test_token_type_is_bearer_in_any_case_or_absent),
		cmocka_unit_test(test_unusable_replies_are_refused),
		cmocka_unit_test(test_depth_and_size_are_bounded_exactly),
		cmocka_unit_test(test_documented_replies_are_read),
		cmocka_unit_test(test_expiry_counts_from_before_the_request),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
