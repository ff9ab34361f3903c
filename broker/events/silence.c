/*
 * Which streams are live, and when their chat was last heard. Called by ingest.c after
 * each commit. Durations are of the boot-time clock, so that nobody who sets the wall
 * clock raises an alarm.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "broker/events/event_kind.h"
#include "broker/events/kick_live.h"
#include "broker/events/notice.h"
#include "broker/events/silence.h"
#include "broker/store/store_stream.h"
#include "broker/subscriptions/subs.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/time.h"

#define MINUTE_MS 60000

struct channel {
	struct store_stream row;
	int64_t live_from; /* boot-time ms */
	int64_t heard;     /* boot-time ms of the last chat message, or of live_from */
	bool silent;
};

struct silence {
	struct broker *broker;
	struct event *timer;
	struct channel channels[SILENCE_CHANNELS_MAX];
	size_t count;
	char trouble[200];
};

static struct channel *
find(struct silence *silence, const char *platform, const char *id)
{
	size_t i;

	for (i = 0; i < silence->count; i++)
		if (strcmp(silence->channels[i].row.broadcaster_id, id) == 0 &&
		    strcmp(silence->channels[i].row.platform, platform) == 0)
			return &silence->channels[i];
	return NULL;
}

static struct channel *
find_or_add(struct silence *silence, const struct store_delivery *row)
{
	struct channel *channel = find(silence, row->platform, row->broadcaster_id);

	if (channel || silence->count == SILENCE_CHANNELS_MAX)
		return channel;
	channel = &silence->channels[silence->count++];
	*channel = (struct channel){ .silent = false };
	(void)snprintf(
	    channel->row.platform, sizeof(channel->row.platform), "%s", row->platform);
	(void)snprintf(channel->row.broadcaster_id, sizeof(channel->row.broadcaster_id),
	    "%s", row->broadcaster_id);
	return channel;
}

/* Whether chat of the channel is expected at all: when it is wanted; where nobody says
 * what is, when it came before. */
static bool
expects_chat(const struct broker *broker, const struct channel *channel)
{
	const struct config_list *wanted;
	size_t i;

	wanted = subscriptions_wanted_of(
	    broker, channel->row.broadcaster_id, channel->row.name);
	if (!wanted)
		return channel->row.chat_seen;
	for (i = 0; i < wanted->count; i++)
		if (strcmp(event_kind(channel->row.platform, wanted->items[i], 1, 0),
			EVENT_KIND_CHAT) == 0)
			return true;
	return false;
}

/* Rows of the database. */

struct keep_job {
	struct store_job job;
	struct store_stream row;
};

static int
run_keep(struct store_job *base, struct db *db)
{
	return store_stream_put(db, &((const struct keep_job *)base)->row);
}

static void
done_keep(struct store_job *job, int result)
{
	(void)result; /* what is in memory counts until the next start */
	free(job);
}

static void
keep(struct silence *silence, const struct channel *channel)
{
	struct keep_job *job = xcalloc(1, sizeof(*job));

	job->job = (struct store_job){ .run = run_keep, .done = done_keep };
	job->row = channel->row;
	store_submit(silence->broker->store, &job->job);
}

/* The alarm. */

static void
tell(struct silence *silence, const struct channel *channel, const char *type,
    int64_t minutes)
{
	char id[200];
	char body[100];

	(void)snprintf(id, sizeof(id), "%s.%.100s.%" PRId64, type,
	    channel->row.broadcaster_id, time_now_ms());
	(void)snprintf(body, sizeof(body), "{\"silent_minutes\":%" PRId64 "}", minutes);
	notice_store(silence->broker,
	    &(const struct notice){ .type = type,
		.id = id,
		.broadcaster_id = channel->row.broadcaster_id,
		.broadcaster_name = channel->row.name[0] ? channel->row.name : NULL,
		.body = body });
}

static void
alarm_begins(struct silence *silence, struct channel *channel, int64_t boot)
{
	int64_t minutes = (boot - channel->heard) / MINUTE_MS;

	channel->silent = true;
	log_warning("events",
	    "'%s' is live, and no chat message came for %" PRId64 " minutes; see "
	    "streamhold status",
	    log_quote(channel->row.name), minutes);
	tell(silence, channel, SILENCE_BEGAN, minutes);
}

static void
alarm_ends(struct silence *silence, struct channel *channel, int64_t boot)
{
	channel->silent = false;
	log_info(
	    "events", "chat messages of '%s' come again", log_quote(channel->row.name));
	tell(silence, channel, SILENCE_ENDED, (boot - channel->heard) / MINUTE_MS);
}

void
silence_look_at(struct broker *broker, int64_t boot)
{
	struct silence *silence = broker->silence;
	int64_t most = (int64_t)broker->config.events.silence_alarm_s * 1000;
	size_t i;

	for (i = 0; i < silence->count; i++) {
		struct channel *channel = &silence->channels[i];

		if (channel->row.live_since == 0)
			continue;
		if (boot - channel->live_from > SILENCE_LIVE_MAX_MS) {
			channel->row.live_since = 0;
			channel->silent = false;
			keep(silence, channel);
		} else if (most == 0 || !expects_chat(broker, channel)) {
			channel->silent = false;
		} else if (!channel->silent && boot - channel->heard >= most) {
			alarm_begins(silence, channel, boot);
		}
	}
}

