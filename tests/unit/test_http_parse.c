/*
 * The request reader: examples of RFC 9112 and 9110, every limit at, below and above,
 * what connections rely on between head and body. Malformed requests are in the table
 * tests/system/http_cases.py, which test_http_table.py plays to the same reader.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/http_replay.h"

#define HOST "Host: a\r\n"

static struct http_parse parse;

/* Read a head from exactly the given bytes, in an allocation of their size. */
static char *
head_of(const char *text, enum http_result expected)
{
	size_t length = strlen(text);
	char *buf = malloc(length);
	assert_non_null(buf);
	memcpy(buf, text, length);
	http_parse_init(&parse);
	assert_int_equal(http_parse_head(&parse, buf, length), expected);
	return buf;
}

static void
assert_span(const char *buf, struct http_span span, const char *expected)
{
	assert_int_equal(span.length, strlen(expected));
	assert_memory_equal(buf + span.offset, expected, span.length);
}

static void
assert_refused(const char *text, unsigned status, const char *code)
{
	free(head_of(text, HTTP_REFUSED));
	assert_string_equal(parse.refusal->code, code);
	assert_int_equal(parse.refusal->status, status);
}

/* Outcome of a whole connection; all ways of cutting it must agree. */
static void
assert_outcome(const char *data, size_t size, size_t limit, const char *expected)
{
	const uint8_t *bytes = (const uint8_t *)data;
	struct replay_text text =
	    replay_text(bytes, size, replay_cut_nowhere, NULL, true, limit);
	assert_string_equal(text.data, expected);
	free(text.data);
	assert_null(replay_disagreement(bytes, size, limit));
}

/* RFC 9112 section 3.2.1 and the end of section 2.1. */
static void
test_head_of_rfc_example_is_understood(void **state)
{
	(void)state;
	char *buf =
	    head_of("GET /where?q=now HTTP/1.1\r\nHost: www.example.org\r\n"
		    "User-Agent: curl/7.64.1\r\nAccept-Language: \t en, mi \t\r\n"
		    "X-Empty:\r\n\r\nrest",
		HTTP_DONE);
	const struct http_request *request = &parse.request;
	assert_int_equal(request->method, HTTP_GET);
	assert_int_equal(request->minor_version, 1);
	assert_int_equal(request->framing, HTTP_NO_BODY);
	assert_true(request->keep_alive);
	assert_false(request->expect_continue);
	assert_true(request->has_query);
	assert_span(buf, request->method_text, "GET");
	assert_span(buf, request->target, "/where?q=now");
	assert_span(buf, request->path, "/where");
	assert_span(buf, request->query, "q=now");
	assert_span(buf, request->host, "www.example.org");
	assert_int_equal(request->header_count, 4);
	assert_span(buf, request->headers[2].name, "Accept-Language");
	assert_span(buf, request->headers[2].value, "en, mi");
	assert_span(buf, request->headers[3].value, "");
	free(buf);
}

static void
test_query_is_told_from_its_absence(void **state)
{
	(void)state;
	char *buf = head_of("GET /a HTTP/1.1\r\n" HOST "\r\n", HTTP_DONE);
	assert_false(parse.request.has_query);
	assert_int_equal(parse.request.query.length, 0);
	free(buf);
	buf = head_of("GET /a? HTTP/1.1\r\n" HOST "\r\n", HTTP_DONE);
	assert_true(parse.request.has_query);
	assert_int_equal(parse.request.query.length, 0);
	assert_span(buf, parse.request.path, "/a");
	free(buf);
	buf = head_of("GET /a?b?c HTTP/1.1\r\n" HOST "\r\n", HTTP_DONE);
	assert_span(buf, parse.request.query, "b?c");
	free(buf);
}

static void
test_every_method_of_the_table_is_known(void **state)
{
	(void)state;
	for (int i = 0; i < HTTP_METHOD_MAX; i++) {
		char text[64];
		(void)snprintf(text, sizeof(text), "%s / HTTP/1.1\r\n" HOST "\r\n",
		    http_method_name((enum http_method)i));
		free(head_of(text, HTTP_DONE));
		assert_int_equal(parse.request.method, i);
	}
	assert_null(http_method_name(HTTP_METHOD_MAX));
}

