/*
 * Those who are told that events were stored: when, how often and of what; and reads
 * inside the broker.
 */
#include "broker/events/read.h"
#include "ingest_harness.h"

struct ear {
	struct hub_listener listener;
	struct ear *ends; /* unlistened when this one is told */
	uint64_t last;
	unsigned told;
};

static void
on_stored(void *arg, uint64_t last_seq)
{
	struct ear *ear = arg;

	assert_true(last_seq > ear->last);
	ear->last = last_seq;
	ear->told++;
	if (ear->ends)
		hub_unlisten(&ear->ends->listener);
}

static void
begin(struct ear *ear)
{
	*ear = (struct ear){ .listener = { .stored = on_stored, .arg = ear } };
	hub_listen(&broker, &ear->listener);
}

static void
a_listener_is_told_after_the_commit(void **state)
{
	static struct ear ear;

	(void)state;
	assert_int_equal(hub_last_seq(&broker), 0);
	begin(&ear);
	assert_string_equal(deliver_text("a", ours), "stored");
	RUN_UNTIL(ear.last == 1);
	assert_string_equal(deliver_text("b", ours), "stored");
	RUN_UNTIL(ear.last == 2);
	assert_int_equal(hub_last_seq(&broker), 2);
	assert_string_equal(deliver_text("b", ours), "duplicate");
	hub_unlisten(&ear.listener);
	hub_unlisten(&ear.listener);
	assert_string_equal(deliver_text("c", ours), "stored");
	RUN_UNTIL(hub_last_seq(&broker) == 3);
	assert_int_equal(ear.told, 2);
}

static void
many_events_of_one_commit_are_told_once(void **state)
{
	struct signed_delivery many[20];
	static struct ear ear;
	unsigned i;

	(void)state;
	begin(&ear);
	gate_close(0);
	usleep(20000); /* the job is in the thread's hands */
	for (i = 0; i < 20; i++) {
		char id[8];

		snprintf(id, sizeof(id), "m%u", i);
		make_delivery(&many[i], id, 0, ours, strlen(ours));
		front_send(&hook, &many[i].msg);
	}
	RUN_UNTIL(store_backlog(broker.store) == 21); /* the gate's is one */
	assert_int_equal(ear.told, 0);
	gate_open();
	RUN_UNTIL(ear.last == 20);
	assert_in_range(ear.told, 1, 2);
	hub_unlisten(&ear.listener);
}

static void
what_was_not_committed_is_not_told(void **state)
{
	struct signed_delivery delivery;
	static struct ear ear;

	(void)state;
	begin(&ear);
	gate_close(0);
	usleep(20000);
	make_delivery(&delivery, "x", 0, ours, strlen(ours));
	front_forget(&hook);
	front_send(&hook, &delivery.msg);
	RUN_UNTIL(store_backlog(broker.store) == 2);
	gate_add_failure();
	gate_open();
	RUN_UNTIL(hook.lasts == 1 && store_backlog(broker.store) == 0);
	assert_int_equal(ear.told, 0);
	assert_int_equal(hub_last_seq(&broker), 0);
	hub_unlisten(&ear.listener);
}

static void
a_listener_may_end_another(void **state)
{
	struct ear one;
	struct ear two;

	(void)state;
	begin(&one);
	begin(&two);
	one.ends = &two;
	two.ends = &one;
	assert_string_equal(deliver_text("a", ours), "stored");
	RUN_UNTIL(hub_last_seq(&broker) == 1);
	assert_int_equal(one.told + two.told, 1);
	hub_unlisten(&one.listener);
	hub_unlisten(&two.listener);
}

/* Reads. */

struct reader {
	unsigned calls;
	int result;
	struct events_page page;
	uint64_t first;
};

static void
on_page(void *arg, int result, const struct events_page *page)
{
	struct reader *reader = arg;

	reader->calls++;
	reader->result = result;
	if (!page)
		return;
	reader->page = *page;
	reader->first = page->count ? page->events[0].seq : 0;
}

static void
pages_are_read_inside_the_broker(void **state)
{
	struct store_event_query query = { .limit = 2, .bytes_max = 1000 };
	struct reader reader = { .calls = 0 };

	(void)state;
	(void)events_read(&broker, &query, on_page, &reader);
	RUN_UNTIL(reader.calls == 1);
	assert_int_equal(reader.page.count, 0);
	assert_int_equal(reader.page.oldest, 1);
	assert_true(reader.page.end);
	deliver_text("a", ours);
	deliver_text("b", ours);
	deliver_text("c", ours);
	(void)events_read(&broker, &query, on_page, &reader);
	RUN_UNTIL(reader.calls == 2);
	assert_int_equal(reader.page.count, 2);
	assert_int_equal(reader.first, 1);
	assert_int_equal(reader.page.seen, 2);
	assert_false(reader.page.end);
	query.after = reader.page.seen;
	(void)events_read(&broker, &query, on_page, &reader);
	RUN_UNTIL(reader.calls == 3);
	assert_int_equal(reader.first, 3);
	assert_int_equal(reader.page.seen, 3);
	(void)events_read_one(&broker, 0, "b", on_page, &reader);
	RUN_UNTIL(reader.calls == 4);
	assert_int_equal(reader.first, 2);
}

static void
a_read_may_be_cancelled_at_any_time(void **state)
{
	const struct store_event_query query = { .limit = 2, .bytes_max = 1000 };
	struct events_read *reads[3 * EVENTS_READS_MAX];
	struct reader reader = { .calls = 0 };
	unsigned i;

	(void)state;
	gate_close(0);
	for (i = 0; i < 3 * EVENTS_READS_MAX; i++)
		reads[i] = events_read(&broker, &query, on_page, &reader);
	for (i = 0; i + 1 < 3 * EVENTS_READS_MAX; i++)
		events_read_cancel(reads[i]);
	gate_open();
	RUN_UNTIL(reader.calls == 1 && store_backlog(broker.store) == 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_listener_is_told_after_the_commit),
		TEST(many_events_of_one_commit_are_told_once),
		TEST(what_was_not_committed_is_not_told),
		TEST(a_listener_may_end_another),
		TEST(pages_are_read_inside_the_broker),
		TEST(a_read_may_be_cancelled_at_any_time),
	};

	return cmocka_run_group_tests(tests, NULL, free_key);
}
