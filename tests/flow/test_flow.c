/*
 * Flows: one answer, one wait, one deadline, and an end in every case. The flow here
 * does nothing itself; the test says what happens to it.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "broker/dispatch.h"
#include "broker/flow.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/time.h"

#define WAIT_MS 3000

struct test_flow {
	struct flow flow;
	bool released;
	unsigned cancels;
};

static struct broker broker;
static struct client client;
static struct chan *peer;
static struct test_flow made; /* by the last request */
static struct test_flow more[8];
static size_t more_count;
static bool keep_more; /* requests make flows in `more` */
static unsigned deadline_ms;

/* What the asker heard. */
static unsigned rows;
static unsigned lasts;
static unsigned nothings;
static struct proto_msg last_answer;

static void
release(struct flow *flow)
{
	struct test_flow *test = (struct test_flow *)flow;

	assert_false(test->released);
	assert_null(flow->cancel);
	test->released = true;
}

static void
cancel(void *arg)
{
	struct test_flow *test = arg;

	assert_false(test->released);
	test->cancels++;
}

static void
on_ready(struct chan *chan, void *arg)
{
	(void)chan;
	(void)arg;
}

static void
on_message(struct chan *chan, void *arg, struct proto_msg *msg)
{
	struct test_flow *test = keep_more ? &more[more_count++] : &made;

	(void)arg;
	assert_ptr_equal(chan, client.chan);
	*test = (struct test_flow){ .released = false };
	flow_init(&test->flow, &broker, &client, msg->rid, keep_more ? "other" : "test",
	    deadline_ms, release);
}

static void
on_closed(struct chan *chan, void *arg, const char *reason)
{
	(void)chan;
	(void)arg;
	(void)reason;
}

static const struct chan_handlers handlers = {
	.on_ready = on_ready, .on_message = on_message, .on_closed = on_closed
};

static void
turn(void)
{
	event_base_loop(broker.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	usleep(100);
}

#define RUN_UNTIL(condition) \
	do { \
		int64_t run_end = time_boot_ms() + WAIT_MS; \
		while (!(condition) && time_boot_ms() < run_end) \
			turn(); \
		assert_true(condition); \
	} while (0)

static void
settle(void)
{
	unsigned i;

	for (i = 0; i < 30; i++)
		turn();
}

static void
on_answer(void *arg, struct proto_msg *answer, bool last)
{
	(void)arg;
	if (last) {
		lasts++;
		nothings += !answer;
		proto_clear(&last_answer);
		if (answer)
			last_answer = proto_move(answer);
	} else {
		rows++;
	}
}

static int
setup(void **state)
{
	struct chan_options options = { .program = "test",
		.version = "1",
		.role = "broker",
		.expect = "api",
		.broker = true,
		.sender = CHAN_ANY_UID,
		.frame_max = PROTO_FRAME_MAX,
		.handlers = &handlers };
	int ends[2];

	(void)state;
	log_set_level(LOG_LEVEL_error);
	broker = (struct broker){ .base = event_base_new() };
	client = (struct client){ .broker = &broker, .role = CLIENT_api };
	LIST_INIT(&client.flows);
	rows = lasts = nothings = 0;
	last_answer = (struct proto_msg){ .type = MSG_none };
	more_count = 0;
	keep_more = false;
	deadline_ms = 60000;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) <
	    0)
		return -1;
	client.chan = chan_new(broker.base, ends[0], &options);
	options.role = "api";
	options.expect = "broker";
	options.broker = false;
	peer = chan_new(broker.base, ends[1], &options);
	RUN_UNTIL(chan_is_ready(peer) && chan_is_ready(client.chan));
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	flows_end(&broker);
	chan_free(peer);
	chan_free(client.chan);
	proto_clear(&last_answer);
	event_base_free(broker.base);
	return 0;
}

/* Sends a request, which makes a flow. */
static void
ask(void)
{
	static const struct proto_msg list = { .type = MSG_credentials_list };
	uint64_t before = broker.flow_number;

	assert_int_not_equal(chan_request(peer, &list, 60000, on_answer, NULL), 0);
	RUN_UNTIL(broker.flow_number == before + 1);
}

static const struct proto_msg the_end = { .type = MSG_list_end };
static const struct proto_msg a_row = { .type = MSG_credentials,
	.credentials = { .platform = "kick",
	    .client_id = "id",
	    .scopes = "",
	    .redirect_uri = "http://localhost" } };

