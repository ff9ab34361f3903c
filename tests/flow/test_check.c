/*
 * Checks of stored tokens with their platforms: verdicts, renames, expiry, and when
 * they are made.
 */
#include <sqlite3.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "broker/oauth/refresh.h"
#include "broker/oauth/validate.h"
#include "tests/flow/broker_harness.h"

/* What passes at once on the clocks that go on during suspend. */
static time_t slept_s;
/* And what the wall clock was set back by. */
static time_t set_back_s;

int
clock_gettime(clockid_t clock, struct timespec *now)
{
	int result = (int)syscall(SYS_clock_gettime, clock, now);

	if (clock == CLOCK_BOOTTIME || clock == CLOCK_REALTIME)
		now->tv_sec += slept_s;
	if (clock == CLOCK_REALTIME)
		now->tv_sec -= set_back_s;
	return result;
}

#define TOKEN_REPLY \
	"{\"access_token\":\"CANARY-A\",\"refresh_token\":\"CANARY-R\"," \
	"\"expires_in\":7200}"
#define VALID(id, login, life) \
	"{\"client_id\":\"cid\",\"user_id\":\"" id "\",\"login\":\"" login \
	"\",\"scopes\":null,\"expires_in\":" life "}"

enum { TOKEN, ASKED, USERS, CHANNELS };

static const struct route twitch_routes[ROUTES_MAX] = {
	[TOKEN] = { "/token", "200 OK", TOKEN_REPLY },
	[ASKED] = { "/validate", "200 OK", VALID("9", "bob", "7200") },
	[USERS] = { "/api/users", "200 OK",
	    "{\"data\":[{\"id\":\"9\",\"login\":\"bob\",\"display_name\":\"Bob\"}]}" },
};

static const struct route kick_routes[ROUTES_MAX] = {
	[TOKEN] = { "/token", "200 OK", TOKEN_REPLY },
	[ASKED] = { "/introspect", "200 OK",
	    "{\"data\":{\"active\":true,\"client_id\":\"cid\"},\"message\":\"OK\"}" },
	[USERS] = { "/api/users", "200 OK",
	    "{\"data\":[{\"name\":\"Bob\",\"user_id\":7}]}" },
	[CHANNELS] = { "/api/channels", "200 OK",
	    "{\"data\":[{\"broadcaster_user_id\":7,\"slug\":\"bob\"}]}" },
};

static const struct route youtube_routes[ROUTES_MAX] = {
	[TOKEN] = { "/token", "200 OK", TOKEN_REPLY },
	[ASKED] = { "/validate", "200 OK",
	    "{\"aud\":\"cid\",\"expires_in\":\"7200\"}" },
	[USERS] = { "/none", "404 Not Found", "" },
	[CHANNELS] = { "/api/channels", "200 OK",
	    "{\"items\":[{\"id\":\"UC1\",\"snippet\":{\"customUrl\":\"@bob\","
	    "\"title\":\"Bob\"}}]}" },
};

static void
log_in_as(struct harness *h, const char *platform, const char *username,
    const struct route *routes)
{
	const struct proto_msg *answer;
	char login[128];

	memcpy(h->routes, routes, sizeof(h->routes));
	harness_expect(h,
	    MESSAGE(credentials_put, .platform = platform, .client_id = "cid",
		.client_secret = secret_of("secret")),
	    MSG_credentials_stored);
	answer = harness_expect(h,
	    MESSAGE(login_start, .platform = platform, .username = username),
	    MSG_login_started);
	strcpy(login, secret_text(&answer->login_started.state));
	harness_expect(h,
	    MESSAGE(login_finish, .platform = platform, .state = secret_of(login),
		.code = secret_of("code")),
	    MSG_login_finished);
	stub_forget(&h->stub);
}

static void
log_in(struct harness *h, const char *platform, const struct route *routes)
{
	log_in_as(h, platform, "Bob", routes);
}

static void
answers(struct harness *h, int which, const char *status, const char *body)
{
	h->routes[which].status = status;
	h->routes[which].body = body;
}

