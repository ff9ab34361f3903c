/*
 * What Kick answers about subscriptions: every documented shape, and what must not be
 * believed. And the requests, byte for byte.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/subscriptions/kick_subs.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define ID "01M7Y7N4P3D5RJD9J3Y3NTTE49"
#define ID_64 "0123456789012345678901234567890123456789012345678901234567890123"
#define GOOD(data) "{\"data\":" data ",\"message\":\"OK\"}"
#define BAD(data) "{\"data\":" data ",\"message\":\"Bad request\"}"
#define ENTRY \
	"{\"app_id\":\"A\",\"broadcaster_user_id\":123,\"created_at\":" \
	"\"2026-01-18T10:00:00Z\",\"event\":\"channel.followed\",\"id\":\"" ID "\"," \
	"\"method\":\"webhook\",\"updated_at\":\"2026-01-18T10:00:00Z\",\"version\":" \
	"1}"

/* A name for each row that fails. */
#define expect(row, condition) \
	do { \
		if (!(condition)) \
			fail_msg("row %zu: %s", (size_t)(row), #condition); \
	} while (0)

/* ---- Verdicts ---- */

static const struct {
	unsigned status;
	const char *body;
	enum kick_subs_verdict verdict;
	const char *said;
} verdicts[] = {
	{ 200, GOOD("[]"), KICK_SUBS_good, "" },
	{ 201, GOOD("[]"), KICK_SUBS_good, "" },
	{ 204, "", KICK_SUBS_good, "" },
	{ 400, BAD("\"event subscription limit reached\""), KICK_SUBS_limit,
	    "event subscription limit reached" },
	{ 400, BAD("\"LIMIT\""), KICK_SUBS_limit, "LIMIT" },
	{ 400, BAD("\"broadcaster_user_id is required for app tokens\""),
	    KICK_SUBS_refused, "broadcaster_user_id is required for app tokens" },
	{ 400, BAD("\"Webhooks are off\""), KICK_SUBS_webhooks, "Webhooks are off" },
	{ 400, BAD("\"no permission\""), KICK_SUBS_scope, "no permission" },
	{ 400, BAD("{}"), KICK_SUBS_refused, "Bad request" },
	{ 400, BAD("\"\""), KICK_SUBS_refused, "Bad request" },
	{ 400, BAD("7"), KICK_SUBS_refused, "Bad request" },
	/* Without the envelope it was not the API that spoke. */
	{ 400, "", KICK_SUBS_away, "HTTP status 400" },
	{ 400, "<html>limit</html>", KICK_SUBS_away, "HTTP status 400" },
	{ 400, "{\"data\":\"limit\"}", KICK_SUBS_away, "limit" },
	{ 400, "{\"data\":\"limit\",\"message\":7}", KICK_SUBS_away, "limit" },
	{ 401, "{\"data\":{},\"message\":\"Unauthorized\"}", KICK_SUBS_token,
	    "Unauthorized" },
	{ 401, "{\"data\":null,\"message\":\"Unauthorized\"}", KICK_SUBS_token,
	    "Unauthorized" },
	{ 401, "", KICK_SUBS_token, "HTTP status 401" },
	{ 403, "{\"data\":{},\"message\":\"Forbidden\"}", KICK_SUBS_scope,
	    "Forbidden" },
	{ 403,
	    "{\"error\":\"Request blocked by security policy.\",\"reference\":\"0a\"}",
	    KICK_SUBS_away, "HTTP status 403" },
	{ 403, "", KICK_SUBS_away, "HTTP status 403" },
	{ 404, "{\"data\":{},\"message\":\"Not Found\"}", KICK_SUBS_refused,
	    "Not Found" },
	{ 404, "404 page not found", KICK_SUBS_away, "HTTP status 404" },
	{ 408, "{\"data\":{},\"message\":\"Timeout\"}", KICK_SUBS_away, "Timeout" },
	{ 429, "", KICK_SUBS_busy, "HTTP status 429" },
	{ 429, BAD("\"limit\""), KICK_SUBS_busy, "limit" },
	{ 500, "{\"data\":null,\"message\":\"internal server error\"}", KICK_SUBS_away,
	    "internal server error" },
	{ 500, "{\"message\":\"Internal Server Error\"}", KICK_SUBS_away,
	    "Internal Server Error" },
	{ 502, "<html>", KICK_SUBS_away, "HTTP status 502" },
	{ 302, "", KICK_SUBS_away, "HTTP status 302" },
	{ 206, GOOD("[]"), KICK_SUBS_away, "OK" },
	{ 400, BAD("\"a\\u001b[1m\\nb\\u00e9\\u007f\""), KICK_SUBS_refused,
	    "a?[1m?b???" },
};

static enum kick_subs_verdict
judge(unsigned status, const char *text, char *said)
{
	struct secret body = secret_copy(text, strlen(text));
	struct fetch_reply reply = {
		.result = FETCH_answered, .problem = "", .status = status, .body = body
	};
	enum kick_subs_verdict verdict = kick_subs_judge(&reply, said);

	secret_clear(&body);
	return verdict;
}

static void
every_status_and_envelope_has_its_verdict(void **state)
{
	char said[KICK_SUBS_SAID_SIZE];
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(verdicts); i++) {
		expect(i,
		    judge(verdicts[i].status, verdicts[i].body, said) ==
			verdicts[i].verdict);
		assert_string_equal(said, verdicts[i].said);
	}
}

