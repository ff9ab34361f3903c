/*
 * Strict reader for the head of one HTTP/1.1 request: request line and header lines.
 * Owns nothing; connections call it with their own buffer after each read. The head is
 * judged line by line, and a limit is always checked before the line's content, so the
 * verdict is a function of the bytes alone and never of the way they were cut.
 */
#include <string.h>

#include "httpd/http_parse_inner.h"
#include "httpd/url.h"

_Static_assert(HTTP_HEAD_MAX <= UINT16_MAX, "spans of the head hold 16 bits");

static const struct http_refusal refusals[REFUSE_MAX] = {
#define REFUSAL(name, status, code, text) [REFUSE_##name] = { status, code, text },
#include "httpd/http_refusals.def"
#undef REFUSAL
};

/* clang-format off */
const uint8_t http_classes[256] = {
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 3, 0, 1, 3, 1, 3, 3, 2, 2, 3, 3, 2, 7, 7, 2,
	7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 2, 2, 0, 2, 0, 0,
	2, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
	7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 0, 0, 0, 1, 7,
	1, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
	7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 0, 1, 0, 3, 0,
};
/* clang-format on */

static const char *const methods[HTTP_METHOD_MAX] = {
	[HTTP_GET] = "GET",
	[HTTP_HEAD] = "HEAD",
	[HTTP_POST] = "POST",
	[HTTP_PUT] = "PUT",
	[HTTP_DELETE] = "DELETE",
	[HTTP_OPTIONS] = "OPTIONS",
	[HTTP_PATCH] = "PATCH",
};

static struct http_span
span(size_t offset, size_t length)
{
	return (struct http_span){ (uint16_t)offset, (uint16_t)length };
}

enum http_result
http_refuse(struct http_parse *parse, enum refuse why)
{
	parse->step = STEP_REFUSED;
	parse->refusal = &refusals[why];
	return HTTP_REFUSED;
}

enum http_result
http_line_find(struct http_parse *parse, const char *buf, size_t length, size_t limit,
    enum refuse too_long, size_t *ret_length)
{
	bool full = length - parse->line >= limit;
	size_t end = full ? parse->line + limit : length;
	size_t from = parse->scanned;
	const char *feed = from < end ? memchr(buf + from, '\n', end - from) : NULL;
	if (feed == NULL) {
		parse->scanned = end;
		return full ? http_refuse(parse, too_long) : HTTP_MORE;
	}
	size_t at = (size_t)(feed - buf);
	if (at == parse->line || buf[at - 1] != '\r')
		return http_refuse(parse, REFUSE_BARE_LF);
	*ret_length = at - 1 - parse->line;
	return HTTP_DONE;
}

/*
 * Of eight bytes at once, has the high bit set somewhere exactly when one of them is
 * below space or DEL: a byte below n makes the subtraction of n borrow, and bytes above
 * 0x7F are masked out.
 */
static uint64_t
odd_bytes(const char *at)
{
	const uint64_t ones = UINT64_MAX / 255;
	uint64_t word;
	memcpy(&word, at, sizeof(word));
	uint64_t del = word ^ (ones * 0x7f);
	uint64_t odd = ((word - ones * 0x20) & ~word) | ((del - ones) & ~del);
	return odd & (ones * 0x80);
}

/*
 * Index of the first byte that a header value may not have (RFC 9110 section 5.5: below
 * space other than tab, and DEL), or length.
 */
static size_t
value_run(const char *value, size_t length)
{
	if (length >= 8) {
		uint64_t odd = odd_bytes(value + length - 8);
		for (size_t i = 0; length - i >= 8; i += 8)
			odd |= odd_bytes(value + i);
		if (odd == 0)
			return length;
	}
	for (size_t i = 0; i < length; i++) {
		unsigned char byte = (unsigned char)value[i];
		if ((byte < 0x20 && byte != '\t') || byte == 0x7f)
			return i;
	}
	return length;
}

/* ---- lines of the head ---- */

