/*
 * Bodies: every documented one (facts/kick.md 3.5), each of its members taken away,
 * emptied and turned into something else, and what is no JSON. Nothing fails.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "broker/events/json_scan.h"
#include "broker/events/kick_event.h"
#include "common/alloc.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* The common user, its short form, a chatter and one who gave no name. */
#define U \
	"{\"is_anonymous\":false,\"user_id\":123456789,\"username\":\"Name\"," \
	"\"is_verified\":true,\"profile_picture\":\"https://files.kick.com/p.webp\"," \
	"\"channel_slug\":\"name\",\"identity\":null}"
#define V \
	"{\"user_id\":123456789,\"username\":\"Name\",\"is_verified\":true," \
	"\"profile_picture\":null,\"channel_slug\":\"name\"}"
#define CHATTER \
	"{\"is_anonymous\":false,\"user_id\":987,\"username\":\"Chatter\"," \
	"\"is_verified\":null,\"profile_picture\":\"\",\"channel_slug\":\"chatter\"," \
	"\"identity\":{\"username_color\":\"#FF5733\",\"badges\":[{\"text\":" \
	"\"Moderator\",\"type\":\"moderator\"},{\"text\":\"Subscriber\",\"type\":" \
	"\"subscriber\",\"count\":3}]}}"
#define ANONYMOUS \
	"{\"is_anonymous\":true,\"user_id\":null,\"username\":null,\"is_verified\":" \
	"null,\"profile_picture\":null,\"channel_slug\":null,\"identity\":null}"

static const struct {
	const char *type;
	const char *body;
} documented[] = {
	{ "chat.message.sent",
	    "{\"message_id\":\"6efb5bd0-7c2f-4f2f-9f9f-000000000001\",\"replies_to\":{"
	    "\"message_id\":\"6efb5bd0-7c2f-4f2f-9f9f-000000000000\",\"content\":"
	    "\"parent text\",\"sender\":" U "},\"broadcaster\":" U
	    ",\"sender\":" CHATTER
	    ",\"content\":\"Hello [emote:4148074:HYPERCLAP]\",\"emotes\":[{"
	    "\"emote_id\":\"4148074\",\"positions\":[{\"s\":6,\"e\":30}]}],"
	    "\"created_at\":\"2025-01-14T16:08:06Z\"}" },
	{ "chat.message.sent",
	    "{\"message_id\":\"6efb5bd0-7c2f-4f2f-9f9f-000000000001\","
	    "\"broadcaster\":" U ",\"sender\":" U
	    ",\"content\":\"Hello\",\"emotes\":null}" },
	{ "channel.followed", "{\"broadcaster\":" U ",\"follower\":" U "}" },
	{ "channel.subscription.new",
	    "{\"broadcaster\":" U ",\"subscriber\":" U ",\"duration\":1,\"created_at\":"
	    "\"2025-01-14T16:08:06Z\",\"expires_at\":\"2025-02-14T16:08:06Z\"}" },
	{ "channel.subscription.renewal",
	    "{\"broadcaster\":" U ",\"subscriber\":" U ",\"duration\":3,\"created_at\":"
	    "\"2025-01-14T16:08:06Z\",\"expires_at\":\"2025-02-14T16:08:06Z\"}" },
	{ "channel.subscription.gifts",
	    "{\"broadcaster\":" U ",\"gifter\":" U ",\"giftees\":[" U "," U
	    "],\"created_at\":\"2026-02-20T15:03:20.191347293Z\",\"expires_at\":"
	    "\"2026-03-20T15:03:20.191347293Z\"}" },
	{ "channel.subscription.gifts",
	    "{\"broadcaster\":" U ",\"gifter\":" ANONYMOUS ",\"giftees\":[" U
	    "],\"created_at\":\"2025-01-14T16:08:06Z\",\"expires_at\":"
	    "\"2025-02-14T16:08:06Z\"}" },
	{ "channel.reward.redemption.updated",
	    "{\"id\":\"01KBHE78QE4HZY1617DK5FC7YD\",\"user_input\":\"text\",\"status\":"
	    "\"pending\",\"redeemed_at\":\"2025-12-02T22:54:19.323Z\",\"reward\":{"
	    "\"id\":"
	    "\"01KBHE7RZNHB0SKDV1H86CD4F3\",\"title\":\"Hydrate\",\"cost\":1000,"
	    "\"description\":\"drink\"},\"redeemer\":" V ",\"broadcaster\":" V "}" },
	{ "livestream.status.updated",
	    "{\"broadcaster\":" U ",\"is_live\":true,\"title\":\"t\",\"started_at\":"
	    "\"2025-01-01T11:00:00+11:00\",\"ended_at\":null}" },
	{ "livestream.status.updated",
	    "{\"broadcaster\":" U ",\"is_live\":false,\"title\":\"t\",\"started_at\":"
	    "\"2025-01-01T11:00:00+11:00\",\"ended_at\":\"2025-01-01T15:00:00+11:"
	    "00\"}" },
	{ "livestream.metadata.updated",
	    "{\"broadcaster\":" U ",\"metadata\":{\"title\":\"t\",\"language\":\"en\","
	    "\"has_mature_content\":true,\"category\":{\"id\":123,\"name\":\"n\","
	    "\"thumbnail\":\"http://x\"}}}" },
	{ "livestream.metadata.updated",
	    "{\"broadcaster\":" U ",\"metadata\":{\"title\":\"t\",\"language\":\"en\","
	    "\"has_mature_content\":true,\"Category\":{\"id\":123,\"name\":\"n\","
	    "\"thumbnail\":\"http://x\"}}}" },
	{ "moderation.banned",
	    "{\"broadcaster\":" U ",\"moderator\":" U ",\"banned_user\":" U
	    ",\"metadata\":{\"reason\":\"spam\",\"created_at\":\"2025-01-14T16:08:"
	    "06Z\","
	    "\"expires_at\":null}}" },
	{ "kicks.gifted",
	    "{\"broadcaster\":" V ",\"sender\":" V ",\"gift\":{\"amount\":500,\"name\":"
	    "\"Rage Quit\",\"type\":\"LEVEL_UP\",\"tier\":\"MID\",\"message\":\"w\","
	    "\"pinned_time_seconds\":600},\"created_at\":\"2025-10-20T04:00:08."
	    "634Z\"}" },
};