static void
test_head_is_done_before_the_body_comes(void **state)
{
	(void)state;
	char *buf = head_of("POST /a HTTP/1.1\r\n" HOST
			    "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n",
	    HTTP_DONE);
	size_t head = parse.request.head_length;
	assert_true(parse.request.expect_continue);
	assert_int_equal(parse.request.content_length, 5);
	assert_int_equal(http_parse_head(&parse, buf, head), HTTP_DONE);
	assert_int_equal(http_parse_body(&parse, buf, head, 5), HTTP_MORE);
	buf = realloc(buf, head + 6);
	assert_non_null(buf);
	memcpy(buf + head, "hello!", 6);
	assert_int_equal(http_parse_body(&parse, buf, head + 4, 5), HTTP_MORE);
	assert_int_equal(http_parse_body(&parse, buf, head + 6, 5), HTTP_DONE);
	assert_int_equal(parse.request.body_length, 5);
	assert_int_equal(parse.request.consumed, head + 5);
	assert_int_equal(http_parse_body(&parse, buf, head + 6, 5), HTTP_DONE);
	free(buf);
}

static void
test_too_large_length_is_refused_before_the_body_comes(void **state)
{
	(void)state;
	static const char text[] =
	    "POST /a HTTP/1.1\r\n" HOST "Content-Length: 11\r\n\r\n";
	char *buf = head_of(text, HTTP_DONE);
	assert_int_equal(http_parse_body(&parse, buf, strlen(text), 10), HTTP_REFUSED);
	assert_int_equal(parse.refusal->status, 413);
	assert_int_equal(http_parse_body(&parse, buf, strlen(text), 10), HTTP_REFUSED);
	assert_int_equal(http_parse_head(&parse, buf, strlen(text)), HTTP_REFUSED);
	http_parse_init(&parse);
	assert_int_equal(http_parse_head(&parse, buf, strlen(text)), HTTP_DONE);
	assert_int_equal(http_parse_body(&parse, buf, strlen(text), 11), HTTP_MORE);
	free(buf);
}

/* RFC 9110 section 10.1.1. */
static void
test_expectation_counts_only_in_1_1_with_a_body(void **state)
{
	(void)state;
	free(head_of("POST / HTTP/1.1\r\n" HOST
		     "Expect: 100-CONTINUE\r\nTransfer-Encoding: chunked\r\n\r\n",
	    HTTP_DONE));
	assert_true(parse.request.expect_continue);
	free(head_of("POST / HTTP/1.0\r\n" HOST
		     "Expect: 100-continue\r\nContent-Length: 1\r\n\r\n",
	    HTTP_DONE));
	assert_false(parse.request.expect_continue);
	free(head_of("POST / HTTP/1.1\r\n" HOST
		     "Expect: 100-continue\r\nContent-Length: 0\r\n\r\n",
	    HTTP_DONE));
	assert_false(parse.request.expect_continue);
	assert_refused("GET / HTTP/1.1\r\n" HOST "Expect: more\r\n\r\n", 417,
	    "unsupported_expectation");
}

/* RFC 9112 section 9.3; closing after chunks and HTTP/1.0 is our own rule. */
static void
test_keep_alive_follows_version_connection_and_framing(void **state)
{
	static const struct {
		const char *text;
		bool keep_alive;
	} cases[] = {
		{ "GET / HTTP/1.1\r\n" HOST "\r\n", true },
		{ "GET / HTTP/1.1\r\n" HOST "Connection: keep-alive\r\n\r\n", true },
		{ "GET / HTTP/1.1\r\n" HOST "Connection: Close\r\n\r\n", false },
		{ "GET / HTTP/1.1\r\n" HOST "Connection: x, ,close\r\n\r\n", false },
		{ "GET / HTTP/1.1\r\n" HOST "Connection: closed\r\n\r\n", true },
		{ "GET / HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\n", true },
		{ "GET / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n",
		    false },
		{ "GET / HTTP/1.0\r\n" HOST "\r\n", false },
		{ "GET / HTTP/1.0\r\n" HOST "Connection: keep-alive\r\n\r\n", false },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		free(head_of(cases[i].text, HTTP_DONE));
		assert_int_equal(parse.request.keep_alive, cases[i].keep_alive);
	}
}