/* RFC 9112 section 3.2.1: path and query of an origin-form target. */
static enum refuse
target_read(struct http_request *request, const char *buf)
{
	struct http_text target = http_text(buf, request->target);
	size_t query = target.length;
	if (target.length > HTTP_TARGET_MAX)
		return REFUSE_TARGET_LENGTH;
	if (target.data[0] != '/')
		return REFUSE_TARGET_FORM;
	for (size_t i = 1; i < target.length; i++) {
		if (http_is_class(target.data[i], TARGET))
			continue;
		if (target.data[i] == '?') {
			query = i < query ? i : query;
			continue;
		}
		if (target.data[i] != '%')
			return REFUSE_TARGET_BYTE;
		if (target.length - i < 3)
			return REFUSE_TARGET_ESCAPE;
		int high = url_hex_value(target.data[i + 1]);
		int low = url_hex_value(target.data[i + 2]);
		if (high < 0 || low < 0 || (high == 0 && low == 0))
			return REFUSE_TARGET_ESCAPE;
		i += 2;
	}
	size_t start = request->target.offset;
	request->path = span(start, query);
	request->has_query = query < target.length;
	request->query = request->has_query
	    ? span(start + query + 1, target.length - query - 1)
	    : span(start + query, 0);
	return REFUSE_NOTHING;
}

/* RFC 9112 section 2.3: "HTTP/" digit "." digit, in capitals. */
static enum refuse
version_read(struct http_request *request, struct http_text text)
{
	if (text.length != 8 || memcmp(text.data, "HTTP/", 5) != 0 ||
	    text.data[6] != '.')
		return REFUSE_VERSION_FORM;
	unsigned major = (unsigned)(unsigned char)text.data[5] - '0';
	unsigned minor = (unsigned)(unsigned char)text.data[7] - '0';
	if (major > 9 || minor > 9)
		return REFUSE_VERSION_FORM;
	if (major != 1 || minor > 1)
		return REFUSE_VERSION;
	request->minor_version = minor;
	return REFUSE_NOTHING;
}

static enum refuse
method_read(struct http_request *request, struct http_text text)
{
	for (unsigned i = 0; i < HTTP_METHOD_MAX; i++) {
		if (strlen(methods[i]) == text.length &&
		    memcmp(methods[i], text.data, text.length) == 0) {
			request->method = (enum http_method)i;
			return REFUSE_NOTHING;
		}
	}
	return REFUSE_METHOD;
}

static enum refuse
request_line_read(struct http_request *request, const char *buf, size_t length)
{
	size_t method = http_class_run((struct http_text){ buf, length }, TOKEN);
	if (method == length)
		return REFUSE_REQUEST_LINE;
	if (method == 0 || buf[method] != ' ')
		return REFUSE_METHOD_FORM;
	size_t start = method + 1;
	const char *space = memchr(buf + start, ' ', length - start);
	if (space == NULL || space == buf + start)
		return REFUSE_REQUEST_LINE;
	size_t end = (size_t)(space - buf);
	request->method_text = span(0, method);
	request->target = span(start, end - start);
	struct http_text version = { space + 1, length - end - 1 };
	enum refuse why = version_read(request, version);
	if (why == REFUSE_NOTHING)
		why = method_read(request, http_text(buf, request->method_text));
	return why == REFUSE_NOTHING ? target_read(request, buf) : why;
}

static enum refuse
header_name_error(struct http_text line, size_t name)
{
	if (name == line.length)
		return REFUSE_HEADER_NAME;
	bool blank = line.data[name] == ' ' || line.data[name] == '\t';
	if (!blank)
		return line.data[name] == '\r' ? REFUSE_BARE_CR : REFUSE_HEADER_NAME;
	return name == 0 ? REFUSE_HEADER_FOLD : REFUSE_HEADER_SPACE;
}

/* One non-empty header line of length bytes at offset. */
static enum refuse
header_line_read(
    struct http_parse *parse, const char *buf, size_t offset, size_t length)
{
	struct http_request *request = &parse->request;
	if (request->header_count == HTTP_HEADER_LINES_MAX)
		return REFUSE_HEADER_LINES;
	const char *line = buf + offset;
	size_t name = http_class_run((struct http_text){ line, length }, TOKEN);
	if (name == 0 || name == length || line[name] != ':')
		return header_name_error((struct http_text){ line, length }, name);
	size_t from = name + 1, to = length;
	while (from < to && (line[from] == ' ' || line[from] == '\t'))
		from++;
	while (to > from && (line[to - 1] == ' ' || line[to - 1] == '\t'))
		to--;
	size_t clean = from + value_run(line + from, to - from);
	if (clean < to)
		return line[clean] == '\r' ? REFUSE_BARE_CR : REFUSE_HEADER_VALUE;
	struct http_header *header = &request->headers[request->header_count++];
	header->name = span(offset, name);
	header->value = span(offset + from, to - from);
	return http_field_judge(parse, buf);
}

