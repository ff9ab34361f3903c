/*
 * Channels, the beginning: hello, who wrote it, and what is no frame.
 */
#include "chan_sides.h"

/* Hello. */

static void
hellos_are_exchanged(void **state)
{
	(void)state;
	connect_both();
	settle();
	assert_int_equal(client.ready, 1);
	assert_int_equal(server.ready, 1);
	assert_string_equal(chan_hello(client.chan)->role, "broker");
	assert_string_equal(chan_hello(server.chan)->role, "api");
	assert_string_equal(chan_hello(server.chan)->program, "streamhold-httpd");
	assert_string_equal(chan_hello(server.chan)->version, "1.2.3");
	assert_int_equal(chan_hello(server.chan)->frame_max, PROTO_FRAME_MAX);
	assert_int_equal(client.closed + server.closed, 0);
}

static void
a_peer_of_another_build_is_refused(void **state)
{
	struct proto_msg hello = hello_of("api");

	(void)state;
	hello.hello.schema = "0123456789abcdef";
	against_server();
	raw_send(&hello);
	expect_close(&server, "another build");
	assert_int_equal(server.ready, 0);
}

static void
a_peer_of_another_role_is_refused(void **state)
{
	(void)state;
	against_server();
	raw_hello("webhook");
	expect_close(&server, "another role");
	assert_int_equal(server.ready, 0);
}

static void
a_second_hello_is_refused(void **state)
{
	(void)state;
	against_server();
	raw_hello("api");
	raw_hello("api");
	expect_close(&server, "second hello");
	assert_int_equal(server.ready, 1);
}

static void
a_message_before_hello_is_refused(void **state)
{
	(void)state;
	against_server();
	raw_send(&a_count);
	raw_hello("api");
	expect_close(&server, "not hello");
	assert_int_equal(server.ready + server.messages, 0);
}

static void
nothing_can_be_asked_before_hello(void **state)
{
	const struct chan_options options = client_options();
	struct asked asked = { .rid = 0 };
	int fds[2];

	(void)state;
	make_pair(fds);
	raw = fds[1];
	make_side(&client, fds[0], &options);
	assert_int_equal(ask(&asked, &get_account, 10), 0);
	settle();
	assert_int_equal(asked.lasts, 0);
}

static void
a_peer_without_hello_is_given_up(void **state)
{
	int64_t start = time_boot_ms();

	(void)state;
	against_server();
	while (!server.closed && time_boot_ms() < start + 2 * CHAN_HELLO_MS)
		turn();
	expect_close(&server, "no hello in time");
	assert_true(time_boot_ms() >= start + CHAN_HELLO_MS - 10);
}

/* Who wrote it. */

static void
write_hello_as_nobody(void)
{
	const struct proto_msg hello = hello_of("api");
	struct buf out = frame_of(&hello);
	pid_t child = fork();
	int status;

	if (child == 0) {
		if (setresgid(65534, 65534, 65534) < 0 ||
		    setresuid(65534, 65534, 65534) < 0)
			_exit(1);
		_exit(write(raw, buf_bytes(&out), buf_length(&out)) > 0 ? 0 : 2);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	buf_clear(&out);
}

static void
a_hello_that_another_user_wrote_is_refused(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	against_server();
	write_hello_as_nobody();
	expect_close(&server, "another user");
	assert_int_equal(server.ready, 0);
}

static void
a_hello_that_the_right_user_wrote_is_taken(void **state)
{
	struct chan_options options = server_options();
	int fds[2];

	(void)state;
	if (geteuid() != 0)
		skip();
	options.sender = 65534;
	make_pair(fds);
	raw = fds[0];
	make_side(&server, fds[1], &options);
	write_hello_as_nobody();
	RUN_UNTIL(server.ready);
}

static void
without_the_kernels_word_nobody_is_believed(void **state)
{
	const struct chan_options options = server_options();
	const int off = 0;
	int fds[2];

	(void)state;
	make_pair(fds);
	setsockopt(fds[1], SOL_SOCKET, SO_PASSCRED, &off, sizeof(off));
	raw = fds[0];
	make_side(&server, fds[1], &options);
	raw_hello("api");
	expect_close(&server, "another user");
}

static int
lowest_free(void)
{
	int fd = dup(STDERR_FILENO);

	close(fd);
	return fd;
}

/* Sends a frame with descriptors beside it. */
static void
raw_send_with_descriptors(const struct proto_msg *msg)
{
	struct buf out = frame_of(msg);
	const int fds[3] = { STDERR_FILENO, STDERR_FILENO, STDERR_FILENO };
	union {
		char space[CMSG_SPACE(sizeof(fds))];
		struct cmsghdr align;
	} control = { .space = { 0 } };
	struct iovec part = { .iov_base = buf_bytes(&out),
		.iov_len = buf_length(&out) };
	struct msghdr message = { .msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.space,
		.msg_controllen = sizeof(control.space) };
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(header), fds, sizeof(fds));
	assert_int_equal(sendmsg(raw, &message, 0), buf_length(&out));
	buf_clear(&out);
}

