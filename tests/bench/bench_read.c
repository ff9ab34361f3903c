/*
 * Reads streams of events: opens N connections to /events/stream, says "ready" when all
 * have begun, and counts events until standard input ends and then nothing comes for
 * SILENCE_MS. Prints one line of JSON: how many events the readers got, in which time,
 * and what that cost here.
 *
 * The payloads that the benchmarks send have no line breaks, so an event is one line
 * that begins with "data: ".
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "tests/bench/bench.h"

#define SILENCE_MS 300
#define BUFFER_SIZE (256 * 1024)
#define STDIN_TAG UINT32_MAX

static const char mark[] = "\ndata: ";
#define MARK_LENGTH (sizeof(mark) - 1)

struct reader {
	int fd;
	bool begun;
	size_t matched; /* bytes of the mark at the end of what was read */
	uint64_t events;
};

struct run {
	struct reader *readers;
	uint32_t count;
	uint32_t begun;
	uint32_t open;
	int epoll;
	bool ending; /* standard input has ended */
	uint64_t first;
	uint64_t last;
	uint64_t bytes;
};

static void
watch(const struct run *run, int fd, uint32_t tag)
{
	struct epoll_event event = { .events = EPOLLIN, .data = { .u32 = tag } };

	if (epoll_ctl(run->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		bench_die("epoll: %s", strerror(errno));
}

static int
open_stream(const struct bench_address *to, const char *request)
{
	int fd = socket(to->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 ||
	    connect(fd, (const struct sockaddr *)&to->storage, to->size) < 0 ||
	    write(fd, request, strlen(request)) != (ssize_t)strlen(request) ||
	    fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
		bench_die("cannot open a stream: %s", strerror(errno));
	return fd;
}

/* How many marks end in these bytes. The first byte of the mark occurs in it once, so
 * after a difference the search begins anew. */
static uint64_t
count_events(struct reader *reader, const char *bytes, size_t length)
{
	const char *end = bytes + length;
	uint64_t found = 0;

	while (bytes < end) {
		if (reader->matched == 0) {
			bytes = memchr(bytes, mark[0], (size_t)(end - bytes));
			if (!bytes)
				break;
		}
		if (*bytes == mark[reader->matched]) {
			bytes++;
			reader->matched++;
		} else {
			reader->matched = 0;
		}
		if (reader->matched == MARK_LENGTH) {
			reader->matched = 0;
			found++;
		}
	}
	return found;
}

static void
on_readable(struct run *run, struct reader *reader)
{
	static char buffer[BUFFER_SIZE];
	ssize_t length = read(reader->fd, buffer, sizeof(buffer));
	uint64_t found;

	if (length < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (length <= 0) {
		(void)close(reader->fd);
		run->open--;
		return;
	}
	if (!reader->begun && strncmp(buffer, "HTTP/1.1 200 ", 13) != 0)
		bench_die("refused: %.60s", buffer);
	run->begun += !reader->begun;
	reader->begun = true;
	run->bytes += (uint64_t)length;
	found = count_events(reader, buffer, (size_t)length);
	if (!found)
		return;
	reader->events += found;
	run->last = bench_now();
	if (!run->first)
		run->first = run->last;
}

static void
on_stdin(struct run *run)
{
	char nothing[64];

	if (read(STDIN_FILENO, nothing, sizeof(nothing)) > 0)
		return;
	run->ending = true;
	(void)epoll_ctl(run->epoll, EPOLL_CTL_DEL, STDIN_FILENO, NULL);
}

static void
work(struct run *run)
{
	uint64_t limit = bench_now() + BENCH_SECONDS_MAX * BENCH_NS_PER_S;
	struct epoll_event events[64];
	bool told = false;
	int count;
	int i;

	while (run->open > 0 && bench_now() < limit) {
		count =
		    epoll_wait(run->epoll, events, 64, run->ending ? SILENCE_MS : 1000);
		if (count == 0 && run->ending)
			return;
		for (i = 0; i < count; i++) {
			if (events[i].data.u32 == STDIN_TAG)
				on_stdin(run);
			else
				on_readable(run, &run->readers[events[i].data.u32]);
		}
		if (!told && run->begun == run->count) {
			told = true;
			puts("ready");
			fflush(stdout);
		}
	}
}

static void
print_result(const struct run *run)
{
	uint64_t least = UINT64_MAX;
	uint64_t most = 0;
	uint64_t total = 0;
	uint32_t i;

	for (i = 0; i < run->count; i++) {
		uint64_t events = run->readers[i].events;

		least = events < least ? events : least;
		most = events > most ? events : most;
		total += events;
	}
	printf("{\"readers\":%u,\"least\":%llu,\"most\":%llu,\"events\":%llu,"
	       "\"bytes\":%llu,\"seconds\":%.6f,\"last_ns\":%llu,\"cpu_us\":%.3f}\n",
	    run->count, (unsigned long long)least, (unsigned long long)most,
	    (unsigned long long)total, (unsigned long long)run->bytes,
	    (double)(run->last - run->first) / (double)BENCH_NS_PER_S,
	    (unsigned long long)run->last,
	    total ? (double)bench_cpu() / 1000.0 / (double)total : 0.0);
}

int
main(int argc, char **argv)
{
	struct bench_address address;
	struct run run = { .epoll = epoll_create1(EPOLL_CLOEXEC) };
	char request[512];
	uint32_t i;

	if (argc != 4)
		bench_die("usage: bench_read ADDRESS:PORT READERS QUERY; reads "
			  "/events/stream?QUERY until standard input ends");
	bench_address_read(argv[1], &address);
	run.count = (uint32_t)bench_number("READERS", argv[2], 1, 1000);
	(void)snprintf(request, sizeof(request),
	    "GET /events/stream?%s HTTP/1.1\r\nHost: localhost:%s\r\n\r\n", argv[3],
	    strrchr(argv[1], ':') + 1);
	run.open = run.count;
	run.readers = calloc(run.count, sizeof(*run.readers));
	if (!run.readers || run.epoll < 0)
		bench_die("no memory");
	watch(&run, STDIN_FILENO, STDIN_TAG);
	for (i = 0; i < run.count; i++) {
		run.readers[i].fd = open_stream(&address, request);
		watch(&run, run.readers[i].fd, i);
	}
	work(&run);
	print_result(&run);
	free(run.readers);
	return run.open == run.count ? 0 : 1;
}
