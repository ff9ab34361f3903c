/*
 * What a request for events asks for, which events fit, and what Accept allows.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "broker/events/event_kind.h"
#include "common/event.h"
#include "common/event_filter.h"
#include "httpd/accept.h"
#include "httpd/event_query.h"

static struct event_query query;

/* NULL, or what is wrong. */
static const char *
read_text(const char *text)
{
	static struct url_query parameters;
	const char *problem = NULL;

	assert_int_equal(url_query_decode(text, strlen(text), &parameters), 0);
	if (event_query_read(&parameters, &query, &problem) == 0)
		assert_null(problem);
	else
		assert_non_null(problem);
	return problem;
}

static void
nothing_asks_for_everything(void **state)
{
	(void)state;
	assert_null(read_text(""));
	assert_false(query.after_given);
	assert_int_equal(query.after, 0);
	assert_int_equal(query.limit, EVENT_LIMIT_DEFAULT);
	assert_int_equal(query.include, 0);
	assert_string_equal(query.types, "");
}

static void
lists_are_joined(void **state)
{
	(void)state;
	assert_null(read_text("type=a,b&kind=chat&type=,c,&type=a&broadcaster=1&"
			      "broadcaster=N%20N&platform=kick,twitch"));
	assert_string_equal(query.types, "a,b,c");
	assert_string_equal(query.kinds, "chat");
	assert_string_equal(query.broadcasters, "1,N N");
	assert_string_equal(query.platforms, "kick,twitch");
}

static void
a_list_has_an_end(void **state)
{
	char text[2 * EVENT_LIST_SIZE] = "";
	size_t used = 0;
	unsigned i;

	(void)state;
	/* 102 words of 9 bytes with 101 commas are 1019 bytes. */
	for (i = 0; i < 102; i++)
		used += (size_t)snprintf(
		    text + used, sizeof(text) - used, "%s%09u", i ? "," : "type=", i);
	assert_null(read_text(text));
	assert_int_equal(strlen(query.types), 1019);
	snprintf(text + used, sizeof(text) - used, ",xyz");
	assert_null(read_text(text));
	assert_int_equal(strlen(query.types), EVENT_LIST_SIZE - 1);
	snprintf(text + used, sizeof(text) - used, ",wxyz");
	assert_non_null(read_text(text));
}

static void
wrong_words_are_named(void **state)
{
	(void)state;
	assert_non_null(strstr(read_text("kind=chat,chats"), "kind"));
	assert_non_null(strstr(read_text("include=foreign,all"), "include"));
	assert_non_null(strstr(read_text("platform=kic"), "platform"));
	assert_non_null(strstr(read_text("after=1x"), "after"));
	assert_non_null(strstr(read_text("limit=0"), "limit"));
	assert_non_null(strstr(read_text("limit=501"), "limit"));
	assert_null(read_text("include=foreign&include=synthetic"));
	assert_int_equal(query.include, EVENT_FOREIGN | EVENT_SYNTHETIC);
}

static int
last_id(const char *text)
{
	const char *problem = NULL;
	struct http_text value = { text, strlen(text) };
	int result = event_query_last_id(&query, value, &problem);

	assert_int_equal(result < 0, problem != NULL);
	return result;
}

static void
the_last_id_wins(void **state)
{
	(void)state;
	assert_null(read_text("after=now"));
	assert_true(query.now);
	assert_int_equal(last_id(""), 0);
	assert_true(query.now);
	assert_true(last_id("12a") < 0);
	assert_true(last_id("+1") < 0);
	assert_true(last_id("99999999999999999999") < 0);
	assert_int_equal(last_id("18446744073709551615"), 0);
	assert_true(query.after_given && !query.now);
	assert_true(query.after == UINT64_MAX);
}

/* Filters. */

static const struct event_facts chat = { .type = "chat.message.sent",
	.platform = "kick",
	.kind = "chat",
	.broadcaster_id = "7",
	.broadcaster_name = "Streamer" };

static bool
fits(const char *text, uint32_t flags)
{
	struct event_facts facts = chat;
	struct event_filter filter;

	facts.flags = flags;
	assert_null(read_text(text));
	filter = event_query_filter(&query);
	return event_filter_fits(&filter, &facts);
}