/* Checks by name and gives the verdict. */
static const char *
check(struct harness *h, const char *platform)
{
	return harness_expect(h,
	    MESSAGE(account_check, .platform = platform, .username = "bob"),
	    MSG_account_checked)
	    ->account_checked.verdict;
}

static const struct proto_account *
account(struct harness *h, const char *platform)
{
	return &harness_expect(h,
	    MESSAGE(account_get, .platform = platform, .username = "bob"), MSG_account)
		    ->account;
}

/* The requests so far that begin so. */
static size_t
asked(const struct harness *h, const char *start)
{
	size_t count = 0;
	size_t i;

	for (i = 0; i < h->stub.request_count; i++)
		count += strncmp(h->stub.requests[i], start, strlen(start)) == 0;
	return count;
}

static void
wait_ms(struct harness *h, int64_t ms)
{
	const struct timeval tick = { .tv_usec = 20000 };
	int64_t end = time_boot_ms() + ms;

	while (time_boot_ms() < end) {
		event_base_loopexit(h->broker.base, &tick);
		event_base_dispatch(h->broker.base);
	}
}

static struct account *
stored(struct harness *h, const char *platform, const char *username)
{
	return accounts_find(h->broker.accounts, platform_find(platform), username);
}

static void
assert_life(const struct proto_account *found, int64_t seconds)
{
	int64_t left = (int64_t)found->expires_at - time_now_ms();

	assert_in_range(left, (seconds - 5) * 1000, seconds * 1000);
}

static void
test_the_expiry_is_corrected_and_stays_so(void **state)
{
	struct harness *h = *state;

	log_in(h, "twitch", twitch_routes);
	assert_null(account(h, "twitch")->verdict);
	assert_int_equal(account(h, "twitch")->checked_at, 0);
	answers(h, ASKED, "200 OK", VALID("9", "bob", "300"));
	assert_string_equal(check(h, "twitch"), "good");
	assert_life(account(h, "twitch"), 300);
	assert_string_equal(account(h, "twitch")->verdict, "good");
	assert_true(account(h, "twitch")->checked_at > 0);
	harness_stop(h);
	harness_start(h);
	assert_life(account(h, "twitch"), 300);
	/* The life of old tokens that do not expire. */
	answers(h, ASKED, "200 OK", VALID("9", "bob", "0"));
	assert_string_equal(check(h, "twitch"), "good");
	assert_true(account(h, "twitch")->expires_at >
	    (uint64_t)time_now_ms() + UINT64_C(9) * 365 * 86400 * 1000);
}

static void
test_a_rename_is_followed_by_id_under_the_stored_name(void **state)
{
	struct harness *h = *state;

	log_in(h, "twitch", twitch_routes);
	answers(h, ASKED, "200 OK", VALID("9", "robert", "7200"));
	answers(h, USERS, "200 OK",
	    "{\"data\":[{\"id\":\"9\",\"login\":\"robert\",\"display_name\":"
	    "\"Robert\"}]}");
	assert_string_equal(check(h, "twitch"), "good");
	assert_string_equal(account(h, "twitch")->username, "Bob");
	assert_string_equal(account(h, "twitch")->display_name, "Robert");
	assert_string_equal(account(h, "twitch")->identity, "verified");
	assert_string_equal(stored(h, "twitch", "bob")->row.login, "robert");
	harness_stop(h);
	harness_start(h);
	assert_string_equal(account(h, "twitch")->display_name, "Robert");
	assert_string_equal(stored(h, "twitch", "bob")->row.login, "robert");
	assert_true(
	    accounts_have_channel(h->broker.accounts, "twitch", "9", NULL, NULL));
}

