/*
 * Where the threads that check deliveries run: two that say they share a processor
 * part, others stay, and all is done where a sandbox lets nobody move.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "broker/events/check_pool.h"
#include "common/processor.h"

#define JOBS 400
#define PROCESSORS 4

/* The machine as the threads see it. */
static _Thread_local int here;
static _Thread_local cpu_set_t may_use;
static _Thread_local bool knows;
static atomic_bool one_place; /* all threads begin on the same processor */
static atomic_int next_place;
static atomic_int moves;
static atomic_int refused;
static atomic_int answer; /* errno of each move, 0: done */

static void
begin(void)
{
	int i;

	if (knows)
		return;
	knows = true;
	here = one_place ? 1 : next_place++ % PROCESSORS;
	CPU_ZERO(&may_use);
	for (i = 0; i < PROCESSORS; i++)
		CPU_SET((size_t)i, &may_use);
}

/* These take the place of libc's. */

int
sched_getcpu(void)
{
	begin();
	return here;
}

int
sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set)
{
	begin();
	if (pid != 0 || size != sizeof(may_use)) {
		errno = EINVAL;
		return -1;
	}
	*set = may_use;
	return 0;
}

int
sched_setaffinity(pid_t pid, size_t size, const cpu_set_t *set)
{
	begin();
	if (pid != 0 || size != sizeof(may_use)) {
		errno = EINVAL;
		return -1;
	}
	if (answer) {
		refused++;
		errno = answer;
		return -1;
	}
	may_use = *set;
	if (CPU_ISSET((size_t)here, &may_use))
		return 0;
	for (here = 0; !CPU_ISSET((size_t)here, &may_use); here++)
		;
	moves++;
	return 0;
}

static struct event_base *base;
static struct check_pool *pool;
static struct check_job jobs[JOBS];
static size_t done_count;

/* Long enough for both threads to have work at the same time. */
static void
work(struct check_job *job, struct kick_checker *checker)
{
	(void)job;
	(void)checker;
	(void)usleep(500);
}

static void
done(struct check_job *job)
{
	(void)job;
	if (++done_count == JOBS)
		(void)event_base_loopbreak(base);
}

static void
run(bool together, int error)
{
	const struct timeval limit = { .tv_sec = 20 };
	size_t i;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		skip();
	one_place = together;
	answer = error;
	next_place = moves = refused = 0;
	done_count = 0;
	base = event_base_new();
	pool = check_pool_new(base);
	for (i = 0; i < JOBS; i++) {
		jobs[i] = (struct check_job){ .work = work, .done = done };
		check_pool_submit(pool, &jobs[i]);
	}
	(void)event_base_loopexit(base, &limit);
	(void)event_base_dispatch(base);
	check_pool_free(pool);
	event_base_free(base);
	assert_int_equal(done_count, JOBS);
}

static void
test_two_on_one_processor_part(void **state)
{
	(void)state;
	run(true, 0);
	/* One of them, once; the other stays. */
	assert_int_equal(moves, 1);
}

static void
test_two_on_their_own_stay(void **state)
{
	(void)state;
	run(false, 0);
	assert_int_equal(moves, 0);
}

static void
test_who_may_not_move_asks_once(void **state)
{
	(void)state;
	run(true, EPERM);
	assert_int_equal(moves, 0);
	assert_int_equal(refused, 1);
}

static void
test_leaving_is_not_staying_away(void **state)
{
	cpu_set_t before;

	(void)state;
	answer = 0;
	one_place = true;
	assert_int_equal(processor_here(), 1);
	before = may_use;
	moves = 0;
	assert_int_equal(processor_leave(1), 0);
	assert_int_equal(moves, 1);
	assert_int_not_equal(processor_here(), 1);
	assert_true(CPU_EQUAL(&before, &may_use));
}

static void
test_there_may_be_no_other(void **state)
{
	cpu_set_t before = may_use;

	(void)state;
	answer = 0;
	begin();
	CPU_ZERO(&may_use);
	CPU_SET(3, &may_use);
	here = 3;
	assert_int_equal(processor_leave(3), -ENOENT);
	assert_int_equal(CPU_COUNT(&may_use), 1);
	assert_int_equal(here, 3);
	may_use = before;
}

static void
test_a_sandbox_may_forbid_it(void **state)
{
	(void)state;
	begin();
	answer = EPERM;
	assert_int_equal(processor_leave(here), -EPERM);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_two_on_one_processor_part),
		cmocka_unit_test(test_two_on_their_own_stay),
		cmocka_unit_test(test_who_may_not_move_asks_once),
		cmocka_unit_test(test_leaving_is_not_staying_away),
		cmocka_unit_test(test_there_may_be_no_other),
		cmocka_unit_test(test_a_sandbox_may_forbid_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
