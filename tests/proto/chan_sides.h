/*
 * Two ends of a channel for its tests: what each was told, a loop that runs until
 * something holds, and a peer that writes what it likes.
 */
#ifndef TESTS_PROTO_CHAN_SIDES_H
#define TESTS_PROTO_CHAN_SIDES_H

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "common/alloc.h"
#include "common/time.h"
#include "proto/chan.h"

#define WAIT_MS 3000
#define DELIVERY_FRAME_MAX (5 * 1024 * 1024)

/* One side and what it was told. */
struct side {
	struct chan *chan;
	bool calling; /* a function of the chan is under way: no callback may come */
	unsigned ready;
	unsigned messages;
	unsigned closed;
	char reason[200];
	struct proto_msg last; /* the last message, taken */
	bool free_on_ready;    /* what to do in callbacks */
	bool free_on_message;
	bool free_on_closed;
	bool pause_on_message;
	void (*on_message)(struct side *side, struct proto_msg *msg);
	uint32_t rids[8]; /* of the first requests */
};

static struct event_base *base;
static struct side client; /* a front */
static struct side server; /* the broker */
static int raw = -1;       /* the peer's end where the peer is ours */

static inline void
side_free(struct side *side)
{
	chan_free(side->chan);
	side->chan = NULL;
}

static inline void
on_ready(struct chan *chan, void *arg)
{
	struct side *side = arg;

	assert_false(side->calling);
	assert_ptr_equal(chan, side->chan);
	assert_true(chan_is_ready(chan));
	side->ready++;
	if (side->free_on_ready)
		side_free(side);
}

static inline void
on_message(struct chan *chan, void *arg, struct proto_msg *msg)
{
	struct side *side = arg;

	assert_false(side->calling);
	assert_ptr_equal(chan, side->chan);
	if (side->messages < 8)
		side->rids[side->messages] = msg->rid;
	side->messages++;
	if (side->on_message)
		side->on_message(side, msg);
	if (side->pause_on_message)
		chan_pause(chan, true);
	proto_clear(&side->last);
	side->last = proto_move(msg);
	if (side->free_on_message)
		side_free(side);
}

static inline void
on_closed(struct chan *chan, void *arg, const char *reason)
{
	struct side *side = arg;

	assert_false(side->calling);
	assert_ptr_equal(chan, side->chan);
	assert_false(chan_is_ready(chan));
	side->closed++;
	snprintf(side->reason, sizeof(side->reason), "%s", reason);
	if (side->free_on_closed)
		side_free(side);
}

static const struct chan_handlers handlers = {
	.on_ready = on_ready, .on_message = on_message, .on_closed = on_closed
};

static struct chan_options
client_options(void)
{
	return (struct chan_options){ .program = "streamhold-httpd",
		.version = "1.2.3",
		.role = "api",
		.expect = "broker",
		.sender = CHAN_ANY_UID,
		.frame_max = PROTO_FRAME_MAX,
		.handlers = &handlers,
		.arg = &client };
}

static struct chan_options
server_options(void)
{
	return (struct chan_options){ .program = "streamhold-broker",
		.version = "1.2.3",
		.role = "broker",
		.expect = "api",
		.broker = true,
		.sender = geteuid(),
		.frame_max = PROTO_FRAME_MAX,
		.handlers = &handlers,
		.arg = &server };
}