static void
every_filter_must_fit(void **state)
{
	static const struct {
		const char *text;
		bool fits;
	} rows[] = {
		{ "", true },
		{ "type=chat.message.sent", true },
		{ "type=chat.message", false },
		{ "type=chat.message.sent.", false },
		{ "type=Chat.message.sent", false },
		{ "type=x,chat.message.sent", true },
		{ "kind=chat", true },
		{ "kind=gift", false },
		{ "kind=gift,chat", true },
		{ "platform=kick", true },
		{ "platform=twitch,youtube", false },
		{ "broadcaster=7", true },
		{ "broadcaster=77", false },
		{ "broadcaster=streamer", true },
		{ "broadcaster=STREAMER", true },
		{ "broadcaster=streame", false },
		{ "broadcaster=8,Streamer", true },
		{ "type=chat.message.sent&kind=gift", false },
		{ "type=chat.message.sent&kind=chat&broadcaster=7&platform=kick",
		    true },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (fits(rows[i].text, 0) != rows[i].fits)
			fail_msg("%s", rows[i].text);
}

static void
marked_events_are_asked_for(void **state)
{
	(void)state;
	assert_true(fits("", EVENT_UNKNOWN | EVENT_LATE | EVENT_DUPLICATE | EVENT_OWN));
	assert_false(fits("", EVENT_FOREIGN));
	assert_false(fits("", EVENT_SYNTHETIC));
	assert_false(fits("", EVENT_QUARANTINED));
	assert_true(fits("include=foreign", EVENT_FOREIGN));
	assert_false(fits("include=foreign", EVENT_FOREIGN | EVENT_SYNTHETIC));
	assert_true(fits("include=foreign,synthetic", EVENT_FOREIGN | EVENT_SYNTHETIC));
}

static void
what_is_not_known_fits_no_list(void **state)
{
	const struct event_facts nothing = { .flags = 0 };
	const struct event_filter all = { .types = "", .kinds = NULL };
	const struct event_filter lists[] = { { .types = "a" }, { .platforms = "a" },
		{ .kinds = "a" }, { .broadcasters = "a" } };
	size_t i;

	(void)state;
	assert_true(event_filter_fits(&all, &nothing));
	for (i = 0; i < 4; i++)
		assert_false(event_filter_fits(&lists[i], &nothing));
}

/* Every kind that events have can be asked for. */
static void
kinds_that_are_given_are_kinds_that_are_taken(void **state)
{
	static const char *const types[] = { "chat.message.sent", "channel.followed",
		"channel.subscription.renewal", "channel.subscription.gifts",
		"channel.subscription.new", "channel.reward.redemption.updated",
		"livestream.status.updated", "livestream.metadata.updated",
		"moderation.banned", "kicks.gifted", "no.such.type",
		"account.recovered", "other.notice" };
	const char *kind;
	size_t i;

	(void)state;
	for (i = 0; i < 2 * sizeof(types) / sizeof(types[0]); i++) {
		kind = event_kind("kick", types[i / 2], 1, i % 2 ? EVENT_OWN : 0);
		assert_true(event_kind_exists(kind, strlen(kind)));
	}
	assert_false(event_kind_exists("cha", 3));
	assert_false(event_kind_exists("", 0));
}

/* Accept. */

static void
accept_is_understood(void **state)
{
	static const struct {
		const char *text;
		bool allowed;
	} rows[] = {
		{ "text/event-stream", true },
		{ " text/event-stream ", true },
		{ "text/event-stream;charset=utf-8", true },
		{ "text/event-stream ; q=0.001", true },
		{ "text/event-stream;q=0", false },
		{ "text/event-stream;q=0.000", false },
		{ "text/event-stream; x=1; q=0", false },
		{ "*/*", true },
		{ "text/*", true },
		{ "*/event-stream", false },
		{ "text/*;q=0, */*", false },
		{ "*/*;q=0, text/*", true },
		{ "text/event-stream, */*;q=0", true },
		{ "text/html,,;,\t", false },
		{ "", false },
		{ "text", false },
		{ "text/", false },
		{ "text/event-stream/x", false },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct http_text text = { rows[i].text, strlen(rows[i].text) };

		if (accept_allows(text, "text/event-stream") != rows[i].allowed)
			fail_msg("%s", rows[i].text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_asks_for_everything),
		cmocka_unit_test(lists_are_joined),
		cmocka_unit_test(a_list_has_an_end),
		cmocka_unit_test(wrong_words_are_named),
		cmocka_unit_test(the_last_id_wins),
		cmocka_unit_test(every_filter_must_fit),
		cmocka_unit_test(marked_events_are_asked_for),
		cmocka_unit_test(what_is_not_known_fits_no_list),
		cmocka_unit_test(kinds_that_are_given_are_kinds_that_are_taken),
		cmocka_unit_test(accept_is_understood),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
