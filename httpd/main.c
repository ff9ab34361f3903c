/*
 * streamhold-httpd: the HTTP front, in one of two roles.
 *
 * It parses what strangers send, owns no secret, opens nothing and connects nowhere:
 * its listeners and its link socket are passed to it, and the broker connects to it.
 * main() is the list of steps; everything that opens or makes something happens before
 * sandbox_enter, after which it can only accept, read, write and wait.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/alloc.h"
#include "common/log.h"
#include "common/paths.h"
#include "common/process.h"
#include "common/registers.h"
#include "common/sock.h"
#include "httpd/broker_link.h"
#include "httpd/conn.h"
#include "httpd/guard.h"
#include "httpd/httpd.h"
#include "httpd/json_in.h"
#include "httpd/limits.h"
#include "httpd/listener.h"
#include "httpd/options.h"
#include "httpd/rate.h"
#include "httpd/route.h"
#include "httpd/sandbox.h"
#include "httpd/settings.h"
#include "httpd/stream.h"
#include "proto/watchdog.h"

static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2 };

#define SIGNAL_COUNT (sizeof(signals) / sizeof(signals[0]))

static struct event *signal_events[SIGNAL_COUNT];
static struct event *drain_event;
static struct event *watchdog_event; /* NULL: nobody waits for it */

/* Start steps, in their order. */

static void
load_config(struct httpd *httpd, const struct options *options)
{
	struct config_error error;
	struct paths_env env;
	char *path;
	bool must_exist;
	int result;

	paths_env_read(&env);
	config_find_path(options->config, paths_is_system(options->system, &env), &env,
	    &path, &must_exist);
	result = config_load(path, must_exist, &httpd->config, &error);
	config_error_print(&error, stderr);
	free(path);
	if (result < 0)
		exit(EXIT_CONFIG);
	if (options->check)
		exit(EXIT_STOPPED);
	log_set_level((enum log_level)httpd->config.logging.level);
	log_set_format((enum log_format)httpd->config.logging.format);
}

static void
refuse_to_be_useless(const struct httpd *httpd)
{
	if (httpd->role == HTTPD_WEBHOOK && !httpd->config.webhooks.enabled) {
		log_info("start", "webhooks.enabled is false, nothing to do");
		exit(EXIT_STOPPED);
	}
	if (geteuid() == 0)
		log_warning("start",
		    "running as root; a front needs no rights at all: let `streamhold "
		    "up` "
		    "or the units choose a user");
}

/* Connections may use what the descriptor limit leaves beside the reserve. */
static void
count_descriptors(struct httpd *httpd)
{
	struct rlimit limit = { 0, 0 };
	rlim_t wanted = httpd->settings.connections_max + DESCRIPTOR_RESERVE;

	(void)getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur < wanted && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
	httpd->connections_room = limit.rlim_cur > DESCRIPTOR_RESERVE
	    ? (size_t)limit.rlim_cur - DESCRIPTOR_RESERVE
	    : 1;
	if (httpd->connections_room < httpd->settings.connections_max)
		log_warning("start",
		    "the limit of open files leaves room for %zu connections only",
		    httpd->connections_room);
}

