/*
 * Client credentials, the state of accounts, and their deletion with revocation.
 */
#include "tests/flow/broker_harness.h"

#define SECRET "CANARY-client-secret"

static const struct route kick_routes[ROUTES_MAX] = {
	{ "/token", "200 OK",
	    "{\"access_token\":\"CANARY-A\",\"refresh_token\":\"CANARY-R\","
	    "\"expires_in\":7200}" },
	{ "/api/users", "200 OK", "{\"data\":[{\"name\":\"Bob\",\"user_id\":7}]}" },
	{ "/api/channels", "200 OK",
	    "{\"data\":[{\"broadcaster_user_id\":7,\"slug\":\"bob\"}]}" },
	{ "/revoke", "200 OK", "OK" },
};

/* Several platforms answer at the same paths, so each login has its own routes. */
static const struct route twitch_routes[ROUTES_MAX] = {
	{ "/token", "200 OK",
	    "{\"access_token\":\"CANARY-A\",\"refresh_token\":\"CANARY-R\","
	    "\"expires_in\":7200}" },
	{ "/api/users", "200 OK", "{\"data\":[{\"id\":\"9\",\"login\":\"bob\"}]}" },
	{ "/revoke", "200 OK", "" },
};

static const struct route youtube_routes[ROUTES_MAX] = {
	{ "/token", "200 OK",
	    "{\"access_token\":\"CANARY-A\",\"refresh_token\":\"CANARY-R\","
	    "\"expires_in\":7200}" },
	{ "/api/channels", "200 OK",
	    "{\"items\":[{\"id\":\"UC1\",\"snippet\":{\"customUrl\":\"@bob\"}}]}" },
	{ "/revoke", "200 OK", "{}" },
};

static const struct proto_msg *
put(const char *platform, const char *client_id, const char *scopes)
{
	static struct proto_msg message;

	message = (struct proto_msg){ .type = MSG_credentials_put,
		.credentials_put = { .platform = platform,
		    .client_id = client_id,
		    .client_secret = secret_of(SECRET),
		    .scopes = scopes } };
	return &message;
}

static void
log_in(struct harness *h, const char *platform, const struct route *routes)
{
	const struct proto_msg *answer;
	char login[128];

	memcpy(h->routes, routes, sizeof(h->routes));
	harness_expect(h, put(platform, "cid", NULL), MSG_credentials_stored);
	answer = harness_expect(h,
	    MESSAGE(login_start, .platform = platform, .username = "Bob"),
	    MSG_login_started);
	strcpy(login, secret_text(&answer->login_started.state));
	harness_expect(h,
	    MESSAGE(login_finish, .platform = platform, .state = secret_of(login),
		.code = secret_of("code")),
	    MSG_login_finished);
	stub_forget(&h->stub);
}

static const char *delete (struct harness *h, const char *platform)
{
	return harness_expect(h,
	    MESSAGE(account_delete, .platform = platform, .username = "BOB"),
	    MSG_account_deleted)
	    ->account_deleted.revocation;
}

static void
test_created_at_survives_an_update_of_credentials(void **state)
{
	const struct timespec pause = { .tv_nsec = 5000000 };
	struct harness *h = *state;
	const struct proto_msg *answer;
	uint64_t created_at;
	char command[160];

	answer = harness_expect(h, put("kick", "one", "b a"), MSG_credentials_stored);
	created_at = answer->credentials_stored.created_at;
	assert_int_equal(answer->credentials_stored.updated_at, created_at);
	nanosleep(&pause, NULL);
	answer = harness_expect(h, put("kick", "two", NULL), MSG_credentials_stored);
	assert_int_equal(answer->credentials_stored.created_at, created_at);
	assert_true(answer->credentials_stored.updated_at > created_at);
	harness_stop(h);
	snprintf(command, sizeof(command), "grep -rqa CANARY '%s'", h->folder);
	assert_int_not_equal(system(command), 0);
	harness_start(h);
	harness_ask(h, MESSAGE(credentials_list, .platform = "kick"));
	assert_int_equal(h->row_count, 2);
	assert_string_equal(h->rows[0].credentials.client_id, "two");
	assert_int_equal(h->rows[0].credentials.created_at, created_at);
}

