/*
 * Channels under pressure: peers that do not read, and secrets that leave no trace in
 * this process's memory.
 */
#include "chan_sides.h"

/* Back-pressure. */

static void
a_paused_chan_takes_nothing(void **state)
{
	unsigned i;

	(void)state;
	connect_both();
	server.pause_on_message = true;
	for (i = 0; i < 10; i++)
		chan_send(client.chan, 0, &a_count);
	RUN_UNTIL(server.messages);
	settle();
	assert_int_equal(server.messages, 1);
	for (i = 2; i <= 10; i++) {
		chan_pause(server.chan, false);
		assert_int_equal(server.messages, i - 1);
		RUN_UNTIL(server.messages == i);
		settle();
		assert_int_equal(server.messages, i);
	}
	server.pause_on_message = false;
	chan_pause(server.chan, false);
	chan_send(client.chan, 0, &a_count);
	RUN_UNTIL(server.messages == 11);
}

static struct proto_msg
big_delivery(size_t size)
{
	static uint8_t signature[1];

	return (struct proto_msg){ .type = MSG_delivery,
		.delivery = { .message_id = "i",
		    .timestamp = "t",
		    .type = "t",
		    .version = "1",
		    .signature = { .data = signature, .length = 1 },
		    .body = { .data = xcalloc(1, size), .length = size } } };
}

static void
free_delivery(const struct proto_msg *msg)
{
	union {
		const uint8_t *constant;
		void *memory;
	} body = { .constant = msg->delivery.body.data };

	free(body.memory);
}

static void
a_paused_peer_makes_a_backlog_that_goes_away(void **state)
{
	const struct proto_msg msg = big_delivery(30000);
	size_t backlog;
	unsigned i;

	(void)state;
	connect_both();
	chan_pause(server.chan, true);
	for (i = 0; i < 300; i++)
		assert_int_equal(chan_send(client.chan, 0, &msg), 0);
	settle();
	backlog = chan_backlog(client.chan);
	assert_true(backlog > 300 * 30000 / 2);
	settle();
	assert_int_equal(chan_backlog(client.chan), backlog);
	assert_int_equal(server.messages, 0);
	chan_pause(server.chan, false);
	RUN_UNTIL(server.messages == 300);
	RUN_UNTIL(chan_backlog(client.chan) == 0);
	free_delivery(&msg);
}

static void
a_peer_that_does_not_read_is_given_up(void **state)
{
	const struct chan_options for_client = client_options();
	struct chan_options for_server = server_options();
	const struct proto_msg msg = big_delivery(4 * 1024 * 1024);
	unsigned sent = 0;

	(void)state;
	for_server.frame_max = DELIVERY_FRAME_MAX;
	connect_both_as(&for_client, &for_server);
	RUN_UNTIL(client.ready && server.ready);
	chan_pause(server.chan, true);
	while (sent < 100 && chan_send(client.chan, 0, &msg) == 0)
		sent++;
	assert_in_range(sent, 16, 18);
	expect_close(&client, "does not read");
	free_delivery(&msg);
}

/* Secrets. */

/* A text that exists in memory only turned over, so that looking for it does not find
 * the question. */
#define CANARY_SIZE 40

static const char turned_canary[CANARY_SIZE] =
    "\x8c\x9e\x91\x9e\x8d\x86\xd2\x90\x99\xd2"
    "\x8b\x97\x9a\xd2\x8c\x9a\x9c\x8d\x9a\x8b"
    "\xd2\x9d\x86\x8b\x9a\x8c\xd2\xc8\xcc\xcd"
    "\xce\xcf\xc6\xc7\xc9\xca\xcb\xce\xcd\xcc";

static bool
is_canary(const char *at)
{
	size_t i;

	for (i = 0; i < CANARY_SIZE; i++)
		if (at[i] != (char)~turned_canary[i])
			return false;
	return true;
}

