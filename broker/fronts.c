/*
 * Connects to httpd's link sockets, again and again, and turns what comes over them
 * into dispatched messages.
 *
 * The broker connects, so httpd needs no connect(2) after its lock-down and can hold
 * requests while the broker restarts (docs/decisions/0002-broker-connects.md). The
 * hello of a front must have been written by the front's own user, which the kernel
 * tells.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "broker/dispatch.h"
#include "broker/events/ingest.h"
#include "broker/events/kick_upkeep.h"
#include "broker/flow.h"
#include "broker/fronts.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/sock.h"
#include "common/time.h"
#include "common/version.h"

#define RETRY_FIRST_MS 20
#define RETRY_MAX_MS 250

struct link {
	struct fronts *fronts;
	struct client client;
	const char *name; /* role in hello */
	const char *path;
	uid_t uid;
	size_t frame_max;
	struct front_state *state;
	struct event *retry;
	unsigned retry_ms;
};

struct fronts {
	struct broker *broker;
	struct link links[2];
	size_t count;
};

static void try_connect(struct link *link);

static void
retry_later(struct link *link)
{
	const struct timeval wait = { .tv_sec = link->retry_ms / 1000,
		.tv_usec = (link->retry_ms % 1000) * 1000 };

	event_add(link->retry, &wait);
	link->retry_ms =
	    link->retry_ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : link->retry_ms * 2;
}

static void
set_connected(struct link *link, bool connected)
{
	link->state->connected = connected;
	link->state->leaving = false;
	link->state->since = time_now_ms();
	link->state->connects += connected;
}

static void
push_settings(struct link *link)
{
	const struct config *config = &link->fronts->broker->config;
	bool api = link->client.role == CLIENT_api;
	struct buf hosts = BUF_EMPTY;
	struct buf origins = BUF_EMPTY;
	struct proto_msg msg = { .type = MSG_settings };
	size_t i;

	for (i = 0; api && i < config->server.allowed_hosts.count; i++)
		buf_printf(&hosts, "%s%s", i ? " " : "",
		    config->server.allowed_hosts.items[i]);
	for (i = 0; api && i < config->server.allowed_origins.count; i++)
		buf_printf(&origins, "%s%s", i ? " " : "",
		    config->server.allowed_origins.items[i]);
	buf_add(&hosts, "", 1);
	buf_add(&origins, "", 1);
	msg.settings.rate_limit =
	    api ? config->server.rate_limit_per_s : config->webhooks.rate_limit_per_s;
	msg.settings.connections_max =
	    api ? config->server.max_connections : config->webhooks.max_connections;
	msg.settings.body_max = api ? PROTO_FRAME_MAX : config->webhooks.max_body_bytes;
	msg.settings.log_level =
	    config_option_find("logging.level")->words[config->logging.level];
	msg.settings.log_format =
	    config_option_find("logging.format")->words[config->logging.format];
	msg.settings.shutdown_timeout_ms = config->server.shutdown_timeout_ms;
	msg.settings.allowed_hosts = (const char *)buf_bytes(&hosts);
	msg.settings.allowed_origins = (const char *)buf_bytes(&origins);
	if (chan_send(link->client.chan, 0, &msg) < 0)
		log_warning("front",
		    "settings for the %s front could not be sent, continuing",
		    link->name);
	buf_clear(&hosts);
	buf_clear(&origins);
}

static void
on_ready(struct chan *chan, void *arg)
{
	struct link *link = arg;

	(void)chan;
	link->retry_ms = RETRY_FIRST_MS;
	set_connected(link, true);
	log_info("front", "the %s front is connected", link->name);
	push_settings(link);
}

static void
on_message(struct chan *chan, void *arg, struct proto_msg *msg)
{
	struct link *link = arg;

	(void)chan;
	if (dispatch(&link->client, msg))
		return;
	log_error("front",
	    "the %s front sent '%s', which it may not; the link is closed", link->name,
	    proto_schema((unsigned)msg->type)->name);
	chan_break(link->client.chan, "a message that this role may not send");
}

