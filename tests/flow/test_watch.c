/*
 * Latency by type, and the silence alarm with a clock that the test sets.
 */
#include "broker/events/hub.h"
#include "broker/events/latency.h"
#include "broker/events/silence.h"
#include "tests/flow/ingest_harness.h"

#define ALARM_MS 1200000
#define CHAT "chat.message.sent"
#define STATUS "livestream.status.updated"
#define OURS \
	"\"broadcaster\":{\"user_id\":7,\"username\":\"STREAMER\"," \
	"\"channel_slug\":\"streamer\"}"
#define CHAT_BODY \
	"{\"message_id\":\"m%u\"," OURS ",\"sender\":{\"user_id\":8},\"content\":" \
					"\"x\"}"

static unsigned number;

static const char *
deliver_as(const char *type, const char *body, int64_t age_s)
{
	struct signed_delivery delivery;
	char id[32];

	snprintf(id, sizeof(id), "id%u", ++number);
	make_delivery(&delivery, id, age_s, body, strlen(body));
	delivery.msg.delivery.type = type;
	return deliver(&delivery);
}

static const char *
deliver_chat(int64_t age_s)
{
	char body[300];

	snprintf(body, sizeof(body), CHAT_BODY, number);
	return deliver_as(CHAT, body, age_s);
}

static const char *
deliver_status(bool live, int64_t age_s)
{
	char body[300];

	snprintf(body, sizeof(body),
	    "{" OURS ",\"is_live\":%s,\"title\":\"t\",\"started_at\":null}",
	    live ? "true" : "false");
	return deliver_as(STATUS, body, age_s);
}

static void
start_parts(void)
{
	hub_start(&broker);
	latency_start(&broker);
	silence_start(&broker);
}

static int
begin_with(const char *config)
{
	number = 0;
	if (setup_with(config) < 0)
		return -1;
	start_parts();
	return 0;
}

#define WANTED(events) \
	"{\"subscriptions\":{\"kick\":[{\"username\":\"Streamer\",\"events\":[" events \
	"]}]}}"

static int
begin(void **state)
{
	(void)state;
	return begin_with(WANTED("\"channel.followed\",\"" CHAT "\""));
}

static int
begin_without_chat(void **state)
{
	(void)state;
	return begin_with(WANTED("\"channel.followed\""));
}

static int
begin_unsaid(void **state)
{
	(void)state;
	return begin_with("{}");
}

static void
stop_parts(void)
{
	latency_stop(&broker);
	silence_stop(&broker);
}

static int
end(void **state)
{
	stop_parts();
	return teardown(state);
}

/* Latency. */

static struct latency_type found;
static size_t found_count;

static void
take_type(void *arg, const struct latency_type *type)
{
	found_count++;
	if (strcmp(type->type, arg) == 0)
		found = *type;
}

static const struct latency_type *
type_of(const char *name)
{
	char copy[200];

	snprintf(copy, sizeof(copy), "%s", name);
	found = (struct latency_type){ .type = NULL };
	found_count = 0;
	latency_each(&broker, take_type, copy);
	return found.type ? &found : NULL;
}

static void
deliveries_are_timed_by_type(void **state)
{
	const struct latency_type *chat;
	unsigned i;

	(void)state;
	assert_null(type_of(CHAT));
	for (i = 0; i < 19; i++)
		assert_string_equal(deliver_chat(2), "stored");
	assert_string_equal(deliver_chat(60), "stored");
	assert_string_equal(deliver_as("channel.followed", ours, 0), "stored");
	chat = type_of(CHAT);
	assert_non_null(chat);
	assert_int_equal(chat->count, 20);
	assert_in_range(chat->last_at, time_now_ms() - 10000, time_now_ms());
	assert_int_equal(chat->ways[LATENCY_DELIVERY].count, 20);
	assert_in_range(chat->ways[LATENCY_DELIVERY].p50, 1900000, 6000000);
	assert_in_range(chat->ways[LATENCY_DELIVERY].p95, 1900000, 6000000);
	assert_in_range(chat->ways[LATENCY_DELIVERY].most, 59000000, 70000000);
	assert_int_equal(chat->total[LATENCY_DELIVERY]->count, 20);
	assert_int_equal(chat->ways[LATENCY_HANDOUT].count, 0);
	assert_int_equal(found_count, 2);
}

static void
what_nobody_gets_is_not_timed(void **state)
{
	(void)state;
	assert_string_equal(deliver_as("channel.followed", foreign, 0), "foreign");
	assert_null(type_of("channel.followed"));
}

static void
types_are_bounded(void **state)
{
	char type[32];
	unsigned i;

	(void)state;
	for (i = 0; i < LATENCY_TYPES_MAX + 10; i++) {
		snprintf(type, sizeof(type), "odd.type%u", i);
		assert_string_equal(deliver_as(type, ours, 0), "unknown");
	}
	assert_int_equal(type_of(LATENCY_OTHER)->count, 10);
	assert_int_equal(found_count, LATENCY_TYPES_MAX + 1);
}

