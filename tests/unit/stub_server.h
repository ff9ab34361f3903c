/*
 * A tiny HTTP server on the test's own loop, which answers as badly as a test wants.
 * Every connection is closed after its answer.
 */
#ifndef TESTS_UNIT_STUB_SERVER_H
#define TESTS_UNIT_STUB_SERVER_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>

#define STUB_REQUESTS_MAX 64

struct stub;

/* Writes an answer to a whole request (head and body as one text). */
typedef void
stub_answer_fn(struct stub *stub, const char *request, struct bufferevent *to);

struct stub {
	struct evconnlistener *listener;
	unsigned port;
	stub_answer_fn *answer;
	void *arg;
	char *requests[STUB_REQUESTS_MAX];
	size_t request_count;
	size_t connections;
};

struct stub_connection {
	struct stub *stub;
	struct bufferevent *buffers;
	struct event *timer; /* for answers that drip */
	unsigned dripped;
};

static inline void
stub_close(struct stub_connection *connection)
{
	if (connection->timer)
		event_free(connection->timer);
	bufferevent_free(connection->buffers);
	free(connection);
}

static void
stub_on_event(struct bufferevent *buffers, short what, void *arg)
{
	(void)buffers;
	if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
		stub_close(arg);
}

static void
stub_on_written(struct bufferevent *buffers, void *arg)
{
	struct stub_connection *connection = arg;

	(void)buffers;
	if (!connection->timer)
		stub_close(connection);
}

/* The whole request, or NULL when some is still to come. */
static char *
stub_request(struct evbuffer *input)
{
	size_t length = evbuffer_get_length(input);
	char *text = calloc(1, length + 1);
	const char *head_end;
	const char *said;
	size_t body = 0;

	evbuffer_copyout(input, text, length);
	head_end = strstr(text, "\r\n\r\n");
	said = strstr(text, "Content-Length: ");
	if (said && head_end && said < head_end)
		body = (size_t)atol(said + strlen("Content-Length: "));
	if (!head_end || length < (size_t)(head_end + 4 - text) + body) {
		free(text);
		return NULL;
	}
	evbuffer_drain(input, length);
	return text;
}

static void
stub_on_read(struct bufferevent *buffers, void *arg)
{
	struct stub_connection *connection = arg;
	struct stub *stub = connection->stub;
	char *request = stub_request(bufferevent_get_input(buffers));

	if (!request)
		return;
	if (stub->request_count < STUB_REQUESTS_MAX)
		stub->requests[stub->request_count++] = request;
	stub->answer(stub, request, buffers);
	bufferevent_setcb(buffers, NULL, stub_on_written, stub_on_event, connection);
}

static void
stub_on_accept(struct evconnlistener *listener, evutil_socket_t fd,
    struct sockaddr *address, int length, void *arg)
{
	struct stub_connection *connection = calloc(1, sizeof(*connection));
	struct stub *stub = arg;

	(void)address;
	(void)length;
	connection->stub = stub;
	connection->buffers = bufferevent_socket_new(
	    evconnlistener_get_base(listener), fd, BEV_OPT_CLOSE_ON_FREE);
	stub->connections++;
	bufferevent_setcb(
	    connection->buffers, stub_on_read, NULL, stub_on_event, connection);
	bufferevent_enable(connection->buffers, EV_READ | EV_WRITE);
}

static inline void
stub_open(struct stub *stub, struct event_base *base, stub_answer_fn *answer, void *arg)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(address);

	*stub = (struct stub){ .answer = answer, .arg = arg };
	stub->listener = evconnlistener_new_bind(base, stub_on_accept, stub,
	    LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE, -1, (struct sockaddr *)&address,
	    sizeof(address));
	if (!stub->listener ||
	    getsockname(evconnlistener_get_fd(stub->listener),
		(struct sockaddr *)&address, &length) < 0)
		abort();
	stub->port = ntohs(address.sin_port);
}

static inline void
stub_forget(struct stub *stub)
{
	while (stub->request_count > 0)
		free(stub->requests[--stub->request_count]);
}

static inline void
stub_shut(struct stub *stub)
{
	evconnlistener_free(stub->listener);
	stub_forget(stub);
}

/* A plain answer with a length. */
static inline void
stub_reply(
    struct bufferevent *to, const char *status, const char *headers, const char *body)
{
	evbuffer_add_printf(bufferevent_get_output(to),
	    "HTTP/1.1 %s\r\nContent-Length: %zu\r\n%s\r\n%s", status, strlen(body),
	    headers, body);
}

#endif