static void
test_credentials_are_listed_with_scopes_and_redirect_address(void **state)
{
	struct harness *h = *state;

	harness_expect(h, put("twitch", "cid", NULL), MSG_credentials_stored);
	harness_expect(h, put("kick", "cid", "user:read"), MSG_credentials_stored);
	harness_ask(h, MESSAGE(credentials_list, .platform = NULL));
	assert_int_equal(h->row_count, 3);
	assert_int_equal(h->rows[2].type, MSG_list_end);
	assert_string_equal(h->rows[0].credentials.platform, "twitch");
	assert_string_equal(h->rows[0].credentials.scopes,
	    "channel:manage:broadcast channel:read:subscriptions chat:read chat:edit "
	    "bits:read");
	assert_string_equal(h->rows[0].credentials.redirect_uri,
	    "http://localhost:3000/oauth/callback/twitch");
	assert_string_equal(h->rows[1].credentials.scopes, "user:read");
	h->broker.config.oauth.state_in_path = true;
	harness_ask(h, MESSAGE(credentials_list, .platform = "kick"));
	assert_string_equal(h->rows[0].credentials.redirect_uri,
	    "http://localhost:3000/oauth/callback/kick/:state");
	harness_expect_failure(
	    h, MESSAGE(credentials_list, .platform = "youtube"), "no_credentials");
}

static void
test_credentials_that_cannot_be_used_are_refused(void **state)
{
	struct harness *h = *state;

	harness_expect_failure(h, put("x", "cid", NULL), "invalid_platform");
	harness_expect_failure(h, put("kick", "a b", NULL), "invalid_request");
	harness_expect_failure(h, put("kick", "a\r\nX: y", NULL), "invalid_request");
	assert_non_null(strstr(
	    harness_expect_failure(h, put("kick", "a", "ok \"no\""), "invalid_request"),
	    "scopes"));
	harness_expect_failure(
	    h, MESSAGE(credentials_list, .platform = "kick"), "no_credentials");
}

static void
test_removed_credentials_are_gone(void **state)
{
	struct harness *h = *state;

	harness_expect_failure(
	    h, MESSAGE(credentials_delete, .platform = "kick"), "no_credentials");
	harness_expect(h, put("kick", "cid", NULL), MSG_credentials_stored);
	harness_expect(h, MESSAGE(credentials_delete, .platform = "kick"),
	    MSG_credentials_deleted);
	harness_expect_failure(
	    h, MESSAGE(credentials_delete, .platform = "kick"), "no_credentials");
	harness_stop(h);
	harness_start(h);
	harness_expect_failure(
	    h, MESSAGE(credentials_list, .platform = "kick"), "no_credentials");
}

static void
test_deletion_revokes_as_the_platform_wants_and_erases(void **state)
{
	struct harness *h = *state;

	log_in(h, "kick", kick_routes);
	assert_string_equal(delete (h, "kick"), "ok");
	assert_int_equal(h->stub.request_count, 2);
	assert_non_null(strstr(
	    h->stub.requests[0], "token=CANARY-R&token_hint_type=refresh_token"));
	assert_non_null(
	    strstr(h->stub.requests[1], "token=CANARY-A&token_hint_type=access_token"));
	log_in(h, "twitch", twitch_routes);
	assert_string_equal(delete (h, "twitch"), "ok");
	assert_int_equal(h->stub.request_count, 1);
	assert_non_null(strstr(h->stub.requests[0], "client_id=cid&token=CANARY-A"));
	log_in(h, "youtube", youtube_routes);
	assert_string_equal(delete (h, "youtube"), "ok");
	assert_int_equal(h->stub.request_count, 1);
	assert_non_null(strstr(h->stub.requests[0], "\r\n\r\ntoken=CANARY-R"));
	assert_string_equal(
	    harness_expect_failure(h,
		MESSAGE(account_delete, .platform = "kick", .username = "bob"),
		"no_token"),
	    "No OAuth token found for platform kick and username bob");
	harness_stop(h);
	harness_start(h);
	assert_int_equal(oauth_account_count(&h->broker), 0);
}

static void
test_the_answer_says_what_the_platform_said(void **state)
{
	static const struct {
		const char *status;
		const char *body;
		const char *revocation;
	} cases[] = {
		{ "200 OK", "", "ok" },
		{ "400 Bad Request", "{\"status\":400,\"message\":\"Invalid token\"}",
		    "ok" },
		{ "400 Bad Request",
		    "{\"error\":\"invalid_token\",\"error_description\":\"Token "
		    "expired "
		    "or revoked\"}",
		    "ok" },
		{ "404 Not Found",
		    "{\"status\":404,\"message\":\"client does not exist\"}",
		    "refused" },
		{ "400 Bad Request", "", "refused" },
		{ "307 Temporary Redirect", "", "refused" },
		{ "503 No", "", "unreachable" },
		{ "429 Slow", "", "unreachable" },
	};
	struct harness *h = *state;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		log_in(h, "twitch", twitch_routes);
		h->routes[2].status = cases[i].status;
		h->routes[2].body = cases[i].body;
		assert_string_equal(delete (h, "twitch"), cases[i].revocation);
		assert_int_equal(oauth_account_count(&h->broker), 0);
	}
}

