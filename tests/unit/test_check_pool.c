/*
 * The threads that check deliveries: every job is worked on once and then done on the
 * loop, a lone one without a thread, all of them when the pool ends.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <event2/event.h>

#include "broker/events/check_pool.h"

#define MANY 1000

struct test_job {
	struct check_job check;
	pthread_t worker;
	unsigned worked;
	unsigned done;
};

static struct event_base *base;
static struct check_pool *pool;
static struct test_job jobs[MANY];
static size_t done_count;
static size_t wanted;

static void
work(struct check_job *check, struct kick_checker *checker)
{
	struct test_job *job = (struct test_job *)check;

	job->worked += checker != NULL;
	job->worker = pthread_self();
}

static void
done(struct check_job *check)
{
	((struct test_job *)check)->done++;
	if (++done_count == wanted)
		(void)event_base_loopbreak(base);
}

static void
submit(size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		jobs[i] = (struct test_job){ .check = { .work = work, .done = done } };
		check_pool_submit(pool, &jobs[i].check);
	}
}

static void
assert_all(size_t count)
{
	size_t i;

	assert_int_equal(done_count, count);
	for (i = 0; i < count; i++) {
		assert_int_equal(jobs[i].worked, 1);
		assert_int_equal(jobs[i].done, 1);
	}
}

static void
run(size_t count)
{
	const struct timeval limit = { .tv_sec = 10 };

	wanted = count;
	(void)event_base_loopexit(base, &limit);
	(void)event_base_dispatch(base);
}

static void
test_many(void **state)
{
	size_t elsewhere = 0;
	size_t i;

	(void)state;
	submit(MANY);
	run(MANY);
	assert_all(MANY);
	for (i = 0; i < MANY; i++)
		elsewhere += !pthread_equal(jobs[i].worker, pthread_self());
	assert_int_equal(elsewhere, MANY);
}

static void
test_a_lone_one_needs_no_thread(void **state)
{
	(void)state;
	submit(1);
	assert_int_equal(jobs[0].done, 0); /* not before the turn is over */
	run(1);
	assert_all(1);
	assert_true(pthread_equal(jobs[0].worker, pthread_self()));
}

static void
test_the_end_leaves_none(void **state)
{
	(void)state;
	wanted = 0;
	submit(MANY);
	check_pool_free(pool);
	pool = NULL;
	assert_all(MANY);
}

static void
test_the_end_takes_what_was_only_gathered(void **state)
{
	(void)state;
	wanted = 0;
	submit(3);
	check_pool_free(pool);
	pool = NULL;
	assert_all(3);
}

static int
set_up(void **state)
{
	(void)state;
	base = event_base_new();
	pool = check_pool_new(base);
	done_count = 0;
	return base && pool ? 0 : -1;
}

static int
tear_down(void **state)
{
	(void)state;
	check_pool_free(pool);
	event_base_free(base);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_many, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_a_lone_one_needs_no_thread, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_the_end_leaves_none, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_the_end_takes_what_was_only_gathered, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