/* Reads from memory of exactly that size, so that reading on is seen. */
static struct kick_event
look(const char *type, const char *body, size_t length)
{
	uint8_t *copy = xmemdup(body, length);
	struct kick_event event;

	memset(&event, 0x5a, sizeof(event));
	kick_event_read(type, 1, copy, length, &event);
	assert_non_null(memchr(event.broadcaster_id, 0, sizeof(event.broadcaster_id)));
	assert_non_null(
	    memchr(event.broadcaster_name, 0, sizeof(event.broadcaster_name)));
	assert_non_null(
	    memchr(event.broadcaster_slug, 0, sizeof(event.broadcaster_slug)));
	free(copy);
	return event;
}

static struct kick_event
look_text(const char *body)
{
	return look("channel.followed", body, strlen(body));
}

static void
expect_nothing(const struct kick_event *event)
{
	assert_string_equal(event->broadcaster_id, "");
	assert_string_equal(event->broadcaster_name, "");
	assert_string_equal(event->broadcaster_slug, "");
}

static void
documented_types_are_known_in_their_version(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(documented); i++) {
		assert_non_null(kick_event_kind(documented[i].type, 1));
		assert_null(kick_event_kind(documented[i].type, 0));
		assert_null(kick_event_kind(documented[i].type, 2));
		assert_null(kick_event_kind(documented[i].type, UINT32_MAX));
	}
}

static void
other_types_are_not_known(void **state)
{
	static const char *const types[] = { "", "chat", "chat.message.sent ",
		"Chat.Message.Sent", "chat.message.sent\n", "channel.subscribed",
		"channel.subscription.gifted", "channel.subscription.created",
		"chat.message.created", "channel.updated", "stream.online" };
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(types); i++)
		assert_null(kick_event_kind(types[i], 1));
}

