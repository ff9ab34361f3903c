/*
 * Figures of deliveries: what became of them.
 */
#include <stddef.h>

#include "broker/events/ingest.h"
#include "broker/figures.h"

/* Counters of struct ingest_stats by the word of a label. */
struct figure {
	const char *word; /* NULL ends a table */
	size_t offset;
};

#define FIGURE(word, member) \
	{ \
		word, offsetof(struct ingest_stats, member) \
	}

static const struct figure refusals[] = {
	FIGURE("malformed", refused_malformed),
	FIGURE("time", refused_time),
	FIGURE("old", refused_old),
	FIGURE("future", refused_future),
	{ .word = NULL },
};

static const struct figure marks[] = {
	FIGURE("repeated", repeated),
	FIGURE("foreign", foreign),
	FIGURE("unknown", unknown),
	FIGURE("wrong_body", alien),
	FIGURE("wrong_types", ill_typed),
	FIGURE("late", late),
	FIGURE("synthetic", synthetic),
	FIGURE("masked", masked),
	{ .word = NULL },
};

static void
write_each(struct metrics *metrics, const char *name, const char *help,
    const char *label, const struct figure *figure, const struct ingest_stats *stats)
{
	metric_family(metrics, name, METRIC_COUNTER, help);
	for (; figure->word; figure++)
		metric_put(metrics,
		    *(const uint64_t *)((const char *)stats + figure->offset), label,
		    figure->word, NULL);
}

void
figures_ingest(struct metrics *metrics, void *arg)
{
	const struct broker *broker = arg;
	const struct ingest_stats *stats = ingest_stats(broker->ingest);
	int i;

	metric_family(metrics, "streamhold_deliveries_total", METRIC_COUNTER,
	    "Deliveries by what they were answered; all that are neither refused, "
	    "failed nor duplicates are stored.");
	for (i = 0; i < INGEST_VERDICT_MAX; i++)
		metric_put(metrics, stats->verdicts[i], "verdict",
		    ingest_verdict_name((enum ingest_verdict)i), NULL);
	metric_put(
	    metrics, stats->refused_signature, "verdict", "refused_signature", NULL);
	metric_put(metrics, stats->refused_stale, "verdict", "refused_stale", NULL);
	metric_put(metrics, stats->failed, "verdict", "failed", NULL);
	write_each(metrics, "streamhold_deliveries_refused_total",
	    "Refused deliveries by what was wrong with them.", "reason", refusals,
	    stats);
	metric_put(metrics, stats->refused_signature - stats->refused_malformed,
	    "reason", "signature", NULL);
	write_each(metrics, "streamhold_events_marked_total",
	    "Stored events with a mark; one may have several.", "mark", marks, stats);
	metric_one(metrics, "streamhold_deliveries_other_subscription_total",
	    METRIC_COUNTER,
	    "Stored deliveries of our channels by a subscription that is not ours.",
	    stats->strangers);
	metric_one(metrics, "streamhold_deliveries_pending", METRIC_GAUGE,
	    "Deliveries between arrival and answer.", stats->pending);
	metric_family(metrics, "streamhold_last_delivery_time_seconds", METRIC_GAUGE,
	    "When the last delivery was stored, seconds since 1970; 0: none yet.");
	metric_put_us(metrics, stats->last_at * 1000, NULL);
}
