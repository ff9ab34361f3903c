/*
 * The clocks of a machine that was suspended: loaded into a daemon (LD_PRELOAD), it
 * adds what the file $STREAMHOLD_SUSPEND begins with (a number of seconds, eight bytes
 * in the machine's order) to the clocks that go on during suspend, and nothing to
 * CLOCK_MONOTONIC, which stands still. The file is mapped, so that a change is seen at
 * once.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

typedef int clock_fn(clockid_t clock, struct timespec *now);

static const int64_t *slept_s;

__attribute__((constructor)) static void
map_file(void)
{
	const char *path = getenv("STREAMHOLD_SUSPEND");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *mapped;

	if (fd < 0)
		return;
	mapped = mmap(NULL, sizeof(*slept_s), PROT_READ, MAP_SHARED, fd, 0);
	(void)close(fd);
	if (mapped != MAP_FAILED)
		slept_s = mapped;
}

int
clock_gettime(clockid_t clock, struct timespec *now)
{
	static clock_fn *real;
	int result;

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
	result = real(clock, now);
	if (result == 0 && slept_s &&
	    (clock == CLOCK_BOOTTIME || clock == CLOCK_REALTIME))
		now->tv_sec += *slept_s;
	return result;
}
