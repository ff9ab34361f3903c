/*
 * The load generator's parts: one connection (load_conn.c) and the run over all of
 * them (load_run.c). One thread, one epoll set, one request in flight a connection.
 */
#ifndef TESTS_BENCH_LOAD_H
#define TESTS_BENCH_LOAD_H

#include "tests/bench/bench.h"

#define LOAD_HEAD_MAX 8192
#define LOAD_STATUS_MAX 600

/* What is asked of a run. */
struct load_options {
	struct bench_address address;
	const struct bench_request *requests;
	size_t request_count;
	size_t offset;        /* first request to send */
	bool repeat;          /* send requests[0] over and over */
	unsigned connections; /* 1 to BENCH_CONNECTIONS_MAX */
	uint64_t count;       /* requests to send at most */
	uint64_t window;      /* nanoseconds in which requests may be started */
	double rate;          /* requests a second in open loop, 0 for closed loop */
};

/* What came of it. Latencies are those of answered requests. */
struct load_result {
	uint64_t sent;
	uint64_t answered;
	uint64_t statuses[LOAD_STATUS_MAX];
	uint64_t errors;     /* connections that broke with a request in flight */
	uint64_t unanswered; /* still open when the time to wait was over */
	uint64_t unsent;     /* open loop: due, but no connection was free to the end */
	uint64_t reconnects;
	uint64_t elapsed; /* nanoseconds from the start to the last answer */
	uint64_t cpu;
	bool exhausted; /* the prepared requests ended before the time did */
	struct bench_histogram *latencies;
};

struct load_conn {
	int fd; /* -1 when closed */
	bool busy;
	bool watching_out;
	uint64_t since; /* the instant that the latency counts from */
	const struct bench_request *request;
	size_t sent;
	size_t have; /* bytes of the answer's head in `head` */
	bool in_body;
	uint64_t body_left;
	unsigned status;
	bool close_after;
	char head[LOAD_HEAD_MAX];
};

enum load_progress { LOAD_WAIT, LOAD_ANSWERED, LOAD_BROKEN };

/* Opens the connection and adds it to the epoll set with itself as data. Returns 0 or
 * a negative errno; the connection is then closed. */
int load_conn_open(struct load_conn *conn, int epoll, const struct bench_address *to);
void load_conn_close(struct load_conn *conn);

/* Starts a request on an idle connection; `since` is what its latency counts from. */
enum load_progress load_conn_start(struct load_conn *conn, int epoll,
    const struct bench_request *request, uint64_t since);

/* Goes on with whatever the socket is ready for. LOAD_ANSWERED means that the answer
 * is complete and conn->status is set; LOAD_BROKEN that the connection is of no use. */
enum load_progress load_conn_ready(struct load_conn *conn, int epoll, uint32_t events);

/* Does the whole run; ends at the latest LOAD_GRACE after the window. The caller frees
 * ret_result->latencies. */
void load_run(const struct load_options *options, struct load_result *ret_result);

#endif