/* RFC 9112 section 7.1. */
static void
test_chunks_are_joined_in_place(void **state)
{
	(void)state;
	static const char text[] =
	    "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
	    "4\r\nWiki\r\n6\r\npedia \r\nE\r\nin \r\n\r\nchunks."
	    "\r\n0\r\n\r\nGET";
	static const char body[] = "Wikipedia in \r\n\r\nchunks.";
	char *buf = head_of(text, HTTP_DONE);
	size_t length = strlen(text);
	assert_int_equal(http_parse_body(&parse, buf, length, strlen(body)), HTTP_DONE);
	assert_int_equal(parse.request.body_length, strlen(body));
	assert_memory_equal(buf + parse.request.head_length, body, strlen(body));
	assert_int_equal(parse.request.consumed, length - 3);
	assert_memory_equal(buf + parse.request.consumed, "GET", 3);
	free(buf);
}

static void
test_sum_of_chunks_is_held_to_the_limit(void **state)
{
	(void)state;
	static const char text[] =
	    "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
	    "5\r\nhello\r\n3\r\nyou\r\n0\r\n\r\n";
	assert_outcome(text, strlen(text), 9, "ok ");
	assert_outcome(text, strlen(text), 8, "ok ");
	assert_outcome(text, strlen(text), 7, "413:body_too_large ");
	assert_outcome(text, strlen(text), 4, "413:body_too_large ");
	assert_outcome(text, strlen(text), 0, "413:body_too_large ");
}

static void
test_length_is_held_to_the_limit(void **state)
{
	(void)state;
	static const char text[] =
	    "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello";
	assert_outcome(text, strlen(text), 6, "ok ");
	assert_outcome(text, strlen(text), 5, "ok ");
	assert_outcome(text, strlen(text), 4, "413:body_too_large ");
	static const char empty[] = "GET / HTTP/1.1\r\n" HOST "\r\n";
	assert_outcome(empty, strlen(empty), 0, "ok ");
}

/* A body of single-byte chunks must not need more room than its limit. */
static void
test_reclaim_keeps_the_buffer_within_head_body_and_one_read(void **state)
{
	enum { BYTES = 3000, READ = 64 };
	(void)state;
	static const char head[] =
	    "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n";
	static char wire[sizeof(head) + BYTES * 13 + 16];
	static char buf[sizeof(head) + BYTES + READ + HTTP_CHUNK_DIGITS_MAX + 2];
	size_t size = strlen(head), length = 0;
	memcpy(wire, head, size);
	for (int i = 0; i < BYTES; i++)
		size +=
		    (size_t)sprintf(wire + size, "00000001\r\n%c\r\n", 'a' + i % 26);
	size += (size_t)sprintf(wire + size, "0\r\n\r\n");
	enum http_result result = HTTP_MORE;
	http_parse_init(&parse);
	for (size_t at = 0; at < size && result == HTTP_MORE;) {
		size_t piece = size - at < READ ? size - at : READ;
		assert_true(length + piece <= sizeof(buf));
		memcpy(buf + length, wire + at, piece);
		at += piece;
		length += piece;
		result = http_parse_head(&parse, buf, length);
		if (result == HTTP_DONE)
			result = http_parse_body(&parse, buf, length, BYTES);
		if (result == HTTP_MORE)
			length = http_parse_reclaim(&parse, buf, length);
	}
	assert_int_equal(result, HTTP_DONE);
	assert_int_equal(parse.request.body_length, BYTES);
	for (int i = 0; i < BYTES; i++)
		assert_int_equal(buf[strlen(head) + (size_t)i], 'a' + i % 26);
}

