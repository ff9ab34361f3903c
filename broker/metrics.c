/*
 * The registry of figures, and the Prometheus text made of them. Every part of the
 * broker that counts something registers a source at start; `metrics_get` of the API
 * front asks them all.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/metrics.h"

/* Bytes of text in one row: what messages.def allows. */
#define PART_MAX 32768

static const char *const type_names[] = { "counter", "gauge", "histogram" };

void
metrics_add(struct broker *broker, const struct metric_source *source)
{
	if (broker->metric_source_count == METRIC_SOURCES_MAX)
		abort(); /* sources are few and known when it is built */
	broker->metric_sources[broker->metric_source_count++] = *source;
}

void
metric_family(
    struct metrics *metrics, const char *name, enum metric_type type, const char *help)
{
	metrics->family = name;
	buf_printf(&metrics->text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name,
	    type_names[type]);
}

static void
put_escaped(struct buf *text, const char *value)
{
	for (; *value; value++) {
		if (*value == '\n')
			buf_add(text, "\\n", 2);
		else if (*value == '"' || *value == '\\')
			buf_printf(text, "\\%c", *value);
		else
			buf_add(text, value, 1);
	}
}

/* Name and labels, up to where the value begins. */
static void
put_name(struct metrics *metrics, const char *suffix, va_list labels)
{
	struct buf *text = &metrics->text;
	const char *name;
	const char *value;
	char before = '{';

	buf_printf(text, "%s%s", metrics->family, suffix);
	while ((name = va_arg(labels, const char *))) {
		value = va_arg(labels, const char *);
		buf_printf(text, "%c%s=\"", before, name);
		put_escaped(text, value ? value : "");
		buf_add(text, "\"", 1);
		before = ',';
	}
	buf_add_text(text, before == ',' ? "} " : " ");
}

static void
put_us(struct buf *text, int64_t us)
{
	uint64_t size = us < 0 ? 0 - (uint64_t)us : (uint64_t)us;

	buf_printf(text, "%s%" PRIu64 ".%06u\n", us < 0 ? "-" : "", size / 1000000,
	    (unsigned)(size % 1000000));
}

void
metric_put(struct metrics *metrics, uint64_t value, ...)
{
	va_list labels;

	va_start(labels, value);
	put_name(metrics, "", labels);
	va_end(labels);
	buf_printf(&metrics->text, "%" PRIu64 "\n", value);
}

void
metric_put_us(struct metrics *metrics, int64_t us, ...)
{
	va_list labels;

	va_start(labels, us);
	put_name(metrics, "", labels);
	va_end(labels);
	put_us(&metrics->text, us);
}

static void
put_labelled(struct metrics *metrics, const char *suffix, ...)
{
	va_list labels;

	va_start(labels, suffix);
	put_name(metrics, suffix, labels);
	va_end(labels);
}

/* Bounds of the buckets that are written: each the double of the one before, from
 * 64 us to 69 s, then coarser, since deliveries may come a day late. */
static const struct {
	unsigned power; /* microseconds, as power of two */
	const char *text;
} bounds[] = { { 6, "0.000064" }, { 7, "0.000128" }, { 8, "0.000256" },
	{ 9, "0.000512" }, { 10, "0.001024" }, { 11, "0.002048" }, { 12, "0.004096" },
	{ 14, "0.016384" }, { 16, "0.065536" }, { 18, "0.262144" }, { 20, "1.048576" },
	{ 22, "4.194304" }, { 24, "16.777216" }, { 26, "67.108864" },
	{ 29, "536.870912" }, { 32, "4294.967296" }, { 36, "68719.476736" } };

void
metric_histogram(struct metrics *metrics, const struct histogram *histogram,
    const char *label, const char *text)
{
	const char *extra = label ? "le" : NULL;
	size_t i;

	for (i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++) {
		put_labelled(metrics, "_bucket", label ? label : "le",
		    label ? text : bounds[i].text, extra, bounds[i].text, NULL);
		buf_printf(&metrics->text, "%" PRIu64 "\n",
		    histogram_below(histogram, (int64_t)1 << bounds[i].power));
	}
	put_labelled(metrics, "_bucket", label ? label : "le", label ? text : "+Inf",
	    extra, "+Inf", NULL);
	buf_printf(&metrics->text, "%" PRIu64 "\n", histogram->count);
	put_labelled(metrics, "_sum", label, text, NULL);
	put_us(&metrics->text, (int64_t)histogram->sum_us);
	put_labelled(metrics, "_count", label, text, NULL);
	buf_printf(&metrics->text, "%" PRIu64 "\n", histogram->count);
}

void
metric_one(struct metrics *metrics, const char *name, enum metric_type type,
    const char *help, uint64_t value)
{
	metric_family(metrics, name, type, help);
	metric_put(metrics, value, NULL);
}

void
metrics_write(struct broker *broker, struct metrics *metrics)
{
	size_t i;

	for (i = 0; i < broker->metric_source_count; i++)
		broker->metric_sources[i].write(metrics, broker->metric_sources[i].arg);
}

void
on_metrics_get(struct client *client, struct proto_msg *msg)
{
	const struct proto_msg last = { .type = MSG_list_end };
	struct proto_msg row = { .type = MSG_metrics };
	struct metrics metrics = { .text = BUF_EMPTY };
	size_t length;

	metrics_write(client->broker, &metrics);
	while ((length = buf_length(&metrics.text)) > 0) {
		if (length > PART_MAX)
			length = PART_MAX;
		row.metrics.text =
		    (struct proto_bytes){ .data = buf_bytes(&metrics.text),
			    .length = length };
		client_answer(client, msg->rid, &row);
		buf_consume(&metrics.text, length);
	}
	buf_clear(&metrics.text);
	client_answer(client, msg->rid, &last);
}