static inline void
make_pair(int fds[2])
{
	const int on = 1;
	int i;

	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
	for (i = 0; i < 2; i++)
		setsockopt(fds[i], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
}

static inline void
make_side(struct side *side, int fd, const struct chan_options *options)
{
	side->calling = true;
	side->chan = chan_new(base, fd, options);
	side->calling = false;
	assert_false(chan_is_ready(side->chan));
}

/* One turn of the loop; a little sleep when nothing happens. */
static inline void
turn(void)
{
	event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	usleep(100);
}

#define RUN_UNTIL(condition) \
	do { \
		int64_t run_end = time_boot_ms() + WAIT_MS; \
		while (!(condition) && time_boot_ms() < run_end) \
			turn(); \
		assert_true(condition); \
	} while (0)

/* Lets everything happen that is going to. */
static inline void
settle(void)
{
	unsigned i;

	for (i = 0; i < 30; i++)
		turn();
}

static inline int
setup(void **state)
{
	(void)state;
	base = event_base_new();
	client = (struct side){ .chan = NULL };
	server = (struct side){ .chan = NULL };
	raw = -1;
	return base ? 0 : -1;
}

static inline int
teardown(void **state)
{
	(void)state;
	side_free(&client);
	side_free(&server);
	proto_clear(&client.last);
	proto_clear(&server.last);
	if (raw >= 0)
		close(raw);
	event_base_free(base);
	return 0;
}

static inline void
connect_both_as(
    const struct chan_options *for_client, const struct chan_options *for_server)
{
	int fds[2];

	make_pair(fds);
	make_side(&client, fds[0], for_client);
	make_side(&server, fds[1], for_server);
}

static inline void
connect_both(void)
{
	const struct chan_options for_client = client_options();
	const struct chan_options for_server = server_options();

	connect_both_as(&for_client, &for_server);
	RUN_UNTIL(client.ready && server.ready);
}

/* A peer of ours. */

static inline void
raw_write(const void *bytes, size_t length)
{
	assert_int_equal(send(raw, bytes, length, MSG_NOSIGNAL), length);
}

/* The frame of a message, in whichever direction it may go. */
static inline struct buf
frame_of(const struct proto_msg *msg)
{
	struct buf out = BUF_EMPTY;
	const char *what = "";

	if (proto_encode(msg, proto_schema((unsigned)msg->type)->direction,
		DELIVERY_FRAME_MAX, &out, &what) != 0)
		fail_msg("%s", what);
	return out;
}

static inline void
raw_send(const struct proto_msg *msg)
{
	struct buf out = frame_of(msg);

	raw_write(buf_bytes(&out), buf_length(&out));
	buf_clear(&out);
}

static inline void
raw_repeat(const struct proto_msg *msg, unsigned times)
{
	struct buf frame = frame_of(msg);
	struct buf all = BUF_EMPTY;

	while (times-- > 0)
		buf_add(&all, buf_bytes(&frame), buf_length(&frame));
	raw_write(buf_bytes(&all), buf_length(&all));
	buf_clear(&all);
	buf_clear(&frame);
}

static inline struct proto_msg
hello_of(const char *role)
{
	return (struct proto_msg){ .type = MSG_hello,
		.hello = { .schema = proto_schema_id(),
		    .program = "peer",
		    .version = "0",
		    .role = role,
		    .frame_max = PROTO_FRAME_MAX } };
}

static inline void
raw_hello(const char *role)
{
	const struct proto_msg hello = hello_of(role);

	raw_send(&hello);
}

static inline void
against_server(void)
{
	const struct chan_options options = server_options();
	int fds[2];

	make_pair(fds);
	raw = fds[0];
	make_side(&server, fds[1], &options);
}

static inline void
against_client(void)
{
	const struct chan_options options = client_options();
	int fds[2];

	make_pair(fds);
	raw = fds[1];
	make_side(&client, fds[0], &options);
	raw_hello("broker");
	RUN_UNTIL(client.ready);
}

/* Waits for the close and checks what it is said to be for. */
static inline void
expect_close(struct side *side, const char *reason)
{
	RUN_UNTIL(side->closed);
	settle();
	assert_int_equal(side->closed, 1);
	if (!strstr(side->reason, reason))
		fail_msg("closed for '%s', not for '%s'", side->reason, reason);
	assert_false(chan_is_ready(side->chan));
	assert_int_equal(chan_send(side->chan, 0, &side->last), -ENOTCONN);
}

static const struct proto_msg get_account = { .type = MSG_account_get,
	.account_get = { .platform = "kick", .username = "streamer" } };
static const struct proto_msg list_credentials = { .type = MSG_credentials_list };
static const struct proto_msg an_account = { .type = MSG_account,
	.account = { .platform = "kick",
	    .username = "streamer",
	    .status = "valid",
	    .scopes = "",
	    .missing_scopes = "",
	    .identity = "verified" } };
static const struct proto_msg a_credential = { .type = MSG_credentials,
	.credentials = { .platform = "kick",
	    .client_id = "id",
	    .scopes = "",
	    .redirect_uri = "http://localhost" } };
static const struct proto_msg the_end = { .type = MSG_list_end,
	.list_end = { .next = 9 } };
static const struct proto_msg a_count = { .type = MSG_count,
	.count = { .name = "x", .more = 1 } };
static const struct proto_msg some_settings = { .type = MSG_settings,
	.settings = { .connections_max = 1,
	    .body_max = 1,
	    .log_level = "info",
	    .log_format = "text",
	    .allowed_hosts = "",
	    .allowed_origins = "" } };

/* Requests of the client. */

struct asked {
	uint32_t rid;
	unsigned rows;
	unsigned lasts;   /* callbacks with `last` set */
	unsigned nothing; /* of them without a message */
	enum proto_type type;
	unsigned closed_before; /* on_closed calls at that time */
	bool free_chan;
	bool ask_again;
};

static inline void
on_answer(void *arg, struct proto_msg *answer, bool last)
{
	struct asked *asked = arg;

	assert_false(client.calling);
	assert_true(asked->lasts == 0 || asked->ask_again);
	asked->closed_before = client.closed;
	if (answer)
		asked->type = answer->type;
	if (last)
		asked->lasts++;
	else
		asked->rows++;
	if (!answer) {
		assert_true(last);
		asked->nothing++;
	}
	if (asked->ask_again)
		asked->rid =
		    chan_request(client.chan, &get_account, WAIT_MS, on_answer, asked);
	if (asked->free_chan)
		side_free(&client);
}

static inline uint32_t
ask(struct asked *asked, const struct proto_msg *msg, unsigned deadline_ms)
{
	client.calling = true;
	asked->rid = chan_request(client.chan, msg, deadline_ms, on_answer, asked);
	client.calling = false;
	return asked->rid;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
