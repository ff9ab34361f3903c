/*
 * Handing tokens out: off until allowed, recorded before the token leaves, and only to
 * the command.
 */
#include "broker/store/store_db.h"
#include "broker/store/store_handout.h"
#include "tests/flow/broker_harness.h"

static const struct route routes[ROUTES_MAX] = {
	{ "/token", "200 OK",
	    "{\"access_token\":\"CANARY-A\",\"refresh_token\":\"CANARY-R\","
	    "\"expires_in\":7200}" },
	{ "/api/users", "200 OK", "{\"data\":[{\"name\":\"Bob\",\"user_id\":7}]}" },
	{ "/api/channels", "200 OK",
	    "{\"data\":[{\"broadcaster_user_id\":7,\"slug\":\"bob\"}]}" },
	{ "/revoke", "200 OK", "OK" },
};

static void
log_in(struct harness *h)
{
	const struct proto_msg *answer;
	char login[128];

	memcpy(h->routes, routes, sizeof(h->routes));
	harness_expect(h,
	    MESSAGE(credentials_put, .platform = "kick", .client_id = "cid",
		.client_secret = secret_of("s")),
	    MSG_credentials_stored);
	answer = harness_expect(h,
	    MESSAGE(login_start, .platform = "kick", .username = "Bob"),
	    MSG_login_started);
	strcpy(login, secret_text(&answer->login_started.state));
	harness_expect(h,
	    MESSAGE(login_finish, .platform = "kick", .state = secret_of(login),
		.code = secret_of("code")),
	    MSG_login_finished);
	h->client.uid = 4321;
	h->client.pid = 98765;
}

static const struct proto_msg *
get(uint32_t min_ttl)
{
	static struct proto_msg message;

	message = (struct proto_msg){ .type = MSG_token_get,
		.token_get = {
		    .platform = "kick", .username = "BOB", .min_ttl = min_ttl } };
	return &message;
}

static void
allow(struct harness *h, bool allowed)
{
	const struct proto_msg *answer = harness_expect(h,
	    MESSAGE(
		token_allow, .platform = "kick", .username = "bob", .allowed = allowed),
	    MSG_token_allowed);

	assert_string_equal(answer->token_allowed.username, "Bob");
	assert_int_equal(answer->token_allowed.allowed, allowed);
}

/* The newest row, and how many there are up to 10. */
static const struct proto_audit *
newest(struct harness *h, size_t *ret_count)
{
	harness_ask(h, MESSAGE(audit_list, .limit = 10));
	assert_int_equal(h->rows[h->row_count - 1].type, MSG_list_end);
	*ret_count = h->row_count - 1;
	return *ret_count ? &h->rows[h->row_count - 2].audit : NULL;
}

static void
assert_newest(struct harness *h, size_t count, const char *what, const char *outcome)
{
	size_t found;
	const struct proto_audit *row = newest(h, &found);

	assert_int_equal(found, count);
	assert_string_equal(row->what, what);
	assert_string_equal(row->outcome, outcome);
	assert_string_equal(row->platform, "kick");
	assert_string_equal(row->username, "Bob");
	assert_int_equal(row->uid, 4321);
	assert_int_equal(row->pid, 98765);
	assert_in_range(
	    row->at, (uint64_t)time_now_ms() - 60000, (uint64_t)time_now_ms());
}

static void
test_off_until_allowed_and_again_after_deny(void **state)
{
	struct harness *h = *state;
	const struct proto_msg *answer;

	log_in(h);
	harness_expect_failure(h, get(300), "handout_off");
	assert_newest(h, 1, "token get", "handout_off");
	allow(h, true);
	assert_newest(h, 2, "token allow", "done");
	answer = harness_expect(h, get(300), MSG_token_given);
	assert_string_equal(secret_text(&answer->token_given.access_token), "CANARY-A");
	assert_string_equal(answer->token_given.username, "Bob");
	assert_in_range(answer->token_given.expires_at,
	    (uint64_t)time_now_ms() + 7100 * 1000,
	    (uint64_t)time_now_ms() + 7200 * 1000);
	assert_newest(h, 3, "token get", "done");
	allow(h, false);
	harness_expect_failure(h, get(300), "handout_off");
	assert_newest(h, 5, "token get", "handout_off");
}

static void
test_permission_is_stored_and_ends_with_the_account(void **state)
{
	struct harness *h = *state;
	struct proto_msg message = *get(0);

	log_in(h);
	allow(h, true);
	harness_stop(h);
	harness_start(h);
	message.token_get.command = true;
	harness_expect(h, &message, MSG_token_given);
	h->client.uid = 4321;
	h->client.pid = 98765;
	harness_expect(h, &message, MSG_token_given);
	assert_newest(h, 3, "exec", "done");
	harness_expect(h,
	    MESSAGE(account_delete, .platform = "kick", .username = "bob"),
	    MSG_account_deleted);
	harness_expect_failure(h, get(0), "no_token");
	log_in(h);
	harness_expect_failure(h, get(0), "handout_off");
}

