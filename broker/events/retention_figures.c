/*
 * Figures of what is kept.
 */
#include "broker/events/retention.h"
#include "broker/figures.h"

void
figures_retention(struct metrics *metrics, void *arg)
{
	const struct broker *broker = arg;
	struct retention_stats stats;

	retention_stats(broker, &stats);
	metric_one(metrics, "streamhold_events_stored", METRIC_GAUGE,
	    "Events in the database, as of the last look.",
	    stats.oldest ? stats.newest - stats.oldest + 1 : 0);
	metric_family(metrics, "streamhold_events_oldest_time_seconds", METRIC_GAUGE,
	    "When the oldest stored event was received; 0: there is none.");
	metric_put_us(metrics, stats.oldest_at * 1000, NULL);
	metric_one(metrics, "streamhold_events_deleted_total", METRIC_COUNTER,
	    "Events that were kept long enough and are deleted.", stats.deleted);
	metric_one(metrics, "streamhold_events_unread_deleted_total", METRIC_COUNTER,
	    "Deleted events that a consumer had not acknowledged.", stats.lost);
	metric_one(metrics, "streamhold_events_held", METRIC_GAUGE,
	    "Whether events are kept only because a consumer needs them.", stats.held);
	metric_one(metrics, "streamhold_message_ids_deleted_total", METRIC_COUNTER,
	    "Message ids that were kept long enough and are deleted.",
	    stats.ids_deleted);
	metric_one(metrics, "streamhold_store_free_bytes", METRIC_GAUGE,
	    "Pages of the database file that are free to be used again.",
	    stats.free_bytes);
}
