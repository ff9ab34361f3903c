/*
 * The state of the broker process, and nothing else.
 *
 * One thread runs the loop and everything here; the database has a thread of its own
 * behind struct store. Every pointer is set at start, before the loop runs, and stays.
 */
#ifndef BROKER_BROKER_H
#define BROKER_BROKER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "common/config.h"
#include "common/paths.h"
#include "proto/chan.h"

struct event_base;
struct store;
struct vault;
struct fetcher;
struct accounts;
struct ingest;
struct retention;
struct backfill;
struct latency;
struct silence;
struct kick_upkeep;
struct trigger_key;
struct subscriptions;
struct replays;
struct flow;
struct hub_listener;
struct consumers;

enum client_role {
	CLIENT_api = 1,
	CLIENT_webhook = 2,
	CLIENT_admin = 4,
};

/* A peer whose requests are answered: a front or a command. */
struct client {
	struct broker *broker;
	struct chan *chan;
	enum client_role role;
	uid_t uid; /* who is at the other end */
	pid_t pid; /* of a command, 0 for a front */
	LIST_HEAD(client_flows, flow) flows;
};

/* What a front said about itself, and how the link to it does. */
struct front_state {
	bool connected;
	bool leaving; /* it has said that it stops */
	uint32_t port;
	char addresses[512];
	char sandbox[128];
	int64_t since; /* wall clock ms of the last change of `connected` */
	uint64_t connects;
	uint32_t connections; /* open ones, as last told; so are the next two */
	uint32_t waiting;     /* requests without their answer */
	uint32_t streams;     /* readers of the stream of events */
	uint64_t memory;      /* bytes */
};

/* Something counted by name: what fronts report and what the broker counts itself. */
struct counter {
	char name[64];
	uint64_t value;
	LIST_ENTRY(counter) entry;
};

/* Who has figures for Prometheus (metrics.h). */
struct metrics;
struct metric_source {
	void (*write)(struct metrics *metrics, void *arg);
	void *arg;
};

#define METRIC_SOURCES_MAX 32

struct broker {
	struct event_base *base;
	struct config config;
	char *config_path;    /* looked at; need not exist */
	bool config_is_there; /* it does exist, and is not to vanish */
	struct paths paths;
	bool system_mode;
	int64_t started_at; /* wall clock ms */

	struct store *store;
	struct vault *vault;
	struct fetcher *fetcher;
	struct accounts *accounts;
	struct ingest *ingest;
	struct retention *retention;
	struct backfill *backfill;
	struct latency *latency;
	struct silence *silence;
	struct kick_upkeep *kick_upkeep;
	struct replays *replays;         /* NULL: none was asked for */
	struct trigger_key *trigger_key; /* NULL: none was asked for */
	struct consumers *consumers;
	struct subscriptions *subscriptions;
	/* Whether there was ever a login, or a word of what is wanted (events/ours.h).
	 */
	enum { OURS_UNREAD, OURS_NEVER, OURS_KNOWN } ours;

	struct front_state api;
	struct front_state webhook;
	uint64_t flow_number;
	LIST_HEAD(hub_listeners, hub_listener) hub_listeners; /* events/hub.h */
	uint64_t hub_run;   /* which start of a broker this is, by chance; never 0 */
	uint64_t hub_began; /* the last seq when it started */
	LIST_HEAD(broker_counters, counter) counters;
	const char *storage_trouble; /* NULL, or why nothing can be stored */
	struct metric_source metric_sources[METRIC_SOURCES_MAX];
	size_t metric_source_count;
};

/* Adds to a counter, made when it is new. At most BROKER_COUNTERS_MAX names. */
#define BROKER_COUNTERS_MAX 200
void broker_count(struct broker *broker, const char *name, uint64_t more);

/* The base of redirect addresses: oauth.redirect_base, else http://localhost:<port of
 * the API listener>. `text` takes BROKER_BASE_SIZE bytes. False while no front has
 * said its port and none is configured. */
#define BROKER_BASE_SIZE 1100
bool broker_redirect_base(const struct broker *broker, char *text);

#endif