static void
test_reclaim_leaves_requests_without_chunks_alone(void **state)
{
	(void)state;
	static const char text[] =
	    "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhe";
	char *buf = head_of(text, HTTP_DONE);
	assert_int_equal(http_parse_reclaim(&parse, buf, strlen(text)), strlen(text));
	assert_int_equal(http_parse_body(&parse, buf, strlen(text), 5), HTTP_MORE);
	assert_int_equal(http_parse_reclaim(&parse, buf, strlen(text)), strlen(text));
	free(buf);
}

/* A target of that many bytes. */
static void
assert_target_length(size_t length, const char *expected)
{
	static char text[HTTP_TARGET_MAX + 256];
	size_t at = (size_t)sprintf(text, "GET /");
	memset(text + at, 'a', length - 1);
	at += length - 1;
	at += (size_t)sprintf(text + at, " HTTP/1.1\r\n" HOST "\r\n");
	assert_outcome(text, at, 0, expected);
}

static void
test_target_is_limited(void **state)
{
	(void)state;
	assert_target_length(HTTP_TARGET_MAX - 1, "ok ");
	assert_target_length(HTTP_TARGET_MAX, "ok ");
	assert_target_length(HTTP_TARGET_MAX + 1, "414:target_too_long ");
	assert_target_length(HTTP_TARGET_MAX + 100, "414:target_too_long ");
}

/* Endless lines end at the limit, not one byte before. */
static void
test_unfinished_lines_are_limited(void **state)
{
	(void)state;
	static char text[HTTP_HEAD_MAX + 16];
	size_t line = (size_t)sprintf(text, "GET /");
	memset(text + line, 'a', sizeof(text) - line);
	http_parse_init(&parse);
	assert_int_equal(
	    http_parse_head(&parse, text, HTTP_REQUEST_LINE_MAX + 1), HTTP_MORE);
	assert_int_equal(
	    http_parse_head(&parse, text, HTTP_REQUEST_LINE_MAX + 2), HTTP_REFUSED);
	assert_int_equal(parse.refusal->status, 414);
	line = (size_t)sprintf(text, "GET / HTTP/1.1\r\nX:");
	text[line] = 'a';
	size_t start = line - 2;
	http_parse_init(&parse);
	assert_int_equal(
	    http_parse_head(&parse, text, start + HTTP_HEADER_BYTES_MAX - 1),
	    HTTP_MORE);
	assert_int_equal(
	    http_parse_head(&parse, text, start + HTTP_HEADER_BYTES_MAX), HTTP_REFUSED);
	assert_int_equal(parse.refusal->status, 431);
}

static void
assert_header_bytes(size_t bytes, enum http_result expected)
{
	static char text[HTTP_HEAD_MAX + 256];
	size_t at = (size_t)sprintf(text, "GET / HTTP/1.1\r\n" HOST "X:");
	size_t fill = bytes - strlen(HOST "X:\r\n\r\n");
	memset(text + at, 'a', fill);
	at += fill;
	at += (size_t)sprintf(text + at, "\r\n\r\n");
	free(head_of(text, expected));
	http_parse_init(&parse);
	enum http_result result = HTTP_MORE;
	for (size_t i = 1; i <= at && result == HTTP_MORE; i++)
		result = http_parse_head(&parse, text, i);
	assert_int_equal(result, expected);
}

static void
test_header_bytes_are_limited(void **state)
{
	(void)state;
	assert_header_bytes(HTTP_HEADER_BYTES_MAX - 1, HTTP_DONE);
	assert_header_bytes(HTTP_HEADER_BYTES_MAX, HTTP_DONE);
	assert_header_bytes(HTTP_HEADER_BYTES_MAX + 1, HTTP_REFUSED);
	assert_string_equal(parse.refusal->code, "headers_too_large");
}

static void
assert_header_lines(size_t lines, const char *expected)
{
	char text[1024];
	size_t at = (size_t)sprintf(text, "GET / HTTP/1.1\r\n" HOST);
	for (size_t i = 1; i < lines; i++)
		at += (size_t)sprintf(text + at, "X:%zu\r\n", i);
	at += (size_t)sprintf(text + at, "\r\n");
	assert_outcome(text, at, 0, expected);
}

