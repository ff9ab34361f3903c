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
