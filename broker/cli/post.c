/*
 * A blocking HTTP/1.1 client for one address: ours. Called by verb_trigger.c.
 */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/cli/post.h"
#include "common/buf.h"
#include "common/text.h"
#include "common/time.h"
#include "common/version.h"

/* An answer of ours is a few hundred bytes. */
#define REPLY_MAX 16384

static int
connect_to(const struct addrinfo *address)
{
	const struct timeval patience = { .tv_sec = POST_TIMEOUT_S };
	int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int result;

	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (connect(fd, address->ai_addr, address->ai_addrlen) == 0)
		return fd;
	result = -errno;
	(void)close(fd);
	return result;
}

/* `host` is an address; one of IPv6 is in brackets. */
static int
open_connection(const char *host, uint32_t port)
{
	const struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
		.ai_socktype = SOCK_STREAM };
	struct addrinfo *found;
	char plain[128];
	char service[16];
	size_t length;
	int fd;

	(void)snprintf(plain, sizeof(plain), "%s", host + (host[0] == '['));
	length = strcspn(plain, "]");
	plain[length] = '\0';
	(void)snprintf(service, sizeof(service), "%u", port);
	if (getaddrinfo(plain, service, &hints, &found) != 0)
		return -EADDRNOTAVAIL;
	fd = connect_to(found);
	freeaddrinfo(found);
	return fd;
}

static void
write_request(const struct proto_triggered *delivery, struct buf *out)
{
	buf_printf(out,
	    "POST %s HTTP/1.1\r\n"
	    "Host: %s:%u\r\n"
	    "Connection: close\r\n"
	    "User-Agent: streamhold/%s\r\n"
	    "Content-Type: application/json\r\n"
	    "Content-Length: %zu\r\n"
	    "Kick-Event-Message-Id: %s\r\n"
	    "Kick-Event-Subscription-Id: %s\r\n"
	    "Kick-Event-Signature: %s\r\n"
	    "Kick-Event-Message-Timestamp: %s\r\n"
	    "Kick-Event-Type: %s\r\n"
	    "Kick-Event-Version: %s\r\n\r\n",
	    delivery->path, delivery->host, delivery->port, version_text(),
	    delivery->body.length, delivery->message_id, delivery->subscription_id,
	    delivery->signature, delivery->timestamp, delivery->type,
	    delivery->version);
	buf_add(out, delivery->body.data, delivery->body.length);
}

static int
send_all(int fd, const struct buf *request)
{
	const uint8_t *at = buf_bytes(request);
	size_t left = buf_length(request);

	while (left > 0) {
		ssize_t sent = send(fd, at, left, MSG_NOSIGNAL);

		if (sent < 0 && errno != EINTR)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		if (sent > 0) {
			at += sent;
			left -= (size_t)sent;
		}
	}
	return 0;
}

/* Up to the end of the connection, which was asked to close. */
static int
receive_all(int fd, char *text)
{
	size_t length = 0;

	while (length < REPLY_MAX) {
		ssize_t got = recv(fd, text + length, REPLY_MAX - length, 0);

		if (got == 0)
			break;
		if (got < 0 && errno != EINTR)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		length += got > 0 ? (size_t)got : 0;
	}
	text[length] = '\0';
	return 0;
}

static int
read_reply(const char *text, struct post_reply *reply)
{
	const char *body = strstr(text, "\r\n\r\n");
	uint64_t status;

	if (strncmp(text, "HTTP/1.1 ", 9) != 0 || !body ||
	    !text_to_u64(text + 9, 3, 999, &status))
		return -EPROTO;
	reply->status = (unsigned)status;
	(void)snprintf(reply->body, sizeof(reply->body), "%s", body + 4);
	return 0;
}

int
post_delivery(const struct proto_triggered *delivery, struct post_reply *ret_reply)
{
	struct post_reply reply = { .status = 0 };
	struct buf request = BUF_EMPTY;
	int64_t began = time_boot_ms();
	char text[REPLY_MAX + 1];
	int fd = open_connection(delivery->host, delivery->port);
	int result;

	if (fd < 0)
		return fd;
	write_request(delivery, &request);
	result = send_all(fd, &request);
	if (result == 0)
		result = receive_all(fd, text);
	(void)close(fd);
	buf_clear(&request);
	if (result == 0)
		result = read_reply(text, &reply);
	if (result < 0)
		return result;
	reply.took_ms = (uint64_t)(time_boot_ms() - began);
	*ret_reply = reply;
	return 0;
}
