/*
 * Figures of deliveries: what became of them.
 */
#include "broker/events/ingest.h"
#include "broker/figures.h"

void
figures_ingest(struct metrics *metrics, void *arg)
{
	const struct broker *broker = arg;
	const struct ingest_stats *stats = ingest_stats(broker->ingest);

	metric_family(metrics, "streamhold_deliveries_total", METRIC_COUNTER,
	    "Deliveries by what became of them; `foreign` and `unknown` are stored "
	    "too.");
	metric_put(metrics, stats->stored - stats->foreign - stats->unknown, "verdict",
	    "stored", NULL);
	metric_put(metrics, stats->duplicates, "verdict", "duplicate", NULL);
	metric_put(metrics, stats->foreign, "verdict", "foreign", NULL);
	metric_put(metrics, stats->unknown, "verdict", "unknown", NULL);
	metric_put(
	    metrics, stats->refused_signature, "verdict", "refused_signature", NULL);
	metric_put(metrics, stats->refused_stale, "verdict", "refused_stale", NULL);
	metric_put(metrics, stats->failed, "verdict", "failed", NULL);
	metric_one(metrics, "streamhold_deliveries_pending", METRIC_GAUGE,
	    "Deliveries between arrival and answer.", stats->pending);
	metric_family(metrics, "streamhold_last_delivery_time_seconds", METRIC_GAUGE,
	    "When the last delivery was stored, seconds since 1970; 0: none yet.");
	metric_put_us(metrics, stats->last_at * 1000, NULL);
}
