/*
 * The threads that check deliveries: every job is worked on once and then done on the
 * loop, a lone one without a thread, all of them when the pool ends.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

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
submit_as(size_t from, size_t to, check_work_fn *as_work, check_done_fn *as_done)
{
	size_t i;

	for (i = from; i < to; i++) {
		jobs[i] =
		    (struct test_job){ .check = { .work = as_work, .done = as_done } };
		check_pool_submit(pool, &jobs[i].check);
	}
}

static void
submit(size_t count)
{
	submit_as(0, count, work, done);
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

/* Also the last few, which are less than the loop is told of otherwise. */
static void
test_every_count_comes_back(void **state)
{
	size_t count;

	(void)state;
	for (count = 1; count <= 3 * CHECK_TELL; count++) {
		done_count = 0;
		submit(count);
		run(count);
		assert_all(count);
	}
}

static atomic_bool heard;
static atomic_bool gave_up;

/* Waits until the loop has heard of another, five seconds at most. */
static void
work_when_heard(struct check_job *check, struct kick_checker *checker)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	unsigned i;

	for (i = 0; i < 5000 && !heard && !gave_up; i++)
		(void)nanosleep(&pause, NULL);
	if (!heard)
		gave_up = true;
	work(check, checker);
}

static void
done_heard(struct check_job *check)
{
	heard = true;
	done(check);
}

/* What is finished is stored while the rest is checked. */
static void
test_the_loop_hears_before_all_are_checked(void **state)
{
	(void)state;
	heard = gave_up = false;
	submit_as(0, CHECK_TELL, work, done_heard);
	submit_as(CHECK_TELL, 2 * CHECK_TELL, work_when_heard, done_heard);
	run(2 * CHECK_TELL);
	assert_all(2 * CHECK_TELL);
	assert_false(gave_up);
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
		    test_every_count_comes_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_the_loop_hears_before_all_are_checked, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_a_lone_one_needs_no_thread, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_the_end_leaves_none, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_the_end_takes_what_was_only_gathered, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
