/*
 * App access tokens: fetched once, kept in the vault, renewed when they must be.
 */
#include "broker/oauth/app_token_run.h"
#include "tests/flow/broker_harness.h"

#define REPLY(token, life) \
	"{\"access_token\":\"" token \
	"\",\"token_type\":\"Bearer\",\"expires_in\":" life "}"

struct heard {
	unsigned count;
	unsigned good;
	enum proto_error error;
	char token[64];
	char sentence[512];
	uint64_t generation;
	uint32_t retry_after_s;
};

static void
on_token(void *arg, const struct app_token_grant *grant)
{
	struct heard *heard = arg;

	heard->count++;
	heard->good += grant->good;
	heard->error = grant->error;
	heard->generation = grant->generation;
	heard->retry_after_s = grant->retry_after_s;
	snprintf(heard->token, sizeof(heard->token), "%s",
	    grant->good ? secret_text(grant->token) : "");
	snprintf(heard->sentence, sizeof(heard->sentence), "%s",
	    grant->sentence ? grant->sentence : "");
}

static void
put_credentials(struct harness *h, const char *platform, const char *id)
{
	harness_expect(h,
	    MESSAGE(credentials_put, .platform = platform, .client_id = id,
		.client_secret = secret_of("CANARY-secret")),
	    MSG_credentials_stored);
}

static void
replies(struct harness *h, const char *status, const char *body)
{
	h->routes[0] = (struct route){ "/token", status, body };
}

/* Asks `callers` times at once and waits for all answers. */
static struct heard
get_many(struct harness *h, const char *platform, unsigned callers)
{
	struct heard heard = { .count = 0 };
	unsigned i;

	for (i = 0; i < callers; i++)
		app_token_get(&h->broker, platform_find(platform), on_token, &heard);
	assert_int_equal(heard.count, 0);
	while (heard.count < callers)
		harness_turn(h);
	assert_true(heard.good == 0 || heard.good == callers);
	return heard;
}

static struct heard
get(struct harness *h, const char *platform)
{
	return get_many(h, platform, 1);
}

static void
test_many_callers_are_one_request_and_share_the_token(void **state)
{
	struct harness *h = *state;
	struct heard heard;

	put_credentials(h, "kick", "cid");
	replies(h, "200 OK", REPLY("APP-1", "5184000"));
	heard = get_many(h, "kick", 50);
	assert_int_equal(heard.good, 50);
	assert_string_equal(heard.token, "APP-1");
	assert_int_equal(h->stub.request_count, 1);
	assert_non_null(strstr(h->stub.requests[0],
	    "\r\n\r\ngrant_type=client_credentials&client_id=cid&client_secret="
	    "CANARY-secret"));
	assert_null(strstr(h->stub.requests[0], "scope"));
}

static void
test_it_is_kept_sealed_and_survives_a_restart(void **state)
{
	struct harness *h = *state;
	char command[160];

	put_credentials(h, "twitch", "cid");
	replies(h, "200 OK", REPLY("APP-1", "5011271"));
	assert_string_equal(get(h, "twitch").token, "APP-1");
	replies(h, "200 OK", REPLY("APP-2", "5011271"));
	assert_string_equal(get(h, "twitch").token, "APP-1");
	harness_stop(h);
	snprintf(command, sizeof(command), "grep -rqa APP-1 '%s'", h->folder);
	assert_int_not_equal(system(command), 0);
	harness_start(h);
	assert_string_equal(get(h, "twitch").token, "APP-1");
	assert_int_equal(h->stub.request_count, 1);
}

static void
test_with_less_than_an_hour_left_a_new_one_is_fetched(void **state)
{
	struct harness *h = *state;

	put_credentials(h, "kick", "cid");
	replies(h, "200 OK", REPLY("APP-1", "3595"));
	assert_string_equal(get(h, "kick").token, "APP-1");
	replies(h, "200 OK", REPLY("APP-2", "3605"));
	assert_string_equal(get(h, "kick").token, "APP-2");
	replies(h, "200 OK", REPLY("APP-3", "9999"));
	assert_string_equal(get(h, "kick").token, "APP-2");
}

static void
test_after_a_401_a_new_one_is_fetched_once(void **state)
{
	struct harness *h = *state;
	struct heard first;

	put_credentials(h, "kick", "cid");
	replies(h, "200 OK", REPLY("APP-1", "99999"));
	first = get(h, "kick");
	replies(h, "200 OK", REPLY("APP-2", "99999"));
	app_token_rejected(&h->broker, platform_find("kick"), first.generation);
	assert_string_equal(get(h, "kick").token, "APP-2");
	/* A late 401 of the old one changes nothing. */
	app_token_rejected(&h->broker, platform_find("kick"), first.generation);
	assert_string_equal(get(h, "kick").token, "APP-2");
	assert_int_equal(h->stub.request_count, 2);
}

