/*
 * Calls to the platforms over HTTPS: one request out, one reply back, on the loop.
 *
 * The only user of libcurl. Every call has the same strict options
 * (reliability.md 3.3): no redirect is followed, the proxies of the environment are
 * ignored, nothing is decompressed, sizes and times are capped, certificates are
 * checked, and a connection is used for one call only, so that libcurl can never send
 * a request twice. Plain http is possible exactly where the given address is http,
 * which the configuration allows for loopback hosts only.
 *
 * Secrets belong into the body or a header line, never into the address. Bodies are
 * secrets on both ways; libcurl's memory is wiped when it is freed.
 */
#ifndef BROKER_OUTBOUND_FETCH_H
#define BROKER_OUTBOUND_FETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/secret.h"

struct event_base;
struct fetcher;
struct fetch;

#define FETCH_BODY_MAX (256 * 1024)        /* bytes of a reply's body */
#define FETCH_HEADER_BYTES_MAX (64 * 1024) /* bytes of a reply's header */
#define FETCH_HEADER_LINES_MAX 128
#define FETCH_CONNECT_MS 5000
#define FETCH_TIMEOUT_MS 15000 /* the longest that a call takes */
#define FETCH_HEADERS_MAX 6    /* header lines that a caller gives */
#define FETCH_RETRY_AFTER_MAX_S 3600

/* To which addresses a call may connect. Judged for every address that is about to be
 * connected to, after names have been looked up, so that no name can lead elsewhere. */
enum fetch_reach {
	FETCH_REACH_configured,  /* wherever the configured address leads */
	FETCH_REACH_public,      /* addresses of the public internet only */
	FETCH_REACH_private_too, /* those of this machine and of private networks too */
};

/* What is asked. Addresses and texts are borrowed until fetch_start returns. */
struct fetch_request {
	const char *method;  /* "GET", "POST" or "DELETE" */
	const char *url;     /* as configured, with a query that holds no secret */
	const char *ca_file; /* PEM file of the only certificates to trust; NULL: the
			      * system's */
	struct secret headers[FETCH_HEADERS_MAX]; /* lines "Name: value" */
	size_t header_count;
	struct secret body;       /* of a POST */
	const char *content_type; /* of the body; NULL: a form */
	unsigned timeout_ms;      /* in all; 0: FETCH_TIMEOUT_MS */
	enum fetch_reach reach;   /* beyond FETCH_REACH_configured, plain http goes to
				   * private addresses only */
	bool patient;             /* the other side may think as long as timeout_ms */
};

/* Adds the header line "<name>: <value>", or "<name>: <scheme> <value>" when `scheme`
 * is not NULL. `value` is copied. */
void fetch_request_header(struct fetch_request *request, const char *name,
    const char *scheme, const struct secret *value);

/* Wipes header lines and body. */
void fetch_request_clear(struct fetch_request *request);

enum fetch_result {
	FETCH_answered,    /* an HTTP reply came, whatever its status */
	FETCH_unreachable, /* the name or the address leads nowhere */
	FETCH_untrusted,   /* TLS or the certificate is not as it must be */
	FETCH_timed_out,
	FETCH_forbidden, /* every address was outside of the request's reach */
	FETCH_too_large, /* header or body beyond the caps */
	FETCH_broken,    /* the connection ended early or is no HTTP */
	FETCH_RESULT_MAX
};

/* What came back; wiped after the callback unless body is moved out. */
struct fetch_reply {
	enum fetch_result result;
	const char *problem; /* static text without foreign parts; "" when answered */
	unsigned status;     /* HTTP status, 0 when not answered */
	struct secret body;
	char content_type[64];  /* lower case, without parameters; "" when absent */
	uint32_t retry_after_s; /* 0: not said; at most FETCH_RETRY_AFTER_MAX_S */
	bool has_date;          /* the reply had a usable Date */
	int64_t skew_ms;        /* how far its clock is ahead of ours */
	bool sent;              /* some byte of the request may have left */
	int64_t started_at;     /* wall clock ms before anything was sent */
};

/* `reply` is good until the callback returns. */
typedef void fetch_done_fn(void *arg, struct fetch_reply *reply);

/* One per process; sets up libcurl with an allocator that wipes. NULL when libcurl
 * cannot be set up. */
struct fetcher *fetcher_new(struct event_base *base);

/* Cancels what is running, without callbacks, and frees. NULL is allowed. */
void fetcher_free(struct fetcher *fetcher);

/* Version of libcurl; static. */
const char *fetch_library_version(void);

/* Calls in progress. */
size_t fetcher_count(const struct fetcher *fetcher);

/* Starts a call; takes the header lines and the body of *request over and empties
 * them. `done` is called once from the loop, never before this has returned and not
 * after fetch_cancel. The result is freed after `done` has returned. */
struct fetch *fetch_start(struct fetcher *fetcher, struct fetch_request *request,
    fetch_done_fn *done, void *arg);

/* Stops a call; `done` is not called. */
void fetch_cancel(struct fetch *fetch);

#endif