static void
drop_client(struct link *link)
{
	ingest_client_gone(link->fronts->broker->ingest, &link->client);
	kick_upkeep_client_gone(link->fronts->broker, &link->client);
	flows_client_gone(&link->client);
	chan_free(link->client.chan);
	link->client.chan = NULL;
}

static void
on_closed(struct chan *chan, void *arg, const char *reason)
{
	struct link *link = arg;

	if (chan_was_broken(chan))
		broker_count(link->fronts->broker, "link_violations", 1);
	if (link->state->connected && link->state->leaving) {
		log_info("front", "the %s front has stopped", link->name);
		set_connected(link, false);
	} else if (link->state->connected) {
		log_warning(
		    "front", "the link to the %s front ended: %s", link->name, reason);
		set_connected(link, false);
	} else {
		log_debug("front", "no link to the %s front: %s", link->name, reason);
	}
	drop_client(link);
	retry_later(link);
}

static const struct chan_handlers handlers = {
	.on_ready = on_ready, .on_message = on_message, .on_closed = on_closed
};

/* The socket must have been made by root or by this user; who writes is checked with
 * each hello. */
static bool
listener_is_trusted(int fd)
{
	uid_t uid;
	gid_t gid;
	pid_t pid;

	return sock_peer(fd, &uid, &gid, &pid) == 0 && (uid == 0 || uid == geteuid());
}

static void
try_connect(struct link *link)
{
	struct broker *broker = link->fronts->broker;
	const struct chan_options options = { .program = "streamhold-broker",
		.version = version_text(),
		.role = "broker",
		.expect = link->name,
		.broker = true,
		.locked_in = link->client.role == CLIENT_api,
		.sender = link->uid,
		.frame_max = link->frame_max,
		.handlers = &handlers,
		.arg = link };
	int fd = sock_connect_unix(link->path);

	if (fd >= 0 && !listener_is_trusted(fd)) {
		log_error("front", "'%s' was made by another user; it is not used",
		    log_quote(link->path));
		(void)close(fd);
		fd = -EPERM;
	}
	if (fd < 0) {
		retry_later(link);
		return;
	}
	link->client.chan = chan_new(broker->base, fd, &options);
}

static void
on_retry(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	try_connect(arg);
}

static void
link_start(struct fronts *fronts, enum client_role role, uid_t uid)
{
	struct link *link = &fronts->links[fronts->count++];
	struct broker *broker = fronts->broker;
	bool api = role == CLIENT_api;

	link->fronts = fronts;
	link->client = (struct client){ .broker = broker, .role = role, .uid = uid };
	LIST_INIT(&link->client.flows);
	link->name = api ? "api" : "webhook";
	link->path = api ? broker->paths.api_link : broker->paths.webhook_link;
	link->uid = uid;
	link->frame_max = api
	    ? PROTO_FRAME_MAX
	    : (size_t)broker->config.webhooks.max_body_bytes + PROTO_FRAME_EXTRA;
	link->state = api ? &broker->api : &broker->webhook;
	link->retry_ms = RETRY_FIRST_MS;
	link->retry = event_new(broker->base, -1, 0, on_retry, link);
	if (!link->retry)
		abort();
	try_connect(link);
}

struct fronts *
fronts_new(struct broker *broker, uid_t api_uid, uid_t webhook_uid)
{
	struct fronts *fronts = xcalloc(1, sizeof(*fronts));

	fronts->broker = broker;
	link_start(fronts, CLIENT_api, api_uid);
	if (broker->config.webhooks.enabled)
		link_start(fronts, CLIENT_webhook, webhook_uid);
	return fronts;
}

void
fronts_push_settings(struct fronts *fronts)
{
	size_t i;

	for (i = 0; i < fronts->count; i++)
		if (fronts->links[i].client.chan &&
		    chan_is_ready(fronts->links[i].client.chan))
			push_settings(&fronts->links[i]);
}

void
fronts_free(struct fronts *fronts)
{
	size_t i;

	if (!fronts)
		return;
	for (i = 0; i < fronts->count; i++) {
		drop_client(&fronts->links[i]);
		event_free(fronts->links[i].retry);
	}
	free(fronts);
}
