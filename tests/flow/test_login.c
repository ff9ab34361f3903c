/*
 * Logging in, from client credentials to stored tokens, with everything that can come
 * in between (design.md 3.1, 3.2 and 9).
 */
#include <sqlite3.h>

#include "tests/flow/broker_harness.h"

#define SECRET "CANARY-client-secret"
#define ACCESS "CANARY-access-token"
#define REFRESH "CANARY-refresh-token"
#define CODE "CANARY-code/1"

#define TOKENS(scope) \
	"{\"access_token\":\"" ACCESS "\",\"refresh_token\":\"" REFRESH \
	"\",\"expires_in\":7200,\"token_type\":\"bearer\",\"scope\":\"" scope "\"}"
#define KICK_TOKENS \
	TOKENS("user:read channel:read channel:write events:subscribe chat:write " \
	       "kicks:read")
#define KICK_USER "{\"data\":[{\"name\":\"Streamer123\",\"user_id\":7}]}"
#define KICK_CHANNEL "{\"data\":[{\"broadcaster_user_id\":7,\"slug\":\"streamer123\"}]}"
#define OTHER_USER "{\"data\":[{\"name\":\"Other\",\"user_id\":8}]}"
#define OTHER_CHANNEL "{\"data\":[{\"broadcaster_user_id\":8,\"slug\":\"other\"}]}"

/* The platforms as a login meets them. */
static const struct {
	const char *platform;
	struct route routes[ROUTES_MAX];
	const char *user_id;
	const char *asked; /* requests in their order, by the begin of their lines */
	size_t requests;
} platforms[] = {
	{ "kick",
	    { { "/token", "200 OK", KICK_TOKENS },
		{ "/api/users", "200 OK", KICK_USER },
		{ "/api/channels", "200 OK", KICK_CHANNEL },
		{ "/revoke", "200 OK", "OK" } },
	    "7", "POST /token|GET /api/users|GET /api/channels|", 3 },
	{ "twitch",
	    { { "/token", "200 OK",
		  TOKENS("channel:manage:broadcast channel:read:subscriptions "
			 "chat:read chat:edit bits:read") },
		{ "/api/users", "200 OK",
		    "{\"data\":[{\"id\":\"9\",\"login\":\"streamer123\",\"display_"
		    "name\":\"S\"}]}" },
		{ "/revoke", "200 OK", "" } },
	    "9", "POST /token|GET /api/users|", 2 },
	{ "youtube",
	    { { "/token", "200 OK",
		  TOKENS("https://www.googleapis.com/auth/youtube "
			 "https://www.googleapis.com/auth/youtube.upload "
			 "https://www.googleapis.com/auth/youtube.force-ssl") },
		{ "/api/channels", "200 OK",
		    "{\"items\":[{\"id\":\"UC1\",\"snippet\":{\"title\":\"T\","
		    "\"customUrl\":\"@streamer123\"}}]}" },
		{ "/revoke", "200 OK", "{}" } },
	    "UC1", "POST /token|GET /api/channels|", 2 },
};

static void
put_credentials(struct harness *h, const char *platform)
{
	harness_expect(h,
	    MESSAGE(credentials_put, .platform = platform, .client_id = "cid",
		.client_secret = secret_of(SECRET)),
	    MSG_credentials_stored);
}

/* Starts a login and copies its state. */
static void
start_login(
    struct harness *h, const char *platform, const char *name, bool adopt, char *state)
{
	const struct proto_msg *answer = harness_expect(h,
	    MESSAGE(
		login_start, .platform = platform, .username = name, .adopt = adopt),
	    MSG_login_started);

	strcpy(state, secret_text(&answer->login_started.state));
}

static void
set_routes(struct harness *h, const struct route *routes)
{
	memcpy(h->routes, routes, sizeof(h->routes));
}

/* Credentials, routes of a platform, and a login under way. */
static void
prepare(struct harness *h, size_t index, bool adopt, char *state)
{
	set_routes(h, platforms[index].routes);
	put_credentials(h, platforms[index].platform);
	start_login(h, platforms[index].platform, "Streamer123", adopt, state);
}