static void
test_what_cannot_be_given(void **state)
{
	struct harness *h = *state;
	struct account *account;

	log_in(h);
	allow(h, true);
	account =
	    accounts_find(h->broker.accounts, platform_at(CONFIG_PLATFORM_KICK), "bob");
	harness_expect_failure(
	    h, MESSAGE(token_get, .platform = "kick", .username = "carol"), "no_token");
	harness_expect_failure(h,
	    MESSAGE(token_allow, .platform = "kick", .username = "carol"), "no_token");
	harness_expect_failure(h,
	    MESSAGE(token_get, .platform = "nonsense", .username = "bob"),
	    "invalid_platform");
	assert_non_null(
	    strstr(harness_expect_failure(h, get(7201), "login_needed"), "7201 s"));
	assert_newest(h, 2, "token get", "login_needed");
	h->routes[0].status = "503 Service Unavailable";
	account->row.expires_at = time_now_ms() - 1;
	harness_expect_failure(h, get(0), "refresh_failed");
	assert_newest(h, 3, "token get", "refresh_failed");
	free(account->row.status);
	account->row.status = xstrdup(STORE_ACCOUNT_LOST);
	harness_expect_failure(h, get(0), "login_needed");
	assert_newest(h, 4, "token get", "login_needed");
}

static int
drop_audit(struct store_job *job, struct db *db)
{
	sqlite3_stmt *statement = db_statement(db, "DROP TABLE audit");

	(void)job;
	assert_non_null(statement);
	return db_run(db, statement);
}

static void
free_job(struct store_job *job, int result)
{
	(void)result;
	free(job);
}

static void
test_an_old_token_is_refreshed_first(void **state)
{
	static const char fresh[] =
	    "{\"access_token\":\"CANARY-B\",\"refresh_token\":\"CANARY-S\","
	    "\"expires_in\":7200}";
	struct harness *h = *state;
	const struct proto_msg *answer;

	log_in(h);
	allow(h, true);
	h->routes[0].body = fresh;
	accounts_find(h->broker.accounts, platform_at(CONFIG_PLATFORM_KICK), "bob")
	    ->row.expires_at = time_now_ms() + 60000;
	answer = harness_expect(h, get(300), MSG_token_given);
	assert_string_equal(secret_text(&answer->token_given.access_token), "CANARY-B");
	assert_true(
	    answer->token_given.expires_at > (uint64_t)time_now_ms() + 7000 * 1000);
	assert_newest(h, 2, "token get", "done");
}

static void
test_nothing_leaves_unrecorded(void **state)
{
	struct harness *h = *state;
	struct store_job *job = xcalloc(1, sizeof(*job));

	log_in(h);
	allow(h, true);
	harness_expect(h, get(0), MSG_token_given);
	job->run = drop_audit;
	job->done = free_job;
	store_run_now(h->broker.store, job);
	harness_expect_failure(h, get(0), "storage_failed");
}

static void
test_fronts_may_ask_none_of_it(void **state)
{
	struct harness *h = *state;
	const struct proto_msg *const all[] = { get(0),
		MESSAGE(token_allow, .platform = "kick", .username = "bob"),
		MESSAGE(audit_list, .limit = 1),
		MESSAGE(device_login, .platform = "twitch", .username = "bob") };
	size_t i;

	log_in(h);
	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct proto_msg message = *all[i];

		h->client.role = CLIENT_api;
		assert_false(dispatch(&h->client, &message));
		h->client.role = CLIENT_webhook;
		assert_false(dispatch(&h->client, &message));
	}
	h->client.role = HARNESS_ROLES;
}

static int
put_many(struct store_job *job, struct db *db)
{
	char what[32];
	struct store_audit row = { .at = 1, .what = what };
	int result = 0;
	int i;

	(void)job;
	row.platform = row.username = row.outcome = what;
	for (i = 0; result == 0 && i < STORE_AUDIT_MAX + 5; i++) {
		snprintf(what, sizeof(what), "%d", i);
		result = store_audit_put(db, &row);
	}
	return result;
}

static void
count_one(void *arg, struct store_audit *row)
{
	size_t *count = arg;

	if (*count == 0)
		assert_string_equal(row->what, "5");
	++*count;
}

static int
count_all(struct store_job *job, struct db *db)
{
	size_t count = 0;

	(void)job;
	assert_int_equal(store_audit_load(db, UINT32_MAX, count_one, &count), 0);
	assert_int_equal(count, STORE_AUDIT_MAX);
	return 0;
}

static void
test_the_oldest_rows_go(void **state)
{
	struct harness *h = *state;
	store_run_fn *const runs[] = { put_many, count_all };
	size_t i;

	for (i = 0; i < 2; i++) {
		struct store_job *job = xcalloc(1, sizeof(*job));

		job->run = runs[i];
		job->done = free_job;
		store_run_now(h->broker.store, job);
	}
}

int
main(void)
{
#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_off_until_allowed_and_again_after_deny),
		TEST(test_permission_is_stored_and_ends_with_the_account),
		TEST(test_what_cannot_be_given),
		TEST(test_an_old_token_is_refreshed_first),
		TEST(test_nothing_leaves_unrecorded),
		TEST(test_fronts_may_ask_none_of_it),
		TEST(test_the_oldest_rows_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
