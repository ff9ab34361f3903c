/*
 * Follows the broker's events:
 *
 *   ask     where events end, the first time; then for what comes after feed_last. The
 *           broker answers when there is something, or after FEED_WAIT_MS with nothing
 *   keep    each event, in a ring whose oldest give way
 *   tell    stream.c, once for each answer; and the broker what some reader got
 *   pause   FEED_PAUSE_MS, so that the work for many single events is bounded
 *
 * A broker that was started with an older database, a backup that was put back, does
 * not know the newest events. Then the feed begins anew where that one began.
 *
 * Owns the ring and its one request to the broker. Called by stream.c.
 */
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "common/alloc.h"
#include "common/event.h"
#include "common/log.h"
#include "httpd/broker_link.h"
#include "httpd/feed.h"
#include "httpd/httpd.h"
#include "httpd/limits.h"
#include "httpd/sse.h"

struct feed {
	struct httpd *httpd;
	struct feed_calls calls;
	void *arg;
	bool running;
	bool known;
	struct feed_event *ring[FEED_EVENTS_MAX];
	size_t first; /* place in the ring of the oldest */
	size_t count;
	size_t bytes;
	uint64_t base;
	uint64_t last;
	uint64_t replays; /* as in events_list */
	uint64_t run;     /* as in events_list */
	struct proto_msg msg;
	struct link_request ask;
	struct event *pause;
	struct proto_events_handed given; /* not told yet; `last` 0: nothing */
	size_t rows;                      /* of the answer that is coming */
	struct sse_frame frame;           /* the event that is coming */
	struct feed_event *coming;        /* what is known of it */
};

static void ask(struct feed *feed);
static void ask_after(struct feed *feed, unsigned ms);

/* The ring. */

static void
event_free_kept(struct feed_event *event)
{
	if (!event)
		return;
	buf_clear(&event->frame);
	free(event);
}

static void
drop_oldest(struct feed *feed)
{
	struct feed_event *event = feed->ring[feed->first];

	feed->base = event->seq;
	feed->bytes -= event->size;
	feed->first = (feed->first + 1) % FEED_EVENTS_MAX;
	feed->count--;
	event_free_kept(event);
}

static void
keep(struct feed *feed, struct feed_event *event)
{
	if (feed->count == FEED_EVENTS_MAX)
		drop_oldest(feed);
	feed->ring[(feed->first + feed->count++) % FEED_EVENTS_MAX] = event;
	feed->bytes += event->size;
	feed->last = event->seq;
	while (feed->bytes > FEED_BYTES_MAX)
		drop_oldest(feed);
}

