/*
 * The load generator's run. Owns all connections and the epoll set; called once by
 * bench_load.
 *
 * Closed loop: every connection sends its next request as soon as it has its answer.
 * Open loop: request number n is due at start + n / rate whatever the server does; when
 * no connection is free it waits, and its latency counts from the instant it was due.
 * So a server that stalls cannot hide the stall by slowing the sender down.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/load.h"

/* How long answers are waited for after the last request may start. */
#define LOAD_GRACE (10 * BENCH_NS_PER_S)
#define EVENTS_AT_ONCE 256

struct run {
	const struct load_options *options;
	struct load_result *result;
	int epoll;
	struct load_conn *conns;
	struct load_conn **idle; /* a stack */
	unsigned idle_count;
	unsigned busy_count;
	size_t next; /* index of the next prepared request */
	uint64_t start;
	uint64_t stop;
};

static uint64_t
due(const struct run *run)
{
	if (run->options->rate <= 0)
		return run->start;
	return run->start +
	    (uint64_t)((double)run->result->sent / run->options->rate *
		(double)BENCH_NS_PER_S);
}

/* Whether one more request is to be sent at all, at this moment or later. */
static bool
more_to_send(struct run *run, uint64_t now)
{
	const struct load_options *options = run->options;

	if ((options->rate > 0 ? due(run) : now) >= run->stop ||
	    run->result->sent >= options->count)
		return false;
	if (!options->repeat && run->next >= options->request_count) {
		run->result->exhausted = true;
		return false;
	}
	return true;
}

static void
make_idle(struct run *run, struct load_conn *conn)
{
	run->idle[run->idle_count++] = conn;
}

static void
drop_idle(struct run *run, const struct load_conn *conn)
{
	unsigned i;

	for (i = 0; i < run->idle_count; i++) {
		if (run->idle[i] == conn) {
			run->idle[i] = run->idle[--run->idle_count];
			return;
		}
	}
}

/* A connection that cannot be opened again is given up: the server is gone. */
static void
reconnect(struct run *run, struct load_conn *conn)
{
	load_conn_close(conn);
	run->result->reconnects++;
	if (load_conn_open(conn, run->epoll, &run->options->address) == 0)
		make_idle(run, conn);
}

static void
on_broken(struct run *run, struct load_conn *conn)
{
	if (conn->busy) {
		run->result->errors++;
		run->busy_count--;
	} else {
		drop_idle(run, conn);
	}
	reconnect(run, conn);
}

static void
on_answer(struct run *run, struct load_conn *conn, uint64_t now)
{
	struct load_result *result = run->result;

	result->answered++;
	result->statuses[conn->status]++;
	result->elapsed = now - run->start;
	bench_histogram_add(result->latencies, now - conn->since);
	run->busy_count--;
	if (conn->close_after)
		reconnect(run, conn);
	else
		make_idle(run, conn);
}

/* Starts what may start. Each pass sends one request, so the loop is bounded. */
static void
start_requests(struct run *run, uint64_t now)
{
	const struct load_options *options = run->options;

	while (run->idle_count > 0 && more_to_send(run, now)) {
		uint64_t since = options->rate > 0 ? due(run) : now;
		struct load_conn *conn;

		if (since > now)
			return;
		conn = run->idle[--run->idle_count];
		run->result->sent++;
		run->busy_count++;
		if (load_conn_start(conn, run->epoll, &options->requests[run->next],
			since) == LOAD_BROKEN)
			on_broken(run, conn);
		if (!options->repeat)
			run->next++;
	}
}

static int
wait_events(struct run *run, struct epoll_event *events, uint64_t now, uint64_t end)
{
	struct timespec wait;
	uint64_t until = end;
	int n;

	if (run->options->rate > 0 && run->idle_count > 0 && more_to_send(run, now) &&
	    due(run) < until)
		until = due(run);
	until = until > now ? until - now : 0;
	wait.tv_sec = (time_t)(until / BENCH_NS_PER_S);
	wait.tv_nsec = (long)(until % BENCH_NS_PER_S);
	n = epoll_pwait2(run->epoll, events, EVENTS_AT_ONCE, &wait, NULL);
	if (n < 0 && errno != EINTR)
		bench_die("epoll_pwait2: %s", strerror(errno));
	return n;
}

static void
loop(struct run *run)
{
	struct epoll_event events[EVENTS_AT_ONCE];
	uint64_t end = run->stop + LOAD_GRACE;
	uint64_t now = bench_now();

	while (now < end) {
		int n;
		int i;

		start_requests(run, now);
		if (run->busy_count == 0 &&
		    (run->idle_count == 0 || !more_to_send(run, now)))
			return;
		n = wait_events(run, events, now, end);
		now = bench_now();
		for (i = 0; i < n; i++) {
			struct load_conn *conn = events[i].data.ptr;
			enum load_progress progress =
			    load_conn_ready(conn, run->epoll, events[i].events);

			/* The clock is read for each answer: a batch takes long
			 * enough to matter. */
			if (progress != LOAD_WAIT)
				now = bench_now();
			if (progress == LOAD_ANSWERED)
				on_answer(run, conn, now);
			else if (progress == LOAD_BROKEN)
				on_broken(run, conn);
			start_requests(run, now);
		}
	}
}

static void
open_all(struct run *run)
{
	unsigned i;

	for (i = 0; i < run->options->connections; i++) {
		int error =
		    load_conn_open(&run->conns[i], run->epoll, &run->options->address);

		if (error)
			bench_die("cannot connect: %s", strerror(-error));
		make_idle(run, &run->conns[i]);
	}
}

/* Requests that were due and never got a connection. */
static uint64_t
count_unsent(const struct run *run, uint64_t now)
{
	const struct load_options *options = run->options;
	uint64_t until = now < run->stop ? now : run->stop;
	uint64_t wanted;

	if (options->rate <= 0 || run->result->exhausted)
		return 0;
	wanted = (uint64_t)((double)(until - run->start) / (double)BENCH_NS_PER_S *
	    options->rate);
	if (wanted > options->count)
		wanted = options->count;
	return wanted > run->result->sent ? wanted - run->result->sent : 0;
}

void
load_run(const struct load_options *options, struct load_result *ret_result)
{
	struct run run = {
		.options = options,
		.result = ret_result,
		.next = options->offset,
	};
	uint64_t cpu;
	unsigned i;

	memset(ret_result, 0, sizeof(*ret_result));
	ret_result->latencies = bench_histogram_new();
	run.epoll = epoll_create1(EPOLL_CLOEXEC);
	run.conns = calloc(options->connections, sizeof(*run.conns));
	run.idle = calloc(options->connections, sizeof(struct load_conn *));
	if (run.epoll < 0 || !run.conns || !run.idle)
		bench_die("cannot set up: %s", strerror(errno));
	open_all(&run);
	cpu = bench_cpu();
	run.start = bench_now();
	run.stop = run.start + options->window;
	loop(&run);
	ret_result->cpu = bench_cpu() - cpu;
	ret_result->unanswered = run.busy_count;
	ret_result->unsent = count_unsent(&run, bench_now());
	for (i = 0; i < options->connections; i++)
		load_conn_close(&run.conns[i]);
	(void)close(run.epoll);
	free(run.idle);
	free(run.conns);
}
