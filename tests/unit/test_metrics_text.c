/*
 * The text for Prometheus: sources in their order, labels that cannot break a line,
 * times in seconds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/metrics.h"

static void
write_first(struct metrics *metrics, void *arg)
{
	metric_one(metrics, "streamhold_first", METRIC_GAUGE, "The first.",
	    *(const uint64_t *)arg);
}

static void
write_second(struct metrics *metrics, void *arg)
{
	(void)arg;
	metric_family(metrics, "streamhold_second_total", METRIC_COUNTER, "More.");
	metric_put(metrics, 2, "a", "x\"y\\z\nw", "b", NULL, NULL);
	metric_put_us(metrics, 1500000, "a", "\xc3\xa9", NULL);
	metric_put_us(metrics, -1, NULL);
	metric_put_us(metrics, INT64_MIN, NULL);
}

static void
sources_are_written_in_their_order(void **state)
{
	struct broker *broker = calloc(1, sizeof(*broker));
	struct metrics metrics = { .text = BUF_EMPTY };
	uint64_t value = UINT64_MAX;

	(void)state;
	metrics_add(broker,
	    &(const struct metric_source){ .write = write_first, .arg = &value });
	metrics_add(broker, &(const struct metric_source){ .write = write_second });
	metrics_write(broker, &metrics);
	buf_add(&metrics.text, "", 1);
	assert_string_equal((const char *)buf_bytes(&metrics.text),
	    "# HELP streamhold_first The first.\n"
	    "# TYPE streamhold_first gauge\n"
	    "streamhold_first 18446744073709551615\n"
	    "# HELP streamhold_second_total More.\n"
	    "# TYPE streamhold_second_total counter\n"
	    "streamhold_second_total{a=\"x\\\"y\\\\z\\nw\",b=\"\"} 2\n"
	    "streamhold_second_total{a=\"\xc3\xa9\"} 1.500000\n"
	    "streamhold_second_total -0.000001\n"
	    "streamhold_second_total -9223372036854.775808\n");
	buf_clear(&metrics.text);
	free(broker);
}

static void
a_histogram_has_growing_buckets_sum_and_count(void **state)
{
	struct metrics metrics = { .text = BUF_EMPTY };
	struct histogram histogram = { .count = 0 };
	const char *text;

	(void)state;
	histogram_add(&histogram, 63);
	histogram_add(&histogram, 64);
	histogram_add(&histogram, 3000000);
	metric_family(&metrics, "h_seconds", METRIC_HISTOGRAM, "It.");
	metric_histogram(&metrics, &histogram, "type", "a");
	metric_histogram(&metrics, &histogram, NULL, NULL);
	buf_add(&metrics.text, "", 1);
	text = (const char *)buf_bytes(&metrics.text);
	assert_non_null(
	    strstr(text, "h_seconds_bucket{type=\"a\",le=\"0.000064\"} 1\n"));
	assert_non_null(
	    strstr(text, "h_seconds_bucket{type=\"a\",le=\"0.000128\"} 2\n"));
	assert_non_null(
	    strstr(text, "h_seconds_bucket{type=\"a\",le=\"1.048576\"} 2\n"));
	assert_non_null(
	    strstr(text, "h_seconds_bucket{type=\"a\",le=\"4.194304\"} 3\n"));
	assert_non_null(strstr(text, "h_seconds_bucket{type=\"a\",le=\"+Inf\"} 3\n"));
	assert_non_null(strstr(text, "h_seconds_sum{type=\"a\"} 3.000127\n"));
	assert_non_null(strstr(text, "h_seconds_count{type=\"a\"} 3\n"));
	assert_non_null(strstr(text, "h_seconds_bucket{le=\"0.000064\"} 1\n"));
	assert_non_null(strstr(text, "h_seconds_bucket{le=\"+Inf\"} 3\n"));
	assert_non_null(strstr(text, "h_seconds_sum 3.000127\n"));
	assert_non_null(strstr(text, "h_seconds_count 3\n"));
	buf_clear(&metrics.text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sources_are_written_in_their_order),
		cmocka_unit_test(a_histogram_has_growing_buckets_sum_and_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
