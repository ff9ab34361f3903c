/*
 * Channels, requests: answers, lists, deadlines, cancelling, and the end at any moment.
 */
#include "chan_sides.h"

/* Requests and answers. */

static void
answer_account(struct side *side, struct proto_msg *msg)
{
	assert_int_equal(chan_send(side->chan, msg->rid, &an_account), 0);
}

static void
a_request_gets_its_answer(void **state)
{
	struct asked asked[3] = { { .rid = 0 } };
	size_t i;

	(void)state;
	connect_both();
	server.on_message = answer_account;
	for (i = 0; i < 3; i++)
		assert_true(ask(&asked[i], &get_account, WAIT_MS) != 0);
	assert_true(asked[0].rid != asked[1].rid && asked[1].rid != asked[2].rid);
	RUN_UNTIL(asked[2].lasts);
	for (i = 0; i < 3; i++) {
		assert_int_equal(asked[i].lasts, 1);
		assert_int_equal(asked[i].type, MSG_account);
		assert_int_equal(server.rids[i], asked[i].rid);
	}
	assert_int_equal(chan_backlog(client.chan) + chan_backlog(server.chan), 0);
}

static void
notifications_go_both_ways(void **state)
{
	(void)state;
	connect_both();
	assert_int_equal(chan_send(client.chan, 0, &a_count), 0);
	assert_int_equal(chan_send(server.chan, 0, &some_settings), 0);
	RUN_UNTIL(client.messages && server.messages);
	assert_int_equal(server.last.type, MSG_count);
	assert_int_equal(server.last.rid, 0);
	assert_int_equal(client.last.type, MSG_settings);
}

static void
answer_list(struct side *side, struct proto_msg *msg)
{
	unsigned i;

	for (i = 0; i < 100; i++)
		assert_int_equal(chan_send(side->chan, msg->rid, &a_credential), 0);
	assert_int_equal(chan_send(side->chan, msg->rid, &the_end), 0);
}

static void
a_list_is_rows_and_an_end(void **state)
{
	struct asked asked = { .rid = 0 };

	(void)state;
	connect_both();
	server.on_message = answer_list;
	ask(&asked, &list_credentials, WAIT_MS);
	RUN_UNTIL(asked.lasts);
	assert_int_equal(asked.rows, 100);
	assert_int_equal(asked.type, MSG_list_end);
}

static void
fail_after_a_row(struct side *side, struct proto_msg *msg)
{
	const struct proto_msg failed = proto_failed(ERR_busy, "not today");

	chan_send(side->chan, msg->rid, &a_credential);
	chan_send(side->chan, msg->rid, &failed);
}

static void
a_failure_ends_a_list(void **state)
{
	struct asked asked = { .rid = 0 };

	(void)state;
	connect_both();
	server.on_message = fail_after_a_row;
	ask(&asked, &list_credentials, WAIT_MS);
	RUN_UNTIL(asked.lasts);
	assert_int_equal(asked.rows, 1);
	assert_int_equal(asked.type, MSG_failed);
}

static void
answer_wrongly(struct side *side, struct proto_msg *msg)
{
	chan_send(side->chan, msg->rid, &a_credential);
}

static void
an_answer_of_the_wrong_type_is_refused(void **state)
{
	struct asked asked = { .rid = 0 };

	(void)state;
	connect_both();
	server.on_message = answer_wrongly;
	ask(&asked, &get_account, WAIT_MS);
	expect_close(&client, "wrong type");
	assert_int_equal(asked.nothing, 1);
	assert_int_equal(asked.rows, 0);
	assert_int_equal(asked.closed_before, 0);
}

static void
a_settings_answer_is_refused(void **state)
{
	struct proto_msg settings = some_settings;
	struct asked asked = { .rid = 0 };

	(void)state;
	against_client();
	ask(&asked, &get_account, WAIT_MS);
	settings.rid = asked.rid;
	raw_send(&settings);
	expect_close(&client, "wrong type");
}

static void
an_answer_to_nothing_is_ignored(void **state)
{
	struct asked asked = { .rid = 0 };
	struct proto_msg answer = an_account;
	uint32_t rid;

	(void)state;
	against_client();
	ask(&asked, &get_account, WAIT_MS);
	for (rid = 1; rid < 100; rid++) {
		answer.rid = asked.rid + rid;
		raw_send(&answer);
		answer.rid = UINT32_MAX - rid;
		raw_send(&answer);
	}
	settle();
	assert_int_equal(asked.lasts + asked.rows + client.closed, 0);
	answer.rid = asked.rid;
	raw_send(&answer);
	RUN_UNTIL(asked.lasts);
	raw_send(&answer);
	settle();
	assert_int_equal(asked.lasts, 1);
	assert_int_equal(client.closed, 0);
}

