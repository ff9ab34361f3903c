/*
 * Figures for Prometheus: who has some registers a source, and `GET /metrics` asks all
 * of them. docs/metrics.md lists every family.
 *
 * A source writes whole families: metric_family once, then its values. Names begin
 * with METRIC_PREFIX, counters end with `_total`, and the base units are seconds and
 * bytes. Label values are words of tables or names that a limit bounds, never free text
 * from outside, and nothing is secret.
 */
#ifndef BROKER_METRICS_H
#define BROKER_METRICS_H

#include <stdint.h>

#include "broker/dispatch.h"
#include "broker/histogram.h"
#include "common/buf.h"

#define METRIC_PREFIX "streamhold_"

/* Text that is being written (Prometheus exposition format 0.0.4). */
struct metrics {
	struct buf text;
	const char *family; /* that the next values belong to */
};

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

/* Registers a source, which is copied. It is asked on the loop, once for every request,
 * in the order of registration, until the broker ends. */
void metrics_add(struct broker *broker, const struct metric_source *source);

/* Begins a family. `name` is a whole name with prefix and unit, `help` one sentence
 * without line ends; both are static. */
void metric_family(
    struct metrics *metrics, const char *name, enum metric_type type, const char *help);

/* One value of the family. After it pairs of label name and label text, then NULL:
 *
 *	metric_put(metrics, stats->stored, "verdict", "stored", NULL);
 *
 * Names are static; texts are escaped, and NULL is written as empty. */
__attribute__((sentinel)) void metric_put(struct metrics *metrics, uint64_t value, ...);

/* The same for a time given in microseconds, written in seconds. */
__attribute__((sentinel)) void metric_put_us(struct metrics *metrics, int64_t us, ...);

/* A histogram of durations: buckets, sum and count. `label` and its text may be NULL.
 */
void metric_histogram(struct metrics *metrics, const struct histogram *histogram,
    const char *label, const char *text);

/* A family that has one value without labels. */
void metric_one(struct metrics *metrics, const char *name, enum metric_type type,
    const char *help, uint64_t value);

/* Asks every source. The caller clears metrics->text. */
void metrics_write(struct broker *broker, struct metrics *metrics);

/* Message `metrics_get`. */
dispatch_fn on_metrics_get;

#endif
