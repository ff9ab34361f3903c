/*
 * Access tokens for calls: fresh enough ones at once, one refresh for all who need one,
 * one refresh after a 401 and never a second for the same token.
 */
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "broker/oauth/refresh.h"
#include "broker/oauth/token_use.h"
#include "tests/flow/broker_harness.h"

#define CALLERS 50
#define ROUNDS 100

struct caller {
	unsigned answers;
	enum proto_error error;
	char access[64];
	uint64_t generation;
};

static const struct route kick_routes[ROUTES_MAX] = {
	{ "/token", "200 OK",
	    "{\"access_token\":\"A1\",\"refresh_token\":\"R1\",\"expires_in\":7200}" },
	{ "/api/users", "200 OK", "{\"data\":[{\"name\":\"Bob\",\"user_id\":7}]}" },
	{ "/api/channels", "200 OK",
	    "{\"data\":[{\"broadcaster_user_id\":7,\"slug\":\"bob\"}]}" },
};

static void
answer_token(struct harness *h, const char *status, const char *body)
{
	h->routes[0].status = status;
	h->routes[0].body = body;
}

static struct account *
log_in(struct harness *h)
{
	const struct proto_msg *answer;
	char login[128];

	memcpy(h->routes, kick_routes, sizeof(h->routes));
	harness_expect(h,
	    MESSAGE(credentials_put, .platform = "kick", .client_id = "cid",
		.client_secret = secret_of("secret")),
	    MSG_credentials_stored);
	answer = harness_expect(h,
	    MESSAGE(login_start, .platform = "kick", .username = "Bob"),
	    MSG_login_started);
	strcpy(login, secret_text(&answer->login_started.state));
	harness_expect(h,
	    MESSAGE(login_finish, .platform = "kick", .state = secret_of(login),
		.code = secret_of("code")),
	    MSG_login_finished);
	stub_forget(&h->stub);
	answer_token(h, "200 OK",
	    "{\"access_token\":\"A2\",\"refresh_token\":\"R2\",\"expires_in\":7200}");
	return accounts_find(h->broker.accounts, platform_find("kick"), "bob");
}

static void
on_token(void *arg, const struct token_grant *grant)
{
	struct caller *caller = arg;

	caller->answers++;
	caller->error = grant->error;
	caller->generation = grant->generation;
	if (grant->access)
		snprintf(caller->access, sizeof(caller->access), "%s",
		    secret_text(grant->access));
	else
		assert_non_null(grant->sentence);
}

static void
wait_for(struct harness *h, struct caller *callers, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		while (!callers[i].answers)
			harness_turn(h);
}

/* As if the token had been obtained a while ago. */
static void
age(struct account *account, int64_t left_ms)
{
	account->row.expires_at = time_now_ms() + left_ms;
	account->plan.expires = time_boot_ms() + left_ms;
}

static void
test_a_token_that_lives_long_enough_is_given_at_once(void **state)
{
	struct harness *h = *state;
	struct account *account = log_in(h);
	struct caller caller = { .answers = 0 };

	(void)token_use(&h->broker, account, 60000, on_token, &caller);
	assert_int_equal(caller.answers, 0);
	wait_for(h, &caller, 1);
	assert_string_equal(caller.access, "A1");
	assert_int_equal(caller.generation, account->row.generation);
	assert_int_equal(h->stub.request_count, 0);
}

static void
test_fifty_callers_at_expiry_share_one_request(void **state)
{
	struct harness *h = *state;
	struct account *account = log_in(h);
	struct caller callers[CALLERS] = { { .answers = 0 } };
	struct token_use *gone;
	size_t i;

	age(account, 1000);
	for (i = 0; i < CALLERS; i++)
		(void)token_use(&h->broker, account, 60000, on_token, &callers[i]);
	gone = token_use(&h->broker, account, 60000, on_token, NULL);
	token_use_cancel(gone);
	wait_for(h, callers, CALLERS);
	assert_int_equal(h->stub.request_count, 1);
	assert_non_null(strstr(h->stub.requests[0], "refresh_token=R1"));
	for (i = 0; i < CALLERS; i++) {
		assert_int_equal(callers[i].answers, 1);
		assert_string_equal(callers[i].access, "A2");
	}
}

