/*
 * One HTTP request in progress: what was asked, what the broker is asked for it, and
 * memory that lives until it is answered. Each connection has exactly one.
 */
#ifndef HTTPD_REQUEST_H
#define HTTPD_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "httpd/broker_link.h"
#include "httpd/http_parse.h"
#include "httpd/url.h"
#include "proto/proto.h"

struct conn;
struct httpd;
struct request;
struct route;

/* Small texts live inside the request, longer ones beside it. */
#define REQUEST_SPACE 160
#define REQUEST_KEPT_MAX 12

/* An answer of the broker: a row (`last` false), or the final message. Failures go to
 * on_failed, or are answered by the table of errors.def. */
typedef void
request_answer_fn(struct request *request, struct proto_msg *answer, bool last);
typedef void
request_failed_fn(struct request *request, const struct proto_failed *failed);
/* The broker is to be asked again: forget the rows so far, or answer without it. */
typedef void request_restart_fn(struct request *request);

struct request {
	struct httpd *httpd;
	struct conn *conn;
	const struct route *route;         /* NULL until it is found */
	const struct http_request *parsed; /* of the connection's reader */
	char *bytes; /* first byte of the request; stays until the answer */
	bool head;   /* answer without body */
	bool close;  /* the connection ends with this answer */
	bool answered;
	bool secret;             /* wipe what was read and written */
	const char *platform;    /* of the path; static text */
	const char *parameter;   /* the path's other part, decoded; kept */
	size_t parameter_length; /* bytes of it */

	struct proto_msg msg; /* what the broker is asked */
	struct link_request ask;
	request_answer_fn *on_answer;
	request_failed_fn *on_failed;   /* NULL: as errors.def says */
	request_restart_fn *on_restart; /* NULL: nothing to forget */

	/* For pages that collect rows. */
	struct buf body;
	struct buf part; /* what goes behind the body */
	size_t rows;
	const char *list; /* the name of what they are a list of; static text */
	size_t missing; /* bytes of a row still to come */

	size_t space_used;
	size_t kept_count;
	struct {
		char *text;
		size_t length;
	} kept[REQUEST_KEPT_MAX];
	char space[REQUEST_SPACE];
};

/* Prepares for a new request of a connection. */
void request_begin(struct request *request, struct httpd *httpd, struct conn *conn);

/* Cancels what the broker was asked, wipes and frees all memory. May be called again.
 */
void request_end(struct request *request);

/* A terminated copy that lives until the request ends and is wiped then. */
char *request_keep(struct request *request, const void *bytes, size_t length);

/* Asks the broker request->msg. The page returns then; on_answer calls back, never
 * before request_ask has returned. When too many wait already, 503 is answered. */
void request_ask(
    struct request *request, unsigned deadline_ms, request_answer_fn *on_answer);

/* Decodes the query into memory shared by all requests, good until the page returns.
 * 0; or the request was answered 400 and the caller returns. */
int request_query(struct request *request, const struct url_query **ret_query);

/* Wipes that memory: codes and states pass through it. */
void request_query_wipe(void);

/* The value of a query parameter that may come once. NULL when there is none or it is
 * empty; *ret_several tells (when not NULL) that it came more than once. */
const struct url_text *request_parameter(const struct url_query *query,
    const char *name, struct url_text *value, bool *ret_several);

/* The value of a header that may come once: 0, -ENOENT or -EEXIST. */
int request_header(
    const struct request *request, const char *name, struct http_text *ret_value);

/* The decoded body. */
static inline char *
request_body(const struct request *request)
{
	return request->bytes + request->parsed->head_length;
}

#endif
