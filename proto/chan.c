/*
 * Channels between httpd, broker, the keystore helper and the command. Owns the socket,
 * its two buffers and the table of requests in flight. Used by httpd/broker_link,
 * broker/fronts and broker/admin.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/alloc.h"
#include "common/time.h"
#include "proto/chan.h"

#define LENGTH_SIZE 4
#define READ_SIZE (64 * 1024)
#define SWEEP_MS 50

/* A request in flight. Its rid is generation << 13 | index, so that a late answer to a
 * cancelled request does not meet the slot's next one. */
#define INDEX_BITS 13
#define INDEX_MASK ((1U << INDEX_BITS) - 1)
_Static_assert(CHAN_PENDING_MAX == 1 << INDEX_BITS, "rid must hold an index");

struct pending {
	chan_answer_fn *answer; /* NULL: the slot is free */
	void *arg;
	int64_t deadline; /* boot-time ms */
	enum proto_type expect;
	uint32_t rid;
	uint32_t next_free; /* index + 1, 0 at the end */
};

struct chan {
	struct chan_options options;
	struct event_base *base;
	int fd;
	struct event *read_event;
	struct event *write_event;
	struct event *flush_event;
	struct event *again_event; /* goes on with frames that are already here */
	struct event *sweep_event; /* deadlines */
	struct event *close_event; /* tells about a close from the loop */
	struct event *hello_event; /* the peer is late with its hello */
	struct buf in;
	struct buf out;
	unsigned gathered; /* frames that wait to be written */
	bool out_secret;   /* the output holds a secret: wipe it when written */
	bool ready;
	bool closed;
	bool broken; /* closed because the peer broke a rule */
	bool paused;
	bool held; /* reading waits until the frames that are here are handled */
	bool sender_checked;
	bool dying;    /* chan_free was called from a callback */
	unsigned busy; /* callbacks under way */
	char reason[200];
	struct proto_msg hello;
	size_t peer_frame_max;
	struct pending *pending;
	uint32_t pending_size; /* slots made so far */
	uint32_t pending_count;
	uint32_t free_slot; /* index + 1, 0: none */
	uint32_t generation;
};

static void chan_destroy(struct chan *chan);

/* Callbacks may free the chan under our feet, so it goes when the last one is back. */
static void
enter(struct chan *chan)
{
	chan->busy++;
}

static void
leave(struct chan *chan)
{
	if (--chan->busy == 0 && chan->dying)
		chan_destroy(chan);
}

static enum proto_direction
direction_out(const struct chan *chan)
{
	if (chan->options.vault)
		return chan->options.broker ? PROTO_TO_VAULT : PROTO_FROM_VAULT;
	return chan->options.broker ? PROTO_TO_PEER : PROTO_TO_BROKER;
}

static enum proto_direction
direction_in(const struct chan *chan)
{
	if (chan->options.vault)
		return chan->options.broker ? PROTO_FROM_VAULT : PROTO_TO_VAULT;
	return chan->options.broker ? PROTO_TO_BROKER : PROTO_TO_PEER;
}

/* Whether this side asks: peers ask the broker, the broker asks its helper. */
static bool
asks(const struct chan *chan)
{
	return chan->options.broker == chan->options.vault;
}

/* Ends the connection; the handlers hear of it from the loop. */
static void
chan_close(struct chan *chan, const char *reason)
{
	if (chan->closed)
		return;
	chan->closed = true;
	chan->ready = false;
	(void)strncat(chan->reason, reason, sizeof(chan->reason) - 1);
	event_del(chan->read_event);
	event_del(chan->write_event);
	event_del(chan->flush_event);
	event_del(chan->again_event);
	event_del(chan->hello_event);
	(void)shutdown(chan->fd, SHUT_RDWR);
	event_active(chan->close_event, EV_TIMEOUT, 1);
}

void
chan_break(struct chan *chan, const char *reason)
{
	/* Before its hello a peer may be of another build, whose rules are others. */
	if (chan->ready)
		chan->broken = true;
	chan_close(chan, reason);
}

