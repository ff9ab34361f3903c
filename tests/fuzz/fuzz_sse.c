/*
 * Fuzzer of Server-Sent Events: whatever the JSON and however it is cut into rows, the
 * text is one event of which a reader by the standard gets the same bytes back, line
 * breaks as line feeds.
 *
 * Input: a byte that says how the rest is cut, then the JSON.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "httpd/sse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(int condition, const char *claim)
{
	if (condition)
		return;
	fprintf(stderr, "broken: %s\n", claim);
	abort();
}

/* What a reader has to make of the bytes. */
static size_t
with_line_feeds(const uint8_t *bytes, size_t length, uint8_t *to)
{
	size_t used = 0;
	size_t i;

	for (i = 0; i < length; i++) {
		if (bytes[i] == '\n' && i > 0 && bytes[i - 1] == '\r')
			continue;
		to[used++] = bytes[i] == '\r' ? '\n' : bytes[i];
	}
	return used;
}

/* The data of the one event in the text, as the standard reads it. */
static size_t
data_of(const uint8_t *text, size_t length, uint8_t *to)
{
	const uint8_t *end;
	size_t used = 0;
	size_t lines = 0;

	for (; length > 0; length -= (size_t)(end + 1 - text), text = end + 1) {
		end = memchr(text, '\n', length);
		require(end != NULL, "every line has an end");
		require(
		    !memchr(text, '\r', (size_t)(end - text)), "no other line break");
		if (end == text)
			break;
		if (end - text < 6 || memcmp(text, "data: ", 6) != 0)
			continue;
		if (lines++ > 0)
			to[used++] = '\n';
		memcpy(to + used, text + 6, (size_t)(end - text) - 6);
		used += (size_t)(end - text) - 6;
	}
	require(length == 1 && lines > 0, "one event, which ends with the text");
	return used;
}

static void
give(struct sse_frame *frame, const uint8_t *json, size_t length, size_t piece)
{
	size_t sent = length < piece ? length : piece;
	struct proto_msg row = { .type = MSG_event,
		.event = { .seq = 1,
		    .type = "t",
		    .length = (uint32_t)length,
		    .json = { .data = json, .length = sent } } };
	int result = sse_take_row(frame, &row);

	while (sent < length) {
		require(result == 0, "more is to come");
		row = (struct proto_msg){ .type = MSG_event_part };
		row.event_part.json.data = json + sent;
		row.event_part.json.length =
		    length - sent < piece ? length - sent : piece;
		sent += row.event_part.json.length;
		result = sse_take_row(frame, &row);
	}
	require(result == 1, "the event is whole");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sse_frame frame = { .seq = 0 };
	uint8_t *expected;
	uint8_t *got;
	size_t length;

	if (size < 2)
		return 0;
	expected = malloc(size);
	got = malloc(2 * size);
	if (!expected || !got)
		abort();
	give(&frame, data + 1, size - 1, data[0] ? data[0] : 1);
	length = with_line_feeds(data + 1, size - 1, expected);
	require(data_of(buf_bytes(&frame.text), buf_length(&frame.text), got) == length,
	    "as many bytes");
	require(memcmp(expected, got, length) == 0, "the same bytes");
	sse_frame_clear(&frame);
	free(expected);
	free(got);
	return 0;
}
