/*
 * The supervisor's watchdog is fed by the loop and by nothing else, and who is meant by
 * a user on a command line.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "common/process.h"
#include "proto/watchdog.h"

#define INTERVAL_US 400000

static int supervisor = -1;

static void
set_environment(const char *interval, long pid)
{
	char number[24];

	snprintf(number, sizeof(number), "%ld", pid);
	setenv("WATCHDOG_USEC", interval, 1);
	if (pid)
		setenv("WATCHDOG_PID", number, 1);
	else
		unsetenv("WATCHDOG_PID");
}

static int
open_supervisor(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char name[100];

	(void)state;
	snprintf(name, sizeof(name), "@streamhold-watchdog-%ld", (long)getpid());
	memcpy(address.sun_path + 1, name + 1, strlen(name) - 1);
	supervisor = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	assert_int_equal(
	    bind(supervisor, (struct sockaddr *)&address,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))),
	    0);
	setenv("NOTIFY_SOCKET", name, 1);
	process_notify_open();
	return 0;
}

/* How often the supervisor was told of life since the last question. */
static int
feeds(void)
{
	char text[32];
	ssize_t length;
	int count = 0;

	while ((length = recv(supervisor, text, sizeof(text), 0)) > 0) {
		assert_int_equal(length, strlen("WATCHDOG=1"));
		assert_memory_equal(text, "WATCHDOG=1", (size_t)length);
		count++;
	}
	return count;
}

static void
run_for(struct event_base *base, long us)
{
	const struct timeval limit = { .tv_usec = us };

	event_base_loopexit(base, &limit);
	event_base_dispatch(base);
}

static void
a_running_loop_feeds_within_the_interval(void **state)
{
	struct event_base *base = event_base_new();
	struct event *event;

	(void)state;
	set_environment("400000", (long)getpid());
	event = watchdog_new(base);
	assert_non_null(event);
	assert_null(getenv("WATCHDOG_USEC"));
	run_for(base, INTERVAL_US - 20000);
	assert_in_range(feeds(), 2, WATCHDOG_FEEDS);
	event_free(event);
	event_base_free(base);
}

static void
a_loop_that_stands_still_does_not(void **state)
{
	struct event_base *base = event_base_new();
	struct event *event;

	(void)state;
	set_environment("400000", 0);
	event = watchdog_new(base);
	assert_non_null(event);
	usleep(INTERVAL_US);
	assert_int_equal(feeds(), 0);
	event_free(event);
	event_base_free(base);
}

static void
nobody_is_told_who_does_not_ask(void **state)
{
	struct event_base *base = event_base_new();

	(void)state;
	set_environment("400000", (long)getpid() + 1);
	assert_null(watchdog_new(base));
	set_environment("soon", (long)getpid());
	assert_null(watchdog_new(base));
	set_environment("-1", (long)getpid());
	assert_null(watchdog_new(base));
	set_environment("0", (long)getpid());
	assert_null(watchdog_new(base));
	assert_null(getenv("WATCHDOG_PID"));
	assert_null(watchdog_new(base));
	event_base_free(base);
}

static void
a_user_is_a_number_or_a_name(void **state)
{
	uid_t uid = 12345;

	(void)state;
	assert_int_equal(process_user_id("no-such-user-here", &uid), -22);
	assert_int_equal(process_user_id("", &uid), -22);
	assert_int_equal(process_user_id("-1", &uid), -22);
	assert_int_equal(process_user_id("4294967295", &uid), -22);
	assert_int_equal(uid, 12345);
	assert_int_equal(process_user_id("root", &uid), 0);
	assert_int_equal(uid, 0);
	assert_int_equal(process_user_id("4294967294", &uid), 0);
	assert_int_equal(uid, 4294967294U);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_running_loop_feeds_within_the_interval),
		cmocka_unit_test(a_loop_that_stands_still_does_not),
		cmocka_unit_test(nobody_is_told_who_does_not_ask),
		cmocka_unit_test(a_user_is_a_number_or_a_name),
	};

	return cmocka_run_group_tests(tests, open_supervisor, NULL);
}