/* What comes. */

static void
heard_chat(struct silence *silence, const struct store_delivery *row, int64_t boot)
{
	struct channel *channel = find_or_add(silence, row);

	if (!channel)
		return;
	if (channel->silent)
		alarm_ends(silence, channel, boot);
	channel->heard = boot;
	if (channel->row.chat_seen)
		return;
	channel->row.chat_seen = true;
	(void)snprintf(channel->row.name, sizeof(channel->row.name), "%s",
	    row->broadcaster_name ? row->broadcaster_name : "");
	keep(silence, channel);
}

static void
heard_status(struct silence *silence, const struct store_delivery *row, int64_t boot)
{
	struct channel *channel;
	bool live;

	if (!kick_live_read(
		row->type, row->version, row->body, row->body_length, &live))
		return;
	channel = find_or_add(silence, row);
	/* Deliveries may overtake each other. */
	if (!channel || row->occurred_at < channel->row.told_at)
		return;
	if (live && channel->row.live_since == 0) {
		channel->live_from = boot;
		channel->heard = boot;
		channel->row.live_since = row->received_at;
	} else if (!live) {
		channel->silent = false;
		channel->row.live_since = 0;
	}
	channel->row.told_at = row->occurred_at;
	(void)snprintf(channel->row.name, sizeof(channel->row.name), "%s",
	    row->broadcaster_name ? row->broadcaster_name : "");
	keep(silence, channel);
}

void
silence_stored(struct broker *broker, const struct store_delivery *row)
{
	const char *kind;

	if (!broker->silence || row->flags & EVENT_ASKED_FOR || !row->broadcaster_id)
		return;
	kind = event_kind(row->platform, row->type, row->version, row->flags);
	if (strcmp(kind, EVENT_KIND_CHAT) == 0)
		heard_chat(broker->silence, row, time_boot_ms());
	else if (strcmp(kind, EVENT_KIND_STREAM) == 0)
		heard_status(broker->silence, row, time_boot_ms());
}

size_t
silence_live_count(const struct broker *broker)
{
	size_t count = 0;
	size_t i;

	for (i = 0; broker->silence && i < broker->silence->count; i++)
		count += broker->silence->channels[i].row.live_since != 0;
	return count;
}

size_t
silence_count(const struct broker *broker)
{
	size_t count = 0;
	size_t i;

	for (i = 0; broker->silence && i < broker->silence->count; i++)
		count += broker->silence->channels[i].silent;
	return count;
}

const char *
silence_trouble(const struct broker *broker)
{
	struct silence *silence = broker->silence;
	size_t count = silence_count(broker);
	size_t i;

	for (i = 0; count && i < silence->count; i++) {
		if (!silence->channels[i].silent)
			continue;
		(void)snprintf(silence->trouble, sizeof(silence->trouble),
		    "%zu live %s without chat messages, among them '%.80s': look at "
		    "the "
		    "subscriptions and the tunnel",
		    count, count == 1 ? "stream is" : "streams are",
		    silence->channels[i].row.name);
		return silence->trouble;
	}
	return NULL;
}

/* Birth and death. */

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct silence *silence = arg;

	(void)fd;
	(void)what;
	silence_look_at(silence->broker, time_boot_ms());
}

struct load_job {
	struct store_job job;
	struct silence *silence;
};

static void
take(void *arg, const struct store_stream *row)
{
	struct silence *silence = arg;

	if (silence->count == SILENCE_CHANNELS_MAX)
		return;
	silence->channels[silence->count++] = (struct channel){
		.row = *row, .live_from = time_boot_ms(), .heard = time_boot_ms()
	};
}

static int
run_load(struct store_job *base, struct db *db)
{
	return store_stream_load(db, take, ((struct load_job *)base)->silence);
}

static void
done_load(struct store_job *job, int result)
{
	(void)job;
	if (result < 0)
		log_warning(
		    "events", "which streams are live is not known; continuing");
}

void
silence_start(struct broker *broker)
{
	const struct timeval pause = { .tv_sec = SILENCE_LOOK_MS / 1000 };
	struct silence *silence = xcalloc(1, sizeof(*silence));
	struct load_job job = { .job = { .run = run_load, .done = done_load },
		.silence = silence };

	silence->broker = broker;
	silence->timer = event_new(broker->base, -1, EV_PERSIST, on_timer, silence);
	if (!silence->timer)
		abort();
	store_run_now(broker->store, &job.job);
	broker->silence = silence;
	event_add(silence->timer, &pause);
}

void
silence_stop(struct broker *broker)
{
	if (!broker->silence)
		return;
	event_free(broker->silence->timer);
	free(broker->silence);
	broker->silence = NULL;
}