static void
documented_bodies_say_whose_channel_it_is(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(documented); i++) {
		const struct kick_event event = look(
		    documented[i].type, documented[i].body, strlen(documented[i].body));

		assert_true(event.json);
		assert_true(event.known);
		assert_string_equal(event.broadcaster_id, "123456789");
		assert_string_equal(event.broadcaster_name, "Name");
		assert_string_equal(event.broadcaster_slug, "name");
	}
}

/* The text of a value with what is in it; then the value is put back. */
static unsigned
check_changed(json_t *root, const char *type)
{
	char *text = json_dumps(root, JSON_COMPACT);
	const struct kick_event event = look(type, text, strlen(text));

	assert_true(event.json);
	assert_true(event.known);
	free(text);
	return 1;
}

/* Each member of an object, at any depth, absent and of every other type. */
static unsigned
change_members(json_t *root, json_t *here, const char *type)
{
	static const char *const others[] = { "null", "true", "0", "-1", "1.5",
		"9223372036854775807", "\"\"", "\"text\"", "[]", "[null]", "{}",
		"{\"user_id\":5}" };
	json_t *copy = json_copy(here);
	unsigned count = 0;
	const char *name;
	json_t *value;
	size_t i;

	json_object_foreach(copy, name, value)
	{
		if (json_is_object(value))
			count += change_members(root, value, type);
		if (json_is_array(value) && json_is_object(json_array_get(value, 0)))
			count += change_members(root, json_array_get(value, 0), type);
		json_object_del(here, name);
		count += check_changed(root, type);
		for (i = 0; i < COUNT(others); i++) {
			json_object_set_new(
			    here, name, json_loads(others[i], JSON_DECODE_ANY, NULL));
			count += check_changed(root, type);
		}
		json_object_set(here, name, value);
	}
	json_decref(copy);
	return count;
}

static void
changed_members_never_fail(void **state)
{
	unsigned count = 0;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(documented); i++) {
		json_t *root = json_loads(documented[i].body, 0, NULL);

		assert_non_null(root);
		count += change_members(root, root, documented[i].type);
		json_decref(root);
	}
	assert_true(count > 2000);
}

static void
a_cut_body_is_no_json(void **state)
{
	const char *body = documented[0].body;
	size_t length;

	(void)state;
	for (length = 0; length < strlen(body); length++) {
		const struct kick_event event = look("chat.message.sent", body, length);

		assert_false(event.json);
		assert_true(event.known);
		expect_nothing(&event);
	}
}

static void
what_is_json_and_what_is_not(void **state)
{
	static const struct {
		const char *body;
		size_t length;
		bool json;
	} cases[] = {
#define CASE(body, json) { body, sizeof(body) - 1, json }
		CASE("{}", true),
		CASE("[]", true),
		CASE("null", true),
		CASE("17", true),
		CASE("\"text\"", true),
		CASE(" \t\r\n{} \n", true),
		CASE("{\"a\":1,\"a\":2}", true),
		CASE("{\"a\":\"\\u0000\"}", true),
		CASE("{\"a\":\"\\ud83c\\udfae\"}", true),
		CASE("{\"a\":\"\xf0\x9f\x8e\xae\"}", true),
		CASE("{\"a\":9223372036854775807}", true),
		CASE("{\"a\":9223372036854775808}", true),
		CASE("{\"a\":-9223372036854775809}", true),
		CASE("{\"a\":123456789012345678901234567890}", true),
		CASE("{\"a\":1e308}", true),
		CASE("{\"a\":1e400}", true),
		CASE("{\"a\":\"\\ud83c\"}", false),
		CASE("{\"a\":\"\\udfae\\ud83c\"}", false),
		CASE("{\"\\u0000\":1}", true),
		CASE("{\"a\":-0.0}", true),
		CASE("", false),
		CASE(" ", false),
		CASE("{", false),
		CASE("{}{}", false),
		CASE("{}x", false),
		CASE("{},", false),
		CASE("{}\0", false),
		CASE("\0", false),
		CASE("{\"a\":1,}", false),
		CASE("{'a':1}", false),
		CASE("{a:1}", false),
		CASE("{\"a\":01}", false),
		CASE("{\"a\":+1}", false),
		CASE("{\"a\":.5}", false),
		CASE("{\"a\":1.}", false),
		CASE("{\"a\":0x1}", false),
		CASE("{\"a\":NaN}", false),
		CASE("{\"a\":Infinity}", false),
		CASE("{\"a\":True}", false),
		CASE("{\"a\":\"\n\"}", false),
		CASE("{\"a\":\"\\x41\"}", false),
		CASE("{\"a\":\"\0\"}", false),
		CASE("// comment\n{}", false),
		CASE("\xef\xbb\xbf{}", false),
		CASE("{\"a\":\"\xff\"}", false),
		CASE("{\"a\":\"\xc0\x80\"}", false),
		CASE("{\"a\":\"\xed\xa0\x80\"}", false),
		CASE("{\"a\":\"\xf4\x90\x80\x80\"}", false),
		CASE("{\"a\":\"\xe2\x82\"}", false),
		CASE("{\"\xff\":1}", false),
#undef CASE
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		const struct kick_event event =
		    look("channel.followed", cases[i].body, cases[i].length);

		if (event.json != cases[i].json)
			fail_msg("case %zu: '%s'", i, cases[i].body);
		expect_nothing(&event);
	}
}