/* Copies of the canary in one region of this process's memory. */
static unsigned
count_in(int memory, uintptr_t start, uintptr_t end)
{
	static char window[1 << 20];
	const size_t step = sizeof(window) - CANARY_SIZE;
	unsigned count = 0;

	for (; start < end; start += step) {
		size_t size =
		    end - start < sizeof(window) ? end - start : sizeof(window);
		ssize_t got = pread(memory, window, size, (off_t)start);
		char *at = window;

		while (got > CANARY_SIZE &&
		    (at = memchr(
			 at, (char)~turned_canary[0], (size_t)(window + got - at)))) {
			if (window + got - at >= CANARY_SIZE && is_canary(at))
				count++;
			at++;
		}
		memset(window, 0, sizeof(window));
	}
	return count;
}

/* Regions of a sanitizer's own book-keeping are many gigabytes and hold no bytes of
 * ours. */
static unsigned
count_canaries(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	char line[500];
	unsigned count = 0;

	assert_non_null(maps);
	assert_true(memory >= 0);
	while (fgets(line, sizeof(line), maps)) {
		uintptr_t start;
		uintptr_t end;
		char mode[5];

		if (sscanf(line, "%lx-%lx %4s", &start, &end, mode) == 3 &&
		    mode[0] == 'r' && mode[1] == 'w' && end - start < (1UL << 30))
			count += count_in(memory, start, end);
	}
	fclose(maps);
	close(memory);
	return count;
}

static struct secret
make_canary(void)
{
	struct secret secret = { .bytes = xmalloc(CANARY_SIZE + 1),
		.length = CANARY_SIZE };
	size_t i;

	for (i = 0; i < CANARY_SIZE; i++)
		secret.bytes[i] = (unsigned char)~turned_canary[i];
	secret.bytes[CANARY_SIZE] = '\0';
	return secret;
}

static void
send_canary(void)
{
	struct secret secret = make_canary();
	struct proto_msg msg = { .type = MSG_credentials_put,
		.credentials_put = {
		    .platform = "kick", .client_id = "id", .client_secret = secret } };

	assert_int_equal(chan_send(client.chan, 0, &msg), 0);
	secret_clear(&secret);
	wipe(&msg, sizeof(msg));
}

static void
a_secret_leaves_nothing_behind(void **state)
{
	struct secret secret = make_canary();
	const struct proto_msg padding = big_delivery(20000);
	unsigned i;

	(void)state;
	assert_int_equal(count_canaries(), 1);
	secret_clear(&secret);
	assert_int_equal(count_canaries(), 0);
	connect_both();
	/* Between other frames, so that buffers grow and move around the secret. */
	for (i = 0; i < 12; i++) {
		unsigned before = server.messages;

		if (i % 3 == 1)
			chan_pause(server.chan, true);
		chan_send(client.chan, 0, i % 2 ? &a_count : &padding);
		send_canary();
		chan_send(client.chan, 0, i % 4 ? &a_count : &padding);
		settle();
		chan_pause(server.chan, false);
		RUN_UNTIL(server.messages == before + 3);
		assert_int_equal(server.last.type, i % 4 ? MSG_count : MSG_delivery);
	}
	proto_clear(&server.last);
	assert_int_equal(count_canaries(), 0);
	free_delivery(&padding);
}

/* A frame that does not fit the peer's limit has been written before that is known. */
static void
a_secret_that_is_not_sent_leaves_nothing_behind(void **state)
{
	const struct chan_options for_client = client_options();
	struct chan_options for_server = server_options();
	struct secret secret;
	char id[1000];

	(void)state;
	memset(id, 'i', sizeof(id));
	id[500] = '\0';
	for_server.frame_max = 1024;
	connect_both_as(&for_client, &for_server);
	RUN_UNTIL(client.ready && server.ready);
	secret = make_canary();
	struct proto_msg msg = { .type = MSG_credentials_put,
		.credentials_put = { .platform = "kick",
		    .client_id = id,
		    .client_secret = secret,
		    .scopes = id } };
	assert_int_equal(chan_send(client.chan, 0, &msg), -EMSGSIZE);
	secret_clear(&secret);
	wipe(&msg, sizeof(msg));
	assert_int_equal(count_canaries(), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_paused_chan_takes_nothing),
		TEST(a_paused_peer_makes_a_backlog_that_goes_away),
		TEST(a_peer_that_does_not_read_is_given_up),
		TEST(a_secret_leaves_nothing_behind),
		TEST(a_secret_that_is_not_sent_leaves_nothing_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
