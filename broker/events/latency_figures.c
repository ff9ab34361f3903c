/*
 * Figures of events by type: how many, how fast they came and went; and of streams.
 */
#include "broker/events/latency.h"
#include "broker/events/silence.h"
#include "broker/figures.h"

static void
put_type(struct metrics *metrics, const struct latency_type *type)
{
	metric_put(metrics, type->count, "type", type->type, NULL);
}

static void
put_last(struct metrics *metrics, const struct latency_type *type)
{
	metric_put_us(metrics, type->last_at * 1000, "type", type->type, NULL);
}

static void
put_delivery(struct metrics *metrics, const struct latency_type *type)
{
	metric_histogram(metrics, type->total[LATENCY_DELIVERY], "type", type->type);
}

static void
put_handout(struct metrics *metrics, const struct latency_type *type)
{
	metric_histogram(metrics, type->total[LATENCY_HANDOUT], "type", type->type);
}

static void
put_quantiles(struct metrics *metrics, const struct latency_type *type)
{
	static const char *const ways[] = { "delivery", "handout" };
	int way;

	for (way = 0; way < LATENCY_WAYS; way++) {
		const struct latency_quantiles *of = &type->ways[way];

		if (of->count == 0)
			continue;
		metric_put_us(metrics, of->p50, "type", type->type, "way", ways[way],
		    "quantile", "0.5", NULL);
		metric_put_us(metrics, of->p95, "type", type->type, "way", ways[way],
		    "quantile", "0.95", NULL);
		metric_put_us(metrics, of->most, "type", type->type, "way", ways[way],
		    "quantile", "1", NULL);
	}
}

/* A family with a value, or a histogram, for each type. */
struct of_types {
	struct metrics *metrics;
	void (*put)(struct metrics *metrics, const struct latency_type *type);
};

static void
put_of_type(void *arg, const struct latency_type *type)
{
	const struct of_types *of = arg;

	of->put(of->metrics, type);
}

void
figures_latency(struct metrics *metrics, void *arg)
{
	static const struct {
		const char *name;
		enum metric_type type;
		const char *help;
		void (*put)(struct metrics *metrics, const struct latency_type *type);
	} families[] = {
		{ "streamhold_events_total", METRIC_COUNTER, "Stored events by type.",
		    put_type },
		{ "streamhold_event_last_time_seconds", METRIC_GAUGE,
		    "When the last event of a type came; 0: not known.", put_last },
		{ "streamhold_delivery_latency_seconds", METRIC_HISTOGRAM,
		    "From the platform's sending of an event to our receiving.",
		    put_delivery },
		{ "streamhold_handout_latency_seconds", METRIC_HISTOGRAM,
		    "From receiving an event to handing it to the first who gets it.",
		    put_handout },
		{ "streamhold_recent_latency_seconds", METRIC_GAUGE,
		    "Latencies of the last 15 to 30 minutes.", put_quantiles },
	};
	const struct broker *broker = arg;
	size_t i;

	for (i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
		struct of_types of = { .metrics = metrics, .put = families[i].put };

		metric_family(
		    metrics, families[i].name, families[i].type, families[i].help);
		latency_each(broker, put_of_type, &of);
	}
	metric_one(metrics, "streamhold_streams_live", METRIC_GAUGE,
	    "Streams that are live.", silence_live_count(broker));
	metric_one(metrics, "streamhold_streams_silent", METRIC_GAUGE,
	    "Live streams whose chat messages do not come.", silence_count(broker));
}
