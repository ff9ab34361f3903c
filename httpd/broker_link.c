/*
 * The broker's side of a front. Owns the link listener, the one chan, the two lists of
 * requests (held and sent) and the counters. Used by request.c for every request that
 * the broker answers.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/alloc.h"
#include "common/log.h"
#include "common/sock.h"
#include "common/time.h"
#include "common/version.h"
#include "httpd/broker_link.h"
#include "httpd/limits.h"
#include "proto/chan.h"

/* A page function let something pass that messages.def does not allow. */
#define CANNOT_BE_SENT "The request could not be passed on"

TAILQ_HEAD(request_list, link_request);

struct broker_link {
	struct link_options options;
	struct event_base *base;
	int listener;
	struct event *accept_event;
	struct event *hold_event;  /* ends the wait of held requests */
	struct event *count_event; /* reports counters */
	struct chan *chan;         /* NULL: no broker */
	struct request_list held;  /* in order of arrival */
	struct request_list sent;
	unsigned held_count;
	unsigned sent_count;
	uint64_t counted[LINK_COUNT_MAX]; /* since the last report */
	uint64_t total[LINK_COUNT_MAX];
	bool counting;          /* count_event is on */
	struct proto_load told; /* load as last reported */
};

static const char *const counter_names[LINK_COUNT_MAX] = {
#define LINK_COUNTER(name) #name,
	LINK_COUNTERS
#undef LINK_COUNTER
};

static void report_later(struct broker_link *link);
static void on_chan_ready(struct chan *chan, void *arg);
static void on_chan_message(struct chan *chan, void *arg, struct proto_msg *msg);
static void on_chan_closed(struct chan *chan, void *arg, const char *reason);

static const struct chan_handlers chan_handlers = {
	.on_ready = on_chan_ready,
	.on_message = on_chan_message,
	.on_closed = on_chan_closed,
};

/* Requests between the lists. */

static void
set_held(struct broker_link *link, struct link_request *request)
{
	const struct timeval pause = { .tv_usec = HOLD_SWEEP_MS * 1000 };

	request->state = LINK_HELD;
	TAILQ_INSERT_TAIL(&link->held, request, entry);
	if (link->held_count++ == 0)
		event_add(link->hold_event, &pause);
	link_count(link, LINK_COUNT_held);
}

static void
set_sent(struct broker_link *link, struct link_request *request)
{
	request->state = LINK_SENT;
	TAILQ_INSERT_TAIL(&link->sent, request, entry);
	link->sent_count++;
}

static void
set_none(struct broker_link *link, struct link_request *request)
{
	if (request->state == LINK_HELD) {
		TAILQ_REMOVE(&link->held, request, entry);
		if (--link->held_count == 0)
			event_del(link->hold_event);
	} else if (request->state == LINK_SENT) {
		TAILQ_REMOVE(&link->sent, request, entry);
		link->sent_count--;
	}
	request->state = LINK_NONE;
	request->rid = 0;
}

/* Ends a request with an answer of our own. */
static void
fail(struct broker_link *link, struct link_request *request, enum proto_error error,
    const char *message)
{
	struct proto_msg msg = proto_failed(error, message);

	set_none(link, request);
	request->on_answer(request->arg, &msg, true);
}

/* The broker went away under a sent request. */
static void
on_break(struct broker_link *link, struct link_request *request)
{
	if (!request->again) {
		fail(link, request, ERR_outcome_unknown,
		    "The broker stopped while it worked on this; look before trying "
		    "again");
		return;
	}
	set_none(link, request);
	set_held(link, request);
	request->on_answer(request->arg, NULL, false);
}

static void
on_chan_answer(void *arg, struct proto_msg *answer, bool last)
{
	struct link_request *request = arg;
	struct broker_link *link = request->link;

	if (answer && !last) {
		request->on_answer(request->arg, answer, false);
		return;
	}
	if (answer) {
		set_none(link, request);
		request->on_answer(request->arg, answer, true);
	} else if (chan_is_ready(link->chan)) {
		fail(link, request, ERR_timed_out, "The broker did not answer in time");
	} else {
		on_break(link, request);
	}
}

/* Gives a request to the broker. -EINVAL when the message itself cannot be sent. */
static int
send_now(struct broker_link *link, struct link_request *request)
{
	int64_t left = request->deadline - time_boot_ms();

	request->rid = chan_request(link->chan, request->msg,
	    left > 0 ? (unsigned)left : 1, on_chan_answer, request);
	if (request->rid)
		set_sent(link, request);
	else if (chan_is_ready(link->chan))
		return -EINVAL;
	else /* the chan broke just then: the next broker gets it */
		set_held(link, request);
	return 0;
}

