/*
 * Strict reader for one HTTP/1.1 request (RFC 9112, RFC 9110). Pure: no I/O, no
 * allocation, no logging. The connection owns a contiguous buffer, appends what it
 * reads and calls again; the reader remembers where it stopped, so the work is linear
 * in the bytes however they arrive, and the result never depends on how they were cut.
 *
 * Use, with buf pointing at the first byte of the request:
 *
 *	http_parse_init(&parse);
 *	http_parse_head(&parse, buf, length)		until not HTTP_MORE
 *	(check Host, route, method; answer Expect; choose the body limit)
 *	http_parse_body(&parse, buf, length, limit)	until not HTTP_MORE
 *	(handle; the next pipelined request starts at buf + parse.request.consumed)
 *
 * The buffer may move between calls: everything is kept as offsets from buf. Anything
 * that is not plainly legal is HTTP_REFUSED with a status and a stable code; the
 * connection answers that and closes, since the place of the next request is unknown.
 *
 * What is stricter than the RFCs on purpose:
 *  - bare LF, bare CR, leading empty lines, obs-fold, spaces around the name: refused;
 *  - only origin-form targets; CONNECT, TRACE and unknown methods are 501, an Upgrade
 *    header is 501; only HTTP/1.0 and HTTP/1.1, any other version is 505;
 *  - exactly one well-formed Host, in HTTP/1.0 too (whether it is an allowed one is
 *    decided elsewhere); names are letters, digits, '-', '_' and '.', or an IP literal;
 *  - one Content-Length without sign, list or leading zeros; never with
 *    Transfer-Encoding, which must be the one word "chunked" and needs HTTP/1.1;
 *  - chunks have no extensions, at most HTTP_CHUNK_DIGITS_MAX digits, no trailers;
 *  - the connection closes after HTTP/1.0 and after every chunked body.
 * Bytes above 0x7F are let through in header values only (some proxies put city names
 * there); who uses such a value checks it.
 */
#ifndef HTTPD_HTTP_PARSE_H
#define HTTPD_HTTP_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Longest request target in bytes, beyond it 414: an authorization code of 4096 bytes
 * of which each is escaped, and room for the rest of a callback. */
#define HTTP_TARGET_MAX 16384
/* Longest request line without its CRLF: method, target, version and two spaces. */
#define HTTP_REQUEST_LINE_MAX (HTTP_TARGET_MAX + 64)
/* All header lines with their CRLFs and the empty line at the end, beyond it 431. */
#define HTTP_HEADER_BYTES_MAX 16384
/* Header lines, beyond it 431. */
#define HTTP_HEADER_LINES_MAX 64
/* Largest possible head; a buffer of this size and the body limit is always enough. */
#define HTTP_HEAD_MAX (HTTP_REQUEST_LINE_MAX + 2 + HTTP_HEADER_BYTES_MAX)
/* Digits of a Content-Length; one with more is beyond every limit. */
#define HTTP_LENGTH_DIGITS_MAX 15
/* Hexadecimal digits of a chunk size. */
#define HTTP_CHUNK_DIGITS_MAX 8
/* Largest body limit a caller may ask for. */
#define HTTP_BODY_LIMIT_MAX ((size_t)1 << 30)

/* What the reader says about the bytes so far. */
enum http_result {
	HTTP_MORE,    /* legal so far, append and call again */
	HTTP_DONE,    /* the head, or the whole request, is there */
	HTTP_REFUSED, /* see http_parse.refusal; stays so */
};

/* The methods that routes may use; every other one is refused with 501. */
enum http_method {
	HTTP_GET,
	HTTP_HEAD,
	HTTP_POST,
	HTTP_PUT,
	HTTP_DELETE,
	HTTP_OPTIONS,
	HTTP_PATCH,
	HTTP_METHOD_MAX,
};

/* How the end of the body is known. */
enum http_framing {
	HTTP_NO_BODY, /* neither Content-Length nor Transfer-Encoding: body is empty */
	HTTP_LENGTH,  /* Content-Length, possibly 0 */
	HTTP_CHUNKED, /* Transfer-Encoding: chunked, decoded in place */
};

/* A piece of the head, as offset from the first byte of the request. */
struct http_span {
	uint16_t offset;
	uint16_t length;
};

/* One header line; the value is without the white space around it and may be empty. */
struct http_header {
	struct http_span name;
	struct http_span value;
};

/* Bytes somewhere in the caller's buffer, not terminated. */
struct http_text {
	const char *data;
	size_t length;
};

