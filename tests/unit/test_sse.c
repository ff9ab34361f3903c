/*
 * Server-Sent Events: rows of any cut become the same text, and what the standard's
 * reader makes of it are the bytes of the JSON.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/alloc.h"
#include "httpd/sse.h"

static const char *
text_of(struct buf *buf)
{
	buf_add(buf, "", 1);
	return (const char *)buf_bytes(buf);
}

/* Gives the JSON in pieces of `piece` bytes. */
static int
give(struct sse_frame *frame, const char *type, const char *json, size_t piece)
{
	size_t length = strlen(json);
	size_t sent = length < piece ? length : piece;
	const uint8_t *bytes = (const uint8_t *)json;
	struct proto_msg row = { .type = MSG_event,
		.event = { .seq = 7,
		    .type = type,
		    .length = (uint32_t)length,
		    .json = { .data = bytes, .length = sent } } };
	int result = sse_take_row(frame, &row);

	for (; sent < length; sent += row.event_part.json.length) {
		assert_int_equal(result, 0);
		row = (struct proto_msg){ .type = MSG_event_part,
			.event_part = {
			    .json = { .data = bytes + sent,
				.length =
				    length - sent < piece ? length - sent : piece } } };
		result = sse_take_row(frame, &row);
	}
	return result;
}

static void
check(const char *type, const char *json, const char *expected)
{
	struct sse_frame frame = { .seq = 0 };
	size_t piece;

	for (piece = 1; piece <= strlen(json); piece++) {
		assert_int_equal(give(&frame, type, json, piece), 1);
		assert_int_equal(frame.seq, 7);
		assert_string_equal(text_of(&frame.text), expected);
	}
	sse_frame_clear(&frame);
}

static void
an_event_is_three_lines(void **state)
{
	(void)state;
	check("chat", "{\"a\":1}", "id: 7\nevent: chat\ndata: {\"a\":1}\n\n");
	check("a.b", "{}", "id: 7\nevent: a.b\ndata: {}\n\n");
}

static void
a_type_that_breaks_lines_is_left_out(void **state)
{
	(void)state;
	check("a\nb", "{}", "id: 7\ndata: {}\n\n");
	check("a\rb", "{}", "id: 7\ndata: {}\n\n");
	check(NULL, "{}", "id: 7\ndata: {}\n\n");
}

static void
each_line_is_a_data_line(void **state)
{
	(void)state;
	check("t", "{\n}", "id: 7\nevent: t\ndata: {\ndata: }\n\n");
	check("t", "{\n\n}\n", "id: 7\nevent: t\ndata: {\ndata: \ndata: }\ndata: \n\n");
	check("t", "{\r\n}", "id: 7\nevent: t\ndata: {\ndata: }\n\n");
	check("t", "{\r}", "id: 7\nevent: t\ndata: {\ndata: }\n\n");
	check(
	    "t", "{\r\r\n\n}", "id: 7\nevent: t\ndata: {\ndata: \ndata: \ndata: }\n\n");
	check("t", "\n\r", "id: 7\nevent: t\ndata: \ndata: \ndata: \n\n");
}

static void
rows_out_of_order_are_refused(void **state)
{
	struct sse_frame frame = { .seq = 0 };
	const struct proto_msg part = { .type = MSG_event_part,
		.event_part = {
		    .json = { .data = (const uint8_t *)"xxxxx", .length = 5 } } };
	const struct proto_msg other = { .type = MSG_list_end };
	struct proto_msg event = { .type = MSG_event,
		.event = { .seq = 1,
		    .type = "t",
		    .length = 4,
		    .json = { .data = (const uint8_t *)"{", .length = 1 } } };

	(void)state;
	assert_true(sse_take_row(&frame, &part) < 0);
	assert_true(sse_take_row(&frame, &other) < 0);
	assert_int_equal(sse_take_row(&frame, &event), 0);
	assert_true(sse_take_row(&frame, &event) < 0);
	assert_true(sse_take_row(&frame, &part) < 0);
	sse_frame_clear(&frame);
	event.event.json.length = 5;
	assert_true(sse_take_row(&frame, &event) < 0);
	sse_frame_clear(&frame);
}

static void
the_other_parts_of_a_stream(void **state)
{
	struct buf out = BUF_EMPTY;

	(void)state;
	sse_add_retry(&out, 1000);
	sse_add_id(&out, 0);
	sse_add_beat(&out);
	sse_add_id(&out, UINT64_MAX);
	sse_add_notice(&out, "streamhold.gap", "{}");
	assert_string_equal(text_of(&out),
	    "retry: 1000\n\nid: 0\n\n: alive\n\nid: 18446744073709551615\n\n"
	    "event: streamhold.gap\ndata: {}\n\n");
	buf_clear(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_event_is_three_lines),
		cmocka_unit_test(a_type_that_breaks_lines_is_left_out),
		cmocka_unit_test(each_line_is_a_data_line),
		cmocka_unit_test(rows_out_of_order_are_refused),
		cmocka_unit_test(the_other_parts_of_a_stream),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