static const struct proto_msg *
finish(const char *platform, const char *state, const char *code)
{
	static struct proto_msg message;

	message = (struct proto_msg){ .type = MSG_login_finish,
		.login_finish = { .platform = platform,
		    .state = secret_of(state),
		    .code = secret_of(code) } };
	return &message;
}

static const struct proto_msg *
get(const char *platform, const char *name)
{
	static struct proto_msg message;

	message = (struct proto_msg){ .type = MSG_account_get,
		.account_get = { .platform = platform, .username = name } };
	return &message;
}

static void
assert_asked(struct harness *h, const char *expected)
{
	char asked[1024] = "";
	size_t i;

	for (i = 0; i < h->stub.request_count; i++) {
		const char *line = h->stub.requests[i];

		snprintf(asked + strlen(asked), sizeof(asked) - strlen(asked), "%.*s|",
		    (int)(strcspn(line, " ") + 1 +
			strcspn(line + strcspn(line, " ") + 1, " ?")),
		    line);
	}
	assert_string_equal(asked, expected);
}

static bool
is_in_files(struct harness *h, const char *text)
{
	char command[300];

	snprintf(command, sizeof(command), "grep -rqaF -e '%s' '%s'", text, h->folder);
	return system(command) == 0;
}

/* Nothing that was secret is in the files of the state folder. */
static void
assert_no_canary(struct harness *h)
{
	assert_true(is_in_files(h, "Streamer123"));
	assert_false(is_in_files(h, "CANARY"));
}

static void
test_a_login_ends_with_stored_tokens_on_every_platform(void **state)
{
	struct harness *h = *state;
	char login[128];
	size_t i;

	for (i = 0; i < sizeof(platforms) / sizeof(platforms[0]); i++) {
		const char *platform = platforms[i].platform;
		const struct proto_msg *answer;
		int64_t before;

		stub_forget(&h->stub);
		prepare(h, i, false, login);
		before = time_now_ms();
		answer = harness_expect(
		    h, finish(platform, login, CODE), MSG_login_finished);
		assert_string_equal(answer->login_finished.username, "Streamer123");
		assert_string_equal(answer->login_finished.identity, "verified");
		assert_string_equal(answer->login_finished.missing_scopes, "");
		assert_null(answer->login_finished.warning);
		assert_asked(h, platforms[i].asked);
		answer = harness_expect(h, get(platform, "STREAMER123"), MSG_account);
		assert_string_equal(answer->account.status, "valid");
		assert_string_equal(answer->account.username, "Streamer123");
		assert_string_equal(answer->account.user_id, platforms[i].user_id);
		assert_true(answer->account.refreshable);
		assert_in_range(answer->account.expires_at, (uint64_t)before + 7200000,
		    (uint64_t)before + 7205000);
		assert_int_equal(
		    answer->account.refresh_at, answer->account.expires_at - 300000);
	}
	assert_no_canary(h);
}

static void
test_the_exchange_has_every_field_and_the_same_redirect_address(void **state)
{
	struct harness *h = *state;
	char login[128];
	const char *form;

	prepare(h, 0, false, login);
	harness_expect(h, finish("kick", login, CODE), MSG_login_finished);
	form = strstr(h->stub.requests[0], "\r\n\r\n");
	assert_non_null(form);
	assert_non_null(strstr(form,
	    "grant_type=authorization_code&client_id=cid&"
	    "client_secret=CANARY-client-secret&"
	    "code=CANARY-code%2F1&redirect_uri="
	    "http%3A%2F%2Flocalhost%3A3000%2Foauth%2F"
	    "callback%2Fkick&code_verifier="));
	assert_non_null(
	    strstr(h->stub.requests[1], "Authorization: Bearer " ACCESS "\r\n"));
	assert_null(strstr(h->stub.requests[0], "?"));
}

static void
test_twitch_gets_a_client_id_and_no_verifier(void **state)
{
	struct harness *h = *state;
	char login[128];

	prepare(h, 1, false, login);
	harness_expect(h, finish("twitch", login, CODE), MSG_login_finished);
	assert_null(strstr(h->stub.requests[0], "code_verifier"));
	assert_non_null(strstr(h->stub.requests[1], "\r\nClient-Id: cid\r\n"));
}

