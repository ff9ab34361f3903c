/*
 * Figures of the database: commits, their time, sizes, what waits.
 */
#include "broker/figures.h"
#include "broker/store/store.h"

static void
put_commits(struct metrics *metrics, const struct store_stats *stats)
{
	metric_one(metrics, "streamhold_store_commits_total", METRIC_COUNTER,
	    "Transactions, those that failed included.", stats->commits);
	metric_one(metrics, "streamhold_store_jobs_total", METRIC_COUNTER,
	    "Jobs that were done, several in a transaction.", stats->jobs);
	metric_one(metrics, "streamhold_store_failures_total", METRIC_COUNTER,
	    "Transactions that failed.", stats->failures);
	metric_family(metrics, "streamhold_store_commit_seconds", METRIC_HISTOGRAM,
	    "Time of a commit with its sync.");
	metric_histogram(metrics, &stats->commit_times, NULL, NULL);
}

static void
put_sizes(struct metrics *metrics, const struct store_stats *stats)
{
	metric_one(metrics, "streamhold_store_size_bytes", METRIC_GAUGE,
	    "The database file.", stats->size);
	metric_one(metrics, "streamhold_store_wal_bytes", METRIC_GAUGE,
	    "The write-ahead log.", stats->wal_size);
	metric_one(metrics, "streamhold_store_schema", METRIC_GAUGE,
	    "Steps of the schema that are applied.", stats->schema);
}

void
figures_store(struct metrics *metrics, void *arg)
{
	const struct broker *broker = arg;
	struct store_stats stats;

	store_stats(broker->store, &stats);
	put_commits(metrics, &stats);
	put_sizes(metrics, &stats);
	metric_one(metrics, "streamhold_store_backlog", METRIC_GAUGE,
	    "Jobs that wait for the database or are being done.",
	    store_backlog(broker->store));
	metric_one(metrics, "streamhold_store_healthy", METRIC_GAUGE,
	    "Whether the last write was stored.", broker->storage_trouble == NULL);
}