/* Each round is one expiry; every token lives and is replaced. */
static void
test_fifty_callers_at_each_of_a_hundred_expiries_share_one_request(void **state)
{
	struct harness *h = *state;
	struct account *account = log_in(h);
	char body[128];
	char access[16];
	unsigned round;
	size_t i;

	for (round = 2; round < 2 + ROUNDS; round++) {
		struct caller callers[CALLERS] = { { .answers = 0 } };

		snprintf(access, sizeof(access), "A%u", round);
		snprintf(body, sizeof(body),
		    "{\"access_token\":\"%s\",\"refresh_token\":\"R%u\","
		    "\"expires_in\":7200}",
		    access, round);
		answer_token(h, "200 OK", body);
		age(account, -1000);
		account->plan.refreshed = 0;
		for (i = 0; i < CALLERS; i++)
			(void)token_use(
			    &h->broker, account, 60000, on_token, &callers[i]);
		wait_for(h, callers, CALLERS);
		assert_int_equal(h->stub.request_count, 1);
		snprintf(body, sizeof(body), "refresh_token=R%u", round - 1);
		assert_non_null(strstr(h->stub.requests[0], body));
		for (i = 0; i < CALLERS; i++) {
			assert_int_equal(callers[i].answers, 1);
			assert_string_equal(callers[i].access, access);
		}
		stub_forget(&h->stub);
	}
}

static void
test_the_old_token_is_served_until_it_expires(void **state)
{
	struct harness *h = *state;
	struct account *account = log_in(h);
	struct caller caller = { .answers = 0 };

	answer_token(h, "503 Service Unavailable", "");
	age(account, 30000);
	(void)token_use(&h->broker, account, 60000, on_token, &caller);
	wait_for(h, &caller, 1);
	assert_string_equal(caller.access, "A1");
	assert_int_equal(h->stub.request_count, 1);
	/* The back-off holds for the next caller, who has no token to fall back on. */
	age(account, -1);
	account->plan.due = time_boot_ms() + 100000;
	caller = (struct caller){ .answers = 0 };
	(void)token_use(&h->broker, account, 60000, on_token, &caller);
	wait_for(h, &caller, 1);
	assert_int_equal(caller.error, ERR_refresh_failed);
	assert_int_equal(h->stub.request_count, 1);
}

static void
test_a_refused_token_is_refreshed_once(void **state)
{
	struct harness *h = *state;
	struct account *account = log_in(h);
	struct caller callers[3] = { { .answers = 0 } };
	uint64_t first = account->row.generation;

	(void)token_rejected(&h->broker, account, first, on_token, &callers[0]);
	(void)token_rejected(&h->broker, account, first, on_token, &callers[1]);
	wait_for(h, callers, 2);
	assert_string_equal(callers[0].access, "A2");
	assert_string_equal(callers[1].access, "A2");
	assert_true(callers[0].generation > first);
	assert_int_equal(h->stub.request_count, 1);
	/* A late 401 for the old token costs nothing. */
	(void)token_rejected(&h->broker, account, first, on_token, &callers[2]);
	wait_for(h, &callers[2], 1);
	assert_string_equal(callers[2].access, "A2");
	assert_int_equal(h->stub.request_count, 1);
	/* A fresh token that is refused is not a matter of age. */
	callers[0] = (struct caller){ .answers = 0 };
	(void)token_rejected(
	    &h->broker, account, account->row.generation, on_token, &callers[0]);
	wait_for(h, callers, 1);
	assert_int_equal(callers[0].error, ERR_refresh_failed);
	assert_int_equal(h->stub.request_count, 1);
}

static void
test_never_twice_for_the_same_token(void **state)
{
	struct harness *h = *state;
	struct account *account = log_in(h);
	uint64_t first = account->row.generation;
	struct caller caller = { .answers = 0 };
	unsigned i;

	answer_token(h, "500 Internal Server Error", "");
	for (i = 0; i < 3; i++) {
		caller = (struct caller){ .answers = 0 };
		(void)token_rejected(&h->broker, account, first, on_token, &caller);
		wait_for(h, &caller, 1);
		account->plan.due = time_boot_ms() + 100000;
		assert_int_equal(caller.error, ERR_refresh_failed);
	}
	assert_int_equal(h->stub.request_count, 1);
}

/* A 401 that nothing came of is none that was acted on. */
static void
test_a_401_to_a_fresh_token_is_acted_on_when_it_is_older(void **state)
{
	struct harness *h = *state;
	struct account *account = log_in(h);
	struct caller caller = { .answers = 0 };

	harness_expect(h, MESSAGE(token_refresh, .platform = "kick", .username = "Bob"),
	    MSG_account);
	assert_int_equal(h->stub.request_count, 1);
	(void)token_rejected(
	    &h->broker, account, account->row.generation, on_token, &caller);
	wait_for(h, &caller, 1);
	assert_int_equal(caller.error, ERR_refresh_failed);
	assert_int_equal(h->stub.request_count, 1);
	account->plan.refreshed -= REFRESH_FLOOR_MS;
	answer_token(h, "200 OK",
	    "{\"access_token\":\"A3\",\"refresh_token\":\"R3\",\"expires_in\":7200}");
	caller = (struct caller){ .answers = 0 };
	(void)token_rejected(
	    &h->broker, account, account->row.generation, on_token, &caller);
	wait_for(h, &caller, 1);
	assert_int_equal(caller.error, ERR_none);
	assert_string_equal(caller.access, "A3");
	assert_int_equal(h->stub.request_count, 2);
}

