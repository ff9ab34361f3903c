/*
 * Answers: status line, headers and body into the connection's output, in one piece.
 *
 * Every answer carries the security headers of design.md 3.4 and a Date. An answer to
 * HEAD is the same without its body, but for pages that change something (page_head).
 * Each request is answered exactly once.
 */
#ifndef HTTPD_RESPOND_H
#define HTTPD_RESPOND_H

#include <stddef.h>

#include "common/buf.h"
#include "httpd/http_parse.h"
#include "httpd/request.h"
#include "proto/proto.h"

struct answer {
	unsigned status;
	const char *type;     /* Content-Type; NULL: JSON */
	const char *code;     /* Streamhold-Error; NULL: none */
	const char *allow;    /* Allow; NULL: none */
	const char *policy;   /* Content-Security-Policy; NULL: the strictest */
	unsigned retry_after; /* Retry-After in seconds, 0: none */
};

void respond(struct request *request, const struct answer *answer, const void *body,
    size_t length);

/* The same with the bytes of a buffer, which is left as it is. */
void respond_buf(
    struct request *request, const struct answer *answer, const struct buf *body);

/* The head of 200 with a body that ends with the connection. An answer to HEAD is whole
 * by that. */
void respond_stream(struct request *request, const char *type);

/* 200 with JSON. */
void respond_json(struct request *request, const struct buf *body);

/* {"error": text} with an error of errors.def and its status; 503 has a Retry-After. */
void respond_error(struct request *request, enum proto_error error, const char *text);

/* The published refusal of a platform's name that is none. */
void respond_invalid_platform(struct request *request);

/* A `failed` message of the broker. */
void respond_failed(struct request *request, const struct proto_failed *failed);

/* A refusal that knows its status and code; `close` ends the connection. */
void respond_refusal(
    struct request *request, const struct http_refusal *refusal, bool close);

/* The answer for a `failed` message, for pages that write its body themselves. */
struct answer respond_answer_of(const struct proto_failed *failed);

/* An empty buffer for putting a body together before respond(); shared by all. */
struct buf *respond_scratch(void);

#endif
