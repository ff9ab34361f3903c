/*
 * Retention with clocks that the test sets: when age counts, what a consumer still
 * needs, and who is told when that is too much.
 */
#include "broker/events/hub.h"
#include "broker/events/retention.h"
#include "broker/store/store_event.h"
#include "tests/flow/ingest_harness.h"

#define DAY 86400000LL
#define NOW 1750000000000LL

static uint64_t needed;

static uint64_t
needed_from(const struct broker *of)
{
	(void)of;
	return needed;
}

struct put_job {
	struct store_job job;
	unsigned first;
	unsigned count;
	int64_t received_at;
	bool done;
};

static int
run_put(struct store_job *base, struct db *db)
{
	struct put_job *put = (struct put_job *)base;
	char id[32];
	unsigned i;

	for (i = 0; i < put->count; i++) {
		const struct store_delivery row = { .platform = "kick",
			.message_id = id,
			.type = "chat.message.sent",
			.version = 1,
			.received_at = put->received_at,
			.timestamp = "",
			.body = (const uint8_t *)"{}",
			.body_length = 2 };
		uint64_t seq;

		snprintf(id, sizeof(id), "id%u", put->first + i);
		if (store_event_put(db, &row, &seq) != 1)
			return -EIO;
	}
	return 0;
}

static void
done_put(struct store_job *base, int result)
{
	assert_int_equal(result, 0);
	((struct put_job *)base)->done = true;
}

static void
put_events(unsigned first, unsigned count, int64_t received_at)
{
	struct put_job put = { .job = { .run = run_put, .done = done_put },
		.first = first,
		.count = count,
		.received_at = received_at };

	store_submit(broker.store, &put.job);
	RUN_UNTIL(put.done);
}

static uint64_t
deleted(void)
{
	struct retention_stats stats;

	retention_stats(&broker, &stats);
	return stats.deleted;
}

static struct retention_stats
stats_of_it(void)
{
	struct retention_stats stats;

	retention_stats(&broker, &stats);
	return stats;
}

/* Looks until a look deletes nothing more. */
static void
look(int64_t now, int64_t boot, bool trusted)
{
	uint64_t before;

	do {
		before = deleted();
		retention_look_at(&broker, now, boot, trusted);
		RUN_UNTIL(store_backlog(broker.store) == 0);
	} while (deleted() > before);
}

static int
begin(void **state)
{
	if (setup(state) < 0)
		return -1;
	needed = UINT64_MAX;
	hub_start(&broker);
	retention_start(&broker, needed_from);
	return 0;
}

static int
end(void **state)
{
	retention_stop(&broker);
	return teardown(state);
}

static void
age_counts_when_the_clock_can_be_believed(void **state)
{
	(void)state;
	put_events(0, 50, NOW - 31 * DAY);
	put_events(50, 50, NOW - 29 * DAY);
	look(NOW, 1000, false);
	assert_int_equal(deleted(), 0);
	look(
	    NOW + RETENTION_SETTLE_MS - 1000, 1000 + RETENTION_SETTLE_MS - 1000, false);
	assert_int_equal(deleted(), 0);
	/* The clock jumps a year ahead: that is not believed either. */
	look(NOW + 365 * DAY, 1000 + RETENTION_SETTLE_MS, false);
	assert_int_equal(deleted(), 0);
	/* And back. */
	look(NOW + RETENTION_SETTLE_MS, 2000 + RETENTION_SETTLE_MS, false);
	assert_int_equal(deleted(), 0);
	look(NOW + 2 * RETENTION_SETTLE_MS, 2000 + 2 * RETENTION_SETTLE_MS, false);
	assert_int_equal(deleted(), 50);
	assert_int_equal(stats_of_it().oldest, 51);
}

static void
a_synchronised_clock_is_believed_at_once(void **state)
{
	(void)state;
	put_events(0, 50, NOW - 31 * DAY);
	look(NOW, 1000, true);
	assert_int_equal(deleted(), 50);
	assert_int_equal(stats_of_it().oldest, 0);
}

static void
rows_count_whatever_the_clock_is(void **state)
{
	(void)state;
	broker.config.events.max_rows = 100;
	put_events(0, 250, NOW);
	look(0, 1000, false);
	assert_int_equal(deleted(), 150);
	assert_int_equal(stats_of_it().oldest, 151);
	assert_int_equal(stats_of_it().newest, 250);
}