static void
descriptors_that_come_along_are_closed(void **state)
{
	const struct proto_msg hello = hello_of("api");
	int before;

	(void)state;
	against_server();
	before = lowest_free();
	raw_send_with_descriptors(&hello);
	RUN_UNTIL(server.ready);
	raw_send_with_descriptors(&a_count);
	RUN_UNTIL(server.messages);
	assert_int_equal(lowest_free(), before);
}

static void
descriptors_that_come_along_are_closed_without_the_kernels_word(void **state)
{
	const struct chan_options options = server_options();
	const struct proto_msg hello = hello_of("api");
	const int off = 0;
	int fds[2];
	int before;

	(void)state;
	make_pair(fds);
	setsockopt(fds[1], SOL_SOCKET, SO_PASSCRED, &off, sizeof(off));
	raw = fds[0];
	make_side(&server, fds[1], &options);
	before = lowest_free();
	raw_send_with_descriptors(&hello);
	expect_close(&server, "another user");
	assert_int_equal(lowest_free(), before);
}

/* Frames. */

static void
expect_refusal(const void *bytes, size_t length, const char *reason)
{
	setup(NULL);
	against_server();
	raw_hello("api");
	raw_write(bytes, length);
	expect_close(&server, reason);
	assert_int_equal(server.messages, 0);
	teardown(NULL);
}

static void
a_frame_that_is_none_is_refused(void **state)
{
	static const struct {
		const char *bytes;
		size_t length;
		const char *reason;
	} cases[] = {
		{ "\x00\x01\x00\x00", 4, "too long" }, /* 64 KiB and the length */
		{ "\xff\xff\xff\xff", 4, "too long" },
		{ "\x00\x00\xff\xfd", 4, "too long" },
		{ "\x00\x00\x00\x00", 4, "not one MessagePack value" },
		{ "\x00\x00\x00\x05\xdd\x01\x00\x00\x00", 9,
		    "not one MessagePack value" },
		{ "\x00\x00\x00\x01\xc0", 5, "not an array" },
		{ "\x00\x00\x00\x04\x92\xcc\xff\x00", 8, "unknown message type" },
		{ "\x00\x00\x00\x03\x92\x06\x00", 7, "wrong number of fields" },
		{ "\x00\x00\x00\x05\x94\x06\x00\xc0\x01", 9, "count.name" },
	};
	size_t i;

	(void)state;
	teardown(NULL);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		expect_refusal(cases[i].bytes, cases[i].length, cases[i].reason);
	setup(NULL);
}

static void
the_longest_frame_is_taken(void **state)
{
	struct chan_options for_client = client_options();
	struct chan_options for_server = server_options();
	char *body = xcalloc(1, 4000);
	struct proto_msg msg = { .type = MSG_delivery,
		.delivery = { .message_id = "i",
		    .timestamp = "t",
		    .type = "t",
		    .version = "1",
		    .signature = { .data = (uint8_t *)body, .length = 1 },
		    .body = { .data = (uint8_t *)body, .length = 3000 } } };
	struct buf frame = frame_of(&msg);
	struct asked asked = { .rid = 0 };

	(void)state;
	for_server.frame_max = buf_length(&frame);
	connect_both_as(&for_client, &for_server);
	RUN_UNTIL(client.ready && server.ready);
	assert_int_equal(chan_send(client.chan, 0, &msg), 0);
	RUN_UNTIL(server.messages);
	msg.delivery.body.length++;
	assert_int_equal(chan_send(client.chan, 0, &msg), -EMSGSIZE);
	assert_int_equal(ask(&asked, &msg, 10), 0);
	settle();
	assert_int_equal(client.closed + server.closed + asked.lasts, 0);
	buf_clear(&frame);
	free(body);
}

static void
the_wrong_direction_is_refused(void **state)
{
	(void)state;
	against_server();
	raw_hello("api");
	raw_send(&the_end);
	expect_close(&server, "wrong direction");
	assert_int_equal(chan_send(server.chan, 0, &get_account), -ENOTCONN);
}