static void
test_header_lines_are_limited(void **state)
{
	(void)state;
	assert_header_lines(HTTP_HEADER_LINES_MAX - 1, "ok ");
	assert_header_lines(HTTP_HEADER_LINES_MAX, "ok ");
	assert_header_lines(HTTP_HEADER_LINES_MAX + 1, "431:too_many_headers ");
}

static void
test_digits_of_lengths_are_limited(void **state)
{
	(void)state;
	free(head_of("POST / HTTP/1.1\r\n" HOST
		     "Content-Length: 999999999999999\r\n\r\n",
	    HTTP_DONE));
	assert_int_equal(parse.request.content_length, 999999999999999);
	static const char longer[] =
	    "POST / HTTP/1.1\r\n" HOST "Content-Length: 1000000000000000\r\n\r\n";
	free(head_of(longer, HTTP_DONE));
	assert_int_equal(parse.request.content_length, UINT64_MAX);
	assert_outcome(
	    longer, strlen(longer), HTTP_BODY_LIMIT_MAX, "413:body_too_large ");
	static const char eight[] =
	    "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
	    "00000001\r\na\r\n0\r\n\r\n";
	assert_outcome(eight, strlen(eight), 1, "ok ");
	static const char nine[] =
	    "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
	    "000000001\r\na\r\n0\r\n\r\n";
	assert_outcome(nine, strlen(nine), 1, "400:bad_chunk_size ");
}

/* RFC 9110 section 5.5: every byte value, at every place of an eight-byte word. */
static void
test_every_byte_of_a_value_is_judged(void **state)
{
	(void)state;
	for (unsigned byte = 0; byte < 256; byte++) {
		bool legal = byte == '\t' || (byte >= 0x20 && byte != 0x7f);
		for (size_t place = 0; place < 24; place++) {
			char text[] = "GET / HTTP/1.1\r\n" HOST
				      "X: .aaaaaaaaaaaaaaaaaaaaaaaa.\r\n\r\n";
			char *value = strstr(text, "X: ") + 4;
			if (byte == '\n')
				continue;
			value[place] = (char)byte;
			http_parse_init(&parse);
			assert_int_equal(
			    http_parse_head(&parse, text, sizeof(text) - 1),
			    legal ? HTTP_DONE : HTTP_REFUSED);
		}
	}
}

/* RFC 9110 section 5.6.2 and RFC 3986 section 3.3, from their text. */
static void
test_every_byte_of_a_name_and_a_target_is_judged(void **state)
{
	static const char token[] =
	    "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	static const char target[] =
	    "-._~!$&'()*+,;=:@/?0123456789abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	(void)state;
	for (unsigned byte = 1; byte < 256; byte++) {
		char text[64];
		int length = snprintf(text, sizeof(text),
		    "GET / HTTP/1.1\r\n" HOST "X%cX: a\r\n\r\n", (int)byte);
		bool legal = strchr(token, (int)byte) != NULL || byte == ':';
		http_parse_init(&parse);
		assert_int_equal(http_parse_head(&parse, text, (size_t)length),
		    legal ? HTTP_DONE : HTTP_REFUSED);
		length = snprintf(text, sizeof(text),
		    "GET /a%ca HTTP/1.1\r\n" HOST "\r\n", (int)byte);
		legal = strchr(target, (int)byte) != NULL;
		http_parse_init(&parse);
		assert_int_equal(http_parse_head(&parse, text, (size_t)length),
		    legal ? HTTP_DONE : HTTP_REFUSED);
	}
}

static void
test_well_formed_hosts_pass(void **state)
{
	static const char *const hosts[] = { "a", "localhost", "localhost:3000",
		"LOCALHOST", "127.0.0.1:3000", "[::1]", "[::1]:3000",
		"[2001:db8::1]:65535", "a.example.", "xn--caf-dma.example", "my_host-1",
		"[::ffff:127.0.0.1]", "a:0" };
	(void)state;
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		char text[128];
		(void)snprintf(
		    text, sizeof(text), "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", hosts[i]);
		char *buf = head_of(text, HTTP_DONE);
		assert_span(buf, parse.request.host, hosts[i]);
		free(buf);
	}
}