static void
test_the_path_form_sends_the_state_in_the_redirect_address(void **state)
{
	struct harness *h = *state;
	const struct proto_msg *answer;
	char expected[256];
	char login[128];

	h->broker.config.oauth.state_in_path = true;
	prepare(h, 2, false, login);
	answer = &h->rows[0];
	snprintf(expected, sizeof(expected),
	    "redirect_uri=http%%3A%%2F%%2Flocalhost%%3A3000%%2Foauth%%2Fcallback%%2F"
	    "youtube%%2F%s&",
	    login);
	assert_non_null(strstr(secret_text(&answer->login_started.auth_url), expected));
	assert_true(is_in_files(h, "/oauth/callback/youtube/:state"));
	assert_false(is_in_files(h, login));
	harness_expect(h, finish("youtube", login, CODE), MSG_login_finished);
	assert_non_null(strstr(h->stub.requests[0], expected));
}

static void
test_a_state_is_good_once(void **state)
{
	struct harness *h = *state;
	char login[128];

	prepare(h, 0, false, login);
	harness_expect(h, finish("kick", login, CODE), MSG_login_finished);
	assert_string_equal(
	    harness_expect_failure(h, finish("kick", login, CODE), "invalid_state"),
	    "Invalid state parameter");
	assert_int_equal(h->stub.request_count, 3);
}

static void
test_of_two_browsers_with_one_state_one_is_let_in(void **state)
{
	struct harness *h = *state;
	char login[128];
	int good;

	prepare(h, 0, false, login);
	harness_send(h, finish("kick", login, CODE));
	harness_send_also(h, finish("kick", login, CODE));
	harness_wait(h, 2);
	good = (h->rows[0].type == MSG_login_finished) +
	    (h->rows[1].type == MSG_login_finished);
	assert_int_equal(good, 1);
	assert_asked(h, platforms[0].asked);
}

static void
test_a_wrong_state_is_refused_and_costs_nothing(void **state)
{
	struct harness *h = *state;
	char login[128];
	char wrong[128];

	prepare(h, 0, false, login);
	put_credentials(h, "youtube");
	strcpy(wrong, login);
	wrong[0] = wrong[0] == 'A' ? 'B' : 'A';
	harness_expect_failure(h, finish("kick", wrong, CODE), "invalid_state");
	harness_expect_failure(h, finish("kick", "x", CODE), "invalid_state");
	harness_expect_failure(h,
	    MESSAGE(login_finish, .platform = "kick", .code = secret_of(CODE)),
	    "invalid_state");
	/* Of another platform: not consumed. */
	harness_expect_failure(h, finish("youtube", login, CODE), "invalid_state");
	harness_expect_failure(h,
	    MESSAGE(login_finish, .platform = "youtube", .state = secret_of(login),
		.error = "access_denied"),
	    "invalid_state");
	/* Neither code nor error: not consumed. */
	harness_expect_failure(h,
	    MESSAGE(login_finish, .platform = "kick", .state = secret_of(login)),
	    "login_incomplete");
	harness_expect_failure(h,
	    MESSAGE(login_finish, .platform = "kick", .state = secret_of(wrong)),
	    "invalid_state");
	harness_expect_failure(h,
	    MESSAGE(login_finish, .platform = "nonsense", .state = secret_of(login)),
	    "invalid_platform");
	assert_int_equal(h->stub.request_count, 0);
	harness_expect(h, finish("kick", login, CODE), MSG_login_finished);
}

static void
test_an_error_of_the_platform_consumes_the_state(void **state)
{
	struct harness *h = *state;
	char login[128];

	prepare(h, 0, false, login);
	assert_string_equal(
	    harness_expect_failure(h,
		MESSAGE(login_finish, .platform = "kick", .state = secret_of(login),
		    .error = "access_denied", .error_description = "No\n<b>"),
		"login_denied"),
	    "Kick reported: access_denied: No\\x0a<b>");
	harness_expect_failure(h, finish("kick", login, CODE), "invalid_state");
	assert_int_equal(h->stub.request_count, 0);
}