bool
chan_was_broken(const struct chan *chan)
{
	return chan->broken;
}

/* Pending requests. */

static struct pending *
pending_find(struct chan *chan, uint32_t rid)
{
	uint32_t index = rid & INDEX_MASK;

	if (index >= chan->pending_size || !chan->pending[index].answer ||
	    chan->pending[index].rid != rid)
		return NULL;
	return &chan->pending[index];
}

static struct pending *
pending_add(struct chan *chan)
{
	struct pending *slot;
	uint32_t index;

	if (chan->free_slot) {
		index = chan->free_slot - 1;
		chan->free_slot = chan->pending[index].next_free;
	} else {
		if (chan->pending_size == CHAN_PENDING_MAX)
			return NULL;
		index = chan->pending_size++;
		if ((index & (index - 1)) == 0)
			chan->pending = xrealloc(chan->pending,
			    (index ? index * 2 : 1) * sizeof(*chan->pending));
	}
	slot = &chan->pending[index];
	chan->generation++;
	*slot = (struct pending){ .rid = chan->generation << INDEX_BITS | index };
	if (slot->rid == 0) /* rid 0 is for notifications */
		slot->rid = ++chan->generation << INDEX_BITS | index;
	if (chan->pending_count++ == 0) {
		const struct timeval sweep = { .tv_usec = SWEEP_MS * 1000 };

		event_add(chan->sweep_event, &sweep);
	}
	return slot;
}

static void
pending_remove(struct chan *chan, struct pending *slot)
{
	slot->answer = NULL;
	slot->next_free = chan->free_slot;
	chan->free_slot = (slot->rid & INDEX_MASK) + 1;
	if (--chan->pending_count == 0)
		event_del(chan->sweep_event);
}

static void
pending_fail(struct chan *chan, uint32_t index)
{
	struct pending *slot = &chan->pending[index];
	chan_answer_fn *answer = slot->answer;
	void *arg = slot->arg;

	pending_remove(chan, slot);
	answer(arg, NULL, true);
}

static void
on_sweep(evutil_socket_t fd, short what, void *arg)
{
	struct chan *chan = arg;
	int64_t now = time_boot_ms();
	uint32_t i;

	(void)fd;
	(void)what;
	enter(chan);
	for (i = 0; i < chan->pending_size && !chan->dying; i++)
		if (chan->pending[i].answer && chan->pending[i].deadline <= now)
			pending_fail(chan, i);
	leave(chan);
}

/* A closed chan first fails what is pending, then tells its owner, who frees it. */
static void
on_close(evutil_socket_t fd, short what, void *arg)
{
	struct chan *chan = arg;
	uint32_t i;

	(void)fd;
	(void)what;
	enter(chan);
	for (i = 0; i < chan->pending_size && !chan->dying; i++)
		if (chan->pending[i].answer)
			pending_fail(chan, i);
	if (!chan->dying)
		chan->options.handlers->on_closed(
		    chan, chan->options.arg, chan->reason);
	leave(chan);
}

/* Output. */

static void
out_written(struct chan *chan, size_t length)
{
	if (chan->out_secret)
		wipe(buf_bytes(&chan->out), length);
	buf_consume(&chan->out, length);
	if (buf_length(&chan->out) == 0)
		chan->out_secret = false;
}

static void
on_flush(evutil_socket_t fd, short what, void *arg)
{
	struct chan *chan = arg;
	ssize_t length;

	(void)fd;
	(void)what;
	chan->gathered = 0;
	while (!chan->closed && buf_length(&chan->out) > 0) {
		length = send(chan->fd, buf_bytes(&chan->out), buf_length(&chan->out),
		    MSG_NOSIGNAL);
		if (length >= 0) {
			out_written(chan, (size_t)length);
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno == EAGAIN)
			event_add(chan->write_event, NULL);
		else
			chan_close(chan, "write failed");
		return;
	}
}