static void
put_credentials(struct harness *h)
{
	harness_expect(h,
	    MESSAGE(credentials_put, .platform = "kick", .client_id = "cid",
		.client_secret = secret_of("secret")),
	    MSG_credentials_stored);
}

/* A second login at the same platform. */
static struct account *
log_in_eve(struct harness *h)
{
	const struct proto_msg *answer;
	char login[128];

	h->routes[1].body = "{\"data\":[{\"name\":\"Eve\",\"user_id\":8}]}";
	h->routes[2].status = "404 Not Found";
	answer = harness_expect(h,
	    MESSAGE(login_start, .platform = "kick", .username = "Eve"),
	    MSG_login_started);
	strcpy(login, secret_text(&answer->login_started.state));
	harness_expect(h,
	    MESSAGE(login_finish, .platform = "kick", .state = secret_of(login),
		.code = secret_of("code")),
	    MSG_login_finished);
	stub_forget(&h->stub);
	return accounts_find(h->broker.accounts, platform_find("kick"), "eve");
}

static void
test_a_401_during_a_pause_is_acted_on_when_that_is_over(void **state)
{
	struct harness *h = *state;
	struct account *bob = log_in(h);
	struct account *eve = log_in_eve(h);
	uint64_t bobs = bob->row.generation;
	uint64_t eves = eve->row.generation;

	answer_token(h, "400 Bad Request", "{\"error\":\"invalid_client\"}");
	harness_expect_failure(h,
	    MESSAGE(token_refresh, .platform = "kick", .username = "Bob"),
	    "refresh_failed");
	assert_non_null(refresh_pause(&h->broker, bob->platform));
	h->routes[3] = (struct route){ "/introspect", "401 Unauthorized", "" };
	harness_expect(h, MESSAGE(account_check, .platform = "kick", .username = "Eve"),
	    MSG_account_checked);
	assert_int_equal(eve->verdict, CHECK_refused);
	assert_int_equal(h->stub.request_count, 2);
	answer_token(h, "200 OK",
	    "{\"access_token\":\"A3\",\"refresh_token\":\"R3\",\"expires_in\":7200}");
	put_credentials(h);
	while (bob->row.generation == bobs || eve->row.generation == eves)
		harness_turn(h);
	assert_int_equal(h->stub.request_count, 4);
	assert_int_equal(eve->verdict, CHECK_never);
}

static void
turn_for(struct harness *h, int64_t ms)
{
	const struct timeval tick = { .tv_usec = 10000 };
	int64_t end = time_boot_ms() + ms;

	while (time_boot_ms() < end) {
		event_base_loopexit(h->broker.base, &tick);
		event_base_dispatch(h->broker.base);
	}
}

/* The schedule's floor. */
static void
test_tokens_of_five_seconds_cause_one_refresh_a_minute(void **state)
{
	struct harness *h = *state;
	struct account *account = log_in(h);
	unsigned i;

	answer_token(h, "200 OK",
	    "{\"access_token\":\"A2\",\"refresh_token\":\"R2\",\"expires_in\":5}");
	harness_expect(h, MESSAGE(token_refresh, .platform = "kick", .username = "Bob"),
	    MSG_account);
	for (i = 1; i <= 3; i++) {
		/* Its life is over. */
		account->plan.due = time_boot_ms() - 1;
		refresh_schedule(&h->broker);
		turn_for(h, 150);
		assert_int_equal(h->stub.request_count, i);
		assert_int_equal(
		    account->plan.due, account->plan.refreshed + REFRESH_FLOOR_MS);
		/* A minute is over. */
		account->plan.refreshed -= REFRESH_FLOOR_MS;
		account->plan.due -= REFRESH_FLOOR_MS;
		refresh_schedule(&h->broker);
		while (h->stub.request_count == i || !account->plan.due)
			harness_turn(h);
	}
}

static void
test_a_lost_login_gives_nothing(void **state)
{
	struct harness *h = *state;
	struct account *account = log_in(h);
	struct caller caller = { .answers = 0 };

	answer_token(h, "401 Unauthorized", "{\"error\":\"invalid_grant\"}");
	age(account, -1);
	(void)token_use(&h->broker, account, 0, on_token, &caller);
	wait_for(h, &caller, 1);
	assert_int_equal(caller.error, ERR_login_needed);
	assert_int_equal(h->stub.request_count, 2);
	assert_string_equal(account->row.status, STORE_ACCOUNT_LOST);
	assert_int_equal(h->broker.accounts->lost_count, 1);
	/* Also when the token that went would have lived on. */
	age(account, 3600000);
	caller = (struct caller){ .answers = 0 };
	(void)token_use(&h->broker, account, 0, on_token, &caller);
	wait_for(h, &caller, 1);
	assert_int_equal(caller.error, ERR_login_needed);
	assert_int_equal(h->stub.request_count, 2);
}