/* Whether an array with a text of x, which has `part` at one place, is JSON. */
static bool
is_string_with(const char *part, size_t part_length, size_t length, size_t place)
{
	size_t size = length + part_length + 4;
	uint8_t *body = xmalloc(size); /* so that a byte too many would be noticed */
	struct json_found found = { .count = 0 };
	bool json;

	memset(body, 'x', size);
	memcpy(body, "[\"", 2);
	memcpy(body + 2 + place, part, part_length);
	memcpy(body + size - 2, "\"]", 2);
	json = json_scan(body, size, NULL, &found);
	free(body);
	return json;
}

/* Texts are looked at by eight bytes at once, so all lengths and places around that. */
static void
each_byte_at_each_place_of_a_string(void **state)
{
	size_t length;
	size_t place;
	int byte;

	(void)state;
	for (length = 0; length < 27; length++)
		for (place = 0; place <= length; place++) {
			for (byte = 0; byte < 256; byte++) {
				const char one = (char)byte;
				bool plain = byte >= 0x20 && byte < 0x80 &&
				    byte != '"' && byte != '\\';

				assert_int_equal(
				    is_string_with(&one, 1, length, place), plain);
			}
			assert_true(is_string_with("\\n", 2, length, place));
			assert_true(is_string_with("\xc3\xa9", 2, length, place));
			assert_false(is_string_with("\xc3\"", 2, length, place));
		}
}

static void
a_number_beyond_64_bits_elsewhere_does_not_hide_the_channel(void **state)
{
	const struct kick_event event =
	    look_text("{\"n\":123456789012345678901234567890,\"broadcaster\":" U "}");

	(void)state;
	assert_true(event.json);
	assert_string_equal(event.broadcaster_id, "123456789");
	assert_string_equal(event.broadcaster_name, "Name");
}

static void
a_user_id_is_a_whole_positive_number(void **state)
{
	static const char *const cases[][2] = { { "1", "1" },
		{ "9223372036854775807", "9223372036854775807" }, { "0", "" },
		{ "-5", "" }, { "1.5", "" }, { "1e3", "" }, { "\"123\"", "" },
		{ "null", "" }, { "true", "" }, { "[1]", "" },
		{ "{\"user_id\":1}", "" },
		{ "9223372036854775808", "9223372036854775808" },
		{ "18446744073709551615", "18446744073709551615" },
		{ "18446744073709551616", "" },
		{ "123456789012345678901234567890", "" } };
	char body[200];
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		struct kick_event event;

		snprintf(body, sizeof(body), "{\"broadcaster\":{\"user_id\":%s}}",
		    cases[i][0]);
		event = look_text(body);
		assert_true(event.json);
		if (strcmp(event.broadcaster_id, cases[i][1]) != 0)
			fail_msg("'%s' gave '%s'", cases[i][0], event.broadcaster_id);
	}
}