static void
test_a_redirect_mismatch_names_the_address_to_register(void **state)
{
	struct harness *h = *state;
	char login[128];

	prepare(h, 1, false, login);
	assert_non_null(
	    strstr(harness_expect_failure(h,
		       MESSAGE(login_finish, .platform = "twitch",
			   .state = secret_of(login), .error = "redirect_mismatch"),
		       "login_denied"),
		"http://localhost:3000/oauth/callback/twitch"));
}

static void
test_another_issuer_is_turned_away_before_anything_is_sent(void **state)
{
	struct harness *h = *state;
	struct proto_msg message;
	char login[128];

	prepare(h, 2, false, login);
	message = *finish("youtube", login, CODE);
	message.login_finish.iss = "https://accounts.google.com.evil.example";
	harness_expect_failure(h, &message, "login_denied");
	assert_int_equal(h->stub.request_count, 0);
	start_login(h, "youtube", "Streamer123", false, login);
	message = *finish("youtube", login, CODE);
	message.login_finish.iss = "https://accounts.google.com";
	harness_expect(h, &message, MSG_login_finished);
}

static void
test_an_expired_state_is_refused(void **state)
{
	struct harness *h = *state;
	const struct timespec pause = { .tv_sec = 1, .tv_nsec = 50000000 };
	char login[128];

	h->broker.config.oauth.state_ttl_s = 1;
	prepare(h, 0, false, login);
	nanosleep(&pause, NULL);
	harness_expect_failure(h, finish("kick", login, CODE), "invalid_state");
	assert_int_equal(h->stub.request_count, 0);
}

static void
test_failed_exchanges_store_nothing_and_say_why(void **state)
{
	static const struct {
		const char *status;
		const char *body;
		const char *part; /* of the sentence */
	} cases[] = {
		{ "401 Unauthorized",
		    "{\"error\":\"invalid_grant\",\"error_description\":\"Bad\"}",
		    "Kick refused the code: invalid_grant: Bad (status 401). Start the "
		    "login again." },
		{ "401 Unauthorized", "{\"error\":\"invalid_client\"}",
		    "Check client id, client secret" },
		{ "502 Bad Gateway", "<html>CANARY</html>", "status 502" },
		{ "400 Bad Request", "", "status 400" },
		{ "403 Forbidden", "", "status 403" },
		{ "307 Temporary Redirect", "", "status 307" },
		{ "204 No Content", "", "status 204" },
		{ "200 OK", "", "no JSON object" },
		{ "200 OK", "{}", "no usable access token" },
		{ "200 OK", "{\"access_token\":\"a\\r\\nb\"}", "no usable" },
		{ "200 OK", "{\"access_token\":\"a\",\"token_type\":\"mac\"}",
		    "token type" },
	};
	struct harness *h = *state;
	char login[128];
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *sentence;

		prepare(h, 0, false, login);
		h->routes[0].status = cases[i].status;
		h->routes[0].body = cases[i].body;
		sentence = harness_expect_failure(
		    h, finish("kick", login, CODE), "exchange_failed");
		if (!strstr(sentence, cases[i].part))
			fail_msg("%s", sentence);
		assert_null(strstr(sentence, "CANARY"));
		harness_expect_failure(h, finish("kick", login, CODE), "invalid_state");
		harness_expect_failure(h, get("kick", "Streamer123"), "no_token");
	}
}

static void
test_a_platform_that_is_away_is_said(void **state)
{
	struct harness *h = *state;
	char login[128];

	prepare(h, 0, false, login);
	harness_set_url(
	    h, &h->broker.config.platform[CONFIG_PLATFORM_KICK].token_url, "/token");
	strcpy(h->broker.config.platform[CONFIG_PLATFORM_KICK].token_url,
	    "http://127.0.0.1:1/");
	assert_non_null(strstr(
	    harness_expect_failure(h, finish("kick", login, CODE), "exchange_failed"),
	    "the connection was refused"));
}

