/*
 * One keep-alive connection of the load generator: writes a prepared request, reads the
 * answer's head and counts its body off. Owns the socket. Called by load_run.c only.
 *
 * Answers must carry Content-Length and nothing may follow them: with one request in
 * flight, anything else means that the server and this program no longer agree.
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/time.h>
#include <unistd.h>

#include "tests/bench/load.h"

#define CONNECT_SECONDS 2

static int
watch(struct load_conn *conn, int epoll, int operation, bool out)
{
	struct epoll_event event = {
		.events = EPOLLIN | (out ? (uint32_t)EPOLLOUT : 0),
		.data.ptr = conn,
	};

	if (epoll_ctl(epoll, operation, conn->fd, &event) < 0)
		return -errno;
	conn->watching_out = out;
	return 0;
}

int
load_conn_open(struct load_conn *conn, int epoll, const struct bench_address *to)
{
	struct timeval limit = { .tv_sec = CONNECT_SECONDS };
	int on = 1;
	int error;

	conn->busy = false;
	conn->fd = socket(to->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (conn->fd < 0)
		return -errno;
	/* Also bounds connect(). Reads and writes pass MSG_DONTWAIT. */
	(void)setsockopt(conn->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	(void)setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(conn->fd, (const struct sockaddr *)&to->storage, to->size) < 0)
		error = -errno;
	else
		error = watch(conn, epoll, EPOLL_CTL_ADD, false);
	if (error)
		load_conn_close(conn);
	return error;
}

void
load_conn_close(struct load_conn *conn)
{
	if (conn->fd >= 0)
		(void)close(conn->fd);
	conn->fd = -1;
	conn->busy = false;
}

static enum load_progress
write_more(struct load_conn *conn, int epoll)
{
	const struct bench_request *request = conn->request;

	while (conn->sent < request->size) {
		ssize_t n = send(conn->fd, request->bytes + conn->sent,
		    request->size - conn->sent, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			return LOAD_BROKEN;
		if (n < 0)
			break;
		conn->sent += (size_t)n;
	}
	if (conn->watching_out != (conn->sent < request->size) &&
	    watch(conn, epoll, EPOLL_CTL_MOD, conn->sent < request->size) < 0)
		return LOAD_BROKEN;
	return LOAD_WAIT;
}

enum load_progress
load_conn_start(struct load_conn *conn, int epoll, const struct bench_request *request,
    uint64_t since)
{
	conn->busy = true;
	conn->since = since;
	conn->request = request;
	conn->sent = 0;
	conn->have = 0;
	conn->in_body = false;
	conn->close_after = false;
	return write_more(conn, epoll);
}

/* Takes the status and what matters of the fields from a whole head. */
static bool
read_head(struct load_conn *conn, const char *end)
{
	static const char length_name[] = "content-length:";
	static const char close_line[] = "connection: close\r";
	const char *line = conn->head;
	bool have_length = false;

	if (end - line < 13 || strncmp(line, "HTTP/1.", 7) || line[8] != ' ')
		return false;
	conn->status = 0;
	for (line += 9; *line >= '0' && *line <= '9' && conn->status < 100; line++)
		conn->status = conn->status * 10 + (unsigned)(*line - '0');
	while ((line = memchr(line, '\n', (size_t)(end - line))) && ++line < end) {
		if (!strncasecmp(line, length_name, sizeof(length_name) - 1)) {
			const char *digit = line + sizeof(length_name) - 1;

			while (*digit == ' ')
				digit++;
			for (conn->body_left = 0; *digit >= '0' && *digit <= '9' &&
			     conn->body_left < UINT32_MAX;
			     digit++)
				conn->body_left =
				    conn->body_left * 10 + (uint64_t)(*digit - '0');
			have_length = true;
		} else if (!strncasecmp(line, close_line, sizeof(close_line) - 1)) {
			conn->close_after = true;
		}
	}
	return have_length && conn->status >= 200 && conn->status < LOAD_STATUS_MAX;
}

static enum load_progress
take_body(struct load_conn *conn, size_t size)
{
	if (size > conn->body_left)
		return LOAD_BROKEN;
	conn->body_left -= size;
	if (conn->body_left > 0)
		return LOAD_WAIT;
	conn->busy = false;
	return LOAD_ANSWERED;
}

static enum load_progress
take_head(struct load_conn *conn)
{
	const char *end = memmem(conn->head, conn->have, "\r\n\r\n", 4);
	size_t head_size;

	if (!end)
		return conn->have == sizeof(conn->head) ? LOAD_BROKEN : LOAD_WAIT;
	end += 2;
	if (!read_head(conn, end))
		return LOAD_BROKEN;
	conn->in_body = true;
	head_size = (size_t)(end + 2 - conn->head);
	return take_body(conn, conn->have - head_size);
}

static enum load_progress
read_more(struct load_conn *conn)
{
	char *room = conn->in_body ? conn->head : conn->head + conn->have;
	size_t size = sizeof(conn->head) - (conn->in_body ? 0 : conn->have);
	ssize_t n = recv(conn->fd, room, size, MSG_DONTWAIT);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return LOAD_WAIT;
	/* The end, a reset, or bytes that nobody asked for. */
	if (n <= 0 || !conn->busy)
		return LOAD_BROKEN;
	if (conn->in_body)
		return take_body(conn, (size_t)n);
	conn->have += (size_t)n;
	return take_head(conn);
}

enum load_progress
load_conn_ready(struct load_conn *conn, int epoll, uint32_t events)
{
	enum load_progress progress = LOAD_WAIT;

	if ((events & EPOLLOUT) && conn->busy)
		progress = write_more(conn, epoll);
	if (progress == LOAD_WAIT && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		progress = read_more(conn);
	return progress;
}