static void
a_hand_out_counts_once_and_not_when_read_later(void **state)
{
	char type[] = CHAT;
	struct store_event event = { .seq = 5, .type = type, .received_at = 1000 };

	(void)state;
	latency_handed(&broker, &event, 1250);
	latency_handed(&broker, &event, 9000);
	event.seq = 6;
	latency_handed(&broker, &event, 1001 + LATENCY_LIVE_MS);
	event.seq = 7;
	event.flags = EVENT_FOREIGN;
	latency_handed(&broker, &event, 1500);
	assert_int_equal(type_of(CHAT)->ways[LATENCY_HANDOUT].count, 1);
	assert_int_equal(type_of(CHAT)->ways[LATENCY_HANDOUT].most, 250000);
	/* One that the first reader did not want is another's first. */
	event.flags = 0;
	event.seq = 4;
	latency_handed(&broker, &event, 1500);
	latency_handed(&broker, &event, 1600);
	assert_int_equal(type_of(CHAT)->ways[LATENCY_HANDOUT].count, 2);
	assert_int_equal(type_of(CHAT)->ways[LATENCY_HANDOUT].most, 500000);
	assert_int_equal(type_of(CHAT)->count, 0);
}

static void
what_is_offered_counts_when_it_is_taken(void **state)
{
	char type[] = CHAT;
	struct store_event event = { .type = type, .received_at = 1000 };
	const uint64_t first = 5000; /* more than what is remembered */

	(void)state;
	for (event.seq = first; event.seq < first + 4; event.seq++)
		latency_offered(&broker, &event);
	event.seq = first + 4;
	event.flags = EVENT_SYNTHETIC;
	latency_offered(&broker, &event);
	event.flags = 0;
	assert_int_equal(type_of(CHAT)->ways[LATENCY_HANDOUT].count, 0);
	/* Another gets one of them first, from the database. */
	event.seq = first + 1;
	latency_handed(&broker, &event, 1100);
	latency_offered(&broker, &event);
	latency_taken(&broker, first, first + 1, 1300);
	latency_taken(&broker, first, first + 1, 1400);
	assert_int_equal(type_of(CHAT)->ways[LATENCY_HANDOUT].count, 2);
	assert_int_equal(type_of(CHAT)->ways[LATENCY_HANDOUT].most, 300000);
	/* What was not offered, nonsense, and a minute later. */
	latency_taken(&broker, first + 4, first + 9, 1500);
	latency_taken(&broker, first + 3, first + 2, 1500);
	latency_taken(&broker, first - 4096, first - 1, 1500);
	latency_taken(&broker, first + 3, first + 3, 1001 + LATENCY_LIVE_MS);
	assert_int_equal(type_of(CHAT)->ways[LATENCY_HANDOUT].count, 2);
	/* All there are, by a front that says more than that. */
	latency_taken(&broker, 1, UINT64_MAX, 1500);
	assert_int_equal(type_of(CHAT)->ways[LATENCY_HANDOUT].count, 2);
	latency_taken(&broker, 1, first + 4, 1600);
	assert_int_equal(type_of(CHAT)->ways[LATENCY_HANDOUT].count, 3);
	assert_int_equal(type_of(CHAT)->ways[LATENCY_HANDOUT].most, 600000);
}

static void
the_last_of_a_type_is_known_after_a_start(void **state)
{
	int64_t last;

	(void)state;
	assert_string_equal(deliver_chat(0), "stored");
	last = type_of(CHAT)->last_at;
	RUN_UNTIL(store_backlog(broker.store) == 0);
	latency_stop(&broker);
	latency_start(&broker);
	assert_int_equal(type_of(CHAT)->last_at, last);
	assert_int_equal(type_of(CHAT)->count, 0);
}

/* Silence. */

static uint64_t
notices(const char *type)
{
	const struct proto_msg list = { .type = MSG_events_list,
		.events_list = { .limit = 100, .type = type } };
	uint64_t count = 0;
	size_t i;

	RUN_UNTIL(store_backlog(broker.store) == 0);
	(void)front_ask(&api, &list);
	for (i = 0; i < api.count; i++)
		count += api.answers[i].type == MSG_event;
	return count;
}

static void
a_live_stream_without_chat_raises_the_alarm(void **state)
{
	int64_t now = time_boot_ms();

	(void)state;
	assert_string_equal(deliver_chat(0), "stored");
	silence_look_at(&broker, now + 10 * ALARM_MS);
	assert_int_equal(silence_count(&broker), 0); /* it is not live */
	assert_string_equal(deliver_status(true, 0), "stored");
	assert_int_equal(silence_live_count(&broker), 1);
	now = time_boot_ms();
	silence_look_at(&broker, now + ALARM_MS - 5000);
	assert_null(silence_trouble(&broker));
	silence_look_at(&broker, now + ALARM_MS);
	assert_non_null(strstr(silence_trouble(&broker), "'STREAMER'"));
	silence_look_at(&broker, now + 2 * ALARM_MS);
	assert_int_equal(silence_count(&broker), 1);
	assert_int_equal(notices(SILENCE_BEGAN), 1);
	assert_int_equal(notices(SILENCE_ENDED), 0);
	/* A message ends it. */
	front_forget(&hook);
	assert_string_equal(deliver_chat(0), "stored");
	assert_null(silence_trouble(&broker));
	assert_int_equal(notices(SILENCE_ENDED), 1);
	silence_look_at(&broker, time_boot_ms() + ALARM_MS - 1000);
	assert_int_equal(silence_count(&broker), 0);
}

