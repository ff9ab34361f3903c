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
		write_flows,
	};
	size_t i;

	for (i = 0; i < sizeof(sources) / sizeof(sources[0]); i++)
		metrics_add(broker,
		    &(const struct metric_source){
			.write = sources[i], .arg = broker });
}
