/*
 * Events read back through dispatch: pages, their filters and ends, long payloads in
 * parts, single events, and askers that go away.
 */
#include <sys/stat.h>

#include "broker/events/events.h"
#include "broker/events/read.h"
#include "broker/store/store_event.h"
#include "ingest_harness.h"

/* Puts rows straight into the database, many in one job. */
struct fill_job {
	struct store_job job;
	unsigned from;
	unsigned count;
	uint32_t flags;
	const uint8_t *body;
	size_t length;
	bool done;
};

static int
run_fill(struct store_job *job, struct db *db)
{
	struct fill_job *fill = (struct fill_job *)job;
	char id[16];
	unsigned i;

	for (i = fill->from; i < fill->from + fill->count; i++) {
		const struct store_delivery delivery = { .platform = "kick",
			.message_id = id,
			.type = i % 2 ? "channel.followed" : "kicks.gifted",
			.version = 1,
			.received_at = 1,
			.flags = fill->flags,
			.timestamp = "t",
			.body = fill->body,
			.body_length = fill->length };
		uint64_t seq;
		int result;

		snprintf(id, sizeof(id), "e%u", i);
		result = store_event_put(db, &delivery, &seq);
		if (result < 0)
			return result;
	}
	return 0;
}

static void
done_fill(struct store_job *job, int result)
{
	assert_int_equal(result, 0);
	((struct fill_job *)job)->done = true;
}

static void
fill(unsigned from, unsigned count, uint32_t flags, const void *body, size_t length)
{
	struct fill_job job = { .job = { .run = run_fill, .done = done_fill },
		.from = from,
		.count = count,
		.flags = flags,
		.body = body,
		.length = length };

	store_submit(broker.store, &job.job);
	RUN_UNTIL(job.done);
}

/* Asks for a page; how many events came. */
static size_t
list(struct proto_events_list wanted)
{
	const struct proto_msg msg = { .type = MSG_events_list, .events_list = wanted };
	const struct proto_msg *last = front_ask(&api, &msg);
	size_t events = 0;
	size_t i;

	assert_int_equal(last->type, MSG_list_end);
	for (i = 0; i + 1 < api.count; i++)
		events += api.answers[i].type == MSG_event;
	return events;
}

static uint64_t
next_after(void)
{
	return api.answers[api.count - 1].list_end.next;
}

static void
pages_follow_one_another(void **state)
{
	uint64_t after = 0;
	uint64_t seq = 1;
	size_t i;

	(void)state;
	fill(1, 25, 0, "{}", 2);
	while (list((struct proto_events_list){ .after = after, .limit = 10 }) > 0) {
		for (i = 0; i + 1 < api.count; i++)
			assert_int_equal(api.answers[i].event.seq, seq++);
		after = next_after();
		assert_int_equal(after, seq - 1);
	}
	assert_int_equal(seq, 26);
	assert_int_equal(next_after(), 25);
}

static void
an_empty_page_repeats_after(void **state)
{
	static const uint64_t afters[] = { 0, 1, 4711, INT64_MAX, UINT64_MAX };
	size_t i;

	(void)state;
	for (i = 0; i < 5; i++) {
		assert_int_equal(
		    list((struct proto_events_list){ .after = afters[i], .limit = 1 }),
		    0);
		assert_int_equal(next_after(), afters[i]);
	}
	fill(1, 10, EVENT_FOREIGN, "{}", 2);
	assert_int_equal(
	    list((struct proto_events_list){ .after = 3, .limit = 10 }), 0);
	assert_int_equal(next_after(), 3);
}

static void
filters_are_kept(void **state)
{
	(void)state;
	fill(1, 10, 0, "{}", 2);
	fill(11, 4, EVENT_FOREIGN, "{}", 2);
	assert_int_equal(list((struct proto_events_list){ .limit = 500 }), 10);
	assert_int_equal(
	    list((struct proto_events_list){ .limit = 500, .foreign = true }), 14);
	assert_string_equal(api.answers[13].event.flags, "foreign");
	assert_int_equal(
	    list((struct proto_events_list){ .limit = 500, .type = "kicks.gifted" }),
	    5);
	assert_int_equal(
	    list((struct proto_events_list){ .limit = 500, .platform = "kick" }), 10);
	assert_int_equal(
	    list((struct proto_events_list){ .limit = 500, .platform = "twitch" }), 0);
}

/* Following: the span first, and how far was looked. */

static const struct proto_events_span *
follow(struct proto_events_list wanted)
{
	wanted.follow = true;
	wanted.limit = wanted.limit ? wanted.limit : 10;
	(void)list(wanted);
	assert_int_equal(api.answers[0].type, MSG_events_span);
	return &api.answers[0].events_span;
}

