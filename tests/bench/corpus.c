/*
 * Reads the file of prepared requests that bench_sign writes: 8 ASCII digits of
 * length, then the raw request, again and again. The file is mapped and its pages are
 * brought in at once, so that reading it costs nothing while the load runs.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/bench/bench.h"

/* Returns 0 when the digits are not a length that fits into what is left. */
static size_t
record_size(const char *at, size_t left)
{
	size_t size = 0;
	int i;

	if (left < BENCH_LENGTH_DIGITS)
		return 0;
	for (i = 0; i < BENCH_LENGTH_DIGITS; i++) {
		if (at[i] < '0' || at[i] > '9')
			return 0;
		size = size * 10 + (size_t)(at[i] - '0');
	}
	if (size > BENCH_REQUEST_MAX || size > left - BENCH_LENGTH_DIGITS)
		return 0;
	return size;
}

static const char *
map_file(const char *path, size_t *ret_size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat stat;
	void *bytes;

	if (fd < 0 || fstat(fd, &stat) < 0)
		bench_die("%s: %s", path, strerror(errno));
	if (!S_ISREG(stat.st_mode) || stat.st_size == 0)
		bench_die("%s: no file of requests", path);
	bytes = mmap(
	    NULL, (size_t)stat.st_size, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (bytes == MAP_FAILED)
		bench_die("%s: %s", path, strerror(errno));
	(void)close(fd);
	*ret_size = (size_t)stat.st_size;
	return bytes;
}

void
bench_corpus_load(const char *path, struct bench_corpus *ret_corpus)
{
	struct bench_corpus corpus = { NULL, 0 };
	size_t room = 0;
	size_t left;
	const char *at = map_file(path, &left);

	while (left > 0) {
		size_t size = record_size(at, left);

		if (size == 0 || corpus.count == BENCH_REQUESTS_MAX)
			bench_die("%s: no record at number %zu", path, corpus.count);
		if (corpus.count == room) {
			room = room ? room * 2 : 4096;
			corpus.requests = reallocarray(
			    corpus.requests, room, sizeof(*corpus.requests));
			if (!corpus.requests)
				bench_die("out of memory");
		}
		corpus.requests[corpus.count++] =
		    (struct bench_request){ at + BENCH_LENGTH_DIGITS, size };
		at += BENCH_LENGTH_DIGITS + size;
		left -= BENCH_LENGTH_DIGITS + size;
	}
	*ret_corpus = corpus;
}
