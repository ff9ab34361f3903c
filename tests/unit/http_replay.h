/*
 * Plays bytes to the request reader the way a connection does, cut in any way, and
 * writes down what was understood. Shared by the unit test, the table driver and the
 * fuzzer: two replays of the same bytes must leave the same text. After every piece the
 * buffer is a fresh allocation of exactly the bytes that came, so that a sanitizer sees
 * any read beyond them and any pointer kept into the old place.
 */
#ifndef TESTS_HTTP_REPLAY_H
#define TESTS_HTTP_REPLAY_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "httpd/http_parse.h"

#define REPLAY_BODY_LIMIT 65536

/* How the bytes are cut: the size of the next piece, at least 1, when left are left. */
typedef size_t(replay_cut)(void *context, size_t left);

struct replay {
	size_t body_limit;
	bool reclaim; /* call http_parse_reclaim() after each piece */
	bool brief;   /* only "ok" and refusals */
	replay_cut *cut;
	void *context;
	FILE *out;
	/* state */
	struct http_parse parse;
	char *buf;
	size_t length;
};

static void
replay_fail(const char *what)
{
	(void)fprintf(stderr, "http_replay: %s\n", what);
	abort();
}

static void
replay_require(bool condition, const char *what)
{
	if (!condition)
		replay_fail(what);
}

/* Replace the buffer by one that holds a part of it and then more bytes. */
static void
replay_rebuild(struct replay *replay, size_t from, const uint8_t *more, size_t count)
{
	size_t kept = replay->length - from;
	char *fresh = malloc(kept + count > 0 ? kept + count : 1);
	replay_require(fresh != NULL, "out of memory");
	if (kept > 0)
		memcpy(fresh, replay->buf + from, kept);
	if (count > 0)
		memcpy(fresh + kept, more, count);
	free(replay->buf);
	replay->buf = fresh;
	replay->length = kept + count;
}

static void
replay_print(struct replay *replay, const char *label, struct http_span span)
{
	const struct http_request *request = &replay->parse.request;
	replay_require((size_t)span.offset + span.length <= request->head_length,
	    "a span leaves the head");
	(void)fprintf(replay->out, " %s=%u+%u:", label, span.offset, span.length);
	(void)fwrite(replay->buf + span.offset, 1, span.length, replay->out);
}

static void
replay_request(struct replay *replay)
{
	const struct http_request *request = &replay->parse.request;
	replay_require(request->consumed <= replay->length, "consumed too much");
	replay_require(request->head_length + request->body_length <= request->consumed,
	    "the body leaves the request");
	replay_require(
	    request->body_length <= replay->body_limit, "the body is too long");
	replay_require(
	    replay->buf[request->path.offset] == '/', "a path without slash");
	if (replay->brief) {
		(void)fprintf(replay->out, "ok ");
		return;
	}
	(void)fprintf(replay->out, "%s 1.%u framing=%d keep=%d expect=%d query=%d",
	    http_method_name(request->method), request->minor_version,
	    (int)request->framing, request->keep_alive, request->expect_continue,
	    request->has_query);
	replay_print(replay, "method", request->method_text);
	replay_print(replay, "target", request->target);
	replay_print(replay, "path", request->path);
	replay_print(replay, "query", request->query);
	replay_print(replay, "host", request->host);
	for (size_t i = 0; i < request->header_count; i++) {
		replay_print(replay, "name", request->headers[i].name);
		replay_print(replay, "value", request->headers[i].value);
	}
	(void)fprintf(replay->out,
	    " length=%llu body=%zu:", (unsigned long long)request->content_length,
	    request->body_length);
	(void)fwrite(
	    replay->buf + request->head_length, 1, request->body_length, replay->out);
	(void)fprintf(replay->out, "\n");
}