static int
put(struct chan *chan, const struct proto_msg *msg)
{
	const char *what;
	int result;

	if (chan->closed)
		return -ENOTCONN;
	if (buf_length(&chan->out) > CHAN_OUTPUT_MAX) {
		chan_close(chan, "the peer does not read");
		return -ENOTCONN;
	}
	result = proto_encode(
	    msg, direction_out(chan), chan->peer_frame_max, &chan->out, &what);
	if (result < 0)
		return result;
	if (proto_holds_secret(msg->type))
		chan->out_secret = true;
	if (event_pending(chan->write_event, EV_WRITE, NULL))
		return 0;
	if (++chan->gathered < CHAN_FRAMES_A_WRITE)
		event_active(chan->flush_event, EV_TIMEOUT, 1);
	else
		on_flush(-1, 0, chan);
	return 0;
}

/* Input. */

static void
take_hello(struct chan *chan, struct proto_msg *msg)
{
	const struct proto_hello *hello = &msg->hello;

	if (msg->type != MSG_hello) {
		chan_close(chan, "the first message is not hello");
		return;
	}
	if (strcmp(hello->schema, proto_schema_id()) != 0) {
		chan_close(chan, "the peer is of another build: restart both");
		return;
	}
	if (chan->options.expect && strcmp(hello->role, chan->options.expect) != 0) {
		chan_close(chan, "the peer has another role");
		return;
	}
	chan->hello = proto_move(msg);
	chan->peer_frame_max = chan->hello.hello.frame_max;
	chan->ready = true;
	event_del(chan->hello_event);
	chan->options.handlers->on_ready(chan, chan->options.arg);
}

/* An answer or a row of a list to a request of ours. */
static void
take_answer(struct chan *chan, struct proto_msg *msg)
{
	struct pending *slot = pending_find(chan, msg->rid);
	bool last;
	chan_answer_fn *answer;
	void *arg;

	if (!slot) /* cancelled or timed out */
		return;
	last = msg->type == slot->expect || msg->type == MSG_failed;
	if (!last && proto_schema((unsigned)msg->type)->answer != slot->expect) {
		chan_break(chan, "an answer of the wrong type");
		return;
	}
	answer = slot->answer;
	arg = slot->arg;
	if (last)
		pending_remove(chan, slot);
	answer(arg, msg, last);
}

static void
take_message(struct chan *chan, struct proto_msg *msg)
{
	if (!chan->ready)
		take_hello(chan, msg);
	else if (msg->type == MSG_hello)
		chan_break(chan, "a second hello");
	else if (asks(chan) && msg->rid != 0)
		take_answer(chan, msg);
	else
		chan->options.handlers->on_message(chan, chan->options.arg, msg);
}

/* Takes one whole frame from the input. False when there is none. */
static bool
take_frame(struct chan *chan)
{
	const uint8_t *bytes = buf_bytes(&chan->in);
	struct proto_msg msg = { .type = MSG_none };
	const char *what;
	size_t length;
	size_t frame;

	if (buf_length(&chan->in) < LENGTH_SIZE)
		return false;
	length = (size_t)bytes[0] << 24 | (size_t)bytes[1] << 16 |
	    (size_t)bytes[2] << 8 | bytes[3];
	frame = length + LENGTH_SIZE;
	if (frame > chan->options.frame_max) {
		chan_break(chan, "a frame is too long");
		return false;
	}
	if (buf_length(&chan->in) < frame)
		return false;
	if (proto_decode(bytes + LENGTH_SIZE, length, direction_in(chan), &msg, &what) <
	    0) {
		chan_break(chan, what);
		return false;
	}
	if (proto_holds_secret(msg.type))
		wipe(buf_bytes(&chan->in), frame);
	buf_consume(&chan->in, frame);
	take_message(chan, &msg);
	proto_clear(&msg);
	return true;
}

/* Goes on with the frames that are here after the loop has looked at everything else: a
 * timeout, because an event that is made active is run before that. */
static void
hold(struct chan *chan)
{
	const struct timeval at_once = { .tv_usec = 0 };

	chan->held = true;
	event_del(chan->read_event);
	event_add(chan->again_event, &at_once);
}