/* Why a request was refused. All texts are static. */
struct http_refusal {
	unsigned status;  /* 400, 413, 414, 417, 431, 501 or 505 */
	const char *code; /* short and stable: "bare_line_feed" */
	const char *text; /* a sentence for a human, free of the client's bytes */
};

/*
 * A request. After http_parse_head() said HTTP_DONE everything down to headers is
 * valid; body_length and consumed after http_parse_body() said HTTP_DONE.
 */
struct http_request {
	enum http_method method;
	enum http_framing framing;
	unsigned minor_version; /* 0 or 1 */
	/* The connection may serve another request after this one. */
	bool keep_alive;
	/* HTTP/1.1, a body is announced and the client waits for 100 before sending. */
	bool expect_continue;
	/* There is a '?', perhaps with nothing behind it. */
	bool has_query;
	struct http_span method_text;
	struct http_span target; /* path, and query with its '?' if there is one */
	struct http_span
	    path; /* starts with '/', still percent-encoded, escapes legal */
	struct http_span query; /* without the '?', still encoded */
	struct http_span host;  /* value of the Host header, well-formed */
	/* Bytes of request line and headers; the body starts here. */
	size_t head_length;
	/* Announced length with HTTP_LENGTH, else 0. UINT64_MAX: too many digits. */
	uint64_t content_length;
	size_t header_count;
	struct http_header headers[HTTP_HEADER_LINES_MAX];
	/* Decoded body: body_length bytes from buf + head_length. */
	size_t body_length;
	/* Bytes of buf this request took; a pipelined one follows. */
	size_t consumed;
};

/* The reader. Fields below "state" belong to http_parse.c and its parts. */
struct http_parse {
	const struct http_refusal *refusal; /* not NULL exactly when refused */
	struct http_request request;
	/* state */
	unsigned step;
	uint32_t seen;       /* bit set of headers that may come once */
	size_t line;         /* where the unfinished line or chunk starts */
	size_t scanned;      /* no line feed between line and here */
	size_t header_start; /* behind the request line */
	size_t chunk_left;   /* bytes of the current chunk still to come */
};

/*
 * Prepare for a new request. Cheap: does not touch the header array, so the struct may
 * be kept per connection and used again and again.
 */
void http_parse_init(struct http_parse *parse);

/*
 * Read request line and headers from buf, which holds length bytes and never fewer than
 * in the call before. HTTP_DONE when the empty line has come, and again on each further
 * call. The buffer is not written to. Reads never go beyond length bytes.
 */
enum http_result
http_parse_head(struct http_parse *parse, const char *buf, size_t length);

/*
 * Read the body after the head is done. limit is the largest decoded body in bytes, at
 * most HTTP_BODY_LIMIT_MAX and the same in every call; a Content-Length or chunk that
 * goes beyond is refused with 413 at once, before its bytes come. Chunked bodies are
 * decoded in place: the bytes behind head_length are rewritten, the ones not yet read
 * stay where they are. HTTP_DONE sets body_length and consumed.
 */
enum http_result
http_parse_body(struct http_parse *parse, char *buf, size_t length, size_t limit);

/*
 * After http_parse_body() said HTTP_MORE: move the bytes not yet decoded down to the
 * end of the decoded body and return the new length of the buffer (unchanged without
 * chunks). Called after each read, the buffer needs no more than HTTP_HEAD_MAX + limit
 * + one read, however small the chunks are; the cost is a few bytes per call.
 */
size_t http_parse_reclaim(struct http_parse *parse, char *buf, size_t length);

/* The bytes of a span. */
static inline struct http_text
http_text(const char *buf, struct http_span span)
{
	return (struct http_text){ buf + span.offset, span.length };
}

/*
 * The value of a header that may come once; name in lower case, compared without case.
 * 0, -ENOENT when there is none, -EEXIST when there are several.
 */
int http_header_find(const struct http_request *request, const char *buf,
    const char *name, struct http_text *ret_value);

/*
 * The first header of that name behind after (NULL: from the start), NULL when there is
 * no other. For headers that may come several times.
 */
const struct http_header *http_header_next(const struct http_request *request,
    const char *buf, const char *name, const struct http_header *after);

/* "GET" and so on; NULL beyond the table. */
const char *http_method_name(enum http_method method);

/* Compare with a lower-case, terminated word without regard to ASCII case. */
bool http_text_is(struct http_text text, const char *lower);

#endif
