/*
 * Accepts connections. At the cap, and for a moment when descriptors run out, the
 * listeners leave the loop, so that nothing spins; peers wait in the backlog. Called by
 * main.c.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/alloc.h"
#include "common/log.h"
#include "common/sock.h"
#include "httpd/conn.h"
#include "httpd/limits.h"
#include "httpd/listener.h"

#define LISTENERS_MAX 4
#define ADDRESSES_SIZE 512

struct listener {
	struct listeners *all;
	int fd;
	bool local; /* a Unix socket */
	struct event *event;
};

struct listeners {
	struct httpd *httpd;
	unsigned count;
	bool started;
	bool accepting;
	bool resting; /* descriptors ran out; pause_event ends it */
	struct event *pause_event;
	uint16_t port;
	char addresses[ADDRESSES_SIZE];
	struct listener listener[LISTENERS_MAX];
};

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_un local;
};

static void
set_accepting(struct listeners *listeners, bool accepting)
{
	unsigned i;

	if (listeners->accepting == accepting)
		return;
	listeners->accepting = accepting;
	for (i = 0; i < listeners->count; i++)
		if (accepting)
			event_add(listeners->listener[i].event, NULL);
		else
			event_del(listeners->listener[i].event);
}

static size_t
cap(const struct listeners *listeners)
{
	size_t most = listeners->httpd->settings.connections_max;
	size_t room = listeners->httpd->connections_room;

	return most < room ? most : room;
}

void
listeners_wake(struct listeners *listeners)
{
	if (listeners && listeners->started && !listeners->resting)
		set_accepting(
		    listeners, conns_count(listeners->httpd->conns) < cap(listeners));
}

static void
on_pause_end(evutil_socket_t fd, short what, void *arg)
{
	struct listeners *listeners = arg;

	(void)fd;
	(void)what;
	listeners->resting = false;
	listeners_wake(listeners);
}

static void
rest(struct listeners *listeners, int error)
{
	const struct timeval pause = { .tv_usec = ACCEPT_PAUSE_MS * 1000 };

	log_warning("listener", "cannot accept (%s), pausing for %u ms",
	    strerror(error), ACCEPT_PAUSE_MS);
	listeners->resting = true;
	set_accepting(listeners, false);
	event_add(listeners->pause_event, &pause);
}

/* Whether to go on accepting after an error of accept(2). */
static bool
after_error(struct listeners *listeners, int error)
{
	switch (error) {
	case EAGAIN:
		return false;
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
		rest(listeners, error);
		return false;
	default: /* of the peer: it is gone, or its network is */
		return true;
	}
}

static void
on_accept(evutil_socket_t fd, short what, void *arg)
{
	struct listener *listener = arg;
	struct listeners *listeners = listener->all;
	struct conns *conns = listeners->httpd->conns;
	union address address;
	socklen_t size;
	unsigned i;
	int peer;

	(void)what;
	for (i = 0; i < ACCEPT_BATCH; i++) {
		if (conns_count(conns) >= cap(listeners)) {
			set_accepting(listeners, false);
			return;
		}
		size = sizeof(address);
		peer =
		    accept4((int)fd, &address.any, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (peer >= 0)
			conn_new(
			    conns, peer, rate_peer_of(&address.any), listener->local);
		else if (!after_error(listeners, errno))
			return;
	}
}

static void
describe(struct listeners *listeners, int fd, const union address *address)
{
	char host[INET6_ADDRSTRLEN] = "";
	char text[INET6_ADDRSTRLEN + sizeof(address->local.sun_path)];
	uint16_t port = sock_local_port(fd);
	size_t used;

	if (address->any.sa_family == AF_INET) {
		(void)inet_ntop(AF_INET, &address->v4.sin_addr, host, sizeof(host));
		(void)snprintf(text, sizeof(text), "%s:%u", host, port);
	} else if (address->any.sa_family == AF_INET6) {
		(void)inet_ntop(AF_INET6, &address->v6.sin6_addr, host, sizeof(host));
		(void)snprintf(text, sizeof(text), "[%s]:%u", host, port);
	} else {
		(void)snprintf(text, sizeof(text), "unix:%s", address->local.sun_path);
	}
	if (port)
		listeners->port = port;
	used = strlen(listeners->addresses);
	(void)snprintf(listeners->addresses + used, ADDRESSES_SIZE - used, "%s%s",
	    used ? " " : "", text);
}

static void
add(struct listeners *listeners, int fd)
{
	struct listener *listener = &listeners->listener[listeners->count++];
	union address address = { .any = { .sa_family = AF_UNSPEC } };
	socklen_t size = sizeof(address);
	int on = 1;

	(void)getsockname(fd, &address.any, &size);
	listener->all = listeners;
	listener->fd = fd;
	listener->local = address.any.sa_family == AF_UNIX;
	/* Accepted sockets inherit it on Linux, so no call is needed per connection. */
	if (!listener->local)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	listener->event = event_new(
	    listeners->httpd->base, fd, EV_READ | EV_PERSIST, on_accept, listener);
	if (!listener->event)
		abort();
	describe(listeners, fd, &address);
}

struct listeners *
listeners_new(struct httpd *httpd)
{
	struct listeners *listeners;
	int fd;

	if (sock_passed("http", 0) < 0)
		return NULL;
	listeners = xcalloc(1, sizeof(*listeners));
	listeners->httpd = httpd;
	listeners->pause_event = event_new(httpd->base, -1, 0, on_pause_end, listeners);
	if (!listeners->pause_event)
		abort();
	while (listeners->count < LISTENERS_MAX &&
	    (fd = sock_passed("http", listeners->count)) >= 0)
		add(listeners, fd);
	return listeners;
}

void
listeners_free(struct listeners *listeners)
{
	unsigned i;

	if (!listeners)
		return;
	for (i = 0; i < listeners->count; i++) {
		event_free(listeners->listener[i].event);
		(void)close(listeners->listener[i].fd);
	}
	event_free(listeners->pause_event);
	free(listeners);
}

void
listeners_start(struct listeners *listeners)
{
	listeners->started = true;
	set_accepting(listeners, true);
}

const char *
listeners_addresses(const struct listeners *listeners)
{
	return listeners->addresses;
}

uint16_t
listeners_port(const struct listeners *listeners)
{
	return listeners->port;
}
