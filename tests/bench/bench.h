/*
 * What the benchmark programs share: the clock, strict reading of numbers and loopback
 * addresses, the file of prepared requests, and a histogram of latencies. These
 * programs end themselves on the first error; nothing here is used by Streamhold.
 */
#ifndef TESTS_BENCH_BENCH_H
#define TESTS_BENCH_BENCH_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define BENCH_NS_PER_S UINT64_C(1000000000)

/* Digits before each record of a file of requests, and the largest record. */
#define BENCH_LENGTH_DIGITS 8
#define BENCH_REQUEST_MAX 400000

/* Bounds of every run, whatever the arguments ask for. */
#define BENCH_CONNECTIONS_MAX 4096
#define BENCH_SECONDS_MAX 120
#define BENCH_REQUESTS_MAX 20000000
#define BENCH_RATE_MAX 1000000

/* Prints "program: text" to standard error and ends the process with status 2. */
__attribute__((format(printf, 1, 2), noreturn)) void bench_die(const char *format, ...);

/* Makes this process batch work to the scheduler, as the daemons are: a sender
 * elsewhere does not interrupt a server with each answer, so one on the same CPUs
 * should not either. */
void bench_give_way(void);

/* Monotonic time in nanoseconds. */
uint64_t bench_now(void);

/* CPU time of this process in nanoseconds, user and system. */
uint64_t bench_cpu(void);

/* Reads a whole decimal number or a decimal fraction within [min, max]; ends the
 * process naming `what` otherwise. */
uint64_t bench_number(const char *what, const char *text, uint64_t min, uint64_t max);
double bench_fraction(const char *what, const char *text, double min, double max);

/* A loopback address to connect to or to listen on. */
struct bench_address {
	struct sockaddr_storage storage;
	socklen_t size;
};

/* Reads "127.x.y.z:PORT", "[::1]:PORT" or "localhost:PORT"; ends the process for
 * anything else, so that no benchmark ever leaves the machine. */
void bench_address_read(const char *text, struct bench_address *ret_address);

struct bench_request {
	const char *bytes;
	size_t size;
};

/* The requests of a file made by bench_sign, mapped into memory for good. */
struct bench_corpus {
	struct bench_request *requests;
	size_t count;
};

/* Maps the file (8 ASCII digits of length, then the raw request, repeated) and finds
 * its records; ends the process when it is not such a file. */
void bench_corpus_load(const char *path, struct bench_corpus *ret_corpus);

/* Latencies in nanoseconds, in buckets less than 1 % wide. */
struct bench_histogram;

struct bench_histogram *bench_histogram_new(void);
void bench_histogram_free(struct bench_histogram *histogram);
void bench_histogram_add(struct bench_histogram *histogram, uint64_t nanoseconds);

/* The smallest latency that `part` (0 to 1) of all do not exceed; 0 when empty. */
uint64_t bench_histogram_at(const struct bench_histogram *histogram, double part);
uint64_t bench_histogram_max(const struct bench_histogram *histogram);

#endif
