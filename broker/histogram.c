/*
 * Buckets that grow by an eighth of a power of two. Used by the database's thread for
 * its commits and by events/latency.c.
 */
#include <stddef.h>

#include "broker/histogram.h"

/* The bucket of a duration: the power of two below it and the three bits after. Up to
 * eight microseconds each has a bucket of its own. */
static size_t
bucket_of(uint64_t us)
{
	unsigned power;
	size_t index;

	if (us < HISTOGRAM_STEPS)
		return (size_t)us;
	power = 63U - (unsigned)__builtin_clzll(us);
	index = (power - 2) * HISTOGRAM_STEPS +
	    (size_t)((us >> (power - 3)) & (HISTOGRAM_STEPS - 1));
	return index < HISTOGRAM_BUCKETS ? index : HISTOGRAM_BUCKETS - 1;
}

/* The greatest duration that falls into a bucket. */
static uint64_t
bucket_end(size_t index)
{
	unsigned power;

	if (index < HISTOGRAM_STEPS)
		return index;
	power = (unsigned)(index / HISTOGRAM_STEPS) + 2;
	return ((uint64_t)(HISTOGRAM_STEPS + index % HISTOGRAM_STEPS + 1)
		   << (power - 3)) -
	    1;
}

void
histogram_add(struct histogram *histogram, int64_t us)
{
	uint64_t size = us < 0 ? 0 : (uint64_t)us;

	histogram->count++;
	histogram->sum_us += size;
	if ((int64_t)size > histogram->most_us)
		histogram->most_us = (int64_t)size;
	histogram->buckets[bucket_of(size)]++;
}

void
histogram_merge(struct histogram *histogram, const struct histogram *from)
{
	size_t i;

	histogram->count += from->count;
	histogram->sum_us += from->sum_us;
	if (from->most_us > histogram->most_us)
		histogram->most_us = from->most_us;
	for (i = 0; i < HISTOGRAM_BUCKETS; i++)
		histogram->buckets[i] += from->buckets[i];
}

int64_t
histogram_quantile(const struct histogram *histogram, double share)
{
	double wanted = share * (double)histogram->count;
	uint64_t seen = 0;
	int64_t end;
	size_t i;

	for (i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += histogram->buckets[i];
		if (seen == 0 || (double)seen < wanted)
			continue;
		end = (int64_t)bucket_end(i);
		return end < histogram->most_us ? end : histogram->most_us;
	}
	return histogram->most_us;
}

uint64_t
histogram_below(const struct histogram *histogram, int64_t us)
{
	uint64_t seen = 0;
	size_t i;

	for (i = 0; i < HISTOGRAM_BUCKETS && bucket_end(i) < (uint64_t)us; i++)
		seen += histogram->buckets[i];
	return seen;
}
