/*
 * Figures of the broker as a process: which build, since when, its links and flows, and
 * what is counted by name (broker_count).
 */
#include <stdio.h>
#include <string.h>

#include "broker/figures.h"
#include "broker/flow.h"
#include "broker/outbound/fetch.h"
#include "common/version.h"

static void
write_process(struct metrics *metrics, void *arg)
{
	const struct broker *broker = arg;

	metric_family(metrics, "streamhold_build_info", METRIC_GAUGE,
	    "Always 1; the label tells the version.");
	metric_put(metrics, 1, "version", version_text(), NULL);
	metric_family(metrics, "streamhold_start_time_seconds", METRIC_GAUGE,
	    "When the broker started, seconds since 1970.");
	metric_put_us(metrics, broker->started_at * 1000, NULL);
}

static void
write_fronts(struct metrics *metrics, void *arg)
{
	const struct broker *broker = arg;

	metric_family(metrics, "streamhold_front_connected", METRIC_GAUGE,
	    "Whether a front is linked to the broker.");
	metric_put(metrics, broker->api.connected, "role", "api", NULL);
	metric_put(metrics, broker->webhook.connected, "role", "webhook", NULL);
	metric_family(metrics, "streamhold_front_connects_total", METRIC_COUNTER,
	    "Links to a front that were made.");
	metric_put(metrics, broker->api.connects, "role", "api", NULL);
	metric_put(metrics, broker->webhook.connects, "role", "webhook", NULL);
}

/* What is counted by name, as families: the name's end is the label. Those of fronts
 * begin with the role. */
struct counted {
	const char *counter;
	const char *label;
};

static uint64_t
counter_value(const struct broker *broker, const char *before, const char *name)
{
	const struct counter *counter;
	char full[64];

	(void)snprintf(full, sizeof(full), "%s%s", before, name);
	LIST_FOREACH (counter, &broker->counters, entry)
		if (strcmp(counter->name, full) == 0)
			return counter->value;
	return 0;
}

/* A family of counters of both fronts; rows end with a NULL counter. */
static void
put_of_fronts(struct metrics *metrics, const struct broker *broker,
    const struct counted *rows, const char *label)
{
	for (; rows->counter; rows++) {
		metric_put(metrics, counter_value(broker, "api_", rows->counter),
		    "role", "api", label, rows->label, NULL);
		metric_put(metrics, counter_value(broker, "webhook_", rows->counter),
		    "role", "webhook", label, rows->label, NULL);
	}
}

static void
put_both(struct metrics *metrics, const struct broker *broker, const char *counter)
{
	metric_put(
	    metrics, counter_value(broker, "api_", counter), "role", "api", NULL);
	metric_put(metrics, counter_value(broker, "webhook_", counter), "role",
	    "webhook", NULL);
}

static void
put_counted(struct metrics *metrics, const struct broker *broker,
    const struct counted *rows, const char *label)
{
	for (; rows->counter; rows++)
		metric_put(metrics, counter_value(broker, "", rows->counter), label,
		    rows->label, NULL);
}

static const struct counted answers[] = {
	{ "answered_2xx", "2xx" },
	{ "answered_3xx", "3xx" },
	{ "answered_4xx", "4xx" },
	{ "answered_5xx", "5xx" },
	{ NULL, NULL },
};

static const struct counted refusals[] = {
	{ "refused_header_missing", "header_missing" },
	{ "refused_header_empty", "header_empty" },
	{ "refused_header_doubled", "header_doubled" },
	{ "refused_header_form", "header_form" },
	{ "refused_size", "size" },
	{ "refused_type", "type" },
	{ "refused_host", "host" },
	{ "refused_origin", "origin" },
	{ "refused_rate", "rate" },
	{ "refused_memory", "memory" },
	{ "refused_malformed", "malformed" },
	{ NULL, NULL },
};

static const struct counted streams[] = {
	{ "api_stream_opened", "opened" },
	{ "api_stream_refused", "refused" },
	{ "api_stream_slow", "slow" },
	{ "api_stream_gap", "gap" },
	{ NULL, NULL },
};

