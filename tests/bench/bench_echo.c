/*
 * bench_echo: the least an HTTP server can do. Reads a head, skips Content-Length bytes
 * and answers 200, on one thread with epoll. The ceiling that the ingest and status
 * rates are compared with; checks nothing and must never face a network.
 *
 * Prints the line that `streamhold up` prints when it is ready, so that tests/bench/
 * ingest can drive it in its place.
 */
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "tests/bench/bench.h"

#define READ_MAX 16384
#define EVENTS_AT_ONCE 256
#define BACKLOG 1024

struct client {
	int fd;
	size_t have;
	uint64_t skip; /* bytes of a body that are still to come */
	char in[READ_MAX];
};

static const char answer[] = "HTTP/1.1 200 OK\r\n"
			     "Content-Type: application/json\r\n"
			     "Content-Length: 2\r\n"
			     "\r\n"
			     "{}";

static const char usage[] =
    "usage: bench_echo [-a ADDRESS:PORT] [-d SECONDS]\n"
    "Answers every request with 200. Port 0 (the default) takes any free one.\n"
    "Ends after SECONDS (600) or on TERM.\n";

static volatile sig_atomic_t stopping;

static void
on_signal(int number)
{
	(void)number;
	stopping = 1;
}

static uint64_t
body_size(const char *head, const char *end)
{
	static const char name[] = "content-length:";
	const char *line = head;

	while ((line = memchr(line, '\n', (size_t)(end - line))) && ++line < end) {
		if (!strncasecmp(line, name, sizeof(name) - 1))
			return strtoull(line + sizeof(name) - 1, NULL, 10);
	}
	return 0;
}

/* Takes whole requests off the front of the buffer. Returns how many ended. */
static unsigned
take_requests(struct client *client)
{
	unsigned ended = 0;
	size_t at = 0;

	while (at < client->have) {
		size_t left = client->have - at;
		const char *head = client->in + at;
		const char *end;

		if (client->skip == 0) {
			end = memmem(head, left, "\r\n\r\n", 4);
			if (!end)
				break;
			client->skip =
			    body_size(head, end + 2) + (size_t)(end + 4 - head);
		}
		if (client->skip > left) {
			client->skip -= left;
			at += left;
			break;
		}
		at += client->skip;
		client->skip = 0;
		ended++;
	}
	memmove(client->in, client->in + at, client->have - at);
	client->have -= at;
	return ended;
}

/* Returns false when the connection is over. */
static bool
serve(struct client *client)
{
	ssize_t n = recv(client->fd, client->in + client->have,
	    sizeof(client->in) - client->have, MSG_DONTWAIT);
	unsigned ended;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (n <= 0)
		return false;
	client->have += (size_t)n;
	for (ended = take_requests(client); ended > 0; ended--) {
		if (send(client->fd, answer, sizeof(answer) - 1,
			MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)sizeof(answer) - 1)
			return false;
	}
	return client->have < sizeof(client->in);
}

static void
client_accept(int listener, int epoll)
{
	struct epoll_event event = { .events = EPOLLIN };
	struct client *client;
	int on = 1;
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	client = calloc(1, sizeof(*client));
	event.data.ptr = client;
	if (!client)
		bench_die("out of memory");
	client->fd = fd;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		bench_die("epoll_ctl: %s", strerror(errno));
}

static void
client_free(struct client *client)
{
	(void)close(client->fd);
	free(client);
}

static int
listen_on(struct bench_address *address, unsigned *ret_port)
{
	struct sockaddr *name = (struct sockaddr *)&address->storage;
	int on = 1;
	int fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		bench_die("socket: %s", strerror(errno));
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, name, address->size) < 0 || listen(fd, BACKLOG) < 0 ||
	    getsockname(fd, name, &address->size) < 0)
		bench_die("cannot listen: %s", strerror(errno));
	*ret_port = ntohs(address->storage.ss_family == AF_INET
		? ((struct sockaddr_in *)&address->storage)->sin_port
		: ((struct sockaddr_in6 *)&address->storage)->sin6_port);
	return fd;
}

static void
loop(int listener)
{
	struct epoll_event events[EVENTS_AT_ONCE];
	struct epoll_event event = { .events = EPOLLIN };
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) < 0)
		bench_die("epoll: %s", strerror(errno));
	while (!stopping) {
		int n = epoll_wait(epoll, events, EVENTS_AT_ONCE, -1);
		int i;

		for (i = 0; i < n; i++) {
			struct client *client = events[i].data.ptr;

			if (!client)
				client_accept(listener, epoll);
			else if (!serve(client))
				client_free(client);
		}
	}
	(void)close(epoll);
}

int
main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct bench_address address;
	const char *where = "127.0.0.1:0";
	uint64_t seconds = 600;
	unsigned port;
	int listener;
	int option;

	while ((option = getopt(argc, argv, "a:d:h")) != -1) {
		if (option == 'a') {
			where = optarg;
		} else if (option == 'd') {
			seconds = bench_number("-d", optarg, 1, 3600);
		} else {
			fputs(usage, option == 'h' ? stdout : stderr);
			return option == 'h' ? 0 : 2;
		}
	}
	if (optind != argc) {
		fputs(usage, stderr);
		return 2;
	}
	(void)sigaction(SIGTERM, &action, NULL);
	(void)sigaction(SIGINT, &action, NULL);
	(void)sigaction(SIGALRM, &action, NULL);
	(void)alarm((unsigned)seconds);
	bench_address_read(where, &address);
	bench_give_way();
	listener = listen_on(&address, &port);
	fprintf(stderr,
	    "bench_echo: listening api=http://localhost:%u "
	    "webhook=http://127.0.0.1:%u/webhooks/kick\n",
	    port, port);
	loop(listener);
	return 0;
}