static void
an_answer_ends_a_flow(void **state)
{
	(void)state;
	ask();
	flow_step(&made.flow, "work");
	flow_row(&made.flow, &a_row);
	flow_row(&made.flow, &a_row);
	assert_false(made.released);
	flow_answer(&made.flow, &the_end);
	assert_true(made.released);
	assert_true(LIST_EMPTY(&client.flows));
	RUN_UNTIL(lasts);
	assert_int_equal(rows, 2);
	assert_int_equal(last_answer.type, MSG_list_end);
}

static void
a_failure_ends_a_flow_with_its_sentence(void **state)
{
	(void)state;
	ask();
	flow_fail(&made.flow, ERR_no_credentials, "None for kick");
	assert_true(made.released);
	RUN_UNTIL(lasts);
	assert_string_equal(last_answer.failed.code, "no_credentials");
	assert_string_equal(last_answer.failed.message, "None for kick");
	assert_int_equal(last_answer.failed.retry_after, 0);
}

static void
a_failure_without_a_sentence_says_what_the_table_says(void **state)
{
	(void)state;
	ask();
	flow_fail(&made.flow, ERR_busy, NULL);
	RUN_UNTIL(lasts);
	assert_string_equal(last_answer.failed.code, "busy");
	assert_string_equal(
	    last_answer.failed.message, proto_error_info(ERR_busy)->doc);
	assert_int_equal(last_answer.failed.retry_after, 1);
}

static void
a_deadline_fails_a_flow(void **state)
{
	int64_t start = time_boot_ms();

	(void)state;
	deadline_ms = 80;
	ask();
	flow_wait(&made.flow, cancel, &made);
	RUN_UNTIL(made.released);
	assert_in_range(time_boot_ms() - start, 70, 1000); /* its clock is coarse */
	assert_int_equal(made.cancels, 1);
	RUN_UNTIL(lasts);
	assert_string_equal(last_answer.failed.code, "timed_out");
	settle();
	assert_int_equal(lasts, 1);
}

static void
a_flow_that_ended_has_no_deadline(void **state)
{
	(void)state;
	deadline_ms = 30;
	ask();
	flow_answer(&made.flow, &the_end);
	usleep(60000);
	settle();
	assert_int_equal(lasts, 1);
	assert_int_equal(last_answer.type, MSG_list_end);
}

static void
ending_stops_what_it_waits_on_once(void **state)
{
	(void)state;
	ask();
	flow_wait(&made.flow, cancel, &made);
	flow_resume(&made.flow);
	assert_int_equal(made.cancels, 0);
	flow_wait(&made.flow, cancel, &made);
	flow_fail(&made.flow, ERR_internal, NULL);
	assert_int_equal(made.cancels, 1);
	ask();
	flow_wait(&made.flow, cancel, &made);
	flow_resume(&made.flow);
	flow_answer(&made.flow, &the_end);
	assert_int_equal(made.cancels, 0);
}

static void
a_client_that_goes_ends_its_flows(void **state)
{
	size_t i;

	(void)state;
	keep_more = true;
	for (i = 0; i < 4; i++) {
		ask();
		flow_wait(&more[i].flow, cancel, &more[i]);
	}
	flows_client_gone(&client);
	for (i = 0; i < 4; i++) {
		assert_true(more[i].released);
		assert_int_equal(more[i].cancels, 1);
	}
	settle();
	assert_int_equal(lasts, 0); /* nobody is there to be told */
	flows_client_gone(&client);
}

static void
work_already_sent_out_outlives_its_client(void **state)
{
	(void)state;
	ask();
	made.flow.outlives_client = true;
	flow_wait(&made.flow, cancel, &made);
	flows_client_gone(&client);
	assert_false(made.released);
	assert_int_equal(made.cancels, 0);
	assert_null(made.flow.client);
	assert_true(LIST_EMPTY(&client.flows));
	flow_resume(&made.flow);
	flow_row(&made.flow, &a_row);
	flow_answer(&made.flow, &the_end);
	assert_true(made.released);
	settle();
	assert_int_equal(rows + lasts, 0);
}

static void
a_flow_without_a_client_still_has_its_deadline(void **state)
{
	(void)state;
	deadline_ms = 50;
	ask();
	made.flow.outlives_client = true;
	flows_client_gone(&client);
	RUN_UNTIL(made.released);
	settle();
	assert_int_equal(lasts, 0);
}