static void
a_deadline_gives_nothing(void **state)
{
	struct asked soon = { .rid = 0 };
	struct asked late = { .rid = 0 };
	struct proto_msg answer = an_account;
	int64_t start = time_boot_ms();

	(void)state;
	against_client();
	ask(&soon, &get_account, 120);
	ask(&late, &get_account, WAIT_MS);
	RUN_UNTIL(soon.lasts);
	assert_in_range(time_boot_ms() - start, 119, 600);
	assert_int_equal(soon.nothing, 1);
	assert_int_equal(late.lasts, 0);
	answer.rid = soon.rid;
	raw_send(&answer);
	answer.rid = late.rid;
	raw_send(&answer);
	RUN_UNTIL(late.lasts);
	assert_int_equal(soon.lasts, 1);
	assert_int_equal(late.type, MSG_account);
}

static void
a_cancelled_request_hears_nothing(void **state)
{
	struct asked first = { .rid = 0 };
	struct asked second = { .rid = 0 };
	struct proto_msg answer = an_account;

	(void)state;
	against_client();
	ask(&first, &get_account, 50);
	chan_cancel(client.chan, first.rid);
	chan_cancel(client.chan, first.rid);
	/* The next request takes the free place, not the late answer. */
	ask(&second, &list_credentials, WAIT_MS);
	assert_true(second.rid != first.rid);
	answer.rid = first.rid;
	raw_send(&answer);
	usleep(120000);
	settle();
	assert_int_equal(first.lasts + first.rows + second.lasts + second.rows, 0);
	assert_int_equal(client.closed, 0);
	chan_cancel(client.chan, 0);
	chan_cancel(client.chan, UINT32_MAX);
}

static void
a_callback_may_ask_again(void **state)
{
	struct asked asked = { .ask_again = true };

	(void)state;
	connect_both();
	server.on_message = answer_account;
	ask(&asked, &get_account, WAIT_MS);
	RUN_UNTIL(asked.lasts >= 100);
	asked.ask_again = false;
	assert_int_equal(asked.nothing, 0);
}

static void
so_many_requests_may_wait(void **state)
{
	static struct asked asked[CHAN_PENDING_MAX];
	struct asked more = { .rid = 0 };
	size_t i;

	(void)state;
	memset(asked, 0, sizeof(asked));
	connect_both();
	for (i = 0; i < CHAN_PENDING_MAX; i++)
		assert_true(ask(&asked[i], &get_account, 60000) != 0);
	assert_int_equal(ask(&more, &get_account, 60000), 0);
	chan_cancel(client.chan, asked[5000].rid);
	assert_true(ask(&more, &get_account, 60000) != 0);
	assert_int_equal(ask(&more, &get_account, 60000), 0);
	RUN_UNTIL(server.messages == CHAN_PENDING_MAX + 1);
	chan_break(server.chan, "enough");
	RUN_UNTIL(client.closed);
	for (i = 0; i < CHAN_PENDING_MAX; i++) {
		assert_int_equal(asked[i].lasts, i == 5000 ? 0 : 1);
		assert_int_equal(asked[i].nothing, asked[i].lasts);
		assert_int_equal(asked[i].closed_before, 0);
	}
	assert_int_equal(more.nothing, 1);
}

/* The end. */

static void
a_close_fails_what_is_pending_and_is_told_once(void **state)
{
	struct asked asked = { .rid = 0 };

	(void)state;
	connect_both();
	ask(&asked, &get_account, WAIT_MS);
	RUN_UNTIL(server.messages);
	client.calling = true;
	chan_break(client.chan, "a reason");
	chan_break(client.chan, "another reason");
	client.calling = false;
	assert_int_equal(asked.lasts, 0);
	assert_int_equal(ask(&(struct asked){ .rid = 0 }, &get_account, 10), 0);
	expect_close(&client, "a reason");
	expect_close(&server, "the peer closed");
	assert_string_equal(client.reason, "a reason");
	assert_int_equal(asked.nothing, 1);
	assert_int_equal(asked.closed_before, 0);
	chan_pause(client.chan, true);
	chan_pause(client.chan, false);
	settle();
	assert_int_equal(client.closed, 1);
}

static void
a_long_reason_is_cut(void **state)
{
	char reason[1000];

	(void)state;
	memset(reason, 'r', sizeof(reason));
	reason[sizeof(reason) - 1] = '\0';
	connect_both();
	chan_break(server.chan, reason);
	RUN_UNTIL(server.closed);
	assert_int_equal(strlen(server.reason), 199);
}

