/*
 * Consumers that ask, through dispatch, where the database is slow.
 */
#include "broker/consumers/consumers.h"
#include "broker/events/read.h"
#include "broker/store/store_event.h"
#include "ingest_harness.h"

/* Slices of a search, and how long each takes: more than a request may last. */
#define SLICES 6
#define SLICE_MS 800
#define FILLED (SLICES * STORE_EVENT_SCAN_MAX)

struct fill_job {
	struct store_job job;
	unsigned count;
	bool done;
};

struct nap_job {
	struct store_job job;
	bool busy;
};

/* The last one is rare. */
static int
run_fill(struct store_job *job, struct db *db)
{
	const unsigned count = ((struct fill_job *)job)->count;
	char id[16];
	unsigned i;

	for (i = 1; i <= count; i++) {
		const struct store_delivery delivery = { .platform = "kick",
			.message_id = id,
			.type = i < count ? "channel.followed" : "kicks.gifted",
			.version = 1,
			.received_at = 1,
			.timestamp = "t",
			.body = (const uint8_t *)"{}",
			.body_length = 2 };
		uint64_t seq;
		int result;

		(void)snprintf(id, sizeof(id), "c%u", i);
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

static int
run_nap(struct store_job *job, struct db *db)
{
	(void)job;
	(void)db;
	usleep(SLICE_MS * 1000);
	return 0;
}

static void
done_nap(struct store_job *job, int result)
{
	(void)result;
	((struct nap_job *)job)->busy = false;
}

/* A test that fails leaves its frame at once, so it does not live there. */
static struct nap_job nap = { .job = { .run = run_nap, .done = done_nap } };

/* Asks for a page while each slice of a search waits behind a slow job. */
static const struct proto_msg *
ask_slowly(const struct proto_msg *msg)
{
	int64_t end = time_boot_ms() + WAIT_MS;

	front_forget(&api);
	front_send(&api, msg);
	while (!api.lasts && time_boot_ms() < end) {
		if (!nap.busy) {
			nap.busy = true;
			store_submit(broker.store, &nap.job);
		}
		turn();
	}
	RUN_UNTIL(!nap.busy);
	assert_int_equal(api.lasts, 1);
	return &api.answers[api.count - 1];
}

/* A bot that asks again gets there, however long the search is. */
static void
what_is_rare_is_found_by_asking_again(void **state)
{
	static const struct proto_msg put = { .type = MSG_consumer_put,
		.consumer_put = { .name = "bot",
		    .type = "kicks.gifted",
		    .include = "",
		    .start = "beginning" } };
	static const struct proto_msg get = { .type = MSG_consumer_events,
		.consumer_events = { .name = "bot", .limit = 10 } };
	struct fill_job fill = { .job = { .run = run_fill, .done = done_fill },
		.count = FILLED };
	const struct proto_msg *last;
	uint64_t before = 0;
	unsigned pages;

	(void)state;
	store_submit(broker.store, &fill.job);
	RUN_UNTIL(fill.done);
	assert_int_equal(front_ask(&api, &put)->type, MSG_consumer);
	for (pages = 0; pages < SLICES; pages++) {
		last = ask_slowly(&get);
		assert_int_equal(last->type, MSG_list_end);
		if (api.count > 1)
			break;
		assert_in_range(last->list_end.next, before + 1, FILLED - 1);
		before = last->list_end.next;
		assert_int_equal(consumers_find(&broker, "bot")->row.cursor, before);
	}
	assert_int_not_equal(pages, 0);
	assert_int_equal(api.count, 2);
	assert_int_equal(api.answers[0].event.seq, FILLED);
	assert_int_equal(last->list_end.next, FILLED);
}

/* ---- A place that is set while an acknowledgement is under way ---- */

#define EVENTS 10

static const struct proto_msg set_back = { .type = MSG_consumer_put,
	.consumer_put = { .name = "bot", .include = "", .start = "2" } };

static void
ack(struct proto_msg *msg, uint64_t seq)
{
	*msg = (struct proto_msg){ .type = MSG_consumer_ack,
		.consumer_ack = { .name = "bot", .seq = seq } };
}

static const struct proto_msg *
ask_page(uint32_t limit)
{
	const struct proto_msg get = { .type = MSG_consumer_events,
		.consumer_events = { .name = "bot", .limit = limit } };

	return front_ask(&api, &get);
}

/* A consumer that was handed ten events and has acknowledged none. */
static void
hand_out_ten(void)
{
	static const struct proto_msg put = { .type = MSG_consumer_put,
		.consumer_put = {
		    .name = "bot", .include = "", .start = "beginning" } };
	struct fill_job fill = { .job = { .run = run_fill, .done = done_fill },
		.count = EVENTS };

	store_submit(broker.store, &fill.job);
	RUN_UNTIL(fill.done);
	assert_int_equal(front_ask(&api, &put)->type, MSG_consumer);
	assert_int_equal(ask_page(EVENTS)->list_end.next, EVENTS);
}

/* Both are at the broker before the database has done either. */
static void
send_both(const struct proto_msg *first, const struct proto_msg *second)
{
	front_forget(&api);
	gate_close(0);
	front_send(&api, first);
	front_send(&api, second);
	RUN_UNTIL(!LIST_EMPTY(&api.client.flows) &&
	    LIST_NEXT(LIST_FIRST(&api.client.flows), of_client));
	gate_open();
	RUN_UNTIL(api.lasts == 2);
}

/* What a broker that is started anew finds. */
static void
assert_cursor(uint64_t cursor)
{
	struct fill_job nothing = { .job = { .run = run_fill, .done = done_fill } };

	assert_int_equal(consumers_find(&broker, "bot")->row.cursor, cursor);
	consumers_stop(&broker);
	/* What it still stores is ahead of this one. */
	store_submit(broker.store, &nothing.job);
	RUN_UNTIL(nothing.done);
	assert_int_equal(consumers_start(&broker), 0);
	assert_int_equal(consumers_find(&broker, "bot")->row.cursor, cursor);
}

static void
an_acknowledgement_behind_a_set_back_does_not_undo_it(void **state)
{
	struct proto_msg done;

	(void)state;
	hand_out_ten();
	ack(&done, EVENTS);
	send_both(&set_back, &done);
	assert_int_equal(api.answers[0].type, MSG_consumer);
	assert_int_equal(api.answers[1].type, MSG_failed);
	assert_string_equal(api.answers[1].failed.code, "conflict");
	assert_cursor(2);
	/* All of it comes again, marked, and can then be acknowledged. */
	assert_int_equal(ask_page(EVENTS)->list_end.next, EVENTS);
	assert_int_equal(api.answers[0].event.seq, 3);
	assert_true(api.answers[0].event.flag_bits & EVENT_REDELIVERED);
	assert_int_equal(front_ask(&api, &done)->type, MSG_consumer);
	assert_cursor(EVENTS);
}

static void
an_acknowledgement_ahead_of_a_set_back_is_undone_by_it(void **state)
{
	struct proto_msg done;

	(void)state;
	hand_out_ten();
	ack(&done, EVENTS);
	send_both(&done, &set_back);
	assert_int_equal(api.answers[0].type, MSG_consumer);
	assert_int_equal(api.answers[1].type, MSG_consumer);
	assert_cursor(2);
}

/* A bot that is still at work on what it was handed before acknowledges it later. */
static void
what_was_handed_out_before_a_set_back_cannot_be_acknowledged(void **state)
{
	struct proto_msg done;
	const struct proto_msg *answer;

	(void)state;
	hand_out_ten();
	assert_int_equal(front_ask(&api, &set_back)->type, MSG_consumer);
	ack(&done, EVENTS);
	answer = front_ask(&api, &done);
	assert_int_equal(answer->type, MSG_failed);
	assert_non_null(strstr(answer->failed.message, "since its place was set"));
	assert_cursor(2);
	/* Up to what it was handed since, also after a restart. */
	assert_int_equal(ask_page(2)->list_end.next, 4);
	assert_cursor(2);
	assert_int_equal(front_ask(&api, &done)->type, MSG_failed);
	ack(&done, 4);
	assert_int_equal(front_ask(&api, &done)->type, MSG_consumer);
	assert_cursor(4);
}

static int
begin(void **state)
{
	return setup(state) < 0 ? -1 : consumers_start(&broker);
}

static int
end(void **state)
{
	consumers_stop(&broker);
	return teardown(state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_rare_is_found_by_asking_again),
		TEST(an_acknowledgement_behind_a_set_back_does_not_undo_it),
		TEST(an_acknowledgement_ahead_of_a_set_back_is_undone_by_it),
		TEST(what_was_handed_out_before_a_set_back_cannot_be_acknowledged),
	};

	return cmocka_run_group_tests(tests, NULL, free_key);
}