/* Nobody calls it here: what is stored wakes it. */
static void
too_many_rows_are_noticed_soon(void **state)
{
	int64_t start = time_boot_ms();

	(void)state;
	RUN_UNTIL(time_boot_ms() > start + RETENTION_SOON_MS + 100);
	broker.config.events.max_rows = 100;
	put_events(0, 250, time_now_ms());
	RUN_UNTIL(deleted() == 150);
	assert_in_range(time_boot_ms() - start, 0, RETENTION_LOOK_MS - 1000);
}

/* A step is followed by its own short pause, also when events come all the time. */
static void
deleting_keeps_pace_with_what_is_stored(void **state)
{
	const unsigned first = 3200;
	int64_t start = time_boot_ms();
	unsigned next = first;

	(void)state;
	broker.config.events.max_rows = 100;
	put_events(0, first, time_now_ms());
	while (deleted() < first - 100) {
		put_events(next++, 1, time_now_ms());
		turn();
		assert_true(time_boot_ms() < start + 10000);
	}
	/* With RETENTION_SOON_MS between them the steps took 24 s. */
	assert_true(next > first + 50);
}

static uint64_t
last_stored(void)
{
	return hub_last_seq(&broker);
}

static void
what_a_consumer_needs_is_kept_and_its_loss_announced(void **state)
{
	static const struct proto_msg get = { .type = MSG_event_get,
		.event_get = { .id = RETENTION_EVENT ".40" } };
	const struct proto_msg *event;
	char *body;

	(void)state;
	broker.config.events.max_rows = 100;
	put_events(0, 180, NOW);
	needed = 11;
	look(NOW, 1000, false);
	assert_int_equal(deleted(), 10);
	assert_true(stats_of_it().held);
	assert_int_equal(stats_of_it().lost, 0);
	assert_null(retention_trouble(&broker));
	assert_int_equal(last_stored(), 180);

	put_events(180, 60, NOW);
	look(NOW, 2000, false);
	/* The announcement is an event, and the oldest makes room for it. */
	assert_int_equal(stats_of_it().lost, 31);
	assert_true(stats_of_it().passed);
	assert_non_null(strstr(retention_trouble(&broker), "up to 41"));
	RUN_UNTIL(last_stored() == 241);
	assert_int_equal(front_ask(&api, &get)->type, MSG_list_end);
	event = &api.answers[0];
	assert_string_equal(event->event.type, RETENTION_EVENT);
	body = xstrndup((const char *)event->event.json.data, event->event.json.length);
	assert_non_null(
	    strstr(body, "{\"count\":30,\"last_seq\":40,\"needed_from\":11}"));
	assert_non_null(strstr(body, "\"kind\":\"notice\""));
	free(body);

	/* It goes on losing some: said once an hour. */
	put_events(241, 20, NOW);
	look(NOW, 3000, false);
	assert_int_equal(stats_of_it().lost, 51);
	RUN_UNTIL(store_backlog(broker.store) == 0);
	assert_int_equal(last_stored(), 261);

	/* It has read on. */
	needed = 200;
	look(NOW, 4000, false);
	assert_null(retention_trouble(&broker));
	assert_false(stats_of_it().passed);
	assert_int_equal(stats_of_it().oldest, 162);
	assert_false(stats_of_it().held);

	/* Another start knows of what is gone, and tells nobody again. */
	needed = 161;
	retention_stop(&broker);
	retention_start(&broker, needed_from);
	assert_null(retention_trouble(&broker));
	look(NOW, 5000, false);
	assert_non_null(strstr(retention_trouble(&broker), "up to 161"));
	assert_int_equal(last_stored(), 261);
	needed = 162;
	retention_stop(&broker);
	retention_start(&broker, needed_from);
	look(NOW, 6000, false);
	assert_null(retention_trouble(&broker));
}

static void
it_may_stop_in_the_middle(void **state)
{
	(void)state;
	put_events(0, 250, NOW);
	retention_look_at(&broker, NOW, 1000, true);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(age_counts_when_the_clock_can_be_believed),
		TEST(a_synchronised_clock_is_believed_at_once),
		TEST(rows_count_whatever_the_clock_is),
		TEST(too_many_rows_are_noticed_soon),
		TEST(deleting_keeps_pace_with_what_is_stored),
		TEST(what_a_consumer_needs_is_kept_and_its_loss_announced),
		TEST(it_may_stop_in_the_middle),
	};

	return cmocka_run_group_tests(tests, NULL, free_key);
}