static void
test_another_account_is_revoked_and_turned_away(void **state)
{
	struct harness *h = *state;
	const char *sentence;
	char login[128];

	prepare(h, 0, false, login);
	h->routes[1].body = OTHER_USER;
	h->routes[2].body = OTHER_CHANNEL;
	sentence =
	    harness_expect_failure(h, finish("kick", login, CODE), "other_account");
	assert_non_null(strstr(sentence, "'Streamer123'"));
	assert_non_null(strstr(sentence, "'Other'"));
	assert_asked(h,
	    "POST /token|GET /api/users|GET /api/channels|POST /revoke|"
	    "POST /revoke|");
	assert_non_null(strstr(
	    h->stub.requests[3], "token=" REFRESH "&token_hint_type=refresh_token"));
	assert_non_null(strstr(
	    h->stub.requests[4], "token=" ACCESS "&token_hint_type=access_token"));
	harness_expect_failure(h, get("kick", "Streamer123"), "no_token");
	harness_expect_failure(h, get("kick", "other"), "no_token");
}

static void
test_another_account_is_kept_under_its_own_name_when_adopted(void **state)
{
	struct harness *h = *state;
	const struct proto_msg *answer;
	char login[128];

	prepare(h, 0, true, login);
	h->routes[1].body = OTHER_USER;
	h->routes[2].body = OTHER_CHANNEL;
	answer = harness_expect(h, finish("kick", login, CODE), MSG_login_finished);
	assert_string_equal(answer->login_finished.username, "Other");
	assert_non_null(strstr(answer->login_finished.warning, "'Other'"));
	harness_expect(h, get("kick", "other"), MSG_account);
	harness_expect_failure(h, get("kick", "Streamer123"), "no_token");
}

static void
test_a_stored_google_account_survives_a_stray_login_of_it(void **state)
{
	struct harness *h = *state;
	char login[128];

	prepare(h, 2, false, login);
	harness_expect(h, finish("youtube", login, CODE), MSG_login_finished);
	stub_forget(&h->stub);
	start_login(h, "youtube", "somebody", false, login);
	harness_expect_failure(h, finish("youtube", login, CODE), "other_account");
	assert_asked(h, platforms[2].asked);
}

static void
test_tokens_of_an_unknown_account_are_kept_as_asked_and_marked(void **state)
{
	struct harness *h = *state;
	const struct proto_msg *answer;
	char login[128];

	prepare(h, 0, false, login);
	h->routes[1].status = "500 Oops";
	h->routes[2].status = "403 Forbidden";
	answer = harness_expect(h, finish("kick", login, CODE), MSG_login_finished);
	assert_string_equal(answer->login_finished.identity, "unverified");
	assert_string_equal(answer->login_finished.username, "Streamer123");
	assert_non_null(answer->login_finished.warning);
	answer = harness_expect(h, get("kick", "streamer123"), MSG_account);
	assert_string_equal(answer->account.identity, "unverified");
	assert_null(answer->account.user_id);
}

static void
test_twitch_falls_back_to_validate_and_asks_it_for_the_life(void **state)
{
	static const struct route routes[ROUTES_MAX] = {
		{ "/token", "200 OK",
		    "{\"access_token\":\"" ACCESS "\",\"refresh_token\":\"r\"}" },
		{ "/api/users", "503 No", "" },
		{ "/validate", "200 OK",
		    "{\"client_id\":\"cid\",\"login\":\"streamer123\",\"user_id\":"
		    "\"9\","
		    "\"scopes\":null,\"expires_in\":5000}" },
	};
	struct harness *h = *state;
	const struct proto_msg *answer;
	char login[128];
	int64_t before = time_now_ms();

	prepare(h, 1, false, login);
	set_routes(h, routes);
	answer = harness_expect(h, finish("twitch", login, CODE), MSG_login_finished);
	assert_string_equal(answer->login_finished.identity, "verified");
	assert_asked(h, "POST /token|GET /api/users|GET /validate|");
	assert_non_null(
	    strstr(h->stub.requests[2], "Authorization: OAuth " ACCESS "\r\n"));
	answer = harness_expect(h, get("twitch", "streamer123"), MSG_account);
	assert_in_range(answer->account.expires_at, (uint64_t)before + 5000000,
	    (uint64_t)before + 5010000);
	/* No scope in the reply means as asked. */
	assert_string_equal(answer->account.missing_scopes, "");
}