static void
a_follower_is_told_what_there_is(void **state)
{
	const struct proto_events_span *span = follow((struct proto_events_list){ 0 });

	(void)state;
	assert_int_equal(span->oldest, 1);
	assert_int_equal(span->last, 0);
	assert_int_equal(next_after(), 0);
	fill(1, 25, EVENT_FOREIGN, "{}", 2);
	span = follow((struct proto_events_list){ .after = 3 });
	assert_int_equal(span->oldest, 1);
	assert_int_equal(span->last, 25);
	assert_int_equal(next_after(), 25);
	(void)follow((struct proto_events_list){ .after = UINT64_MAX });
	assert_int_equal(next_after(), 25);
	(void)follow((struct proto_events_list){ .foreign = true });
	assert_int_equal(api.count, 12);
	assert_int_equal(next_after(), 10);
}

static void
a_follower_waits_for_an_event(void **state)
{
	struct proto_msg msg = { .type = MSG_events_list,
		.events_list = {
		    .after = 5, .limit = 10, .follow = true, .wait_ms = 9000 } };
	int64_t begin = time_boot_ms();

	(void)state;
	fill(1, 5, 0, "{}", 2);
	front_forget(&api);
	front_send(&api, &msg);
	RUN_UNTIL(!LIST_EMPTY(&broker.hub_listeners));
	fill(6, 2, EVENT_FOREIGN, "{}", 2); /* not for this one: it goes on waiting */
	RUN_UNTIL(!LIST_EMPTY(&broker.hub_listeners));
	assert_int_equal(api.count, 0);
	fill(8, 2, 0, "{}", 2);
	RUN_UNTIL(api.lasts == 1);
	assert_int_equal(api.count, 4);
	assert_int_equal(api.answers[1].event.seq, 8);
	assert_int_equal(next_after(), 9);
	assert_true(LIST_EMPTY(&broker.hub_listeners));
	/* Nothing comes. */
	msg.events_list.after = 9;
	msg.events_list.wait_ms = 50;
	assert_int_equal(front_ask(&api, &msg)->list_end.next, 9);
	assert_int_equal(api.count, 2);
	assert_true(LIST_EMPTY(&broker.hub_listeners));
	assert_true(time_boot_ms() - begin < 9000);
}

static void
a_follower_may_go_away(void **state)
{
	const struct proto_msg msg = { .type = MSG_events_list,
		.events_list = { .limit = 10, .follow = true, .wait_ms = 9000 } };

	(void)state;
	front_forget(&api);
	front_send(&api, &msg);
	RUN_UNTIL(!LIST_EMPTY(&broker.hub_listeners));
	front_disconnect(&api);
	assert_true(LIST_EMPTY(&broker.hub_listeners));
	fill(1, 2, 0, "{}", 2);
	front_connect(&api, CLIENT_api, "api");
	assert_int_equal(list((struct proto_events_list){ .limit = 5 }), 2);
}

static void
an_event_behind_many_others_is_found(void **state)
{
	(void)state;
	fill(1, 3 * STORE_EVENT_SCAN_MAX, EVENT_FOREIGN, "{}", 2);
	fill(3 * STORE_EVENT_SCAN_MAX + 1, 1, 0, "{}", 2);
	assert_int_equal(list((struct proto_events_list){ .limit = 10 }), 1);
	assert_int_equal(api.answers[0].event.seq, 3 * STORE_EVENT_SCAN_MAX + 1);
	assert_int_equal(next_after(), 3 * STORE_EVENT_SCAN_MAX + 1);
}

static void
long_payloads_come_in_parts(void **state)
{
	static const size_t lengths[] = { 0, 1, 32767, 32768, 32769, 65536, 65537,
		262144 };
	uint8_t *body = xmalloc(262144);
	const struct event_view *event;
	const struct proto_msg get = { .type = MSG_event_get,
		.event_get = { .seq = 0 } };
	size_t i;

	(void)state;
	for (i = 0; i < 262144; i++)
		body[i] = (uint8_t)(i * 7 + i / 300);
	for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct proto_msg one = get;

		fill((unsigned)i + 1, 1, EVENT_NOT_JSON, body, lengths[i]);
		one.event_get.seq = i + 1;
		assert_int_equal(front_ask(&api, &one)->type, MSG_list_end);
		event = event_read(&api, 0);
		assert_false(event->json);
		assert_int_equal(buf_length(&event->payload), lengths[i]);
		assert_memory_equal(buf_bytes(&event->payload), body, lengths[i]);
		assert_int_equal(api.count, 2 + api.answers[0].event.length / 32768);
	}
	assert_int_equal(list((struct proto_events_list){ .limit = 500 }), i);
	free(body);
}

static void
a_page_ends_after_its_bytes(void **state)
{
	size_t size = 100000;
	uint8_t *body = xcalloc(1, size);
	size_t expected = EVENTS_PAGE_BYTES / size + 1;

	(void)state;
	fill(1, 20, 0, body, size);
	assert_int_equal(list((struct proto_events_list){ .limit = 500 }), expected);
	assert_int_equal(next_after(), expected);
	assert_int_equal(
	    list((struct proto_events_list){ .after = expected, .limit = 500 }),
	    20 - expected);
	free(body);
}

static void
expect_none(struct proto_event_get wanted)
{
	const struct proto_msg get = { .type = MSG_event_get, .event_get = wanted };
	const struct proto_msg *answer = front_ask(&api, &get);

	assert_int_equal(answer->type, MSG_failed);
	assert_string_equal(answer->failed.code, "not_found");
	assert_int_equal(api.count, 1);
}