/* As if the last refresh had been a while ago. */
static void
let_pass(struct account *account, int64_t ms)
{
	account->plan.doubted -= ms;
	account->plan.ended -= ms;
	account->plan.due = time_boot_ms() + 100000;
}

static void
refresh_refused(struct harness *h)
{
	harness_expect_failure(h,
	    MESSAGE(token_refresh, .platform = "kick", .username = "Bob"),
	    "refresh_failed");
}

/* facts/kick.md 1.5, rule (e). */
static void
test_refusals_without_a_word_count_when_they_are_spaced(void **state)
{
	struct harness *h = *state;
	struct account *account = log_in(h);
	unsigned i;

	answer_token(h, "401 Unauthorized", "");
	/* Somebody asks again and again, whom an outage must not cost the login. */
	for (i = 0; i < 3 * REFRESH_DOUBTS_MAX; i++) {
		refresh_refused(h);
		let_pass(account, REFRESH_SHARED_MS);
	}
	assert_int_equal(h->stub.request_count, 3 * REFRESH_DOUBTS_MAX);
	assert_int_equal(account->plan.doubts, 1);
	for (i = 2; i < REFRESH_DOUBTS_MAX; i++) {
		let_pass(account, REFRESH_DOUBT_SPACING_MS);
		refresh_refused(h);
		assert_int_equal(account->plan.doubts, i);
	}
	/* Any other answer begins the row anew. */
	answer_token(h, "503 Service Unavailable", "");
	let_pass(account, REFRESH_DOUBT_SPACING_MS);
	refresh_refused(h);
	assert_int_equal(account->plan.doubts, 0);
	answer_token(h, "401 Unauthorized", "");
	for (i = 1; i < REFRESH_DOUBTS_MAX; i++) {
		let_pass(account, REFRESH_DOUBT_SPACING_MS);
		refresh_refused(h);
	}
	assert_string_equal(account->row.status, STORE_ACCOUNT_OK);
	let_pass(account, REFRESH_DOUBT_SPACING_MS);
	harness_expect(h, MESSAGE(token_refresh, .platform = "kick", .username = "Bob"),
	    MSG_account);
	assert_string_equal(account->row.status, STORE_ACCOUNT_LOST);
}

/* In a mount namespace of its own, which the database's thread shares and which ends
 * with this process. */
static bool apart;

static int
setup_apart(void **state)
{
	apart = unshare(CLONE_NEWNS) == 0;
	return harness_setup(state);
}

/* reliability.md E2. */
static void
test_nothing_is_refreshed_where_new_tokens_might_not_fit(void **state)
{
	struct harness *h = *state;
	struct account *account = log_in(h);
	char *database = h->broker.paths.database;
	char folder[128];

	snprintf(folder, sizeof(folder), "%s/small", h->folder);
	assert_int_equal(mkdir(folder, 0700), 0);
	if (!apart || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", folder, "tmpfs", 0, "size=4m") < 0)
		skip();
	h->broker.paths.database = xstrdup(folder);
	assert_non_null(
	    strstr(harness_expect_failure(h,
		       MESSAGE(token_refresh, .platform = "kick", .username = "Bob"),
		       "storage_failed"),
		"8 MiB"));
	assert_int_equal(h->stub.request_count, 0);
	free(h->broker.paths.database);
	h->broker.paths.database = database;
	assert_int_equal(umount(folder), 0);
	assert_true(account->plan.due > time_boot_ms());
}

#define CASE(name) \
	cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_a_token_that_lives_long_enough_is_given_at_once),
		CASE(test_fifty_callers_at_expiry_share_one_request),
		CASE(
		    test_fifty_callers_at_each_of_a_hundred_expiries_share_one_request),
		CASE(test_the_old_token_is_served_until_it_expires),
		CASE(test_a_refused_token_is_refreshed_once),
		CASE(test_never_twice_for_the_same_token),
		CASE(test_a_401_to_a_fresh_token_is_acted_on_when_it_is_older),
		CASE(test_a_401_during_a_pause_is_acted_on_when_that_is_over),
		CASE(test_tokens_of_five_seconds_cause_one_refresh_a_minute),
		CASE(test_a_lost_login_gives_nothing),
		CASE(test_refusals_without_a_word_count_when_they_are_spaced),
		cmocka_unit_test_setup_teardown(
		    test_nothing_is_refreshed_where_new_tokens_might_not_fit,
		    setup_apart, harness_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