static void
test_renames_at_platforms_whose_check_names_nobody(void **state)
{
	struct harness *h = *state;

	log_in(h, "kick", kick_routes);
	answers(h, USERS, "200 OK", "{\"data\":[{\"name\":\"Rob_X\",\"user_id\":7}]}");
	answers(h, CHANNELS, "200 OK",
	    "{\"data\":[{\"broadcaster_user_id\":7,\"slug\":\"rob-x\"}]}");
	assert_string_equal(check(h, "kick"), "good");
	assert_string_equal(account(h, "kick")->display_name, "Rob_X");
	assert_string_equal(stored(h, "kick", "bob")->row.login, "rob-x");
	log_in(h, "youtube", youtube_routes);
	answers(h, CHANNELS, "200 OK",
	    "{\"items\":[{\"id\":\"UC1\",\"snippet\":{\"customUrl\":\"@rob\","
	    "\"title\":\"Rob\"}}]}");
	assert_string_equal(check(h, "youtube"), "good");
	assert_string_equal(account(h, "youtube")->display_name, "Rob");
	assert_string_equal(stored(h, "youtube", "bob")->row.login, "@rob");
}

static void
test_an_account_that_was_not_known_is_bound_to_its_id(void **state)
{
	struct harness *h = *state;
	struct route routes[ROUTES_MAX];

	memcpy(routes, twitch_routes, sizeof(routes));
	routes[USERS].status = "500 Oops";
	routes[ASKED].status = "500 Oops";
	log_in(h, "twitch", routes);
	assert_string_equal(account(h, "twitch")->identity, "unverified");
	assert_null(account(h, "twitch")->user_id);
	memcpy(h->routes, twitch_routes, sizeof(h->routes));
	assert_string_equal(check(h, "twitch"), "good");
	assert_string_equal(account(h, "twitch")->identity, "verified");
	assert_string_equal(account(h, "twitch")->user_id, "9");
	assert_true(
	    accounts_have_channel(h->broker.accounts, "twitch", "9", NULL, NULL));
}

static void
test_what_a_check_doubts_changes_nothing(void **state)
{
	static const struct {
		const char *platform, *status, *body, *verdict;
	} cases[] = {
		{ "twitch", "401 No",
		    "{\"status\":401,\"message\":\"invalid access token\"}",
		    "refused" },
		{ "twitch", "200 OK",
		    "{\"client_id\":\"another\",\"user_id\":\"9\",\"login\":\"bob\","
		    "\"expires_in\":5}",
		    "other_client" },
		{ "twitch", "200 OK", VALID("10", "eve", "5"), "other_user" },
		{ "twitch", "200 OK", "<html>", "unclear" },
		{ "twitch", "503 Away", "", "unclear" },
		{ "kick", "401 No", "", "refused" },
		{ "kick", "200 OK", "{\"data\":{\"active\":false},\"message\":\"OK\"}",
		    "refused" },
		{ "kick", "200 OK",
		    "{\"data\":{\"active\":false,\"client_id\":null,\"exp\":null}}",
		    "refused" },
		{ "kick", "200 OK",
		    "{\"data\":{\"active\":true,\"client_id\":\"another\",\"exp\":5}}",
		    "other_client" },
		{ "kick", "200 OK", "{\"data\":null}", "unclear" },
		{ "kick", "403 No", "<html>", "unclear" },
		{ "youtube", "400 No",
		    "{\"error\":\"invalid_token\",\"error_description\":\"Invalid "
		    "Value\"}",
		    "refused" },
		{ "youtube", "400 No", "{\"error_description\":\"Invalid Value\"}",
		    "refused" },
		{ "youtube", "200 OK", "{\"aud\":\"another\",\"expires_in\":\"5\"}",
		    "other_client" },
		{ "youtube", "400 No", "{\"error\":\"invalid_request\"}", "unclear" },
		{ "youtube", "200 OK", "{}", "unclear" },
	};
	struct harness *h = *state;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *platform = cases[i].platform;

		log_in(h, platform,
		    strcmp(platform, "kick") == 0         ? kick_routes
			: strcmp(platform, "twitch") == 0 ? twitch_routes
							  : youtube_routes);
		answers(h, ASKED, cases[i].status, cases[i].body);
		assert_string_equal(check(h, platform), cases[i].verdict);
		assert_life(account(h, platform), 7200);
		assert_string_equal(account(h, platform)->verdict, cases[i].verdict);
		assert_string_equal(account(h, platform)->display_name, "Bob");
	}
}