static void
test_missing_scopes_refresh_token_and_life_are_said(void **state)
{
	struct harness *h = *state;
	const struct proto_msg *answer;
	char login[128];
	int64_t before = time_now_ms();

	prepare(h, 0, false, login);
	h->routes[0].body = "{\"access_token\":\"" ACCESS
			    "\",\"scope\":\"chat:write user:read extra\"}";
	answer = harness_expect(h, finish("kick", login, CODE), MSG_login_finished);
	assert_string_equal(answer->login_finished.missing_scopes,
	    "channel:read channel:write events:subscribe kicks:read");
	assert_non_null(strstr(answer->login_finished.warning, "No refresh token"));
	assert_non_null(strstr(answer->login_finished.warning, "7200 s"));
	answer = harness_expect(h, get("kick", "streamer123"), MSG_account);
	assert_string_equal(answer->account.scopes, "chat:write user:read extra");
	assert_false(answer->account.refreshable);
	assert_in_range(answer->account.expires_at, (uint64_t)before + 7200000,
	    (uint64_t)before + 7210000);
}

static void
test_an_expired_token_is_shown_as_such(void **state)
{
	struct harness *h = *state;
	char login[128];

	prepare(h, 0, false, login);
	h->routes[0].body = "{\"access_token\":\"a\",\"refresh_token\":\"r\","
			    "\"expires_in\":0}";
	harness_expect(h, finish("kick", login, CODE), MSG_login_finished);
	assert_string_equal(
	    harness_expect(h, get("kick", "streamer123"), MSG_account)->account.status,
	    "expired");
}

static void
test_a_second_login_replaces_the_tokens_and_keeps_the_name(void **state)
{
	struct harness *h = *state;
	const struct proto_msg *answer;
	char login[128];

	prepare(h, 0, false, login);
	harness_expect(h, finish("kick", login, CODE), MSG_login_finished);
	start_login(h, "kick", "STREAMER123", false, login);
	h->routes[0].body = "{\"access_token\":\"second\",\"refresh_token\":\"r2\","
			    "\"expires_in\":60}";
	answer = harness_expect(h, finish("kick", login, CODE), MSG_login_finished);
	assert_string_equal(answer->login_finished.username, "Streamer123");
	assert_int_equal(oauth_account_count(&h->broker), 1);
	stub_forget(&h->stub);
	harness_expect(h,
	    MESSAGE(account_delete, .platform = "kick", .username = "streamer123"),
	    MSG_account_deleted);
	assert_non_null(strstr(h->stub.requests[0], "token=r2&"));
	assert_non_null(strstr(h->stub.requests[1], "token=second&"));
}

static void
test_everything_survives_a_restart(void **state)
{
	struct harness *h = *state;
	const struct proto_msg *answer;
	char pending[128];
	char login[128];
	uint64_t expires_at;

	prepare(h, 0, false, login);
	harness_expect(h, finish("kick", login, CODE), MSG_login_finished);
	start_login(h, "kick", "Streamer123", false, pending);
	expires_at = harness_expect(h, get("kick", "streamer123"), MSG_account)
			 ->account.expires_at;
	harness_stop(h);
	assert_no_canary(h);
	harness_start(h);
	assert_int_equal(oauth_login_count(&h->broker), 1);
	answer = harness_expect(h, get("kick", "STREAMER123"), MSG_account);
	assert_int_equal(answer->account.expires_at, expires_at);
	assert_string_equal(answer->account.identity, "verified");
	/* The pending login can still be finished, with its sealed verifier. */
	harness_expect(h, finish("kick", pending, CODE), MSG_login_finished);
	assert_int_equal(oauth_login_count(&h->broker), 0);
}