static void
what_did_not_arrive_is_no_answer(void **state)
{
	struct fetch_reply reply = {
		.result = FETCH_timed_out, .problem = "it took too long", .status = 200
	};
	char said[KICK_SUBS_SAID_SIZE];

	(void)state;
	assert_int_equal(kick_subs_judge(&reply, said), KICK_SUBS_away);
	assert_string_equal(said, "it took too long");
}

static void
long_words_are_cut(void **state)
{
	char said[KICK_SUBS_SAID_SIZE];
	char body[5000];

	(void)state;
	(void)snprintf(body, sizeof(body),
	    "{\"data\":\"limit %01000d\",\"message\":\"Bad request\"}", 0);
	assert_int_equal(judge(400, body, said), KICK_SUBS_limit);
	assert_int_equal(strlen(said), KICK_SUBS_SAID_SIZE - 1);
	assert_memory_equal(said, "limit 000", 9);
}

/* ---- Lists ---- */

static const struct {
	const char *body;
	int result;
	size_t count;
	const char *user_id; /* asked for */
	const char *whose;
} lists[] = {
	{ GOOD("[]"), 0, 0, NULL, "" },
	{ GOOD("null"), 0, 0, NULL, "" },
	{ GOOD("[" ENTRY "]"), 0, 1, NULL, "123" },
	{ GOOD("[" ENTRY "," ENTRY "]"), 0, 2, "123", "" },
	{ GOOD("[" ENTRY "]"), 0, 0, "124", "" },
	{ "{\"data\":[" ENTRY "]}", 0, 1, NULL, "123" },
	{ "{\"data\":[" ENTRY "],\"message\":\"OK\",\"pagination\":{}}", 0, 1, NULL,
	    "123" },
	/* What is no list must not be taken for an empty one. */
	{ "", -EBADMSG, 0, NULL, "" },
	{ "{}", -EBADMSG, 0, NULL, "" },
	{ "[]", -EBADMSG, 0, NULL, "" },
	{ "null", -EBADMSG, 0, NULL, "" },
	{ "{\"data\":null}", -EBADMSG, 0, NULL, "" },
	{ "{\"message\":\"OK\"}", -EBADMSG, 0, NULL, "" },
	{ GOOD("{}"), -EBADMSG, 0, NULL, "" },
	{ GOOD("\"\""), -EBADMSG, 0, NULL, "" },
	{ GOOD("0"), -EBADMSG, 0, NULL, "" },
	{ GOOD("[" ENTRY ",]"), -EBADMSG, 0, NULL, "" },
	{ "{\"data\":[" ENTRY "]", -EBADMSG, 0, NULL, "" },
	{ "{\"data\":[],\"data\":[],\"message\":\"OK\"}", -EBADMSG, 0, NULL, "" },
	{ "<html></html>", -EBADMSG, 0, NULL, "" },
	/* Entries of other forms are left out. */
	{ GOOD("[null,1,\"x\",[],{}," ENTRY "]"), 0, 1, NULL, "123" },
	{ GOOD("[{\"id\":\"a\"}]"), 0, 0, NULL, "" },
	{ GOOD("[{\"event\":\"a\"}]"), 0, 0, NULL, "" },
	{ GOOD("[{\"id\":\"\",\"event\":\"a\"}]"), 0, 0, NULL, "" },
	{ GOOD("[{\"id\":1,\"event\":\"a\"}]"), 0, 0, NULL, "" },
	{ GOOD("[{\"id\":\"" ID_64 "\",\"event\":\"a\"}]"), 0, 1, NULL, "" },
	{ GOOD("[{\"id\":\"" ID_64 "4\",\"event\":\"a\"}]"), 0, 0, NULL, "" },
	{ GOOD("[{\"id\":\"a\",\"event\":\"" ID_64 "4\"}]"), 0, 0, NULL, "" },
	/* Whose it is may not be said, or in another form. */
	{ GOOD("[{\"id\":\"a\",\"event\":\"b\"}]"), 0, 1, "123", "" },
	{ GOOD("[{\"id\":\"a\",\"event\":\"b\",\"broadcaster_user_id\":\"123\"}]"), 0,
	    1, "123", "" },
	{ GOOD("[{\"id\":\"a\",\"event\":\"b\",\"broadcaster_user_id\":-1}]"), 0, 1,
	    NULL, "" },
	{ GOOD("[{\"id\":\"a\",\"event\":\"b\",\"broadcaster_user_id\":"
	       "18446744073709551616}]"),
	    -EBADMSG, 0, NULL, "" },
	{ GOOD("[{\"id\":\"a\",\"event\":\"b\",\"broadcaster_user_id\":\"x\"}]"), 0, 1,
	    NULL, "" },
};