/* Everything that the bytes so far allow. False when the connection is over. */
static bool
replay_step(struct replay *replay)
{
	struct http_parse *parse = &replay->parse;
	for (;;) {
		enum http_result result =
		    http_parse_head(parse, replay->buf, replay->length);
		if (result == HTTP_DONE)
			result = http_parse_body(
			    parse, replay->buf, replay->length, replay->body_limit);
		replay_require((result == HTTP_REFUSED) == (parse->refusal != NULL),
		    "refused without a reason, or the reverse");
		if (result == HTTP_MORE)
			return true;
		if (result == HTTP_REFUSED) {
			(void)fprintf(replay->out, "%u:%s ", parse->refusal->status,
			    parse->refusal->code);
			return false;
		}
		replay_request(replay);
		if (!parse->request.keep_alive)
			return false;
		replay_rebuild(replay, parse->request.consumed, NULL, 0);
		http_parse_init(parse);
		if (replay->length == 0)
			return true;
	}
}

/* Play size bytes. What was understood goes to out; then "more" if it ends inside. */
static void
replay_run(struct replay *replay, const uint8_t *data, size_t size)
{
	bool open = true;
	replay->buf = NULL;
	replay->length = 0;
	http_parse_init(&replay->parse);
	for (size_t at = 0; at < size && open;) {
		size_t piece = replay->cut(replay->context, size - at);
		replay_rebuild(replay, 0, data + at, piece);
		at += piece;
		open = replay_step(replay);
		if (open && replay->reclaim && replay->parse.request.head_length > 0) {
			replay->length = http_parse_reclaim(
			    &replay->parse, replay->buf, replay->length);
			replay_require(replay->length <=
				HTTP_HEAD_MAX + replay->body_limit + piece,
			    "the buffer grows beyond its bound");
		}
	}
	if (open && replay->length > 0)
		(void)fprintf(replay->out, "more ");
	free(replay->buf);
}

static inline size_t
replay_cut_nowhere(void *context, size_t left)
{
	(void)context;
	return left;
}

static inline size_t
replay_cut_everywhere(void *context, size_t left)
{
	(void)context;
	(void)left;
	return 1;
}

/* The context is a size_t: the first piece; the rest comes at once. */
static inline size_t
replay_cut_once(void *context, size_t left)
{
	size_t *first = context;
	size_t piece = *first > 0 && *first < left ? *first : left;
	*first = 0;
	return piece;
}

/* What was understood; the text is to be freed and may contain NULs from a body. */
struct replay_text {
	char *data;
	size_t length;
};

static inline struct replay_text
replay_text(const uint8_t *data, size_t size, replay_cut *cut, void *context,
    bool brief, size_t limit)
{
	struct replay_text text = { NULL, 0 };
	struct replay replay = { .body_limit = limit,
		.reclaim = cut != replay_cut_nowhere,
		.brief = brief,
		.cut = cut,
		.context = context,
		.out = open_memstream(&text.data, &text.length) };
	replay_require(replay.out != NULL, "out of memory");
	replay_run(&replay, data, size);
	replay_require(fclose(replay.out) == 0, "out of memory");
	return text;
}

static inline bool
replay_same(struct replay_text a, struct replay_text b)
{
	return a.length == b.length && memcmp(a.data, b.data, a.length) == 0;
}

/*
 * Whole, byte by byte and cut in two at every place. NULL if all of them agree, else
 * words that say where they do not.
 */
static inline const char *
replay_disagreement(const uint8_t *data, size_t size, size_t limit)
{
	static char where[64];
	struct replay_text whole =
	    replay_text(data, size, replay_cut_nowhere, NULL, false, limit);
	struct replay_text bytes =
	    replay_text(data, size, replay_cut_everywhere, NULL, false, limit);
	const char *result = replay_same(whole, bytes) ? NULL : "byte by byte";
	free(bytes.data);
	for (size_t cut = 1; cut < size && result == NULL; cut++) {
		size_t first = cut;
		struct replay_text text =
		    replay_text(data, size, replay_cut_once, &first, false, limit);
		if (!replay_same(whole, text)) {
			(void)snprintf(where, sizeof(where), "cut at %zu", cut);
			result = where;
		}
		free(text.data);
	}
	free(whole.data);
	return result;
}

#endif