int
link_ask(struct broker_link *link, struct link_request *request,
    const struct proto_msg *msg, unsigned deadline_ms, link_answer_fn *on_answer,
    void *arg)
{
	int64_t now = time_boot_ms();

	if (link->held_count + link->sent_count >= LINK_REQUESTS_MAX)
		return -EBUSY;
	*request = (struct link_request){ .link = link,
		.msg = msg,
		.on_answer = on_answer,
		.arg = arg,
		.arrived = now,
		.deadline = now + deadline_ms,
		.again = proto_schema((unsigned)msg->type)->again };
	if (link_is_up(link))
		return send_now(link, request);
	set_held(link, request);
	return 0;
}

void
link_cancel(struct broker_link *link, struct link_request *request)
{
	if (request->state == LINK_SENT && link->chan)
		chan_cancel(link->chan, request->rid);
	if (request->state != LINK_NONE)
		set_none(link, request);
}

static void
on_hold(evutil_socket_t fd, short what, void *arg)
{
	struct broker_link *link = arg;
	struct link_request *request;
	int64_t now = time_boot_ms();

	(void)fd;
	(void)what;
	/* Oldest first; a callback may end any request, so each turn looks anew. */
	for (;;) {
		TAILQ_FOREACH (request, &link->held, entry)
			if (request->arrived + HOLD_MS <= now)
				break;
		if (!request)
			return;
		link_count(link, LINK_COUNT_held_expired);
		fail(link, request, ERR_broker_away,
		    "The broker is not running; try again shortly");
	}
}

/* The broker comes and goes. */

static void
send_held(struct broker_link *link)
{
	struct link_request *request;
	unsigned left = link->held_count;

	while (left-- > 0 && link_is_up(link)) {
		request = TAILQ_FIRST(&link->held);
		if (!request)
			return;
		set_none(link, request);
		/* A message sent again gets the time that a deadline leaves, but at
		 * least the rest of its wait. */
		if (request->deadline < request->arrived + HOLD_MS)
			request->deadline = request->arrived + HOLD_MS;
		if (send_now(link, request) < 0)
			fail(link, request, ERR_internal, CANNOT_BE_SENT);
	}
}

static void
on_chan_ready(struct chan *chan, void *arg)
{
	struct broker_link *link = arg;
	const struct proto_msg listening = { .type = MSG_listening,
		.listening = { .port = link->options.port,
		    .addresses = link->options.addresses,
		    .sandbox = link->options.sandbox } };

	log_info("link", "the broker is linked, version '%s', %u requests were waiting",
	    log_quote(chan_hello(chan)->version), link->held_count);
	(void)chan_send(chan, 0, &listening);
	/* The broker may be another one, which knows of no load. */
	link->told = (struct proto_load){ 0 };
	if (!link->counting)
		report_later(link);
	send_held(link);
}

static void
on_chan_message(struct chan *chan, void *arg, struct proto_msg *msg)
{
	struct broker_link *link = arg;

	(void)chan;
	if (msg->type == MSG_settings)
		link->options.on_settings(link->options.arg, &msg->settings);
	else
		log_warning("link", "unexpected message '%s', ignored",
		    proto_schema((unsigned)msg->type)->name);
}

static void
on_chan_closed(struct chan *chan, void *arg, const char *reason)
{
	struct broker_link *link = arg;

	log_warning("link", "the broker is gone: %s; requests are held up to %u ms",
	    reason, HOLD_MS);
	chan_free(chan);
	if (link->chan == chan)
		link->chan = NULL;
}

/* A new broker replaces the old one, whose connection may be half dead. */
static void
replace(struct broker_link *link, int fd)
{
	const struct chan_options options = { .program = "streamhold-httpd",
		.version = version_text(),
		.role = link->options.role,
		.expect = "broker",
		.broker = false,
		/* SO_PEERCRED has told who connected. */
		.sender = CHAN_ANY_UID,
		.frame_max = link->options.frame_max,
		.handlers = &chan_handlers,
		.arg = link };
	struct chan *old = link->chan;
	struct link_request *request;

	link->chan = NULL;
	chan_free(old);
	/* Requests are taken off the list one by one, as callbacks may end others. */
	while ((request = TAILQ_FIRST(&link->sent)) != NULL)
		on_break(link, request);
	link->chan = chan_new(link->base, fd, &options);
}