static void
on_again(evutil_socket_t fd, short what, void *arg)
{
	struct chan *chan = arg;
	unsigned frames;

	(void)fd;
	(void)what;
	enter(chan);
	for (frames = 0; frames < CHAN_FRAMES_A_TURN; frames++)
		if (chan->closed || chan->paused || !take_frame(chan))
			break;
	if (chan->closed || chan->paused) {
		chan->held = false;
	} else if (frames == CHAN_FRAMES_A_TURN) {
		hold(chan);
	} else if (chan->held) {
		chan->held = false;
		event_add(chan->read_event, NULL);
	}
	leave(chan);
}

/* Descriptors that came along. With credentials before them the kernel finds no room
 * for any and closes them itself. */
static void
close_descriptors(const struct cmsghdr *header)
{
	size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	int fd;

	while (count-- > 0) {
		memcpy(&fd, CMSG_DATA(header) + count * sizeof(fd), sizeof(fd));
		(void)close(fd);
	}
}

/* Reads with the sender's credentials, which the kernel vouches for (SCM_CREDENTIALS,
 * unix(7)). */
static ssize_t
read_checked(struct chan *chan, void *bytes, size_t size)
{
	union {
		char space[CMSG_SPACE(sizeof(struct ucred))];
		struct cmsghdr align;
	} control;
	struct iovec part = { .iov_base = bytes, .iov_len = size };
	struct msghdr message = { .msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.space,
		.msg_controllen = sizeof(control.space) };
	ssize_t length = recvmsg(chan->fd, &message, MSG_CMSG_CLOEXEC);
	struct cmsghdr *header = length > 0 ? CMSG_FIRSTHDR(&message) : NULL;
	struct ucred sender = { .uid = CHAN_ANY_UID };

	if (length <= 0)
		return length;
	for (; header; header = CMSG_NXTHDR(&message, header)) {
		if (header->cmsg_level != SOL_SOCKET)
			continue;
		if (header->cmsg_type == SCM_CREDENTIALS)
			memcpy(&sender, CMSG_DATA(header), sizeof(sender));
		else if (header->cmsg_type == SCM_RIGHTS)
			close_descriptors(header);
	}
	if (sender.uid != chan->options.sender) {
		chan_close(chan, "the peer runs as another user");
		return -1;
	}
	chan->sender_checked = true;
	return length;
}