static void
test_a_refused_token_is_refreshed_once(void **state)
{
	struct harness *h = *state;
	uint64_t generation;

	log_in(h, "twitch", twitch_routes);
	generation = stored(h, "twitch", "bob")->row.generation;
	answers(h, ASKED, "401 No",
	    "{\"status\":401,\"message\":\"invalid access token\"}");
	assert_string_equal(check(h, "twitch"), "refused");
	while (stored(h, "twitch", "bob")->row.generation == generation)
		harness_turn(h);
	assert_int_equal(asked(h, "POST /token"), 1);
	assert_non_null(strstr(h->stub.requests[1], "grant_type=refresh_token"));
	assert_string_equal(account(h, "twitch")->status, "valid");
}

static void
test_a_corrected_expiry_moves_the_refresh(void **state)
{
	struct harness *h = *state;
	uint64_t generation;

	log_in(h, "twitch", twitch_routes);
	generation = stored(h, "twitch", "bob")->row.generation;
	wait_ms(h, 100);
	assert_int_equal(asked(h, "POST /token"), 0);
	answers(h, ASKED, "200 OK", VALID("9", "bob", "1"));
	assert_string_equal(check(h, "twitch"), "good");
	while (stored(h, "twitch", "bob")->row.generation == generation)
		harness_turn(h);
	assert_int_equal(asked(h, "POST /token"), 1);
	assert_life(account(h, "twitch"), 7200);
}

static void
test_an_unreachable_platform_is_said_to_be(void **state)
{
	struct harness *h = *state;

	log_in(h, "twitch", twitch_routes);
	free(h->broker.config.platforms.twitch.validate_url);
	h->broker.config.platforms.twitch.validate_url =
	    xstrdup("http://127.0.0.1:1/validate");
	assert_string_equal(check(h, "twitch"), "unreachable");
	assert_life(account(h, "twitch"), 7200);
	harness_expect_failure(h,
	    MESSAGE(account_check, .platform = "twitch", .username = "nobody"),
	    "no_token");
}

static void
test_the_token_is_in_no_address(void **state)
{
	struct harness *h = *state;

	log_in(h, "kick", kick_routes);
	check(h, "kick");
	assert_int_equal(asked(h, "POST /introspect HTTP/1.1\r\n"), 1);
	assert_non_null(
	    strstr(h->stub.requests[0], "Authorization: Bearer CANARY-A\r\n"));
	assert_non_null(strstr(h->stub.requests[0], "Content-Length: 0\r\n"));
	log_in(h, "youtube", youtube_routes);
	check(h, "youtube");
	assert_int_equal(asked(h, "POST /validate HTTP/1.1\r\n"), 1);
	assert_non_null(strstr(h->stub.requests[0], "\r\n\r\naccess_token=CANARY-A"));
	log_in(h, "twitch", twitch_routes);
	check(h, "twitch");
	assert_int_equal(asked(h, "GET /validate HTTP/1.1\r\n"), 1);
	assert_non_null(
	    strstr(h->stub.requests[0], "Authorization: OAuth CANARY-A\r\n"));
}

static void
test_kick_is_asked_for_a_life_that_it_did_not_tell(void **state)
{
	struct harness *h = *state;
	struct route routes[ROUTES_MAX];
	char body[160];

	snprintf(body, sizeof(body),
	    "{\"data\":{\"active\":true,\"client_id\":\"cid\",\"exp\":%lld}}",
	    (long long)(time_now_ms() / 1000 + 1000));
	memcpy(routes, kick_routes, sizeof(routes));
	routes[TOKEN].body = "{\"access_token\":\"CANARY-A\"}";
	routes[ASKED].body = body;
	log_in(h, "kick", routes);
	assert_life(account(h, "kick"), 1000);
}

