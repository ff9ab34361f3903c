/*
 * Moving threads between processors, in place of fixing them to some: a fixed thread
 * would wait for its own processor whatever runs there, and others may be free.
 */
#include <errno.h>
#include <sched.h>

#include "common/processor.h"

int
processor_here(void)
{
	return sched_getcpu();
}

int
processor_leave(int processor)
{
	cpu_set_t usable;
	cpu_set_t others;

	if (sched_getaffinity(0, sizeof(usable), &usable) < 0)
		return -errno;
	others = usable;
	if (processor >= 0 && processor < CPU_SETSIZE)
		CPU_CLR((size_t)processor, &others);
	if (CPU_COUNT(&others) == 0)
		return -ENOENT;
	if (sched_setaffinity(0, sizeof(others), &others) < 0 ||
	    sched_setaffinity(0, sizeof(usable), &usable) < 0)
		return -errno;
	return 0;
}