static void
one_event_is_found_by_number_or_id(void **state)
{
	struct proto_msg get = { .type = MSG_event_get, .event_get = { .seq = 2 } };

	(void)state;
	fill(1, 3, 0, "{}", 2);
	assert_int_equal(front_ask(&api, &get)->type, MSG_list_end);
	assert_string_equal(event_read(&api, 0)->id, "e2");
	get.event_get = (struct proto_event_get){ .id = "e3" };
	assert_int_equal(front_ask(&api, &get)->type, MSG_list_end);
	assert_int_equal(api.answers[0].event.seq, 3);
	expect_none((struct proto_event_get){ .seq = 4 });
	expect_none((struct proto_event_get){ .seq = UINT64_MAX });
	expect_none((struct proto_event_get){ .id = "e4" });
	expect_none((struct proto_event_get){ .seq = 2, .id = "e2" });
	expect_none((struct proto_event_get){ .seq = 0 });
}

static void
many_may_ask_at_once(void **state)
{
	const struct proto_msg page = { .type = MSG_events_list,
		.events_list = { .limit = 5 } };
	const struct proto_msg one = { .type = MSG_event_get,
		.event_get = { .seq = 9 } };
	unsigned i;

	(void)state;
	fill(1, 10, 0, "{}", 2);
	front_forget(&api);
	for (i = 0; i < 60; i++)
		front_send(&api, i % 2 ? &page : &one);
	RUN_UNTIL(api.lasts == 60);
	assert_int_equal(api.count, 30 * 2 + 30 * 6);
}

static unsigned
flows_of(const struct front *front)
{
	const struct flow *flow;
	unsigned count = 0;

	LIST_FOREACH (flow, &front->client.flows, of_client)
		count++;
	return count;
}

/* Flows that wait for the database, or for their turn, while their asker goes. However
 * many ask, the database is given a few reads at a time. */
static void
an_asker_may_go_away(void **state)
{
	const struct proto_msg page = { .type = MSG_events_list,
		.events_list = { .limit = 5 } };
	size_t backlog;
	unsigned i;

	(void)state;
	fill(1, 10, 0, "{}", 2);
	gate_close(0);
	for (i = 0; i < 20; i++)
		front_send(&api, &page);
	RUN_UNTIL(flows_of(&api) == 20);
	backlog = store_backlog(broker.store);
	front_disconnect(&api);
	gate_open();
	assert_true(LIST_EMPTY(&api.client.flows));
	assert_int_equal(backlog, 1 + EVENTS_READS_MAX);
	RUN_UNTIL(store_backlog(broker.store) == 0);
	front_forget(&api);
	front_connect(&api, CLIENT_api, "api");
	assert_int_equal(list((struct proto_events_list){ .limit = 500 }), 10);
}

static void
what_cannot_be_read_is_answered_so(void **state)
{
	const struct proto_msg page = { .type = MSG_events_list,
		.events_list = { .limit = 5 } };
	const struct proto_msg one = { .type = MSG_event_get,
		.event_get = { .seq = 1 } };

	(void)state;
	fill(1, 10, 0, "{}", 2);
	gate_close(0);
	usleep(20000);
	front_forget(&api);
	front_send(&api, &page);
	front_send(&api, &one);
	RUN_UNTIL(store_backlog(broker.store) == 3);
	gate_add_failure();
	gate_open();
	RUN_UNTIL(api.lasts == 2);
	assert_int_equal(api.count, 2);
	assert_string_equal(api.answers[0].failed.code, "storage_failed");
	assert_string_equal(api.answers[1].failed.code, "storage_failed");
}

static void
an_event_that_was_damaged_says_so(void **state)
{
	sqlite3 *handle;

	(void)state;
	fill(1, 2, 0, "{}", 2);
	stop_broker();
	assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
	assert_int_equal(
	    sqlite3_exec(handle, "UPDATE events SET body = x'7b5d' WHERE seq = 1", NULL,
		NULL, NULL),
	    SQLITE_OK);
	sqlite3_close(handle);
	start_broker("{}");
	assert_int_equal(list((struct proto_events_list){ .limit = 5 }), 2);
	assert_string_equal(event_read(&api, 0)->flags, "damaged");
	assert_false(event_view.json);
	assert_string_equal(event_read(&api, 1)->flags, "");
	assert_true(event_view.json);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(pages_follow_one_another),
		TEST(an_empty_page_repeats_after),
		TEST(filters_are_kept),
		TEST(a_follower_is_told_what_there_is),
		TEST(a_follower_waits_for_an_event),
		TEST(a_follower_may_go_away),
		TEST(an_event_behind_many_others_is_found),
		TEST(long_payloads_come_in_parts),
		TEST(a_page_ends_after_its_bytes),
		TEST(one_event_is_found_by_number_or_id),
		TEST(many_may_ask_at_once),
		TEST(an_asker_may_go_away),
		TEST(what_cannot_be_read_is_answered_so),
		TEST(an_event_that_was_damaged_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, free_key);
}