static void
test_changed_credentials_end_a_login_under_way(void **state)
{
	struct harness *h = *state;
	char login[128];

	prepare(h, 0, false, login);
	harness_expect(h,
	    MESSAGE(credentials_put, .platform = "kick", .client_id = "another",
		.client_secret = secret_of(SECRET)),
	    MSG_credentials_stored);
	harness_expect_failure(h, finish("kick", login, CODE), "exchange_failed");
	start_login(h, "kick", "Streamer123", false, login);
	harness_expect(h, MESSAGE(credentials_delete, .platform = "kick"),
	    MSG_credentials_deleted);
	harness_expect_failure(h, finish("kick", login, CODE), "exchange_failed");
	assert_int_equal(h->stub.request_count, 0);
}

static void
test_a_browser_that_leaves_does_not_lose_the_tokens(void **state)
{
	struct harness *h = *state;
	char login[128];

	prepare(h, 0, false, login);
	harness_send(h, finish("kick", login, CODE));
	while (h->stub.request_count == 0)
		harness_turn(h);
	harness_disconnect(h);
	while (oauth_account_count(&h->broker) == 0)
		harness_turn(h);
	harness_connect(h);
	harness_expect(h, get("kick", "streamer123"), MSG_account);
}

static void
test_a_login_can_be_waited_for_before_and_after_its_end(void **state)
{
	struct harness *h = *state;
	const struct proto_msg *answer;
	struct proto_msg wait = { .type = MSG_login_wait };
	char login[128];

	prepare(h, 0, false, login);
	wait.login_wait.state = secret_of(login);
	harness_send(h, &wait);
	harness_send_also(h, finish("kick", login, CODE));
	harness_wait(h, 2);
	assert_int_equal(h->rows[0].type, MSG_login_finished);
	assert_int_equal(h->rows[1].type, MSG_login_finished);
	answer = harness_expect(h, &wait, MSG_login_finished);
	assert_string_equal(answer->login_finished.username, "Streamer123");
	start_login(h, "kick", "x", false, login);
	harness_expect_failure(h,
	    MESSAGE(login_finish, .platform = "kick", .state = secret_of(login),
		.error = "access_denied"),
	    "login_denied");
	harness_expect_failure(h, &wait, "login_denied");
	strcpy(login, "unknown");
	harness_expect_failure(h, &wait, "invalid_state");
}

static void
test_a_waiting_peer_may_leave(void **state)
{
	struct harness *h = *state;
	struct proto_msg wait = { .type = MSG_login_wait };
	char login[128];
	int turns;

	prepare(h, 0, false, login);
	wait.login_wait.state = secret_of(login);
	harness_send(h, &wait);
	for (turns = 0; turns < 3; turns++)
		event_base_loop(h->broker.base, EVLOOP_NONBLOCK);
	harness_disconnect(h);
	harness_connect(h);
	harness_expect(h, finish("kick", login, CODE), MSG_login_finished);
}

static void
test_no_more_than_a_thousand_logins_are_pending(void **state)
{
	struct harness *h = *state;
	char login[128];
	unsigned i;

	put_credentials(h, "kick");
	for (i = 0; i < LOGINS_MAX; i++)
		start_login(h, "kick", "a", false, login);
	harness_expect_failure(
	    h, MESSAGE(login_start, .platform = "kick", .username = "a"), "busy");
	harness_expect_failure(h,
	    MESSAGE(login_finish, .platform = "kick", .state = secret_of(login),
		.error = "access_denied"),
	    "login_denied");
	start_login(h, "kick", "a", false, login);
}

static void
test_starting_needs_credentials_a_platform_and_a_name(void **state)
{
	struct harness *h = *state;

	assert_string_equal(
	    harness_expect_failure(h,
		MESSAGE(login_start, .platform = "twitch", .username = "a"),
		"no_credentials"),
	    "No OAuth credentials configured for platform: twitch");
	assert_string_equal(
	    harness_expect_failure(h,
		MESSAGE(login_start, .platform = "myspace", .username = "a"),
		"invalid_platform"),
	    "Invalid platform. Must be one of: twitch, kick, youtube");
	put_credentials(h, "twitch");
	harness_expect_failure(h,
	    MESSAGE(login_start, .platform = "twitch", .username = "a/b"),
	    "invalid_request");
}