static void
write_http_counts(struct metrics *metrics, void *arg)
{
	const struct broker *broker = arg;

	metric_family(metrics, "streamhold_http_answers_total", METRIC_COUNTER,
	    "Answers of a front by class of status.");
	put_of_fronts(metrics, broker, answers, "class");
	metric_family(metrics, "streamhold_http_refused_total", METRIC_COUNTER,
	    "Requests that a front refused by their form, without asking the broker.");
	put_of_fronts(metrics, broker, refusals, "reason");
	metric_family(metrics, "streamhold_http_connections_total", METRIC_COUNTER,
	    "Connections that a front accepted.");
	put_both(metrics, broker, "connections");
	metric_family(metrics, "streamhold_http_held_total", METRIC_COUNTER,
	    "Requests that found no broker and were held.");
	put_both(metrics, broker, "held");
	metric_family(metrics, "streamhold_http_held_expired_total", METRIC_COUNTER,
	    "Held requests for which no broker came in time.");
	put_both(metrics, broker, "held_expired");
	metric_family(metrics, "streamhold_link_strangers_total", METRIC_COUNTER,
	    "Connections of other users to the link socket, refused.");
	put_both(metrics, broker, "link_stranger");
	metric_family(metrics, "streamhold_streams_total", METRIC_COUNTER,
	    "Streams of events: opened, refused, cut off as too slow, told of a gap.");
	put_counted(metrics, broker, streams, "what");
}

static void
write_http_load(struct metrics *metrics, void *arg)
{
	const struct broker *broker = arg;

	metric_family(metrics, "streamhold_http_connections", METRIC_GAUGE,
	    "Open connections of a front, as of the last second.");
	metric_put(metrics, broker->api.connections, "role", "api", NULL);
	metric_put(metrics, broker->webhook.connections, "role", "webhook", NULL);
	metric_family(metrics, "streamhold_http_waiting", METRIC_GAUGE,
	    "Requests of a front that wait for the broker, as of the last second.");
	metric_put(metrics, broker->api.waiting, "role", "api", NULL);
	metric_put(metrics, broker->webhook.waiting, "role", "webhook", NULL);
	metric_family(metrics, "streamhold_http_buffer_bytes", METRIC_GAUGE,
	    "Memory in buffers of a front's connections, as of the last second.");
	metric_put(metrics, broker->api.memory, "role", "api", NULL);
	metric_put(metrics, broker->webhook.memory, "role", "webhook", NULL);
	metric_one(metrics, "streamhold_streams", METRIC_GAUGE,
	    "Readers of the stream of events, as of the last second.",
	    broker->api.streams);
}

/* Every other counter has no family of its own. */
static bool
has_family(const char *name)
{
	static const char *const starts[] = { "api_", "webhook_", "refresh_",
		"login_" };
	size_t i;

	for (i = 0; i < sizeof(starts) / sizeof(starts[0]); i++)
		if (strncmp(name, starts[i], strlen(starts[i])) == 0)
			return true;
	return false;
}

static const struct counted logins[] = {
	{ "login_started", "started" },
	{ "login_finished", "finished" },
	{ "login_failed", "failed" },
	{ NULL, NULL },
};

static const struct counted refreshes[] = {
	{ "refresh_sent", "sent" },
	{ "refresh_done", "done" },
	{ "refresh_failed", "failed" },
	{ "refresh_paused", "paused" },
	{ "refresh_adopted", "adopted" },
	{ NULL, NULL },
};

static void
write_counts(struct metrics *metrics, void *arg)
{
	const struct broker *broker = arg;
	const struct counter *counter;

	metric_family(metrics, "streamhold_logins_total", METRIC_COUNTER,
	    "Logins by what became of them.");
	put_counted(metrics, broker, logins, "outcome");
	metric_family(metrics, "streamhold_refreshes_total", METRIC_COUNTER,
	    "Refreshes of tokens: requests sent, and what became of them.");
	put_counted(metrics, broker, refreshes, "outcome");
	metric_family(metrics, "streamhold_occurrences_total", METRIC_COUNTER,
	    "What else is counted, by name; what never happened has no line.");
	LIST_FOREACH (counter, &broker->counters, entry)
		if (!has_family(counter->name))
			metric_put(
			    metrics, counter->value, "what", counter->name, NULL);
}

static void
put_flow(void *arg, const char *kind, const char *step, unsigned count)
{
	metric_put(arg, count, "kind", kind, "step", step, NULL);
}

static void
write_flows(struct metrics *metrics, void *arg)
{
	const struct broker *broker = arg;

	metric_family(metrics, "streamhold_flows", METRIC_GAUGE,
	    "Requests in progress by kind and step; none: no line.");
	flows_count(put_flow, metrics);
	metric_one(metrics, "streamhold_outbound_calls", METRIC_GAUGE,
	    "Calls to platforms in progress.", fetcher_count(broker->fetcher));
}

void
figures_start(struct broker *broker)
{
	static void (*const sources[])(struct metrics * metrics, void *arg) = {
		write_process,
		write_fronts,
		write_http_counts,
		write_http_load,
		write_counts,
		write_flows,
		figures_store,
		figures_ingest,
		figures_latency,
		figures_retention,
		figures_accounts,
		figures_keystore,
		figures_memory,
	};
	size_t i;

	for (i = 0; i < sizeof(sources) / sizeof(sources[0]); i++)
		metrics_add(broker,
		    &(const struct metric_source){
			.write = sources[i], .arg = broker });
}