static int
read_list(const char *text, const char *user_id, struct sub_listed **ret_listed,
    size_t *ret_count, char *ret_whose)
{
	struct secret body = secret_copy(text, strlen(text));
	int result =
	    kick_subs_read_list(&body, user_id, ret_listed, ret_count, ret_whose);

	secret_clear(&body);
	return result;
}

static void
lists_are_told_from_what_is_none(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(lists); i++) {
		char whose[KICK_SUBS_USER_SIZE] = "";
		struct sub_listed *listed = NULL;
		size_t count = 0;

		expect(i,
		    read_list(lists[i].body, lists[i].user_id, &listed, &count,
			whose) == lists[i].result);
		expect(i, count == lists[i].count);
		assert_string_equal(whose, lists[i].whose);
		free(listed);
	}
}

static void
a_listed_one_has_all_its_members(void **state)
{
	char whose[KICK_SUBS_USER_SIZE];
	struct sub_listed *listed;
	size_t count;

	(void)state;
	assert_int_equal(
	    read_list(GOOD("[" ENTRY "]"), NULL, &listed, &count, whose), 0);
	assert_string_equal(listed->id, ID);
	assert_string_equal(listed->event, "channel.followed");
	assert_int_equal(listed->version, 1);
	assert_true(listed->webhook);
	assert_int_equal(listed->created_at, 1768730400000);
	free(listed);
}

