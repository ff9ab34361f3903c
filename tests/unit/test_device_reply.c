/*
 * Answers in a device flow: what platforms say, and what must not be believed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "broker/oauth/platform.h"

static const char *
read_start(
    const struct platform *platform, const char *text, struct device_start *start)
{
	struct secret body = secret_copy(text, strlen(text));
	const char *what = device_start_read(&body, platform->device, start);

	secret_clear(&body);
	return what;
}

static void
both_platforms_are_read(void **state)
{
	struct device_start start;

	(void)state;
	assert_null(platform_kick.device);
	assert_null(read_start(&platform_twitch,
	    "{\"device_code\":\"OFqYhSz\",\"expires_in\":1800,\"interval\":7,"
	    "\"user_code\":\"JLLKTXWJ\",\"verification_uri\":"
	    "\"https://www.twitch.tv/activate?device-code=JLLKTXWJ\"}",
	    &start));
	assert_string_equal(secret_text(&start.code), "OFqYhSz");
	assert_string_equal(start.user_code, "JLLKTXWJ");
	assert_string_equal(
	    start.uri, "https://www.twitch.tv/activate?device-code=JLLKTXWJ");
	assert_int_equal(start.life_s, 1800);
	assert_int_equal(start.interval_s, 7);
	device_start_clear(&start);
	assert_null(read_start(&platform_youtube,
	    "{\"device_code\":\"x\",\"user_code\":\"GQVQ-JKEC\","
	    "\"verification_url\":\"https://www.google.com/device\"}",
	    &start));
	assert_int_equal(start.life_s, DEVICE_LIFE_S);
	assert_int_equal(start.interval_s, DEVICE_INTERVAL_S);
	device_start_clear(&start);
}

static void
times_stay_within_bounds(void **state)
{
	static const struct {
		const char *interval;
		const char *life;
		unsigned interval_s;
		int64_t life_s;
	} rows[] = { { "0", "0", DEVICE_INTERVAL_S, DEVICE_LIFE_S }, { "1", "1", 1, 1 },
		{ "9000", "900000", 60, DEVICE_LIFE_MAX_S },
		{ "-1", "-1", DEVICE_INTERVAL_S, DEVICE_LIFE_S },
		{ "\"8\"", "\"600\"", 8, 600 }, { "1e99", "1e99", 5, 900 },
		{ "null", "null", 5, 900 }, { "{}", "[]", 5, 900 } };
	struct device_start start;
	char text[256];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(text, sizeof(text),
		    "{\"device_code\":\"x\",\"user_code\":\"A\",\"interval\":%s,"
		    "\"expires_in\":%s,\"verification_uri\":\"https://x\"}",
		    rows[i].interval, rows[i].life);
		assert_null(read_start(&platform_twitch, text, &start));
		assert_int_equal(start.interval_s, rows[i].interval_s);
		assert_int_equal(start.life_s, rows[i].life_s);
		device_start_clear(&start);
	}
}

static void
what_a_person_must_not_see_is_refused(void **state)
{
	static const char *const addresses[] = { "javascript:alert(1)",
		"http://example.com/", "file:///etc/passwd", "https://", "ftp://x", "",
		"https://x/\\u001b[2J", "https://x y", "https://x/\\\"", "-https://x",
		"https://x/\\u00e9" };
	static const char *const bodies[] = { "", "[]", "{}", "not json",
		"{\"user_code\":\"A\",\"verification_uri\":\"https://x\"}",
		"{\"device_code\":\"x\",\"verification_uri\":\"https://x\"}",
		"{\"device_code\":\"x\",\"user_code\":\"A\"}",
		"{\"device_code\":\"x y\",\"user_code\":\"A\",\"verification_uri\":"
		"\"https://x\"}",
		"{\"device_code\":\"x\",\"user_code\":\"A\\u001b[1m\","
		"\"verification_uri\":\"https://x\"}",
		"{\"device_code\":5,\"user_code\":\"A\",\"verification_uri\":"
		"\"https://x\"}",
		"{\"device_code\":\"x\",\"user_code\":\"A\",\"verification_url\":"
		"\"https://x\"}" };
	struct device_start start;
	char text[256];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		snprintf(text, sizeof(text),
		    "{\"device_code\":\"x\",\"user_code\":\"A\",\"verification_uri\":"
		    "\"%s\"}",
		    addresses[i]);
		assert_non_null(read_start(&platform_twitch, text, &start));
	}
	for (i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
		assert_non_null(read_start(&platform_twitch, bodies[i], &start));
}

static void
every_row_of_the_catalogues_is_judged(void **state)
{
	static const struct {
		const struct platform *platform;
		unsigned status;
		const char *body;
		enum device_answer answer;
	} rows[] = {
		{ &platform_twitch, 400,
		    "{\"status\":400,\"message\":\"authorization_pending\"}",
		    DEVICE_pending },
		{ &platform_twitch, 400,
		    "{\"status\":400,\"message\":\"Invalid device code\"}",
		    DEVICE_unknown },
		{ &platform_twitch, 400,
		    "{\"status\":400,\"message\":\"missing device_code\"}",
		    DEVICE_refused },
		{ &platform_twitch, 400,
		    "{\"status\":400,\"message\":\"authorization_denied\"}",
		    DEVICE_denied },
		{ &platform_twitch, 400, "{\"message\":\"slow_down\"}",
		    DEVICE_slow_down },
		{ &platform_twitch, 400, "{\"message\":\"invalid client\"}",
		    DEVICE_refused },
		{ &platform_twitch, 400, "", DEVICE_transient },
		{ &platform_youtube, 403, "<html>", DEVICE_transient },
		{ &platform_twitch, 500, "<html>", DEVICE_transient },
		{ &platform_youtube, 428,
		    "{\"error\":\"authorization_pending\","
		    "\"error_description\":\"Precondition Required\"}",
		    DEVICE_pending },
		{ &platform_youtube, 403,
		    "{\"error\":\"slow_down\",\"error_description\":\"Forbidden\"}",
		    DEVICE_slow_down },
		{ &platform_youtube, 403,
		    "{\"error\":\"access_denied\",\"error_description\":\"Forbidden\"}",
		    DEVICE_denied },
		{ &platform_youtube, 400, "{\"error\":\"expired_token\"}",
		    DEVICE_expired },
		{ &platform_youtube, 400,
		    "{\"error\":\"invalid_grant\",\"error_description\":\"Bad "
		    "Request\"}",
		    DEVICE_expired },
		{ &platform_youtube, 401,
		    "{\"error\":\"invalid_client\","
		    "\"error_description\":\"Invalid client type.\"}",
		    DEVICE_unsupported },
		{ &platform_youtube, 401,
		    "{\"error\":\"invalid_client\",\"error_description\":"
		    "\"Unauthorized\"}",
		    DEVICE_refused },
		/* Codes decide, and neither what is said to people nor what only looks
		 * like a code. */
		{ &platform_youtube, 400,
		    "{\"error\":\"invalid_request\",\"error_description\":"
		    "\"authorization_pending\"}",
		    DEVICE_refused },
		{ &platform_youtube, 403,
		    "{\"error\":\"access_denied\",\"error_description\":"
		    "\"slow_down, authorization_pending\"}",
		    DEVICE_denied },
		{ &platform_youtube, 400,
		    "{\"error\":\"no_slow_down\",\"error_description\":"
		    "\"expired_token\"}",
		    DEVICE_refused },
		{ &platform_youtube, 400,
		    "{\"error\":\"invalid_request\",\"error_description\":"
		    "\"Invalid client type.\"}",
		    DEVICE_refused },
		{ &platform_youtube, 400, "{\"error\":\"EXPIRED_TOKEN\"}",
		    DEVICE_expired },
		{ &platform_twitch, 400,
		    "{\"error\":\"access_denied\",\"message\":"
		    "\"authorization_pending\"}",
		    DEVICE_denied },
		{ &platform_twitch, 400, "{\"message\":\"expired_token\"}",
		    DEVICE_expired },
		{ &platform_twitch, 400,
		    "{\"error\":\"Bad Request\",\"status\":400,\"message\":"
		    "\"authorization_pending\"}",
		    DEVICE_pending },
		{ &platform_youtube, 429, "", DEVICE_transient },
		{ &platform_youtube, 503, "", DEVICE_transient },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct secret body = secret_copy(rows[i].body, strlen(rows[i].body));
		struct token_error error;

		token_error_read(&body, &error);
		secret_clear(&body);
		assert_int_equal(
		    device_judge(rows[i].platform->device, rows[i].status, &error),
		    rows[i].answer);
	}
}

static void
pauses_grow_when_nobody_answers(void **state)
{
	(void)state;
	assert_int_equal(device_pause_s(5, 0, 0), 5);
	assert_int_equal(device_pause_s(5, 1, 0), 10);
	assert_int_equal(device_pause_s(5, 3, 0), 40);
	assert_int_equal(device_pause_s(5, 4, 0), DEVICE_INTERVAL_MAX_S);
	assert_int_equal(device_pause_s(5, 4000000000u, 0), DEVICE_INTERVAL_MAX_S);
	assert_int_equal(device_pause_s(5, 0, 30), 30);
	assert_int_equal(device_pause_s(5, 1, 3600), DEVICE_INTERVAL_MAX_S);
	assert_int_equal(device_pause_s(65, 0, 0), 65);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_platforms_are_read),
		cmocka_unit_test(times_stay_within_bounds),
		cmocka_unit_test(what_a_person_must_not_see_is_refused),
		cmocka_unit_test(every_row_of_the_catalogues_is_judged),
		cmocka_unit_test(pauses_grow_when_nobody_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