static void
make_base(struct httpd *httpd)
{
	struct event_config *config = event_config_new();

	if (!config)
		abort();
	(void)event_config_set_flag(config,
	    EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV |
		EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
	httpd->base = event_base_new_with_config(config);
	event_config_free(config);
	if (!httpd->base)
		fatal(EXIT_START, "start", "the event loop cannot be made");
}

static void
take_listeners(struct httpd *httpd)
{
	httpd->listeners = listeners_new(httpd);
	if (!httpd->listeners || sock_passed("link", 0) < 0)
		fatal(EXIT_START, "start",
		    "no listening sockets were passed; start it with `streamhold up` "
		    "or "
		    "the systemd units");
	httpd->port = listeners_port(httpd->listeners);
}

static void
on_conn_gone(struct httpd *httpd)
{
	if (!httpd->draining)
		listeners_wake(httpd->listeners);
	else if (conns_count(httpd->conns) == 0)
		event_base_loopexit(httpd->base, NULL);
}

static void
tell_load(void *arg, struct proto_load *load)
{
	const struct httpd *httpd = arg;

	load->connections = (uint32_t)conns_count(httpd->conns);
	load->memory = conns_memory(httpd->conns);
	load->streams = (uint32_t)streams_count(httpd->streams);
}

static void
make_parts(struct httpd *httpd, const struct options *options)
{
	const struct link_options link = { .role = httpd_role_name(httpd->role),
		.broker_uid = options->broker_uid,
		.frame_max = httpd->role == HTTPD_API
		    ? PROTO_FRAME_MAX
		    : httpd->config.webhooks.max_body_bytes + PROTO_FRAME_EXTRA,
		.port = httpd->port,
		.addresses = listeners_addresses(httpd->listeners),
		.sandbox = sandbox_layers(),
		.on_settings = settings_on_message,
		.tell_load = tell_load,
		.arg = httpd };

	httpd->rate = rate_new();
	httpd->conns = conns_new(httpd, on_conn_gone);
	httpd->link = link_new(httpd->base, sock_passed("link", 0), &link);
	if (httpd->role == HTTPD_API)
		httpd->streams = streams_new(httpd);
	guard_init(httpd);
	route_set_delivery_path(httpd->config.webhooks.path);
	json_in_init();
}

/* Signals. */

static void
on_drain_end(evutil_socket_t fd, short what, void *arg)
{
	struct httpd *httpd = arg;

	(void)fd;
	(void)what;
	log_warning("stop", "%zu connections were not finished in time",
	    conns_count(httpd->conns));
	event_base_loopbreak(httpd->base);
}

static void
drain(struct httpd *httpd)
{
	uint32_t ms = httpd->config.server.shutdown_timeout_ms;
	const struct timeval limit = { .tv_sec = ms / 1000,
		.tv_usec = ms % 1000 * 1000 };

	if (httpd->draining)
		return;
	log_info(
	    "stop", "stopping, %zu connections are open", conns_count(httpd->conns));
	process_notify("STOPPING=1");
	httpd->draining = true;
	link_tell_leaving(httpd->link);
	listeners_free(httpd->listeners);
	httpd->listeners = NULL;
	event_add(drain_event, &limit);
	streams_drain(httpd->streams);
	conns_drain(httpd->conns);
	if (conns_count(httpd->conns) == 0)
		event_base_loopexit(httpd->base, NULL);
}

static void
on_signal(evutil_socket_t number, short what, void *arg)
{
	struct httpd *httpd = arg;

	(void)what;
	switch ((int)number) {
	case SIGHUP: /* the broker reads the configuration again and sends settings */
		break;
	case SIGUSR1:
		conns_dump(httpd->conns);
		link_dump(httpd->link);
		streams_dump(httpd->streams);
		break;
	case SIGUSR2:
		log_toggle_debug();
		break;
	default:
		drain(httpd);
	}
}

static void
take_signals(struct httpd *httpd)
{
	size_t i;

	for (i = 0; i < SIGNAL_COUNT; i++) {
		signal_events[i] =
		    evsignal_new(httpd->base, signals[i], on_signal, httpd);
		if (!signal_events[i] || event_add(signal_events[i], NULL) < 0)
			fatal(EXIT_START, "start", "signals cannot be taken");
	}
	drain_event = event_new(httpd->base, -1, 0, on_drain_end, httpd);
	if (!drain_event)
		abort();
}

static void
tell_ready(struct httpd *httpd)
{
	watchdog_event = watchdog_new(httpd->base);
	listeners_start(httpd->listeners);
	log_info("start", "serving '%s' on %s", httpd_role_name(httpd->role),
	    listeners_addresses(httpd->listeners));
	process_notify("READY=1");
}

static void
clean_up(struct httpd *httpd)
{
	size_t i;

	process_block_signals();
	listeners_free(httpd->listeners);
	httpd->listeners = NULL;
	httpd->draining = true;
	conns_free(httpd->conns);
	streams_free(httpd->streams);
	link_free(httpd->link);
	rate_free(httpd->rate);
	for (i = 0; i < SIGNAL_COUNT; i++)
		event_free(signal_events[i]);
	event_free(drain_event);
	if (watchdog_event)
		event_free(watchdog_event);
	event_base_free(httpd->base);
	settings_clear(httpd);
	config_clear(&httpd->config);
	free(httpd->own_hosts);
	free(httpd->own_origins);
}

int
main(int argc, char **argv)
{
	const struct options options = options_read(argc, argv);
	static struct httpd httpd;

	log_open(options.role == HTTPD_WEBHOOK ? "webhook" : "api");
	process_harden(sock_passed_init());
	httpd.role = options.role;
	load_config(&httpd, &options);
	refuse_to_be_useless(&httpd);
	settings_init(&httpd);
	count_descriptors(&httpd);
	make_base(&httpd);
	take_listeners(&httpd);
	make_parts(&httpd, &options);
	take_signals(&httpd);
	process_notify_open();
	sandbox_enter();
	tell_ready(&httpd);
	/* As event_base_dispatch, but no secret stays in a register meanwhile. */
	do
		wipe_registers();
	while (event_base_loop(httpd.base, EVLOOP_ONCE) == 0 &&
	    !event_base_got_exit(httpd.base) && !event_base_got_break(httpd.base));
	log_info("stop", "stopped");
	clean_up(&httpd);
	return EXIT_STOPPED;
}