static const struct {
	const char *members;
	uint32_t version;
	bool webhook;
	int64_t created_at;
} forms[] = {
	{ "", 1, true, 0 },
	{ ",\"method\":null,\"version\":null,\"created_at\":null", 1, true, 0 },
	{ ",\"method\":\"websocket\",\"version\":2", 2, false, 0 },
	{ ",\"method\":\"WebHook\",\"version\":\"2\"", 1, true, 0 },
	{ ",\"version\":4294967297", 0, true, 0 },
	{ ",\"version\":4294967295", UINT32_MAX, true, 0 },
	{ ",\"version\":-1", 0, true, 0 },
	{ ",\"created_at\":\"1970-01-01T00:00:01.5+00:00\"", 1, true, 1500 },
	{ ",\"created_at\":\"0001-01-01T00:00:00Z\"", 1, true, 0 },
	{ ",\"created_at\":\"yesterday\"", 1, true, 0 },
	{ ",\"created_at\":7", 1, true, 0 },
};

static void
members_of_other_types_count_as_absent(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(forms); i++) {
		char whose[KICK_SUBS_USER_SIZE];
		struct sub_listed *listed;
		char body[400];
		size_t count;

		(void)snprintf(body, sizeof(body),
		    GOOD("[{\"id\":\"a\",\"event\":\"b\"%s}]"), forms[i].members);
		assert_int_equal(read_list(body, NULL, &listed, &count, whose), 0);
		assert_int_equal(count, 1);
		expect(i, listed->version == forms[i].version);
		expect(i, listed->webhook == forms[i].webhook);
		expect(i, listed->created_at == forms[i].created_at);
		free(listed);
	}
}

/* ---- Creations ---- */

#define CREATED(members) GOOD("[{\"name\":\"kicks.gifted\"" members "}]")

static const struct {
	const char *body;
	enum kick_subs_verdict verdict;
	const char *id;
	const char *said;
} creations[] = {
	{ CREATED(",\"version\":1,\"subscription_id\":\"" ID "\",\"error\":\"\""),
	    KICK_SUBS_good, ID, "" },
	{ CREATED(",\"subscription_id\":\"" ID "\""), KICK_SUBS_good, ID, "" },
	{ CREATED(",\"subscription_id\":\"" ID "\",\"error\":null"), KICK_SUBS_good, ID,
	    "" },
	{ CREATED(",\"subscription_id\":\"\",\"error\":\"webhooks are not enabled\""),
	    KICK_SUBS_webhooks, "", "webhooks are not enabled" },
	{ CREATED(",\"error\":\"limit\""), KICK_SUBS_limit, "", "limit" },
	{ CREATED(",\"error\":\"missing scope\""), KICK_SUBS_scope, "",
	    "missing scope" },
	/* Both: the error counts. */
	{ CREATED(",\"subscription_id\":\"" ID "\",\"error\":\"no\""),
	    KICK_SUBS_refused, "", "no" },
	{ CREATED(",\"subscription_id\":\"" ID "\",\"error\":true"), KICK_SUBS_refused,
	    "", "an error without a text" },
	{ CREATED(",\"subscription_id\":\"" ID "\",\"error\":{\"message\":\"no\"}"),
	    KICK_SUBS_refused, "", "an error without a text" },
	/* Neither, or no usable id: nobody knows. */
	{ CREATED(""), KICK_SUBS_away, "", "" },
	{ CREATED(",\"subscription_id\":\"\",\"error\":\"\""), KICK_SUBS_away, "", "" },
	{ CREATED(",\"subscription_id\":null"), KICK_SUBS_away, "", "" },
	{ CREATED(",\"subscription_id\":7"), KICK_SUBS_away, "", "" },
	{ CREATED(",\"subscription_id\":\"" ID_64 "4\""), KICK_SUBS_away, "", "" },
	{ CREATED(",\"id\":\"" ID "\""), KICK_SUBS_away, "", "" },
	{ GOOD("[]"), KICK_SUBS_away, "", "" },
	{ GOOD("null"), KICK_SUBS_away, "", "" },
	{ GOOD("[{\"name\":\"other\",\"subscription_id\":\"" ID "\"}]"), KICK_SUBS_away,
	    "", "" },
	{ GOOD("[{\"event\":\"kicks.gifted\",\"subscription_id\":\"" ID "\"}]"),
	    KICK_SUBS_away, "", "" },
	{ GOOD("[null,1,[]]"), KICK_SUBS_away, "", "" },
};