static void
the_end_of_the_stream_ends_the_alarm(void **state)
{
	(void)state;
	(void)deliver_chat(0);
	(void)deliver_status(true, 100);
	silence_look_at(&broker, time_boot_ms() + ALARM_MS);
	assert_int_equal(silence_count(&broker), 1);
	assert_string_equal(deliver_status(false, 50), "stored");
	assert_int_equal(silence_count(&broker), 0);
	assert_int_equal(silence_live_count(&broker), 0);
	/* The beginning, once more and late, changes nothing. */
	assert_string_equal(deliver_status(true, 101), "stored");
	assert_int_equal(silence_live_count(&broker), 0);
}

static void
chat_that_nobody_expects_is_not_missed(void **state)
{
	(void)state;
	(void)deliver_status(true, 0);
	silence_look_at(&broker, time_boot_ms() + 2 * ALARM_MS);
	assert_int_equal(silence_live_count(&broker), 1);
	assert_int_equal(silence_count(&broker), 0);
	/* Nor when some came before, or comes all the same. */
	assert_string_equal(deliver_chat(0), "stored");
	silence_look_at(&broker, time_boot_ms() + 2 * ALARM_MS);
	assert_int_equal(silence_count(&broker), 0);
}

static void
where_nobody_says_what_is_wanted_chat_that_came_is_missed(void **state)
{
	(void)state;
	(void)deliver_status(true, 0);
	silence_look_at(&broker, time_boot_ms() + 2 * ALARM_MS);
	assert_int_equal(silence_count(&broker), 0);
	assert_string_equal(deliver_chat(0), "stored");
	silence_look_at(&broker, time_boot_ms() + 2 * ALARM_MS);
	assert_int_equal(silence_count(&broker), 1);
}

static void
an_alarm_ends_when_chat_is_not_wanted_any_more(void **state)
{
	struct sub_channel *channel =
	    sub_channel_find(broker.subscriptions, "streamer");

	(void)state;
	(void)deliver_chat(0);
	(void)deliver_status(true, 0);
	silence_look_at(&broker, time_boot_ms() + ALARM_MS);
	assert_int_equal(silence_count(&broker), 1);
	/* As the API stores it when it is told that nothing is. */
	channel->stored = true;
	channel->set = xstrdup("");
	sub_channel_want(broker.subscriptions, channel);
	silence_look_at(&broker, time_boot_ms() + ALARM_MS);
	assert_int_equal(silence_count(&broker), 0);
}

static void
it_can_be_switched_off(void **state)
{
	(void)state;
	(void)deliver_chat(0);
	(void)deliver_status(true, 0);
	silence_look_at(&broker, time_boot_ms() + ALARM_MS);
	assert_int_equal(silence_count(&broker), 1);
	broker.config.events.silence_alarm_s = 0;
	silence_look_at(&broker, time_boot_ms() + ALARM_MS);
	assert_int_equal(silence_count(&broker), 0);
}

static void
what_is_live_outlives_a_restart(void **state)
{
	int64_t now;

	(void)state;
	(void)deliver_chat(0);
	(void)deliver_status(true, 0);
	RUN_UNTIL(store_backlog(broker.store) == 0);
	silence_stop(&broker);
	silence_start(&broker);
	now = time_boot_ms();
	assert_int_equal(silence_live_count(&broker), 1);
	silence_look_at(&broker, now + ALARM_MS - 5000);
	assert_int_equal(silence_count(&broker), 0);
	silence_look_at(&broker, now + ALARM_MS);
	assert_int_equal(silence_count(&broker), 1);
	/* An end that was never told. */
	silence_look_at(&broker, now + SILENCE_LIVE_MAX_MS + 60000);
	assert_int_equal(silence_live_count(&broker), 0);
}

#define TEST(name) TEST_OF(name, begin)
#define TEST_OF(name, start) cmocka_unit_test_setup_teardown(name, start, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(deliveries_are_timed_by_type),
		TEST(what_nobody_gets_is_not_timed),
		TEST(types_are_bounded),
		TEST(a_hand_out_counts_once_and_not_when_read_later),
		TEST(what_is_offered_counts_when_it_is_taken),
		TEST(the_last_of_a_type_is_known_after_a_start),
		TEST(a_live_stream_without_chat_raises_the_alarm),
		TEST(the_end_of_the_stream_ends_the_alarm),
		TEST_OF(chat_that_nobody_expects_is_not_missed, begin_without_chat),
		TEST_OF(where_nobody_says_what_is_wanted_chat_that_came_is_missed,
		    begin_unsaid),
		TEST(an_alarm_ends_when_chat_is_not_wanted_any_more),
		TEST(it_can_be_switched_off),
		TEST(what_is_live_outlives_a_restart),
	};

	return cmocka_run_group_tests(tests, NULL, free_key);
}
