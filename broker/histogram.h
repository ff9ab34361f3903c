/*
 * Durations in a fixed number of buckets: how many there were of each size, their sum
 * and the longest. Quantiles are exact to an eighth. Holds no lock.
 */
#ifndef BROKER_HISTOGRAM_H
#define BROKER_HISTOGRAM_H

#include <stdint.h>

/* Eight buckets for each doubling, from 1 us to 2^41 us (25 days). */
#define HISTOGRAM_STEPS 8
#define HISTOGRAM_DOUBLINGS 42
#define HISTOGRAM_BUCKETS (HISTOGRAM_STEPS * HISTOGRAM_DOUBLINGS)

struct histogram {
	uint64_t count;
	uint64_t sum_us;
	int64_t most_us;
	uint32_t buckets[HISTOGRAM_BUCKETS];
};

/* Counts a duration; less than 0 counts as 0. */
void histogram_add(struct histogram *histogram, int64_t us);

/* Adds the counts of `from`. */
void histogram_merge(struct histogram *histogram, const struct histogram *from);

/* The duration that `share` (0 to 1) of all do not exceed, rounded up to a bucket's
 * end, at most the longest. 0 when there is none. */
int64_t histogram_quantile(const struct histogram *histogram, double share);

/* How many lasted less than `us`. Exact where `us` is a power of two; else those of the
 * last eighth before it are left out. */
uint64_t histogram_below(const struct histogram *histogram, int64_t us);

#endif