static int
read_created(const char *text, const char *const *events, size_t count,
    struct kick_subs_created *ret_created)
{
	struct secret body = secret_copy(text, strlen(text));
	int result = kick_subs_read_created(&body, events, count, ret_created);

	secret_clear(&body);
	return result;
}

static void
each_form_of_a_creation_has_its_verdict(void **state)
{
	static const char *const events[] = { "kicks.gifted" };
	struct kick_subs_created created;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(creations); i++) {
		expect(i, read_created(creations[i].body, events, 1, &created) == 0);
		expect(i, created.verdict == creations[i].verdict);
		assert_string_equal(created.id, creations[i].id);
		assert_string_equal(created.said, creations[i].said);
	}
}

static void
results_are_found_by_name_whatever_their_order(void **state)
{
	static const char *const events[] = { "a", "b", "c" };
	struct kick_subs_created created[COUNT(events)];

	(void)state;
	assert_int_equal(
	    read_created(GOOD("[{\"name\":\"c\",\"subscription_id\":\"3\"},"
			      "{\"name\":\"x\",\"subscription_id\":\"4\"},"
			      "{\"name\":\"a\",\"error\":\"no\"}]"),
		events, COUNT(events), created),
	    0);
	assert_int_equal(created[0].verdict, KICK_SUBS_refused);
	assert_int_equal(created[1].verdict, KICK_SUBS_away);
	assert_int_equal(created[2].verdict, KICK_SUBS_good);
	assert_string_equal(created[2].id, "3");
}

static void
what_is_no_answer_to_a_creation_is_refused(void **state)
{
	static const char *const bodies[] = { "", "OK", "[]", "{}", "{\"data\":null}",
		GOOD("{}"), GOOD("\"limit\""), "{\"data\":[" };
	static const char *const events[] = { "a" };
	struct kick_subs_created created;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(bodies); i++)
		expect(i, read_created(bodies[i], events, 1, &created) == -EBADMSG);
}

/* ---- Channels ---- */

#define CHANNEL(id, slug) "{\"broadcaster_user_id\":" id ",\"slug\":" slug "}"

static const struct {
	const char *body;
	int result;
	const char *id;
} channels[] = {
	{ GOOD("[" CHANNEL("123", "\"some-one\"") "]"), 0, "123" },
	{ GOOD("[" CHANNEL("123", "\"Some_One\"") "]"), 0, "123" },
	{ GOOD("[" CHANNEL("1", "\"some-one\"") "," CHANNEL("2", "\"some_one\"") "]"),
	    0, "2" },
	{ GOOD("[" CHANNEL("2", "\"some_one\"") "," CHANNEL("1", "\"some-one\"") "]"),
	    0, "2" },
	{ GOOD("[" CHANNEL("\"18446744073709551615\"", "\"some_one\"") "]"), 0,
	    "18446744073709551615" },
	{ GOOD("[]"), -ENOENT, "" },
	{ GOOD("null"), -ENOENT, "" },
	{ GOOD("[" CHANNEL("1", "\"someone\"") "]"), -ENOENT, "" },
	{ GOOD("[" CHANNEL("null", "\"some_one\"") "]"), -ENOENT, "" },
	{ GOOD("[" CHANNEL("-5", "\"some_one\"") "]"), -ENOENT, "" },
	{ GOOD("[" CHANNEL("1.5", "\"some_one\"") "]"), -ENOENT, "" },
	{ GOOD("[" CHANNEL("\"184467440737095516150\"", "\"some_one\"") "]"), -ENOENT,
	    "" },
	{ GOOD("[" CHANNEL("1", "null") ",7]"), -ENOENT, "" },
	{ GOOD("{}"), -EBADMSG, "" },
	{ "", -EBADMSG, "" },
	{ "{\"data\":null}", -EBADMSG, "" },
};