size_t
feed_place(const struct feed *feed, uint64_t after)
{
	size_t low = 0;
	size_t high = feed->count;
	size_t middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (feed_at(feed, middle)->seq > after)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

const struct feed_event *
feed_at(const struct feed *feed, size_t place)
{
	return place < feed->count ? feed->ring[(feed->first + place) % FEED_EVENTS_MAX]
				   : NULL;
}

/* What readers get. */

void
feed_tell_given(struct feed *feed)
{
	const struct proto_msg msg = { .type = MSG_events_handed,
		.events_handed = feed->given };

	if (feed->given.last == 0)
		return;
	feed->given = (struct proto_events_handed){ .last = 0 };
	link_tell(feed->httpd->link, &msg);
}

void
feed_give(struct feed *feed, size_t place)
{
	struct feed_event *event = feed->ring[(feed->first + place) % FEED_EVENTS_MAX];

	if (event->given)
		return;
	event->given = true;
	if (feed->given.last + 1 != event->seq)
		feed_tell_given(feed);
	if (feed->given.last == 0)
		feed->given.first = event->seq;
	feed->given.last = event->seq;
}

/* An event from its rows. */

static const char *
put_text(char **at, const char *text)
{
	const char *copy = *at;
	size_t size;

	if (!text)
		return NULL;
	size = strlen(text) + 1;
	memcpy(*at, text, size);
	*at += size;
	return copy;
}

static size_t
text_size(const char *text)
{
	return text ? strlen(text) + 1 : 0;
}

static struct feed_event *
event_of(const struct proto_event *row)
{
	size_t size = sizeof(struct feed_event) + text_size(row->type) +
	    text_size(row->platform) + text_size(row->kind) +
	    text_size(row->broadcaster_id) + text_size(row->broadcaster_name);
	struct feed_event *event = xcalloc(1, size);
	char *at = event->texts;

	event->seq = row->seq;
	event->size = size;
	event->facts = (struct event_facts){ .type = put_text(&at, row->type),
		.platform = put_text(&at, row->platform),
		.kind = put_text(&at, row->kind),
		.broadcaster_id = put_text(&at, row->broadcaster_id),
		.broadcaster_name = put_text(&at, row->broadcaster_name),
		.flags = row->flag_bits };
	return event;
}

static void
forget_coming(struct feed *feed)
{
	sse_frame_clear(&feed->frame);
	event_free_kept(feed->coming);
	feed->coming = NULL;
}

static void
take_row(struct feed *feed, const struct proto_msg *row)
{
	int result = sse_take_row(&feed->frame, row);
	struct feed_event *event;

	if (result < 0) {
		/* Nothing may be left out: ask again for all that is not kept. */
		log_error("feed", "the broker's rows are out of order");
		link_cancel(feed->httpd->link, &feed->ask);
		forget_coming(feed);
		ask_after(feed, FEED_RETRY_MS);
		return;
	}
	if (row->type == MSG_event) {
		event_free_kept(feed->coming);
		feed->coming = event_of(&row->event);
		feed->rows++;
	}
	if (result == 0)
		return;
	event = feed->coming;
	feed->coming = NULL;
	event->frame = feed->frame.text;
	event->size += event->frame.capacity;
	feed->frame = (struct sse_frame){ .seq = 0 };
	if (event->facts.flags & EVENT_REDELIVERED) {
		feed->calls.repeated(feed->arg, event);
		event_free_kept(event);
	} else if (event->seq > feed->last)
		keep(feed, event);
	else /* a broker that started anew repeats itself */
		event_free_kept(event);
}

/* Asking. */

static void
ask_after(struct feed *feed, unsigned ms)
{
	const struct timeval wait = { .tv_sec = ms / 1000,
		.tv_usec = ms % 1000 * 1000 };

	event_add(feed->pause, &wait);
}

static void
on_pause(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	ask(arg);
}

static void
on_span(struct feed *feed, const struct proto_events_span *told)
{
	const struct proto_events_span span = *told; /* outlives the request */
	const bool replaced = feed->known && feed->run && feed->run != span.run &&
	    span.began < feed->last;

	feed->replays = span.replay + 1;
	feed->run = span.run;
	if (!replaced)
		return;
	log_warning("feed",
	    "the broker's database is an older one: it ended at %llu, and %llu was "
	    "handed out before; all readers begin anew",
	    (unsigned long long)span.began, (unsigned long long)feed->last);
	/* The rest of this answer leaves out what that database has below. */
	link_cancel(feed->httpd->link, &feed->ask);
	forget_coming(feed);
	while (feed->count > 0)
		drop_oldest(feed);
	feed->base = feed->last = span.began;
	ask_after(feed, 0);
	feed->calls.replaced(feed->arg, span.began, span.oldest);
}

static void
on_end(struct feed *feed, uint64_t next)
{
	bool full = feed->rows == FEED_PAGE_EVENTS;
	bool first = !feed->known;

	if (first)
		feed->base = feed->last = next;
	else if (next > feed->last)
		feed->last = next;
	feed->known = true;
	if (feed->rows > 0 || first)
		feed->calls.changed(feed->arg);
	if (!feed->running)
		return;
	/* A full page has others behind it, an empty one has waited already. */
	if (full || feed->rows == 0)
		ask(feed);
	else
		ask_after(feed, FEED_PAUSE_MS);
}

static void
on_answer(void *arg, struct proto_msg *answer, bool last)
{
	struct feed *feed = arg;

	if (!answer || last)
		forget_coming(feed);
	if (!answer) { /* to be asked again, of the next broker */
		feed->rows = 0;
		feed->msg.events_list.after = feed->known ? feed->last : UINT64_MAX;
	} else if (answer->type == MSG_event || answer->type == MSG_event_part) {
		take_row(feed, answer);
	} else if (answer->type == MSG_events_span) {
		on_span(feed, &answer->events_span);
	} else if (answer->type == MSG_list_end) {
		on_end(feed, answer->list_end.next);
	} else if (last) {
		ask_after(feed, FEED_RETRY_MS);
	}
}

static void
ask(struct feed *feed)
{
	feed->rows = 0;
	feed->msg = (struct proto_msg){ .type = MSG_events_list,
		.events_list = { .after = feed->known ? feed->last : UINT64_MAX,
		    .limit = FEED_PAGE_EVENTS,
		    .bytes = FEED_PAGE_BYTES,
		    .follow = true,
		    .offer = true,
		    .run = feed->known ? feed->run : 0,
		    .replays = feed->replays,
		    .wait_ms = feed->known ? FEED_WAIT_MS : 0,
		    .foreign = true,
		    .synthetic = true,
		    .quarantined = true } };
	if (link_ask(feed->httpd->link, &feed->ask, &feed->msg,
		FEED_WAIT_MS + ANSWER_MS, on_answer, feed) < 0)
		ask_after(feed, FEED_RETRY_MS);
}

void
feed_start(struct feed *feed)
{
	if (feed->running)
		return;
	feed->running = true;
	ask(feed);
}

void
feed_stop(struct feed *feed)
{
	if (!feed->running)
		return;
	feed->running = false;
	feed->known = false;
	feed->replays = 0;
	feed->run = 0;
	link_cancel(feed->httpd->link, &feed->ask);
	event_del(feed->pause);
	forget_coming(feed);
	while (feed->count > 0)
		drop_oldest(feed);
}

bool
feed_is_known(const struct feed *feed)
{
	return feed->known;
}

uint64_t
feed_base(const struct feed *feed)
{
	return feed->base;
}

uint64_t
feed_last(const struct feed *feed)
{
	return feed->last;
}

size_t
feed_count(const struct feed *feed)
{
	return feed->count;
}

size_t
feed_bytes(const struct feed *feed)
{
	return feed->bytes;
}

/* Birth and death. */

struct feed *
feed_new(struct httpd *httpd, const struct feed_calls *calls, void *arg)
{
	struct feed *feed = xcalloc(1, sizeof(*feed));

	feed->httpd = httpd;
	feed->calls = *calls;
	feed->arg = arg;
	feed->pause = event_new(httpd->base, -1, 0, on_pause, feed);
	if (!feed->pause)
		abort();
	return feed;
}

void
feed_free(struct feed *feed)
{
	if (!feed)
		return;
	feed_stop(feed);
	event_free(feed->pause);
	free(feed);
}