/* The empty line has come: what only the whole head can tell. */
static enum http_result
head_finish(struct http_parse *parse, size_t head_length)
{
	struct http_request *request = &parse->request;
	if ((parse->seen & SEEN_HOST) == 0)
		return http_refuse(parse, REFUSE_HOST_MISSING);
	request->head_length = head_length;
	request->keep_alive = request->minor_version == 1 &&
	    (parse->seen & SEEN_CLOSE) == 0 && request->framing != HTTP_CHUNKED;
	/* RFC 9110 section 10.1.1: ignored in HTTP/1.0 and without a body. */
	request->expect_continue = (parse->seen & SEEN_EXPECT) != 0 &&
	    request->minor_version == 1 &&
	    (request->framing == HTTP_CHUNKED || request->content_length > 0);
	http_line_begin(parse, head_length);
	parse->step = STEP_BODY;
	return HTTP_DONE;
}

static enum http_result
request_line_step(struct http_parse *parse, const char *buf, size_t length)
{
	size_t line = 0;
	if (length == 0)
		return HTTP_MORE;
	/* Told by one byte, so that another protocol is not waited for. */
	if (buf[0] == '\r' || buf[0] == '\n')
		return http_refuse(parse, REFUSE_LEADING_LINE);
	if (!http_is_class(buf[0], TOKEN))
		return http_refuse(parse, REFUSE_METHOD_FORM);
	enum http_result result = http_line_find(
	    parse, buf, length, HTTP_REQUEST_LINE_MAX + 2, REFUSE_TARGET_LENGTH, &line);
	/* An endless method is no long target. */
	if (result == HTTP_REFUSED &&
	    parse->refusal == &refusals[REFUSE_TARGET_LENGTH] &&
	    http_class_run((struct http_text){ buf, 64 }, TOKEN) == 64)
		return http_refuse(parse, REFUSE_REQUEST_LINE);
	if (result != HTTP_DONE)
		return result;
	enum refuse why = request_line_read(&parse->request, buf, line);
	if (why != REFUSE_NOTHING)
		return http_refuse(parse, why);
	parse->header_start = line + 2;
	http_line_begin(parse, line + 2);
	parse->step = STEP_HEADERS;
	return HTTP_DONE;
}

static enum http_result
headers_step(struct http_parse *parse, const char *buf, size_t length)
{
	for (;;) {
		size_t line = 0;
		size_t left =
		    HTTP_HEADER_BYTES_MAX - (parse->line - parse->header_start);
		enum http_result result = http_line_find(
		    parse, buf, length, left, REFUSE_HEADER_BYTES, &line);
		if (result != HTTP_DONE)
			return result;
		size_t next = parse->line + line + 2;
		if (line == 0)
			return head_finish(parse, next);
		enum refuse why = header_line_read(parse, buf, parse->line, line);
		if (why != REFUSE_NOTHING)
			return http_refuse(parse, why);
		http_line_begin(parse, next);
	}
}

/* ---- what connections call ---- */

void
http_parse_init(struct http_parse *parse)
{
	struct http_request *request = &parse->request;
	parse->refusal = NULL;
	parse->step = STEP_REQUEST_LINE;
	parse->seen = 0;
	parse->chunk_left = 0;
	parse->header_start = 0;
	http_line_begin(parse, 0);
	request->framing = HTTP_NO_BODY;
	request->content_length = 0;
	request->header_count = 0;
	request->head_length = 0;
	request->body_length = 0;
	request->consumed = 0;
}

enum http_result
http_parse_head(struct http_parse *parse, const char *buf, size_t length)
{
	if (parse->step == STEP_REQUEST_LINE) {
		enum http_result result = request_line_step(parse, buf, length);
		if (result != HTTP_DONE)
			return result;
	}
	if (parse->step == STEP_HEADERS)
		return headers_step(parse, buf, length);
	return parse->step == STEP_REFUSED ? HTTP_REFUSED : HTTP_DONE;
}

const char *
http_method_name(enum http_method method)
{
	return (unsigned)method < HTTP_METHOD_MAX ? methods[method] : NULL;
}