static void
on_accept(evutil_socket_t listener, short what, void *arg)
{
	struct broker_link *link = arg;
	uid_t uid;
	gid_t gid;
	pid_t pid;
	int fd = sock_accept((int)listener);

	(void)what;
	if (fd < 0)
		return;
	if (sock_peer(fd, &uid, &gid, &pid) < 0 || uid != link->options.broker_uid) {
		link_count(link, LINK_COUNT_link_stranger);
		log_warning("link",
		    "refused a connection to the link socket of user "
		    "'%u', only '%u' may be the broker",
		    (unsigned)uid, (unsigned)link->options.broker_uid);
		(void)close(fd);
		return;
	}
	replace(link, fd);
}

bool
link_is_up(const struct broker_link *link)
{
	return link->chan && chan_is_ready(link->chan);
}

void
link_tell(struct broker_link *link, const struct proto_msg *msg)
{
	if (link_is_up(link))
		(void)chan_send(link->chan, 0, msg);
}

/* Counters. */

static void
report_later(struct broker_link *link)
{
	const struct timeval pause = { .tv_sec = COUNT_MS / 1000,
		.tv_usec = COUNT_MS % 1000 * 1000 };

	link->counting = true;
	event_add(link->count_event, &pause);
}

void
link_count(struct broker_link *link, enum link_counter counter)
{
	link->counted[counter]++;
	link->total[counter]++;
	if (!link->counting)
		report_later(link);
}

static void
report_counts(struct broker_link *link)
{
	struct proto_msg msg = { .type = MSG_count };
	unsigned i;

	for (i = 0; i < LINK_COUNT_MAX; i++) {
		if (link->counted[i] == 0)
			continue;
		msg.count.name = counter_names[i];
		msg.count.more = link->counted[i];
		if (chan_send(link->chan, 0, &msg) == 0)
			link->counted[i] = 0;
	}
}

/* Looks again later as long as there is something that may end without being counted.
 */
static void
report_load(struct broker_link *link)
{
	struct proto_msg msg = { .type = MSG_load };
	struct proto_load *load = &msg.load;

	if (link->options.tell_load)
		link->options.tell_load(link->options.arg, load);
	load->waiting = link->sent_count + link->held_count;
	if ((load->connections != link->told.connections ||
		load->waiting != link->told.waiting ||
		load->streams != link->told.streams ||
		load->memory != link->told.memory) &&
	    chan_send(link->chan, 0, &msg) == 0)
		link->told = *load;
	if (load->connections || load->waiting)
		report_later(link);
}

static void
on_count(evutil_socket_t fd, short what, void *arg)
{
	struct broker_link *link = arg;

	(void)fd;
	(void)what;
	link->counting = false;
	if (!link_is_up(link)) {
		report_later(link);
		return;
	}
	report_counts(link);
	report_load(link);
}

void
link_tell_leaving(struct broker_link *link)
{
	const struct proto_msg leaving = { .type = MSG_leaving };

	if (!link_is_up(link))
		return;
	report_counts(link);
	(void)chan_send(link->chan, 0, &leaving);
}

void
link_dump(const struct broker_link *link)
{
	unsigned i;

	log_info("dump", "link '%s', %u requests sent, %u held",
	    link_is_up(link) ? "up" : "down", link->sent_count, link->held_count);
	for (i = 0; i < LINK_COUNT_MAX; i++)
		if (link->total[i])
			log_info("dump", "counted '%s': %llu", counter_names[i],
			    (unsigned long long)link->total[i]);
}

/* Birth and death. */

struct broker_link *
link_new(struct event_base *base, int listener, const struct link_options *options)
{
	struct broker_link *link = xcalloc(1, sizeof(*link));

	link->options = *options;
	link->base = base;
	link->listener = listener;
	TAILQ_INIT(&link->held);
	TAILQ_INIT(&link->sent);
	link->accept_event =
	    event_new(base, listener, EV_READ | EV_PERSIST, on_accept, link);
	link->hold_event = event_new(base, -1, EV_PERSIST, on_hold, link);
	link->count_event = event_new(base, -1, 0, on_count, link);
	if (!link->accept_event || !link->hold_event || !link->count_event)
		abort();
	event_add(link->accept_event, NULL);
	return link;
}

void
link_free(struct broker_link *link)
{
	if (!link)
		return;
	chan_free(link->chan);
	event_free(link->accept_event);
	event_free(link->hold_event);
	event_free(link->count_event);
	(void)close(link->listener);
	free(link);
}