static void
test_at_start_each_token_is_checked_once_one_at_a_time(void **state)
{
	static const char *const names[] = { "bob", "bob1", "bob2", "bob3" };
	struct harness *h = *state;
	struct route routes[ROUTES_MAX];
	struct validate_stats stats;
	size_t i;

	memcpy(routes, twitch_routes, sizeof(routes));
	routes[ASKED].status = "500 Oops";
	routes[USERS].status = "500 Oops"; /* so that any name will do */
	log_in(h, "kick", kick_routes);
	for (i = 0; i < 4; i++)
		log_in_as(h, "twitch", names[i], routes);
	harness_stop(h);
	stub_forget(&h->stub);
	memcpy(h->routes, twitch_routes, sizeof(h->routes));
	harness_start(h);
	wait_ms(h, 650);
	assert_in_range(asked(h, "GET /validate"), 1, 2);
	wait_ms(h, 2000);
	assert_int_equal(asked(h, "GET /validate"), 4);
	assert_int_equal(asked(h, "POST /introspect"), 0);
	validate_stats(&h->broker, &stats);
	assert_int_equal(stats.verdicts[CHECK_good], 4);
	assert_int_equal(stats.waiting, 0);
	assert_true(time_now_ms() - stats.last_at < 3000);
	for (i = 0; i < 4; i++) {
		int64_t due = stored(h, "twitch", names[i])->check_due - time_boot_ms();

		assert_in_range(due, INT64_C(3600000) * 85 / 100, 3600000);
	}
	assert_in_range(
	    stored(h, "kick", "bob")->check_due - time_boot_ms(), 1, 3600000);
	/* An hour later. */
	stored(h, "twitch", "bob2")->check_due = time_boot_ms() - 1;
	validate_soon(&h->broker, stored(h, "twitch", "bob3"));
	wait_ms(h, 1000);
	assert_int_equal(asked(h, "GET /validate"), 6);
}

static void
test_a_platform_that_is_away_is_left_alone_for_a_while(void **state)
{
	struct harness *h = *state;
	struct validate_stats stats;

	log_in(h, "twitch", twitch_routes);
	harness_stop(h);
	stub_forget(&h->stub);
	answers(h, ASKED, "503 Away", "");
	harness_start(h);
	wait_ms(h, 2000);
	assert_int_equal(asked(h, "GET /validate"), 1);
	validate_stats(&h->broker, &stats);
	assert_int_equal(stats.verdicts[CHECK_unclear], 1);
	assert_int_equal(stats.waiting, 1);
	assert_life(account(h, "twitch"), 7200);
}

