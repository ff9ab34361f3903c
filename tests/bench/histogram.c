/*
 * A histogram of latencies with a relative error below 1 %: each power of two is cut
 * into 128 equal buckets, values below 256 ns are exact.
 */
#include <stdlib.h>

#include "tests/bench/bench.h"

#define SUB_BITS 7
#define SUB_COUNT (1 << SUB_BITS)
#define BUCKETS ((64 - SUB_BITS) * SUB_COUNT + SUB_COUNT)

struct bench_histogram {
	uint64_t buckets[BUCKETS];
	uint64_t count;
	uint64_t max;
};

struct bench_histogram *
bench_histogram_new(void)
{
	struct bench_histogram *histogram = calloc(1, sizeof(*histogram));

	if (!histogram)
		bench_die("out of memory");
	return histogram;
}

void
bench_histogram_free(struct bench_histogram *histogram)
{
	free(histogram);
}

static unsigned
bucket_shift(uint64_t value)
{
	unsigned top = 63 - (unsigned)__builtin_clzll(value | 1);

	return top > SUB_BITS ? top - SUB_BITS : 0;
}

void
bench_histogram_add(struct bench_histogram *histogram, uint64_t nanoseconds)
{
	unsigned shift = bucket_shift(nanoseconds);

	histogram->buckets[shift * SUB_COUNT + (nanoseconds >> shift)]++;
	histogram->count++;
	if (nanoseconds > histogram->max)
		histogram->max = nanoseconds;
}

/* The largest value that falls into the bucket. */
static uint64_t
bucket_end(size_t bucket)
{
	size_t shift = bucket < 2 * SUB_COUNT ? 0 : bucket / SUB_COUNT - 1;
	uint64_t first = bucket - shift * SUB_COUNT;

	return ((first + 1) << shift) - 1;
}

uint64_t
bench_histogram_at(const struct bench_histogram *histogram, double part)
{
	double wanted = part * (double)histogram->count;
	uint64_t seen = 0;
	size_t i;

	for (i = 0; i < BUCKETS; i++) {
		seen += histogram->buckets[i];
		if (seen > 0 && (double)seen >= wanted) {
			uint64_t end = bucket_end(i);

			return end < histogram->max ? end : histogram->max;
		}
	}
	return histogram->max;
}

uint64_t
bench_histogram_max(const struct bench_histogram *histogram)
{
	return histogram->max;
}