static void
what_cannot_be_said_is_not_sent(void **state)
{
	struct proto_msg wrong = get_account;
	struct asked asked = { .rid = 0 };

	(void)state;
	connect_both();
	wrong.account_get.platform = "";
	assert_int_equal(chan_send(client.chan, 0, &wrong), -EINVAL);
	assert_int_equal(chan_send(client.chan, 0, &the_end), -EINVAL);
	assert_int_equal(chan_send(server.chan, 1, &get_account), -EINVAL);
	assert_int_equal(ask(&asked, &wrong, 10), 0);
	settle();
	assert_int_equal(asked.lasts, 0);
	assert_int_equal(ask(&asked, &get_account, 10) != 0, 1);
	RUN_UNTIL(asked.nothing == 1);
}

static void
a_stream_may_come_one_byte_at_a_time(void **state)
{
	const struct proto_msg hello = hello_of("api");
	struct buf stream = frame_of(&hello);
	struct buf frame = frame_of(&get_account);
	size_t i;

	(void)state;
	buf_add(&stream, buf_bytes(&frame), buf_length(&frame));
	buf_add(&stream, buf_bytes(&frame), buf_length(&frame));
	against_server();
	for (i = 0; i < buf_length(&stream); i++) {
		assert_int_equal(
		    server.messages, i + buf_length(&frame) >= buf_length(&stream));
		raw_write(buf_bytes(&stream) + i, 1);
		event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	}
	RUN_UNTIL(server.messages == 2);
	assert_string_equal(server.last.account_get.username, "streamer");
	buf_clear(&stream);
	buf_clear(&frame);
}

static void
a_stream_may_come_at_once(void **state)
{
	const struct proto_msg hello = hello_of("api");
	struct buf stream = frame_of(&hello);
	struct buf frame = frame_of(&a_count);
	unsigned count = 0;

	(void)state;
	while (buf_length(&stream) + buf_length(&frame) < 60000) {
		buf_add(&stream, buf_bytes(&frame), buf_length(&frame));
		count++;
	}
	against_server();
	raw_write(buf_bytes(&stream), buf_length(&stream));
	RUN_UNTIL(server.messages == count);
	assert_true(count > 10 * CHAN_FRAMES_A_TURN);
	buf_clear(&stream);
	buf_clear(&frame);
}

static void
frames_before_a_close_are_handled(void **state)
{
	(void)state;
	against_server();
	raw_hello("api");
	RUN_UNTIL(server.ready);
	raw_repeat(&a_count, 1000);
	shutdown(raw, SHUT_WR);
	expect_close(&server, "the peer closed");
	assert_int_equal(server.messages, 1000);
}

static void
half_a_frame_and_a_close_is_a_close(void **state)
{
	struct buf frame = frame_of(&get_account);
	char hello[500]; /* what is not read makes the close a reset */
	size_t cut;

	(void)state;
	for (cut = 0; cut < buf_length(&frame); cut++) {
		teardown(NULL);
		setup(NULL);
		against_server();
		raw_hello("api");
		RUN_UNTIL(server.ready);
		if (cut)
			raw_write(buf_bytes(&frame), cut);
		assert_true(read(raw, hello, sizeof(hello)) > 0);
		close(raw);
		raw = -1;
		expect_close(&server, "the peer closed");
		assert_int_equal(server.messages, 0);
	}
	buf_clear(&frame);
}

/* Another descriptor of the loop gets its turn between the frames of a busy peer. */

static int turn_pipe[2];
static unsigned frames_before_turn;

static void
on_turn(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	if (!frames_before_turn)
		frames_before_turn = server.messages;
}

static void
wake_the_other(struct side *side, struct proto_msg *msg)
{
	(void)msg;
	if (side->messages == 1)
		assert_int_equal(write(turn_pipe[1], "x", 1), 1);
}

static void
a_busy_peer_leaves_others_their_turn(void **state)
{
	struct event *other;

	(void)state;
	assert_int_equal(pipe2(turn_pipe, O_NONBLOCK | O_CLOEXEC), 0);
	frames_before_turn = 0;
	other = event_new(base, turn_pipe[0], EV_READ, on_turn, NULL);
	event_add(other, NULL);
	against_server();
	server.on_message = wake_the_other;
	raw_hello("api");
	raw_repeat(&a_count, 1000);
	RUN_UNTIL(server.messages == 1000);
	assert_in_range(frames_before_turn, 1, 2 * CHAN_FRAMES_A_TURN);
	event_free(other);
	close(turn_pipe[0]);
	close(turn_pipe[1]);
}