static void
a_channel_is_found_by_its_slug(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(channels); i++) {
		struct secret body =
		    secret_copy(channels[i].body, strlen(channels[i].body));
		char id[KICK_SUBS_USER_SIZE] = "";

		expect(i,
		    kick_subs_read_channel(&body, "Some_One", id) ==
			channels[i].result);
		assert_string_equal(id, channels[i].id);
		secret_clear(&body);
	}
}

/* ---- Requests ---- */

static void
requests_are_as_documented(void **state)
{
	static const char *const words[] = { "chat.message.sent", "channel.followed" };
	char api[] = "http://api";
	const struct config_platform config = { .api_url = api };
	struct secret token = secret_copy("T", 1);
	struct kick_subs_request request;

	(void)state;
	kick_subs_ask_list(&config, NULL, &token, &request);
	assert_string_equal(request.fetch.url, "http://api/events/subscriptions");
	assert_string_equal(request.fetch.method, "GET");
	assert_string_equal(
	    secret_text(&request.fetch.headers[0]), "Authorization: Bearer T");
	kick_subs_request_clear(&request);

	kick_subs_ask_list(&config, "123", &token, &request);
	assert_string_equal(request.fetch.url,
	    "http://api/events/subscriptions?broadcaster_user_id=123");
	kick_subs_request_clear(&request);

	kick_subs_ask_create(&config, "123", words, COUNT(words), &token, &request);
	assert_string_equal(request.fetch.method, "POST");
	assert_string_equal(request.fetch.content_type, "application/json");
	assert_string_equal(secret_text(&request.fetch.body),
	    "{\"broadcaster_user_id\":123,\"events\":[{\"name\":\"chat.message.sent\","
	    "\"version\":1},{\"name\":\"channel.followed\",\"version\":1}],"
	    "\"method\":\"webhook\"}");
	kick_subs_request_clear(&request);

	kick_subs_ask_remove(&config, words, COUNT(words), &token, &request);
	assert_string_equal(request.fetch.method, "DELETE");
	assert_string_equal(request.fetch.url,
	    "http://api/events/subscriptions?id=chat.message.sent&id=channel.followed");
	assert_int_equal(request.fetch.body.length, 0);
	kick_subs_request_clear(&request);

	kick_subs_ask_channel(&config, "Some_One", &token, &request);
	assert_string_equal(
	    request.fetch.url, "http://api/channels?slug=some-one&slug=some_one");
	kick_subs_request_clear(&request);
	secret_clear(&token);
}

static void
ids_of_the_platform_cannot_change_an_address(void **state)
{
	static const char *const ids[] = { "a&id=b#?/ \r\n\xc3\xa9" };
	char api[] = "http://api";
	const struct config_platform config = { .api_url = api };
	struct secret token = secret_copy("T", 1);
	struct kick_subs_request request;
	const char *query;

	(void)state;
	kick_subs_ask_remove(&config, ids, 1, &token, &request);
	query = strchr(request.fetch.url, '?') + 1;
	assert_memory_equal(query, "id=a", 4);
	assert_null(strpbrk(query, "&#?/ \r\n\xc3"));
	kick_subs_request_clear(&request);
	secret_clear(&token);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_status_and_envelope_has_its_verdict),
		cmocka_unit_test(what_did_not_arrive_is_no_answer),
		cmocka_unit_test(long_words_are_cut),
		cmocka_unit_test(lists_are_told_from_what_is_none),
		cmocka_unit_test(a_listed_one_has_all_its_members),
		cmocka_unit_test(members_of_other_types_count_as_absent),
		cmocka_unit_test(each_form_of_a_creation_has_its_verdict),
		cmocka_unit_test(results_are_found_by_name_whatever_their_order),
		cmocka_unit_test(what_is_no_answer_to_a_creation_is_refused),
		cmocka_unit_test(a_channel_is_found_by_its_slug),
		cmocka_unit_test(requests_are_as_documented),
		cmocka_unit_test(ids_of_the_platform_cannot_change_an_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
