/*
 * bench_load: sends prepared requests (or one GET over and over) to a server on this
 * machine, in closed or open loop, and prints one line of JSON about the answers.
 * Bounded in count and time, loopback only, ends by itself.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/bench/load.h"

/* Beyond window and grace; the kernel ends a run that hangs all the same. */
#define WATCHDOG_SECONDS 30
#define GET_MAX 4096

static const char usage[] =
    "usage: bench_load -a ADDRESS:PORT [options] FILE\n"
    "       bench_load -a ADDRESS:PORT [options] -G PATH [-H HOST]\n"
    "  -c N   connections (64)\n"
    "  -d S   seconds in which requests are started (2)\n"
    "  -n N   requests to send at most\n"
    "  -o N   first request of FILE to send (0)\n"
    "  -R N   open loop: N requests a second, latency from the instant each is due\n"
    "  -G P   send GET P over and over instead of FILE\n"
    "  -H H   Host of that GET (localhost and the port)\n"
    "FILE is made by bench_sign. Only loopback addresses are accepted.\n";

static void
make_get(const char *path, const char *host, struct load_options *options)
{
	static char text[GET_MAX];
	static struct bench_request request = { text, 0 };
	int size;

	if (path[0] != '/' || strpbrk(path, " \r\n") || strpbrk(host, " \r\n"))
		bench_die("-G and -H: no path and host of a request");
	size = snprintf(text, sizeof(text),
	    "GET %s HTTP/1.1\r\nHost: %s\r\nAccept: application/json\r\n"
	    "User-Agent: streamhold-bench\r\n\r\n",
	    path, host);
	if (size < 0 || (size_t)size >= sizeof(text))
		bench_die("-G: the path is too long");
	request.size = (size_t)size;
	options->requests = &request;
	options->request_count = 1;
	options->repeat = true;
	options->offset = 0;
}

static void
take_file(const char *path, struct load_options *options)
{
	struct bench_corpus corpus;

	bench_corpus_load(path, &corpus);
	if (options->offset >= corpus.count)
		bench_die("-o %zu: %s has only %zu requests", options->offset, path,
		    corpus.count);
	options->requests = corpus.requests;
	options->request_count = corpus.count;
}

static void
read_options(int argc, char **argv, struct load_options *options)
{
	const char *address = NULL;
	const char *path = NULL;
	char host[64] = "";
	double seconds = 2;
	int option;

	while ((option = getopt(argc, argv, "a:c:d:n:o:R:G:H:h")) != -1) {
		switch (option) {
		case 'a':
			address = optarg;
			break;
		case 'c':
			options->connections = (unsigned)bench_number(
			    "-c", optarg, 1, BENCH_CONNECTIONS_MAX);
			break;
		case 'd':
			seconds = bench_fraction("-d", optarg, 0.01, BENCH_SECONDS_MAX);
			break;
		case 'n':
			options->count =
			    bench_number("-n", optarg, 1, BENCH_REQUESTS_MAX);
			break;
		case 'o':
			options->offset =
			    (size_t)bench_number("-o", optarg, 0, BENCH_REQUESTS_MAX);
			break;
		case 'R':
			options->rate = bench_fraction("-R", optarg, 1, BENCH_RATE_MAX);
			break;
		case 'G':
			path = optarg;
			break;
		case 'H':
			if (snprintf(host, sizeof(host), "%s", optarg) >=
			    (int)sizeof(host))
				bench_die("-H: the host is too long");
			break;
		default:
			fputs(usage, option == 'h' ? stdout : stderr);
			exit(option == 'h' ? 0 : 2);
		}
	}
	if (!address || (path ? optind != argc : optind != argc - 1)) {
		fputs(usage, stderr);
		exit(2);
	}
	options->window = (uint64_t)(seconds * (double)BENCH_NS_PER_S);
	bench_address_read(address, &options->address);
	if (path) {
		if (!host[0])
			(void)snprintf(
			    host, sizeof(host), "localhost%s", strrchr(address, ':'));
		make_get(path, host, options);
	} else {
		take_file(argv[optind], options);
	}
}

/* As many descriptors as connections need, as far as the hard limit allows. */
static void
raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

static double
microseconds(uint64_t nanoseconds)
{
	return (double)nanoseconds / 1000;
}

static void
print_statuses(const struct load_result *result)
{
	const char *comma = "";
	unsigned i;

	printf(",\"statuses\":{");
	for (i = 0; i < LOAD_STATUS_MAX; i++) {
		if (result->statuses[i] == 0)
			continue;
		printf(
		    "%s\"%u\":%llu", comma, i, (unsigned long long)result->statuses[i]);
		comma = ",";
	}
	printf("}");
}

static void
print_result(const struct load_options *options, const struct load_result *result)
{
	const struct bench_histogram *times = result->latencies;
	double seconds = (double)result->elapsed / (double)BENCH_NS_PER_S;
	double answered = (double)result->answered;
	uint64_t ok = result->statuses[200];
	uint64_t refused = result->statuses[401];

	printf("{\"mode\":\"%s\",\"connections\":%u",
	    options->rate > 0 ? "open" : "closed", options->connections);
	if (options->rate > 0)
		printf(",\"asked_rate\":%.1f", options->rate);
	printf(",\"seconds\":%.4f,\"sent\":%llu,\"answered\":%llu", seconds,
	    (unsigned long long)result->sent, (unsigned long long)result->answered);
	printf(",\"ok\":%llu,\"unauthorized\":%llu,\"other\":%llu",
	    (unsigned long long)ok, (unsigned long long)refused,
	    (unsigned long long)(result->answered - ok - refused));
	printf(
	    ",\"errors\":%llu,\"unanswered\":%llu,\"unsent\":%llu,\"reconnects\":%llu",
	    (unsigned long long)result->errors, (unsigned long long)result->unanswered,
	    (unsigned long long)result->unsent, (unsigned long long)result->reconnects);
	print_statuses(result);
	printf(",\"rate\":%.1f,\"ok_rate\":%.1f", seconds > 0 ? answered / seconds : 0,
	    seconds > 0 ? (double)ok / seconds : 0);
	printf(",\"p50_us\":%.1f,\"p90_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f",
	    microseconds(bench_histogram_at(times, 0.5)),
	    microseconds(bench_histogram_at(times, 0.9)),
	    microseconds(bench_histogram_at(times, 0.99)),
	    microseconds(bench_histogram_at(times, 0.999)));
	printf(",\"max_us\":%.1f,\"cpu_us_per_request\":%.3f",
	    microseconds(bench_histogram_max(times)),
	    answered > 0 ? microseconds(result->cpu) / answered : 0);
	printf(",\"exhausted\":%s,\"next_offset\":%llu}\n",
	    result->exhausted ? "true" : "false",
	    (unsigned long long)(options->offset +
		(options->repeat ? 0 : result->sent)));
}

int
main(int argc, char **argv)
{
	struct load_options options = {
		.connections = 64,
		.count = BENCH_REQUESTS_MAX,
	};
	struct load_result result;

	read_options(argc, argv, &options);
	raise_descriptor_limit();
	(void)alarm((unsigned)(options.window / BENCH_NS_PER_S) + WATCHDOG_SECONDS);
	bench_give_way();
	load_run(&options, &result);
	print_result(&options, &result);
	bench_histogram_free(result.latencies);
	return result.answered > 0 ? 0 : 1;
}