static void
test_a_silent_platform_delays_deletion_by_five_seconds_at_most(void **state)
{
	struct harness *h = *state;
	int64_t start;

	log_in(h, "kick", kick_routes);
	h->silent = true;
	start = time_boot_ms();
	assert_string_equal(delete (h, "kick"), "unreachable");
	assert_in_range(time_boot_ms() - start, 4500, 5900);
	assert_int_equal(oauth_account_count(&h->broker), 0);
}

static void
test_deletion_goes_on_when_its_client_leaves(void **state)
{
	struct harness *h = *state;

	log_in(h, "kick", kick_routes);
	harness_send(h, MESSAGE(account_delete, .platform = "kick", .username = "bob"));
	while (h->stub.request_count == 0)
		harness_turn(h);
	harness_disconnect(h);
	while (oauth_account_count(&h->broker) > 0)
		harness_turn(h);
	assert_int_equal(h->stub.request_count, 2);
	harness_connect(h);
}

/* Changes the row behind the broker's back, as a later version does after a refusal. */
static void
lose(struct harness *h)
{
	struct account *account =
	    accounts_find(h->broker.accounts, platform_find("kick"), "bob");
	struct store_account row = account->row;

	row.platform = xstrdup(row.platform);
	row.username_key = xstrdup(row.username_key);
	row.username = xstrdup(row.username);
	row.user_id = xstrdup(row.user_id);
	row.login = NULL;
	row.display_name = NULL;
	row.identity = xstrdup(row.identity);
	row.scopes = xstrdup(row.scopes);
	row.scopes_asked = xstrdup(row.scopes_asked);
	row.client_id = xstrdup(row.client_id);
	row.status = xstrdup(STORE_ACCOUNT_LOST);
	row.refreshable = false;
	row.reason = xstrdup("invalid_grant");
	row.since = 5000;
	accounts_put(h->broker.accounts, account->platform, &row);
}

static void
test_a_lost_login_is_shown_and_cleared_without_a_call(void **state)
{
	struct harness *h = *state;
	const struct proto_msg *answer;

	log_in(h, "kick", kick_routes);
	lose(h);
	assert_int_equal(oauth_account_lost_count(&h->broker), 1);
	answer = harness_expect(h,
	    MESSAGE(account_get, .platform = "kick", .username = "bob"), MSG_account);
	assert_string_equal(answer->account.status, "reauth_required");
	assert_string_equal(answer->account.reason, "invalid_grant");
	assert_int_equal(answer->account.since, 5000);
	assert_string_equal(delete (h, "kick"), "ok");
	assert_int_equal(h->stub.request_count, 0);
	assert_int_equal(oauth_account_lost_count(&h->broker), 0);
}

static void
test_accounts_are_listed_by_platform_and_name(void **state)
{
	struct harness *h = *state;

	log_in(h, "twitch", twitch_routes);
	log_in(h, "kick", kick_routes);
	harness_ask(h, MESSAGE(accounts_list, .platform = NULL));
	assert_int_equal(h->row_count, 3);
	assert_string_equal(h->rows[0].account.platform, "kick");
	assert_string_equal(h->rows[1].account.platform, "twitch");
	harness_ask(h, MESSAGE(accounts_list, .platform = "twitch"));
	assert_int_equal(h->row_count, 2);
	harness_expect_failure(
	    h, MESSAGE(accounts_list, .platform = "x"), "invalid_platform");
}

int
main(void)
{
#define WITH_HARNESS(test) \
	cmocka_unit_test_setup_teardown(test, harness_setup, harness_teardown)
	const struct CMUnitTest tests[] = {
		WITH_HARNESS(test_created_at_survives_an_update_of_credentials),
		WITH_HARNESS(
		    test_credentials_are_listed_with_scopes_and_redirect_address),
		WITH_HARNESS(test_credentials_that_cannot_be_used_are_refused),
		WITH_HARNESS(test_removed_credentials_are_gone),
		WITH_HARNESS(test_deletion_revokes_as_the_platform_wants_and_erases),
		WITH_HARNESS(test_the_answer_says_what_the_platform_said),
		WITH_HARNESS(
		    test_a_silent_platform_delays_deletion_by_five_seconds_at_most),
		WITH_HARNESS(test_deletion_goes_on_when_its_client_leaves),
		WITH_HARNESS(test_a_lost_login_is_shown_and_cleared_without_a_call),
		WITH_HARNESS(test_accounts_are_listed_by_platform_and_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