static void
test_headers_are_found_without_case_and_doubles_are_told(void **state)
{
	(void)state;
	struct http_text value = { NULL, 0 };
	char *buf = head_of("GET / HTTP/1.1\r\n" HOST "X-One: first\r\nX-TWO: 1\r\n"
			    "x-two: 2\r\nX-Tw: 3\r\nX-Two-More: 4\r\nX-Two: 5\r\n\r\n",
	    HTTP_DONE);
	const struct http_request *request = &parse.request;
	assert_int_equal(http_header_find(request, buf, "x-one", &value), 0);
	assert_int_equal(value.length, 5);
	assert_memory_equal(value.data, "first", 5);
	assert_int_equal(http_header_find(request, buf, "x-two", &value), -EEXIST);
	assert_int_equal(http_header_find(request, buf, "x-three", &value), -ENOENT);
	assert_int_equal(http_header_find(request, buf, "", &value), -ENOENT);
	assert_memory_equal(value.data, "first", 5);
	const struct http_header *header = NULL;
	size_t count = 0;
	while ((header = http_header_next(request, buf, "x-two", header)) != NULL)
		count++;
	assert_int_equal(count, 3);
	free(buf);
}

static void
test_text_is_compared_without_case(void **state)
{
	(void)state;
	assert_true(http_text_is((struct http_text){ "Chunked", 7 }, "chunked"));
	assert_false(http_text_is((struct http_text){ "Chunked", 6 }, "chunked"));
	assert_false(http_text_is((struct http_text){ "chunkedx", 8 }, "chunked"));
	assert_false(http_text_is((struct http_text){ "a\0b", 3 }, "a"));
	assert_false(http_text_is((struct http_text){ "A@", 2 }, "a`"));
	assert_true(http_text_is((struct http_text){ "", 0 }, ""));
}

/* Eight bytes are compared at once; no byte may change how its neighbours are read. */
static void
test_each_byte_is_compared_at_each_place(void **state)
{
	static const char word[] = "a{z0-`_kick-event-m";
	const size_t length = sizeof(word) - 1;
	char text[sizeof(word)];
	char lower[sizeof(word)];
	(void)state;
	for (size_t place = 0; place < length; place++) {
		for (unsigned byte = 0; byte < 256; byte++) {
			bool capital = byte >= 'A' && byte <= 'Z';
			memcpy(text, word, sizeof(word));
			memcpy(lower, word, sizeof(word));
			text[place] = (char)byte;
			assert_int_equal(
			    http_text_is((struct http_text){ text, length }, word),
			    (capital ? byte + 'a' - 'A' : byte) ==
				(unsigned char)word[place]);
			/* A word has no capitals and ends at its NUL. */
			lower[place] = (char)(capital ? byte + 'a' - 'A' : byte);
			if (byte > 0)
				assert_true(http_text_is(
				    (struct http_text){ text, length }, lower));
		}
	}
}

static void
test_pipelined_requests_are_read_one_by_one(void **state)
{
	(void)state;
	static const char text[] =
	    "GET /1 HTTP/1.1\r\n" HOST "\r\n"
	    "POST /2 HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc"
	    "GET /3 HTTP/1.1\r\n" HOST "\r\n"
	    "POST /4 HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
	    "GET /5 HTTP/1.1\r\n" HOST "\r\n";
	assert_outcome(text, strlen(text), 10, "ok ok ok ok ");
	assert_outcome(text,
	    strlen(text) - strlen("GET /5 HTTP/1.1\r\n" HOST "\r\n") - 1, 10,
	    "ok ok ok more ");
}