/* The peer is given work while this side has more to send, and few frames share a
 * write. */
static void
frames_are_written_before_the_turn_is_over(void **state)
{
	char bytes[4096];
	unsigned i;

	(void)state;
	against_client();
	assert_true(read(raw, bytes, sizeof(bytes)) > 0); /* the hello */
	assert_int_equal(fcntl(raw, F_SETFL, O_NONBLOCK), 0);
	for (i = 1; i < CHAN_FRAMES_A_WRITE; i++)
		assert_int_equal(chan_send(client.chan, 0, &a_count), 0);
	assert_int_equal(read(raw, bytes, sizeof(bytes)), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(chan_send(client.chan, 0, &a_count), 0);
	assert_true(read(raw, bytes, sizeof(bytes)) > 0);
	/* What is left goes with the turn. */
	assert_int_equal(chan_send(client.chan, 0, &a_count), 0);
	assert_int_equal(read(raw, bytes, sizeof(bytes)), -1);
	event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	assert_true(read(raw, bytes, sizeof(bytes)) > 0);
}

/* Random bytes and random frames never do more than close the chan. */

static uint64_t
next_random(uint64_t *random)
{
	*random ^= *random << 13;
	*random ^= *random >> 7;
	*random ^= *random << 17;
	return *random;
}

static void
write_noise(uint64_t *random)
{
	static const struct proto_msg *const known[] = { &get_account,
		&list_credentials, &a_count, &an_account, &the_end, &some_settings };
	uint8_t noise[64];
	struct buf frame;
	size_t i;

	switch (next_random(random) % 4) {
	case 0:
		for (i = 0; i < sizeof(noise); i++)
			noise[i] = (uint8_t)next_random(random);
		noise[0] = noise[1] = noise[2] = 0;
		noise[3] = (uint8_t)(next_random(random) % 70);
		(void)send(
		    raw, noise, next_random(random) % sizeof(noise), MSG_NOSIGNAL);
		return;
	case 1:
		frame = frame_of(known[next_random(random) % 6]);
		buf_bytes(&frame)[next_random(random) % buf_length(&frame)] ^=
		    (uint8_t)(1U << next_random(random) % 8);
		break;
	default:
		frame = frame_of(known[next_random(random) % 3]);
		break;
	}
	(void)send(raw, buf_bytes(&frame), buf_length(&frame), MSG_NOSIGNAL);
	buf_clear(&frame);
}

static void
noise_closes_and_does_no_more(void **state)
{
	uint64_t random = 1181783497276652981ULL;
	unsigned closes = 0;
	unsigned i;

	(void)state;
	teardown(NULL);
	for (i = 0; i < 3000; i++) {
		unsigned j;

		setup(NULL);
		against_server();
		if (next_random(&random) % 8)
			raw_hello("api");
		for (j = 0; j < 6; j++) {
			write_noise(&random);
			event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
		}
		event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
		closes += server.closed;
		assert_true(server.closed <= 1);
		teardown(NULL);
	}
	assert_true(closes > 1000);
	setup(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(hellos_are_exchanged),
		TEST(a_peer_of_another_build_is_refused),
		TEST(a_peer_of_another_role_is_refused),
		TEST(a_second_hello_is_refused),
		TEST(a_message_before_hello_is_refused),
		TEST(nothing_can_be_asked_before_hello),
		TEST(a_peer_without_hello_is_given_up),
		TEST(a_hello_that_another_user_wrote_is_refused),
		TEST(a_hello_that_the_right_user_wrote_is_taken),
		TEST(without_the_kernels_word_nobody_is_believed),
		TEST(descriptors_that_come_along_are_closed),
		TEST(descriptors_that_come_along_are_closed_without_the_kernels_word),
		TEST(a_frame_that_is_none_is_refused),
		TEST(the_longest_frame_is_taken),
		TEST(the_wrong_direction_is_refused),
		TEST(what_cannot_be_said_is_not_sent),
		TEST(a_stream_may_come_one_byte_at_a_time),
		TEST(a_stream_may_come_at_once),
		TEST(frames_before_a_close_are_handled),
		TEST(half_a_frame_and_a_close_is_a_close),
		TEST(a_busy_peer_leaves_others_their_turn),
		TEST(frames_are_written_before_the_turn_is_over),
		TEST(noise_closes_and_does_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