static void
freeing_calls_nobody(void **state)
{
	struct asked asked = { .rid = 0 };

	(void)state;
	connect_both();
	ask(&asked, &get_account, 20);
	chan_break(client.chan, "x");
	side_free(&client);
	usleep(100000);
	settle();
	assert_int_equal(asked.lasts + client.closed, 0);
	assert_int_equal(server.closed, 1);
	chan_free(NULL);
}

static void
a_chan_may_be_freed_when_it_is_ready(void **state)
{
	(void)state;
	against_server();
	server.free_on_ready = true;
	raw_hello("api");
	raw_send(&a_count);
	RUN_UNTIL(server.ready);
	settle();
	assert_null(server.chan);
	assert_int_equal(server.messages + server.closed, 0);
}

static void
a_chan_may_be_freed_by_a_message(void **state)
{
	unsigned i;

	(void)state;
	against_server();
	server.free_on_message = true;
	raw_hello("api");
	for (i = 0; i < 10; i++)
		raw_send(&a_count);
	RUN_UNTIL(server.messages);
	settle();
	assert_null(server.chan);
	assert_int_equal(server.messages, 1);
	assert_int_equal(server.closed, 0);
}

static void
a_chan_may_be_freed_by_an_answer(void **state)
{
	struct asked asked[3] = { { .free_chan = true }, { .rid = 0 }, { .rid = 0 } };
	size_t i;

	(void)state;
	connect_both();
	server.on_message = answer_account;
	for (i = 0; i < 3; i++)
		ask(&asked[i], &get_account, WAIT_MS);
	RUN_UNTIL(asked[0].lasts);
	settle();
	assert_null(client.chan);
	assert_int_equal(asked[1].lasts + asked[2].lasts + client.closed, 0);
}

static void
a_chan_may_be_freed_by_a_row(void **state)
{
	struct asked asked = { .free_chan = true };

	(void)state;
	connect_both();
	server.on_message = answer_list;
	ask(&asked, &list_credentials, WAIT_MS);
	RUN_UNTIL(asked.rows);
	settle();
	assert_null(client.chan);
	assert_int_equal(asked.rows, 1);
	assert_int_equal(asked.lasts, 0);
}

static void
a_chan_may_be_freed_by_a_deadline(void **state)
{
	struct asked asked[3] = { { .free_chan = true }, { .rid = 0 }, { .rid = 0 } };
	size_t i;

	(void)state;
	against_client();
	for (i = 0; i < 3; i++)
		ask(&asked[i], &get_account, 20);
	RUN_UNTIL(asked[0].lasts);
	usleep(100000);
	settle();
	assert_null(client.chan);
	assert_int_equal(asked[1].lasts + asked[2].lasts + client.closed, 0);
}

static void
a_chan_may_be_freed_by_a_failed_request(void **state)
{
	struct asked asked[3] = { { .rid = 0 }, { .free_chan = true }, { .rid = 0 } };
	size_t i;

	(void)state;
	against_client();
	for (i = 0; i < 3; i++)
		ask(&asked[i], &get_account, WAIT_MS);
	close(raw);
	raw = -1;
	RUN_UNTIL(asked[1].lasts);
	settle();
	assert_null(client.chan);
	assert_int_equal(asked[0].nothing, 1);
	assert_int_equal(asked[2].lasts + client.closed, 0);
}

static void
a_chan_may_be_freed_when_it_is_closed(void **state)
{
	struct asked asked = { .rid = 0 };

	(void)state;
	against_client();
	client.free_on_closed = true;
	ask(&asked, &get_account, 20);
	close(raw);
	raw = -1;
	RUN_UNTIL(client.closed);
	usleep(100000);
	settle();
	assert_null(client.chan);
	assert_int_equal(client.closed, 1);
	assert_int_equal(asked.lasts, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_request_gets_its_answer),
		TEST(notifications_go_both_ways),
		TEST(a_list_is_rows_and_an_end),
		TEST(a_failure_ends_a_list),
		TEST(an_answer_of_the_wrong_type_is_refused),
		TEST(a_settings_answer_is_refused),
		TEST(an_answer_to_nothing_is_ignored),
		TEST(a_deadline_gives_nothing),
		TEST(a_cancelled_request_hears_nothing),
		TEST(a_callback_may_ask_again),
		TEST(so_many_requests_may_wait),
		TEST(a_close_fails_what_is_pending_and_is_told_once),
		TEST(a_long_reason_is_cut),
		TEST(freeing_calls_nobody),
		TEST(a_chan_may_be_freed_when_it_is_ready),
		TEST(a_chan_may_be_freed_by_a_message),
		TEST(a_chan_may_be_freed_by_an_answer),
		TEST(a_chan_may_be_freed_by_a_row),
		TEST(a_chan_may_be_freed_by_a_deadline),
		TEST(a_chan_may_be_freed_by_a_failed_request),
		TEST(a_chan_may_be_freed_when_it_is_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
