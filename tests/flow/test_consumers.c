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
			.signature = "s",
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
	};

	return cmocka_run_group_tests(tests, NULL, free_key);
}