static void
test_a_refusal_is_remembered_until_the_credentials_change(void **state)
{
	const struct timespec pause = { .tv_nsec = 5000000 };
	struct harness *h = *state;
	struct heard heard;

	put_credentials(h, "kick", "cid");
	replies(h, "401 No", "{\"error\":\"invalid_client\"}");
	heard = get(h, "kick");
	assert_int_equal(heard.error, ERR_exchange_failed);
	assert_string_equal(heard.sentence,
	    "Kick gave no app token: invalid_client (status 401). Check client id and "
	    "client "
	    "secret");
	heard = get(h, "kick");
	assert_int_equal(heard.error, ERR_exchange_failed);
	assert_non_null(strstr(heard.sentence, "invalid_client"));
	assert_in_range(heard.retry_after_s, 800, 901);
	assert_int_equal(h->stub.request_count, 1);
	replies(h, "200 OK", REPLY("APP-1", "99999"));
	nanosleep(&pause, NULL);
	put_credentials(h, "kick", "cid");
	assert_string_equal(get(h, "kick").token, "APP-1");
}

static void
test_odd_answers_are_failures_with_a_pause(void **state)
{
	static const struct {
		const char *status, *body, *says;
	} cases[] = {
		{ "500 Oops", "", "status 500" },
		{ "200 OK", "<html>", "no JSON object" },
		{ "200 OK", "{\"access_token\":\"\"}", "no usable access token" },
		{ "200 OK", "{\"access_token\":\"a\",\"token_type\":\"mac\"}",
		    "other than Bearer" },
	};
	const struct timespec pause = { .tv_nsec = 5000000 };
	struct harness *h = *state;
	struct heard heard;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		nanosleep(&pause, NULL);
		put_credentials(h, "twitch", "cid");
		replies(h, cases[i].status, cases[i].body);
		heard = get(h, "twitch");
		assert_int_equal(heard.error, ERR_exchange_failed);
		assert_non_null(strstr(heard.sentence, cases[i].says));
		assert_int_equal(get(h, "twitch").error, ERR_exchange_failed);
		assert_int_equal(h->stub.request_count, i + 1);
	}
}

static void
test_it_goes_with_its_client(void **state)
{
	struct harness *h = *state;

	assert_int_equal(get(h, "kick").error, ERR_no_credentials);
	put_credentials(h, "kick", "cid");
	replies(h, "200 OK", REPLY("APP-1", "99999"));
	assert_string_equal(get(h, "kick").token, "APP-1");
	put_credentials(h, "kick", "another");
	replies(h, "200 OK", REPLY("APP-2", "99999"));
	assert_string_equal(get(h, "kick").token, "APP-2");
	harness_expect(h, MESSAGE(credentials_delete, .platform = "kick"),
	    MSG_credentials_deleted);
	assert_int_equal(get(h, "kick").error, ERR_no_credentials);
	put_credentials(h, "kick", "another");
	replies(h, "200 OK", REPLY("APP-3", "99999"));
	assert_string_equal(get(h, "kick").token, "APP-3");
}

static void
test_one_that_is_refused_by_the_check_is_not_given_out(void **state)
{
	struct harness *h = *state;
	struct app_tokens *tokens;
	struct app_token_stats stats;
	struct timeval next;
	struct timeval now;

	put_credentials(h, "twitch", "cid");
	put_credentials(h, "kick", "cid");
	replies(h, "200 OK", REPLY("APP-1", "99999"));
	get(h, "twitch");
	get(h, "kick");
	harness_stop(h);
	stub_forget(&h->stub);
	h->routes[1] = (struct route){ "/validate", "401 No",
		"{\"status\":401,\"message\":\"invalid access token\"}" };
	harness_start(h);
	do {
		harness_turn(h);
		app_token_stats(&h->broker, platform_find("twitch"), &stats);
	} while (!stats.checked_at);
	assert_int_equal(h->stub.request_count, 1);
	assert_non_null(strstr(h->stub.requests[0], "Authorization: OAuth APP-1\r\n"));
	/* And every hour from then on (facts A.8), by a clock that goes on during
	 * suspend: the timer does not, so it looks every minute. */
	tokens = h->broker.accounts->app_tokens;
	assert_in_range(
	    tokens->state[CONFIG_PLATFORM_TWITCH].check_due - time_boot_ms(), 3500000,
	    3600000);
	assert_true(event_pending(tokens->timer, EV_TIMEOUT, &next));
	event_base_gettimeofday_cached(h->broker.base, &now);
	assert_in_range(next.tv_sec - now.tv_sec, 0, 60);
	replies(h, "200 OK", REPLY("APP-2", "99999"));
	assert_string_equal(get(h, "twitch").token, "APP-2");
	assert_string_equal(get(h, "kick").token, "APP-1");
}

static void
test_one_who_left_hears_nothing(void **state)
{
	struct harness *h = *state;
	struct heard gone = { .count = 0 };

	put_credentials(h, "kick", "cid");
	replies(h, "200 OK", REPLY("APP-1", "99999"));
	app_token_cancel(
	    app_token_get(&h->broker, platform_find("kick"), on_token, &gone));
	assert_string_equal(get(h, "kick").token, "APP-1");
	assert_int_equal(gone.count, 0);
	assert_int_equal(h->stub.request_count, 1);
}

int
main(void)
{
#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_many_callers_are_one_request_and_share_the_token),
		TEST(test_it_is_kept_sealed_and_survives_a_restart),
		TEST(test_with_less_than_an_hour_left_a_new_one_is_fetched),
		TEST(test_after_a_401_a_new_one_is_fetched_once),
		TEST(test_a_refusal_is_remembered_until_the_credentials_change),
		TEST(test_odd_answers_are_failures_with_a_pause),
		TEST(test_it_goes_with_its_client),
		TEST(test_one_that_is_refused_by_the_check_is_not_given_out),
		TEST(test_one_who_left_hears_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