static void
a_name_with_a_nul_is_absent(void **state)
{
	const struct kick_event event =
	    look_text("{\"broadcaster\":{\"user_id\":7,\"username\":\"ours\\u0000not\","
		      "\"channel_slug\":\"\\u0000\"}}");

	(void)state;
	assert_true(event.json);
	assert_string_equal(event.broadcaster_id, "7");
	assert_string_equal(event.broadcaster_name, "");
	assert_string_equal(event.broadcaster_slug, "");
}

static void
a_name_that_does_not_fit_is_absent(void **state)
{
	char name[KICK_NAME_SIZE + 1];
	char body[2 * KICK_NAME_SIZE];
	struct kick_event event;

	(void)state;
	memset(name, 'n', sizeof(name));
	name[KICK_NAME_SIZE - 1] = '\0';
	snprintf(body, sizeof(body), "{\"broadcaster\":{\"username\":\"%s\"}}", name);
	event = look_text(body);
	assert_string_equal(event.broadcaster_name, name);
	name[KICK_NAME_SIZE - 1] = 'n';
	name[KICK_NAME_SIZE] = '\0';
	snprintf(body, sizeof(body), "{\"broadcaster\":{\"username\":\"%s\"}}", name);
	event = look_text(body);
	assert_true(event.json);
	assert_string_equal(event.broadcaster_name, "");
}

static void
of_two_broadcasters_the_last_counts(void **state)
{
	const struct kick_event event =
	    look_text("{\"broadcaster\":{\"user_id\":1,\"username\":\"a\"},"
		      "\"broadcaster\":{\"user_id\":2}}");

	(void)state;
	assert_true(event.json);
	assert_string_equal(event.broadcaster_id, "2");
	assert_string_equal(event.broadcaster_name, "");
}

static void
deep_nesting_is_no_json_and_does_no_harm(void **state)
{
	static const char *const openings[] = { "[", "{\"a\":" };
	size_t depth = 100000;
	size_t i;
	size_t j;

	(void)state;
	for (i = 0; i < COUNT(openings); i++) {
		size_t step = strlen(openings[i]);
		char *body = xmalloc(depth * step);
		struct kick_event event;

		for (j = 0; j < depth; j++)
			memcpy(body + j * step, openings[i], step);
		event = look("channel.followed", body, depth * step);
		assert_false(event.json);
		expect_nothing(&event);
		free(body);
	}
}

static void
nesting_is_json_up_to_its_limit(void **state)
{
	char body[2 * JSON_SCAN_DEPTH_MAX + 2];
	size_t depth;

	(void)state;
	for (depth = 1; depth <= JSON_SCAN_DEPTH_MAX + 1; depth++) {
		memset(body, '[', depth);
		memset(body + depth, ']', depth);
		assert_int_equal(look("channel.followed", body, 2 * depth).json,
		    depth <= JSON_SCAN_DEPTH_MAX);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(documented_types_are_known_in_their_version),
		cmocka_unit_test(other_types_are_not_known),
		cmocka_unit_test(documented_bodies_say_whose_channel_it_is),
		cmocka_unit_test(changed_members_never_fail),
		cmocka_unit_test(a_cut_body_is_no_json),
		cmocka_unit_test(what_is_json_and_what_is_not),
		cmocka_unit_test(each_byte_at_each_place_of_a_string),
		cmocka_unit_test(
		    a_number_beyond_64_bits_elsewhere_does_not_hide_the_channel),
		cmocka_unit_test(a_user_id_is_a_whole_positive_number),
		cmocka_unit_test(a_name_with_a_nul_is_absent),
		cmocka_unit_test(a_name_that_does_not_fit_is_absent),
		cmocka_unit_test(of_two_broadcasters_the_last_counts),
		cmocka_unit_test(deep_nesting_is_no_json_and_does_no_harm),
		cmocka_unit_test(nesting_is_json_up_to_its_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