/* Of a broker that does not run. */
static void
refuse_accounts(const struct harness *h)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(h->broker.paths.database, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db,
			     "CREATE TRIGGER refuse BEFORE INSERT ON accounts BEGIN "
			     "SELECT RAISE(ABORT, 'no'); END",
			     NULL, NULL, NULL),
	    SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* The person is told that the login failed, so its tokens must not live on. */
static void
test_tokens_that_cannot_be_stored_are_revoked(void **state)
{
	struct harness *h = *state;
	char login[128];
	const char *said;
	size_t i;

	harness_stop(h);
	refuse_accounts(h);
	harness_start(h);
	for (i = 0; i < sizeof(platforms) / sizeof(platforms[0]); i++) {
		const char *platform = platforms[i].platform;

		stub_forget(&h->stub);
		prepare(h, i, false, login);
		said = harness_expect_failure(
		    h, finish(platform, login, CODE), "storage_failed");
		assert_non_null(strstr(said, "Start the login again"));
		assert_true(h->stub.request_count > platforms[i].requests);
		assert_int_equal(strncmp(h->stub.requests[platforms[i].requests],
				     "POST /revoke", 12),
		    0);
		harness_expect_failure(h, get(platform, "Streamer123"), "no_token");
	}
}

int
main(void)
{
#define WITH_HARNESS(test) \
	cmocka_unit_test_setup_teardown(test, harness_setup, harness_teardown)
	const struct CMUnitTest tests[] = {
		WITH_HARNESS(test_a_login_ends_with_stored_tokens_on_every_platform),
		WITH_HARNESS(
		    test_the_exchange_has_every_field_and_the_same_redirect_address),
		WITH_HARNESS(test_twitch_gets_a_client_id_and_no_verifier),
		WITH_HARNESS(
		    test_the_path_form_sends_the_state_in_the_redirect_address),
		WITH_HARNESS(test_a_state_is_good_once),
		WITH_HARNESS(test_of_two_browsers_with_one_state_one_is_let_in),
		WITH_HARNESS(test_a_wrong_state_is_refused_and_costs_nothing),
		WITH_HARNESS(test_an_error_of_the_platform_consumes_the_state),
		WITH_HARNESS(test_a_redirect_mismatch_names_the_address_to_register),
		WITH_HARNESS(
		    test_another_issuer_is_turned_away_before_anything_is_sent),
		WITH_HARNESS(test_an_expired_state_is_refused),
		WITH_HARNESS(test_failed_exchanges_store_nothing_and_say_why),
		WITH_HARNESS(test_a_platform_that_is_away_is_said),
		WITH_HARNESS(test_another_account_is_revoked_and_turned_away),
		WITH_HARNESS(test_tokens_that_cannot_be_stored_are_revoked),
		WITH_HARNESS(
		    test_another_account_is_kept_under_its_own_name_when_adopted),
		WITH_HARNESS(test_a_stored_google_account_survives_a_stray_login_of_it),
		WITH_HARNESS(
		    test_tokens_of_an_unknown_account_are_kept_as_asked_and_marked),
		WITH_HARNESS(
		    test_twitch_falls_back_to_validate_and_asks_it_for_the_life),
		WITH_HARNESS(test_missing_scopes_refresh_token_and_life_are_said),
		WITH_HARNESS(test_an_expired_token_is_shown_as_such),
		WITH_HARNESS(
		    test_a_second_login_replaces_the_tokens_and_keeps_the_name),
		WITH_HARNESS(test_everything_survives_a_restart),
		WITH_HARNESS(test_changed_credentials_end_a_login_under_way),
		WITH_HARNESS(test_a_browser_that_leaves_does_not_lose_the_tokens),
		WITH_HARNESS(test_a_login_can_be_waited_for_before_and_after_its_end),
		WITH_HARNESS(test_a_waiting_peer_may_leave),
		WITH_HARNESS(test_no_more_than_a_thousand_logins_are_pending),
		WITH_HARNESS(test_starting_needs_credentials_a_platform_and_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