static void
on_read(evutil_socket_t fd, short what, void *arg)
{
	struct chan *chan = arg;
	uint8_t *bytes = buf_reserve(&chan->in, READ_SIZE);
	ssize_t length;

	(void)fd;
	(void)what;
	if (chan->sender_checked)
		length = recv(chan->fd, bytes, READ_SIZE, 0);
	else
		length = read_checked(chan, bytes, READ_SIZE);
	if (chan->closed)
		return;
	if (length < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (length <= 0) {
		chan_close(chan, length == 0 ? "the peer closed" : "read failed");
		return;
	}
	buf_added(&chan->in, (size_t)length);
	if (!event_pending(chan->again_event, EV_TIMEOUT, NULL))
		on_again(-1, 0, chan);
}

static void
on_hello_late(evutil_socket_t fd, short what, void *arg)
{
	struct chan *chan = arg;

	(void)fd;
	(void)what;
	if (!chan->ready)
		chan_close(chan, "no hello in time");
}

/* Birth and death. */

static void
make_events(struct chan *chan)
{
	struct event_base *base = chan->base;

	chan->read_event =
	    event_new(base, chan->fd, EV_READ | EV_PERSIST, on_read, chan);
	chan->write_event = event_new(base, chan->fd, EV_WRITE, on_flush, chan);
	chan->flush_event = event_new(base, -1, 0, on_flush, chan);
	chan->again_event = event_new(base, -1, 0, on_again, chan);
	chan->sweep_event = event_new(base, -1, EV_PERSIST, on_sweep, chan);
	chan->close_event = event_new(base, -1, 0, on_close, chan);
	chan->hello_event = event_new(base, -1, 0, on_hello_late, chan);
	if (!chan->read_event || !chan->write_event || !chan->flush_event ||
	    !chan->again_event || !chan->sweep_event || !chan->close_event ||
	    !chan->hello_event)
		abort();
}

static void
say_hello(struct chan *chan)
{
	const struct timeval late = { .tv_sec = CHAN_HELLO_MS / 1000 };
	const struct proto_msg hello = { .type = MSG_hello,
		.hello = { .schema = proto_schema_id(),
		    .program = chan->options.program,
		    .version = chan->options.version,
		    .role = chan->options.role,
		    .frame_max = (uint32_t)chan->options.frame_max } };
	int result = put(chan, &hello);

	assert(result == 0);
	event_add(chan->hello_event, &late);
}

struct chan *
chan_new(struct event_base *base, int fd, const struct chan_options *options)
{
	struct chan *chan = xcalloc(1, sizeof(*chan));

	chan->options = *options;
	chan->in = options->locked_in ? BUF_LOCKED : BUF_EMPTY;
	chan->out = options->locked_out ? BUF_LOCKED : BUF_EMPTY;
	chan->base = base;
	chan->fd = fd;
	chan->peer_frame_max = PROTO_FRAME_MAX;
	chan->sender_checked = options->sender == CHAN_ANY_UID;
	make_events(chan);
	event_add(chan->read_event, NULL);
	say_hello(chan);
	return chan;
}

void
chan_free(struct chan *chan)
{
	if (!chan)
		return;
	chan->closed = true;
	chan->ready = false;
	chan->dying = true;
	event_del(chan->read_event);
	event_del(chan->close_event);
	if (chan->busy == 0)
		chan_destroy(chan);
}

static void
chan_destroy(struct chan *chan)
{
	event_free(chan->read_event);
	event_free(chan->write_event);
	event_free(chan->flush_event);
	event_free(chan->again_event);
	event_free(chan->sweep_event);
	event_free(chan->close_event);
	event_free(chan->hello_event);
	(void)close(chan->fd);
	buf_wipe(&chan->in);
	buf_wipe(&chan->out);
	proto_clear(&chan->hello);
	free(chan->pending);
	free(chan);
}

uint32_t
chan_request(struct chan *chan, const struct proto_msg *msg, unsigned deadline_ms,
    chan_answer_fn *answer, void *arg)
{
	struct proto_msg numbered = *msg;
	struct pending *slot;

	if (!chan->ready)
		return 0;
	slot = pending_add(chan);
	if (!slot)
		return 0;
	slot->answer = answer;
	slot->arg = arg;
	slot->deadline = time_boot_ms() + deadline_ms;
	slot->expect = proto_schema((unsigned)msg->type)->answer;
	numbered.rid = slot->rid;
	if (put(chan, &numbered) == 0)
		return slot->rid;
	pending_remove(chan, slot);
	return 0;
}

void
chan_cancel(struct chan *chan, uint32_t rid)
{
	struct pending *slot = pending_find(chan, rid);

	if (slot)
		pending_remove(chan, slot);
}

int
chan_send(struct chan *chan, uint32_t rid, const struct proto_msg *msg)
{
	struct proto_msg numbered = *msg;

	numbered.rid = rid;
	return put(chan, &numbered);
}

void
chan_pause(struct chan *chan, bool pause)
{
	if (chan->closed || chan->paused == pause)
		return;
	chan->paused = pause;
	if (pause) {
		event_del(chan->read_event);
		return;
	}
	event_add(chan->read_event, NULL);
	event_active(chan->again_event, EV_TIMEOUT, 1);
}

size_t
chan_backlog(const struct chan *chan)
{
	return buf_length(&chan->out);
}

bool
chan_is_ready(const struct chan *chan)
{
	return chan->ready;
}

const struct proto_hello *
chan_hello(const struct chan *chan)
{
	return &chan->hello.hello;
}
