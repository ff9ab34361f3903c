/*
 * Clock, numbers, loopback addresses and the one way to fail, for the benchmark
 * programs.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/bench/bench.h"

void
bench_die(const char *format, ...)
{
	va_list arguments;

	fprintf(stderr, "%s: ", program_invocation_short_name);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	exit(2);
}

void
bench_give_way(void)
{
	const struct sched_param none = { .sched_priority = 0 };

	(void)sched_setscheduler(0, SCHED_BATCH, &none);
}

static uint64_t
clock_ns(clockid_t id)
{
	struct timespec time;

	if (clock_gettime(id, &time) < 0)
		bench_die("clock_gettime: %s", strerror(errno));
	return (uint64_t)time.tv_sec * BENCH_NS_PER_S + (uint64_t)time.tv_nsec;
}

uint64_t
bench_now(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

uint64_t
bench_cpu(void)
{
	return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

uint64_t
bench_number(const char *what, const char *text, uint64_t min, uint64_t max)
{
	unsigned long long value;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || errno || value < min ||
	    value > max)
		bench_die("%s: '%s' is not a number from %llu to %llu", what, text,
		    (unsigned long long)min, (unsigned long long)max);
	return value;
}

double
bench_fraction(const char *what, const char *text, double min, double max)
{
	double value;
	char *end;

	value = strtod(text, &end);
	if (end == text || *end || !(value >= min && value <= max))
		bench_die(
		    "%s: '%s' is not a number from %g to %g", what, text, min, max);
	return value;
}

static bool
loopback_v4(const char *host, unsigned port, struct bench_address *ret_address)
{
	struct sockaddr_in v4 = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
	};

	if (!strcmp(host, "localhost"))
		host = "127.0.0.1";
	if (inet_pton(AF_INET, host, &v4.sin_addr) != 1 ||
	    ntohl(v4.sin_addr.s_addr) >> 24 != 127)
		return false;
	memcpy(&ret_address->storage, &v4, sizeof(v4));
	ret_address->size = sizeof(v4);
	return true;
}

static bool
loopback_v6(const char *host, unsigned port, struct bench_address *ret_address)
{
	struct sockaddr_in6 v6 = {
		.sin6_family = AF_INET6,
		.sin6_addr = IN6ADDR_LOOPBACK_INIT,
		.sin6_port = htons((uint16_t)port),
	};

	if (strcmp(host, "[::1]"))
		return false;
	memcpy(&ret_address->storage, &v6, sizeof(v6));
	ret_address->size = sizeof(v6);
	return true;
}

void
bench_address_read(const char *text, struct bench_address *ret_address)
{
	const char *colon = strrchr(text, ':');
	char host[32] = "";
	unsigned port;

	if (!colon || (size_t)(colon - text) >= sizeof(host))
		bench_die("address '%s' is not HOST:PORT of this machine", text);
	memcpy(host, text, (size_t)(colon - text));
	port = (unsigned)bench_number("port", colon + 1, 0, 65535);
	memset(ret_address, 0, sizeof(*ret_address));
	if (!loopback_v4(host, port, ret_address) &&
	    !loopback_v6(host, port, ret_address))
		bench_die("address '%s' is not a loopback address", text);
}
