/*
 * Fuzzer of the request reader and the URL decoder. The first two bytes choose body
 * limit and cuts, the rest is a connection. Cut at random it must be understood exactly
 * as in one piece, and whatever is accepted must survive being written again in plain
 * form: there is one meaning at most. Spans are checked to lie in the buffer.
 */
#include <errno.h>

#include "httpd/url.h"
#include "tests/unit/http_replay.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct dice {
	uint32_t state;
	uint32_t spread;
};

static size_t
cut_at_random(void *context, size_t left)
{
	struct dice *dice = context;
	dice->state = dice->state * 1664525u + 1013904223u;
	size_t piece = 1 + (dice->state >> 16) % dice->spread;
	return piece < left ? piece : left;
}

static void
check_url(const char *buf, const struct http_request *request)
{
	struct http_text path = http_text(buf, request->path);
	struct http_text query = http_text(buf, request->query);
	struct url_path segments;
	struct url_query parameters;
	int error = url_path_decode(path.data, path.length, 0, &segments);
	replay_require(
	    error == 0 || error == -EINVAL || error == -ENOENT, "path error");
	for (size_t i = 0; error == 0 && i < segments.count; i++) {
		replay_require(segments.segments[i].length > 0 &&
			strlen(segments.segments[i].data) ==
			    segments.segments[i].length,
		    "a segment is empty or has a NUL");
		replay_require(strchr(segments.segments[i].data, '/') == NULL &&
			strcmp(segments.segments[i].data, "..") != 0,
		    "a segment walks");
	}
	error = url_query_decode(query.data, query.length, &parameters);
	for (size_t i = 0; error == 0 && i < parameters.count; i++)
		replay_require(strlen(parameters.parameters[i].value.data) ==
			parameters.parameters[i].value.length,
		    "a value has a NUL");
}

/* Write the request again from what was understood and read that. */
static void
check_one_meaning(const char *buf, const struct http_request *request)
{
	char *text = NULL;
	size_t length = 0;
	struct http_parse again;
	FILE *out = open_memstream(&text, &length);
	replay_require(out != NULL, "out of memory");
	(void)fprintf(out, "%s %.*s HTTP/1.%u\r\n", http_method_name(request->method),
	    request->target.length, buf + request->target.offset,
	    request->minor_version);
	for (size_t i = 0; i < request->header_count; i++) {
		const struct http_header *header = &request->headers[i];
		(void)fprintf(
		    out, "%.*s:", header->name.length, buf + header->name.offset);
		(void)fwrite(buf + header->value.offset, 1, header->value.length, out);
		(void)fprintf(out, "\r\n");
	}
	(void)fprintf(out, "\r\n");
	size_t head = (size_t)ftell(out);
	if (request->framing == HTTP_CHUNKED && request->body_length > 0)
		(void)fprintf(out, "%zx\r\n", request->body_length);
	(void)fwrite(buf + request->head_length, 1, request->body_length, out);
	if (request->framing == HTTP_CHUNKED)
		(void)fprintf(
		    out, request->body_length > 0 ? "\r\n0\r\n\r\n" : "0\r\n\r\n");
	replay_require(fclose(out) == 0, "out of memory");
	http_parse_init(&again);
	replay_require(http_parse_head(&again, text, length) == HTTP_DONE,
	    "the rewritten head is refused");
	replay_require(again.request.head_length == head, "the rewritten head differs");
	replay_require(
	    http_parse_body(&again, text, length, HTTP_BODY_LIMIT_MAX) == HTTP_DONE,
	    "the rewritten body is refused");
	replay_require(again.request.consumed == length &&
		again.request.body_length == request->body_length &&
		again.request.header_count == request->header_count &&
		again.request.keep_alive == request->keep_alive &&
		memcmp(text + head, buf + request->head_length, request->body_length) ==
		    0,
	    "the rewritten request means something else");
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	size_t limit = (size_t)data[0] * 8;
	struct dice dice = { data[1], 1 + data[1] % 64u };
	data += 2;
	size -= 2;
	struct replay_text whole =
	    replay_text(data, size, replay_cut_nowhere, NULL, false, limit);
	struct replay_text cut =
	    replay_text(data, size, cut_at_random, &dice, false, limit);
	replay_require(replay_same(whole, cut), "a cut changes the meaning");
	free(whole.data);
	free(cut.data);
	char *copy = malloc(size + 1);
	replay_require(copy != NULL, "out of memory");
	memcpy(copy, data, size);
	struct http_parse parse;
	http_parse_init(&parse);
	if (http_parse_head(&parse, copy, size) == HTTP_DONE &&
	    http_parse_body(&parse, copy, size, limit) == HTTP_DONE) {
		check_url(copy, &parse.request);
		check_one_meaning(copy, &parse.request);
	}
	free(copy);
	return 0;
}
