/*
 * The body of a request: by length, or chunk by chunk with the data moved together in
 * place. Called by connections after http_parse.c has finished the head.
 */
#include <assert.h>
#include <string.h>

#include "httpd/http_parse_inner.h"
#include "httpd/url.h"

static enum http_result
body_finish(struct http_parse *parse, size_t consumed)
{
	parse->request.consumed = consumed;
	parse->step = STEP_DONE;
	return HTTP_DONE;
}

static enum http_result
body_begin(struct http_parse *parse, size_t length, size_t limit)
{
	struct http_request *request = &parse->request;
	if (request->framing == HTTP_CHUNKED) {
		parse->step = STEP_CHUNK_SIZE;
		return HTTP_DONE;
	}
	if (request->content_length > limit)
		return http_refuse(parse, REFUSE_BODY_LENGTH);
	size_t body = (size_t)request->content_length;
	if (length - request->head_length < body)
		return HTTP_MORE;
	request->body_length = body;
	return body_finish(parse, request->head_length + body);
}

/*
 * RFC 9112 section 7.1: hexadecimal digits and CRLF. The limit of the line makes an
 * endless one impossible.
 */
static enum http_result
chunk_size_step(struct http_parse *parse, const char *buf, size_t length, size_t limit)
{
	size_t line = 0, size = 0, digits = 0;
	const char *start = buf + parse->line;
	size_t come = length - parse->line;
	/* Judged byte by byte, so that a wrong one is not waited behind. */
	for (; digits < come && url_hex_value(start[digits]) >= 0; digits++) {
		if (digits == HTTP_CHUNK_DIGITS_MAX)
			return http_refuse(parse, REFUSE_CHUNK_SIZE);
		size = size * 16 + (size_t)url_hex_value(start[digits]);
	}
	if (digits < come && start[digits] == ';')
		return http_refuse(
		    parse, digits > 0 ? REFUSE_CHUNK_EXTENSION : REFUSE_CHUNK_SIZE);
	if (digits < come &&
	    (digits == 0 || (start[digits] != '\r' && start[digits] != '\n')))
		return http_refuse(parse, REFUSE_CHUNK_SIZE);
	enum http_result result = http_line_find(
	    parse, buf, length, HTTP_CHUNK_DIGITS_MAX + 2, REFUSE_CHUNK_SIZE, &line);
	if (result != HTTP_DONE)
		return result;
	if (line != digits)
		return http_refuse(parse, REFUSE_CHUNK_SIZE);
	if (size > limit - parse->request.body_length)
		return http_refuse(parse, REFUSE_BODY_LENGTH);
	http_line_begin(parse, parse->line + line + 2);
	parse->chunk_left = size;
	parse->step = size > 0 ? STEP_CHUNK_DATA : STEP_LAST_CHUNK_END;
	return HTTP_DONE;
}

/* Move what has come of the chunk down to the end of the decoded body. */
static enum http_result
chunk_data_step(struct http_parse *parse, char *buf, size_t length)
{
	struct http_request *request = &parse->request;
	size_t take = length - parse->line;
	if (take > parse->chunk_left)
		take = parse->chunk_left;
	memmove(
	    buf + request->head_length + request->body_length, buf + parse->line, take);
	request->body_length += take;
	parse->chunk_left -= take;
	http_line_begin(parse, parse->line + take);
	if (parse->chunk_left > 0)
		return HTTP_MORE;
	parse->step = STEP_CHUNK_END;
	return HTTP_DONE;
}

/* The CRLF that must stand here; each byte is judged as soon as it is there. */
static enum http_result
line_break_expect(
    struct http_parse *parse, const char *buf, size_t length, enum refuse why)
{
	size_t come = length - parse->line;
	const char *at = buf + parse->line;
	if ((come > 0 && at[0] != '\r') || (come > 1 && at[1] != '\n'))
		return http_refuse(parse, why);
	if (come < 2)
		return HTTP_MORE;
	http_line_begin(parse, parse->line + 2);
	return HTTP_DONE;
}

static enum http_result
chunk_end_step(struct http_parse *parse, const char *buf, size_t length)
{
	enum http_result result =
	    line_break_expect(parse, buf, length, REFUSE_CHUNK_END);
	if (result == HTTP_DONE)
		parse->step = STEP_CHUNK_SIZE;
	return result;
}

static enum http_result
last_chunk_end_step(struct http_parse *parse, const char *buf, size_t length)
{
	enum http_result result = line_break_expect(parse, buf, length, REFUSE_TRAILER);
	return result == HTTP_DONE ? body_finish(parse, parse->line) : result;
}

enum http_result
http_parse_body(struct http_parse *parse, char *buf, size_t length, size_t limit)
{
	enum http_result result = HTTP_DONE;
	assert(parse->step >= STEP_BODY && limit <= HTTP_BODY_LIMIT_MAX);
	while (result == HTTP_DONE && parse->step != STEP_DONE) {
		switch ((enum step)parse->step) {
		case STEP_BODY:
			result = body_begin(parse, length, limit);
			break;
		case STEP_CHUNK_SIZE:
			result = chunk_size_step(parse, buf, length, limit);
			break;
		case STEP_CHUNK_DATA:
			result = chunk_data_step(parse, buf, length);
			break;
		case STEP_CHUNK_END:
			result = chunk_end_step(parse, buf, length);
			break;
		case STEP_LAST_CHUNK_END:
			result = last_chunk_end_step(parse, buf, length);
			break;
		default:
			return HTTP_REFUSED;
		}
	}
	return result;
}

size_t
http_parse_reclaim(struct http_parse *parse, char *buf, size_t length)
{
	if (parse->step < STEP_CHUNK_SIZE || parse->step > STEP_LAST_CHUNK_END)
		return length;
	size_t end = parse->request.head_length + parse->request.body_length;
	size_t gap = parse->line - end;
	memmove(buf + end, buf + parse->line, length - parse->line);
	parse->line -= gap;
	parse->scanned -= gap;
	return length - gap;
}