static void
the_end_of_the_broker_ends_all_flows(void **state)
{
	(void)state;
	ask();
	flow_wait(&made.flow, cancel, &made);
	keep_more = true;
	ask();
	more[0].flow.outlives_client = true;
	flows_end(&broker);
	assert_true(made.released && more[0].released);
	assert_int_equal(made.cancels, 1);
	RUN_UNTIL(lasts == 2);
	assert_string_equal(last_answer.failed.code, "broker_away");
	flows_end(&broker);
}

/* What it has sent out may come to something yet. */
static void
the_end_of_the_broker_leaves_open_what_is_under_way(void **state)
{
	(void)state;
	ask();
	made.flow.outlives_client = true;
	flows_end(&broker);
	RUN_UNTIL(lasts == 1);
	assert_string_equal(last_answer.failed.code, "outcome_unknown");
}

/* Counting. */

struct counted {
	const char *kind;
	const char *step;
	unsigned count;
};

static struct counted counts[8];
static size_t counts_made;

static void
each(void *arg, const char *kind, const char *step, unsigned count)
{
	assert_ptr_equal(arg, counts);
	assert_true(counts_made < 8);
	counts[counts_made++] = (struct counted){ kind, step, count };
}

static unsigned
count_of(const char *kind, const char *step)
{
	unsigned found = 0;
	size_t i;

	counts_made = 0;
	flows_count(each, counts);
	for (i = 0; i < counts_made; i++)
		if (strcmp(counts[i].kind, kind) == 0 &&
		    strcmp(counts[i].step, step) == 0)
			found += counts[i].count;
	return found;
}

static void
flows_are_counted_by_kind_and_step(void **state)
{
	size_t i;

	(void)state;
	assert_int_equal(count_of("test", "start"), 0);
	ask();
	keep_more = true;
	for (i = 0; i < 5; i++)
		ask();
	flow_step(&more[1].flow, "read");
	flow_step(&more[3].flow, "read");
	flow_step(&made.flow, "read");
	assert_int_equal(count_of("other", "start"), 3);
	assert_int_equal(counts_made, 3);
	assert_int_equal(count_of("other", "read"), 2);
	assert_int_equal(count_of("test", "read"), 1);
	assert_int_equal(count_of("test", "start"), 0);
	flow_answer(&more[3].flow, &the_end);
	assert_int_equal(count_of("other", "read"), 1);
	flows_end(&broker);
	assert_int_equal(count_of("other", "read") + counts_made, 0);
}

static void
each_flow_has_a_number_of_its_own(void **state)
{
	(void)state;
	keep_more = true;
	ask();
	ask();
	assert_int_equal(more[1].flow.number, more[0].flow.number + 1);
	assert_true(more[0].flow.rid != more[1].flow.rid);
}

/* Broken invariants end the process. */

static void
expect_abort(void (*broken)(void))
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		signal(SIGABRT, SIG_DFL); /* cmocka would go on with the tests */
		close(STDERR_FILENO);
		broken();
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void
wait_twice(void)
{
	flow_wait(&made.flow, cancel, &made);
	flow_wait(&made.flow, cancel, &made);
}

static void
resume_without_wait(void)
{
	flow_resume(&made.flow);
}

static void
two_waits_and_a_resume_of_none_are_broken_invariants(void **state)
{
	(void)state;
	ask();
	expect_abort(wait_twice);
	expect_abort(resume_without_wait);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_answer_ends_a_flow),
		TEST(a_failure_ends_a_flow_with_its_sentence),
		TEST(a_failure_without_a_sentence_says_what_the_table_says),
		TEST(a_deadline_fails_a_flow),
		TEST(a_flow_that_ended_has_no_deadline),
		TEST(ending_stops_what_it_waits_on_once),
		TEST(a_client_that_goes_ends_its_flows),
		TEST(work_already_sent_out_outlives_its_client),
		TEST(a_flow_without_a_client_still_has_its_deadline),
		TEST(the_end_of_the_broker_ends_all_flows),
		TEST(the_end_of_the_broker_leaves_open_what_is_under_way),
		TEST(flows_are_counted_by_kind_and_step),
		TEST(each_flow_has_a_number_of_its_own),
		TEST(two_waits_and_a_resume_of_none_are_broken_invariants),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
