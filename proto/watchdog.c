/*
 * Feeds the supervisor's watchdog. Used by the main loops of broker and httpd; a timer
 * of the loop and a datagram on a socket that is open already, so it needs nothing that
 * a locked-down front has given up.
 */
#include <stdlib.h>
#include <sys/time.h>

#include <event2/event.h>

#include "common/process.h"
#include "proto/watchdog.h"

#define US_PER_S 1000000U

static void
on_time(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	process_notify("WATCHDOG=1");
}

struct event *
watchdog_new(struct event_base *base)
{
	uint64_t every = process_watchdog_us() / WATCHDOG_FEEDS;
	const struct timeval interval = { .tv_sec = (time_t)(every / US_PER_S),
		.tv_usec = (suseconds_t)(every % US_PER_S) };
	struct event *event;

	if (every == 0)
		return NULL;
	event = event_new(base, -1, EV_PERSIST, on_time, NULL);
	if (!event || event_add(event, &interval) < 0)
		abort();
	return event;
}