/* The database of a broker that does not run. */
static void
change_database(const struct harness *h, const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(h->broker.paths.database, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_changes(db), 1);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void
test_a_token_that_cannot_be_read_holds_no_other_up(void **state)
{
	struct harness *h = *state;
	struct route routes[ROUTES_MAX];
	struct validate_stats stats;

	memcpy(routes, twitch_routes, sizeof(routes));
	routes[ASKED].status = "500 Oops";
	routes[USERS].status = "500 Oops"; /* so that any name will do */
	log_in_as(h, "twitch", "ann", routes);
	log_in_as(h, "twitch", "bob", routes);
	log_in_as(h, "twitch", "eve", routes);
	harness_stop(h);
	stub_forget(&h->stub);
	change_database(h,
	    "UPDATE secrets SET sealed = zeroblob(40) WHERE name = 'token/twitch/ann'");
	memcpy(h->routes, twitch_routes, sizeof(h->routes));
	harness_start(h);
	wait_ms(h, 2500);
	assert_int_equal(asked(h, "GET /validate"), 2);
	assert_int_equal(stored(h, "twitch", "bob")->verdict, CHECK_good);
	assert_int_equal(stored(h, "twitch", "eve")->verdict, CHECK_good);
	assert_int_equal(stored(h, "twitch", "ann")->verdict, CHECK_never);
	validate_stats(&h->broker, &stats);
	assert_int_equal(stats.waiting, 0);
	/* It is tried again by itself, in a while. */
	assert_in_range(
	    stored(h, "twitch", "ann")->check_due - time_boot_ms(), 10000, 30000);
}

/* A refusal that is one account's own must not keep the others from their turn. */
static void
test_accounts_that_wait_for_their_platform_are_tried_in_turn(void **state)
{
	static const char *const names[] = { "ann", "bob", "eve" };
	struct harness *h = *state;
	struct route routes[ROUTES_MAX];
	size_t i;

	memcpy(routes, twitch_routes, sizeof(routes));
	routes[ASKED].status = "500 Oops";
	routes[USERS].status = "500 Oops"; /* so that any name will do */
	for (i = 0; i < 3; i++)
		log_in_as(h, "twitch", names[i], routes);
	harness_stop(h);
	stub_forget(&h->stub);
	harness_start(h);
	wait_ms(h, 800);
	for (i = 1; i < 3; i++) {
		assert_int_equal(asked(h, "GET /validate"), i);
		slept_s += 1000; /* longer than any pause */
		validate_clock_set(&h->broker);
		wait_ms(h, 500);
	}
	assert_int_equal(asked(h, "GET /validate"), 3);
	for (i = 0; i < 3; i++)
		assert_true(stored(h, "twitch", names[i])->check_tried > 0);
	slept_s = 0;
}

/* A back-off is a promise to the platform, which a corrected expiry does not break. */
static void
test_a_corrected_expiry_leaves_a_back_off_alone(void **state)
{
	struct harness *h = *state;
	struct account *bob;
	int64_t due;

	log_in(h, "twitch", twitch_routes);
	bob = stored(h, "twitch", "bob");
	answers(h, TOKEN, "503 Away", "");
	harness_expect_failure(h,
	    MESSAGE(token_refresh, .platform = "twitch", .username = "bob"),
	    "refresh_failed");
	due = bob->plan.due = time_boot_ms() + 100000;
	answers(h, ASKED, "200 OK", VALID("9", "bob", "1"));
	assert_string_equal(check(h, "twitch"), "good");
	wait_ms(h, 200);
	assert_int_equal(bob->plan.due, due);
	assert_true(bob->plan.expires < time_boot_ms() + 1000);
	assert_int_equal(asked(h, "POST /token"), 1);
}

static void
test_an_expiry_by_a_clock_that_is_behind_the_login_is_not_believed(void **state)
{
	struct harness *h = *state;
	uint64_t before;

	log_in(h, "twitch", twitch_routes);
	before = account(h, "twitch")->expires_at;
	set_back_s = 100000;
	assert_string_equal(check(h, "twitch"), "good");
	wait_ms(h, 100);
	set_back_s = 0;
	assert_int_equal(account(h, "twitch")->expires_at, before);
	assert_int_equal(asked(h, "POST /token"), 0);
}

static void
test_every_token_is_checked_when_the_clock_was_set(void **state)
{
	struct harness *h = *state;
	struct account *bob;

	log_in(h, "twitch", twitch_routes);
	bob = stored(h, "twitch", "bob");
	check(h, "twitch");
	bob->check_due = time_boot_ms() + 3000000;
	validate_clock_set(&h->broker);
	assert_in_range(bob->check_due - time_boot_ms(), 0, 60000);
}

/* Too fresh to be replaced, so it is looked at again as soon as it may be. */
static void
test_a_fresh_token_that_is_refused_is_checked_again_soon(void **state)
{
	struct harness *h = *state;
	struct account *bob;

	log_in(h, "twitch", twitch_routes);
	bob = stored(h, "twitch", "bob");
	harness_expect(h,
	    MESSAGE(token_refresh, .platform = "twitch", .username = "bob"),
	    MSG_account);
	answers(h, ASKED, "401 No",
	    "{\"status\":401,\"message\":\"invalid access token\"}");
	assert_string_equal(check(h, "twitch"), "refused");
	wait_ms(h, 100);
	assert_int_equal(asked(h, "POST /token"), 1);
	assert_int_equal(bob->check_due, bob->plan.refreshed + REFRESH_FLOOR_MS);
	bob->plan.refreshed -= REFRESH_FLOOR_MS;
	bob->check_due = time_boot_ms();
	validate_soon(&h->broker, bob);
	while (asked(h, "POST /token") < 2)
		harness_turn(h);
}

/* Credentials are often stored while the refresh of a refused token is under
 * way: the same refresh token must not be sent beside it. */
static void
test_new_credentials_do_not_send_a_token_twice(void **state)
{
	struct harness *h = *state;

	log_in(h, "kick", kick_routes);
	answers(h, ASKED, "200 OK", "{\"data\":{\"active\":false},\"message\":\"OK\"}");
	assert_string_equal(check(h, "kick"), "refused");
	h->silent = true;
	wait_ms(h, 300);
	assert_int_equal(asked(h, "POST /token"), 1);
	harness_expect(h,
	    MESSAGE(credentials_put, .platform = "kick", .client_id = "cid",
		.client_secret = secret_of("secret2")),
	    MSG_credentials_stored);
	wait_ms(h, 500);
	assert_int_equal(asked(h, "POST /token"), 1);
	assert_int_equal(refresh_count(&h->broker), 1);
}

/* At Google revoking one token ends all logins of the account. */
static void
test_dropped_tokens_do_not_end_the_login_of_before(void **state)
{
	static const char refuse[] =
	    "CREATE TRIGGER no_note BEFORE INSERT ON login_notes "
	    "BEGIN SELECT RAISE(ABORT, 'no'); END;";
	struct harness *h = *state;
	const struct proto_msg *answer;
	char login[128];
	sqlite3 *db;

	log_in(h, "youtube", youtube_routes);
	answers(h, CHANNELS, "403 Forbidden", "{}");
	harness_stop(h);
	assert_int_equal(sqlite3_open(h->broker.paths.database, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, refuse, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	harness_start(h);
	answer = harness_expect(h,
	    MESSAGE(login_start, .platform = "youtube", .username = "Bob"),
	    MSG_login_started);
	strcpy(login, secret_text(&answer->login_started.state));
	stub_forget(&h->stub);
	harness_ask(h,
	    MESSAGE(login_finish, .platform = "youtube", .state = secret_of(login),
		.code = secret_of("code")));
	assert_string_equal(h->rows[0].failed.code, "storage_failed");
	assert_int_equal(asked(h, "POST /revoke"), 0);
	assert_string_equal(account(h, "youtube")->status, "valid");
}

int
main(void)
{
#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_the_expiry_is_corrected_and_stays_so),
		TEST(test_a_rename_is_followed_by_id_under_the_stored_name),
		TEST(test_renames_at_platforms_whose_check_names_nobody),
		TEST(test_an_account_that_was_not_known_is_bound_to_its_id),
		TEST(test_what_a_check_doubts_changes_nothing),
		TEST(test_a_refused_token_is_refreshed_once),
		TEST(test_a_corrected_expiry_moves_the_refresh),
		TEST(test_an_unreachable_platform_is_said_to_be),
		TEST(test_the_token_is_in_no_address),
		TEST(test_kick_is_asked_for_a_life_that_it_did_not_tell),
		TEST(test_at_start_each_token_is_checked_once_one_at_a_time),
		TEST(test_a_platform_that_is_away_is_left_alone_for_a_while),
		TEST(test_a_token_that_cannot_be_read_holds_no_other_up),
		TEST(test_accounts_that_wait_for_their_platform_are_tried_in_turn),
		TEST(test_a_corrected_expiry_leaves_a_back_off_alone),
		TEST(
		    test_an_expiry_by_a_clock_that_is_behind_the_login_is_not_believed),
		TEST(test_every_token_is_checked_when_the_clock_was_set),
		TEST(test_a_fresh_token_that_is_refused_is_checked_again_soon),
		TEST(test_new_credentials_do_not_send_a_token_twice),
		TEST(test_dropped_tokens_do_not_end_the_login_of_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
