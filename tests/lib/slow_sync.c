/*
 * A slow disk: loaded into a daemon (LD_PRELOAD), it makes each fdatasync and fsync
 * take $STREAMHOLD_SLOW_SYNC_US microseconds longer. For tests/bench/slow_disk.
 */
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

typedef int sync_fn(int fd);

static struct timespec delay;

__attribute__((constructor)) static void
read_delay(void)
{
	const char *text = getenv("STREAMHOLD_SLOW_SYNC_US");
	long us = text ? strtol(text, NULL, 10) : 0;

	if (us > 0)
		delay = (struct timespec){ .tv_sec = us / 1000000,
			.tv_nsec = us % 1000000 * 1000 };
}

static int
sync_slowly(const char *name, int fd)
{
	sync_fn *real;
	int result;

	*(void **)&real = dlsym(RTLD_NEXT, name);
	result = real(fd);
	(void)nanosleep(&delay, NULL);
	return result;
}

int
fdatasync(int fd)
{
	return sync_slowly("fdatasync", fd);
}

int
fsync(int fd)
{
	return sync_slowly("fsync", fd);
}