/* A reader is used again and again: nothing of the last request may remain. */
static void
test_init_forgets_everything(void **state)
{
	(void)state;
	static const char plain[] = "GET /a HTTP/1.1\r\n" HOST "\r\n";
	char *buf = head_of("POST /?q HTTP/1.0\r\n" HOST
			    "Content-Length: 4\r\nExpect: 100-continue\r\n"
			    "Connection: close\r\nX: y\r\n\r\nabcd",
	    HTTP_DONE);
	assert_int_equal(
	    http_parse_body(&parse, buf, parse.request.head_length + 4, 4), HTTP_DONE);
	free(buf);
	free(head_of(plain, HTTP_DONE));
	assert_int_equal(parse.request.framing, HTTP_NO_BODY);
	assert_int_equal(parse.request.content_length, 0);
	assert_int_equal(parse.request.body_length, 0);
	assert_int_equal(parse.request.header_count, 1);
	assert_int_equal(parse.request.minor_version, 1);
	assert_true(parse.request.keep_alive);
	assert_false(parse.request.expect_continue);
	assert_false(parse.request.has_query);
}

static void
test_first_byte_tells_other_protocols(void **state)
{
	(void)state;
	free(head_of("\x16", HTTP_REFUSED));
	free(head_of("\r", HTTP_REFUSED));
	free(head_of("P", HTTP_MORE));
}

/* Linear: a byte more costs one look, however long the line already is. */
static void
test_searching_resumes_where_it_stopped(void **state)
{
	(void)state;
	static char text[HTTP_HEAD_MAX];
	size_t at = (size_t)sprintf(text, "GET / HTTP/1.1\r\nX:");
	memset(text + at, 'a', 9000);
	http_parse_init(&parse);
	assert_int_equal(http_parse_head(&parse, text, at + 9000), HTTP_MORE);
	/* Bytes already looked at are not read again: a line feed there goes unseen. */
	text[at + 100] = '\n';
	assert_int_equal(http_parse_head(&parse, text, at + 9000), HTTP_MORE);
	text[at + 9000] = '\n';
	assert_int_equal(http_parse_head(&parse, text, at + 9001), HTTP_REFUSED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_head_of_rfc_example_is_understood),
		cmocka_unit_test(test_query_is_told_from_its_absence),
		cmocka_unit_test(test_every_method_of_the_table_is_known),
		cmocka_unit_test(test_head_is_done_before_the_body_comes),
		cmocka_unit_test(
		    test_too_large_length_is_refused_before_the_body_comes),
		cmocka_unit_test(test_expectation_counts_only_in_1_1_with_a_body),
		cmocka_unit_test(
		    test_keep_alive_follows_version_connection_and_framing),
		cmocka_unit_test(test_chunks_are_joined_in_place),
		cmocka_unit_test(test_sum_of_chunks_is_held_to_the_limit),
		cmocka_unit_test(test_length_is_held_to_the_limit),
		cmocka_unit_test(
		    test_reclaim_keeps_the_buffer_within_head_body_and_one_read),
		cmocka_unit_test(test_reclaim_leaves_requests_without_chunks_alone),
		cmocka_unit_test(test_target_is_limited),
		cmocka_unit_test(test_unfinished_lines_are_limited),
		cmocka_unit_test(test_header_bytes_are_limited),
		cmocka_unit_test(test_header_lines_are_limited),
		cmocka_unit_test(test_digits_of_lengths_are_limited),
		cmocka_unit_test(test_every_byte_of_a_value_is_judged),
		cmocka_unit_test(test_every_byte_of_a_name_and_a_target_is_judged),
		cmocka_unit_test(test_well_formed_hosts_pass),
		cmocka_unit_test(
		    test_headers_are_found_without_case_and_doubles_are_told),
		cmocka_unit_test(test_text_is_compared_without_case),
		cmocka_unit_test(test_each_byte_is_compared_at_each_place),
		cmocka_unit_test(test_pipelined_requests_are_read_one_by_one),
		cmocka_unit_test(test_init_forgets_everything),
		cmocka_unit_test(test_first_byte_tells_other_protocols),
		cmocka_unit_test(test_searching_resumes_where_it_stopped),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
