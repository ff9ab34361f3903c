/*
 * libcurl and the loop: sockets and the timer that libcurl wants watched, and the
 * callbacks of finished calls, which run only after libcurl has been left. Set up by
 * fetch.c.
 */
#include <stdlib.h>

#include <event2/event.h>

#include "broker/outbound/fetch_inner.h"

static int on_timer_wanted(CURLM *, long, void *);
static int on_socket_wanted(CURL *, curl_socket_t, int, void *, void *);
static void on_timer(evutil_socket_t, short, void *);
static void on_socket(evutil_socket_t, short, void *);
static void collect(struct fetcher *);
static void tell(struct fetcher *);

void
fetch_multi_init(struct fetcher *fetcher)
{
	fetcher->timer = evtimer_new(fetcher->base, on_timer, fetcher);
	if (!fetcher->timer)
		abort();
	curl_multi_setopt(fetcher->multi, CURLMOPT_SOCKETFUNCTION, on_socket_wanted);
	curl_multi_setopt(fetcher->multi, CURLMOPT_SOCKETDATA, fetcher);
	curl_multi_setopt(fetcher->multi, CURLMOPT_TIMERFUNCTION, on_timer_wanted);
	curl_multi_setopt(fetcher->multi, CURLMOPT_TIMERDATA, fetcher);
}

static int
on_timer_wanted(CURLM *multi, long ms, void *arg)
{
	struct fetcher *fetcher = arg;
	struct timeval in = { .tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000 };

	(void)multi;
	if (ms < 0)
		evtimer_del(fetcher->timer);
	else
		evtimer_add(fetcher->timer, &in);
	return 0;
}

static int
on_socket_wanted(CURL *curl, curl_socket_t fd, int what, void *arg, void *watched)
{
	struct fetcher *fetcher = arg;
	struct event *event = watched;
	short events = EV_PERSIST;

	(void)curl;
	if (event)
		event_free(event);
	if (what == CURL_POLL_REMOVE)
		return 0;
	if (what & CURL_POLL_IN)
		events |= EV_READ;
	if (what & CURL_POLL_OUT)
		events |= EV_WRITE;
	event = event_new(fetcher->base, fd, events, on_socket, fetcher);
	if (!event || event_add(event, NULL) < 0)
		fetch_broken("cannot watch a socket: out of memory");
	curl_multi_assign(fetcher->multi, fd, event);
	return 0;
}

static void
on_timer(evutil_socket_t fd, short events, void *arg)
{
	struct fetcher *fetcher = arg;
	int running;

	(void)fd;
	(void)events;
	curl_multi_socket_action(fetcher->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	collect(fetcher);
}

static void
on_socket(evutil_socket_t fd, short events, void *arg)
{
	struct fetcher *fetcher = arg;
	int what = 0;
	int running;

	if (events & EV_READ)
		what |= CURL_CSELECT_IN;
	if (events & EV_WRITE)
		what |= CURL_CSELECT_OUT;
	curl_multi_socket_action(fetcher->multi, fd, what, &running);
	collect(fetcher);
}

static void
collect(struct fetcher *fetcher)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(fetcher->multi, &left))) {
		struct fetch *fetch = NULL;
		char *private = NULL;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private);
		fetch = (struct fetch *)(void *)private;
		fetch->code = message->data.result;
		fetch->finished = true;
		TAILQ_REMOVE(&fetcher->running, fetch, entry);
		TAILQ_INSERT_TAIL(&fetcher->finished, fetch, entry);
	}
	tell(fetcher);
}

/* Callbacks may start, cancel and free whatever they like except the fetcher. */
static void
tell(struct fetcher *fetcher)
{
	struct fetch *fetch;

	if (fetcher->telling)
		return;
	fetcher->telling = true;
	while ((fetch = TAILQ_FIRST(&fetcher->finished))) {
		TAILQ_REMOVE(&fetcher->finished, fetch, entry);
		fetch_transfer_finish(fetch);
		curl_multi_remove_handle(fetcher->multi, fetch->curl);
		fetch->done(fetch->arg, &fetch->reply);
		fetch_free(fetch);
	}
	fetcher->telling = false;
}
