/*
 * Kills a process at one of its system calls, or tells which it makes:
 *
 *   kill_at_call PID                     a line "THREAD CALL NTH enter|exit" for each
 * stop kill_at_call PID THREAD CALL NTH enter|exit the same lines; SIGKILL at the stop
 * that is named
 *
 * THREAD counts the threads by age (0 is the first), CALL is the number of the system
 * call, NTH counts that call in that thread. "enter" is before the kernel has done
 * anything, "exit" when it has done all and the process does not know it yet, so that
 * each effect of the process on the world is once its last.
 *
 * "ready" is printed when all threads are traced and rest. Lines begin with the accept4
 * of the request that the caller then makes. Ends with "killed", or lets go of the
 * process when it is itself ended. Started by test_refresh_calls.py and others; needs
 * root, since the daemons are not dumpable.
 */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS_MAX 64
#define CALLS_MAX 512
/* Nothing stops for so long: the process rests. */
#define REST_MS 6

struct thread {
	pid_t id;
	uint64_t call; /* that it is in */
	unsigned made[CALLS_MAX];
};

/* Where the process is to be killed. */
struct place {
	bool wanted;
	unsigned thread;
	uint64_t call;
	unsigned nth;
	bool enter;
};

/* What a crash afterwards cannot undo. */
static const uint64_t effects[] = { SYS_write, SYS_writev, SYS_pwrite64, SYS_sendto,
	SYS_sendmsg, SYS_fsync, SYS_fdatasync, SYS_ftruncate, SYS_unlink, SYS_rename };

static struct thread threads[THREADS_MAX];
static unsigned thread_count;
static bool recording;

static void
die(const char *what)
{
	(void)fprintf(stderr, "kill_at_call: %s: %s\n", what, strerror(errno));
	exit(1);
}

static unsigned long
read_number(const char *text)
{
	char *end;
	unsigned long number = strtoul(text, &end, 10);

	if (end == text || *end)
		die(text);
	return number;
}

static unsigned
thread_index(pid_t id)
{
	unsigned i;

	for (i = 0; i < thread_count; i++)
		if (threads[i].id == id)
			return i;
	if (thread_count == THREADS_MAX)
		die("too many threads");
	threads[thread_count].id = id;
	return thread_count++;
}

static bool
is_known(pid_t id)
{
	unsigned i;

	for (i = 0; i < thread_count; i++)
		if (threads[i].id == id)
			return true;
	return false;
}

/* ---- Attaching ---- */

static bool
seize(pid_t id)
{
	const unsigned long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE;

	if (ptrace(PTRACE_SEIZE, id, NULL, options) < 0) {
		if (errno == ESRCH)
			return false;
		die("PTRACE_SEIZE");
	}
	(void)thread_index(id);
	return ptrace(PTRACE_INTERRUPT, id, NULL, NULL) == 0;
}

static int
compare_ids(const void *a, const void *b)
{
	return *(const pid_t *)a - *(const pid_t *)b;
}

/* Threads that were not known; true when there were any. */
static bool
seize_new(pid_t process)
{
	pid_t found[THREADS_MAX];
	unsigned count = 0;
	struct dirent *entry;
	char path[64];
	unsigned i;
	DIR *folder;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)process);
	folder = opendir(path);
	if (!folder)
		die(path);
	while ((entry = readdir(folder)) && count < THREADS_MAX) {
		pid_t id = (pid_t)strtol(entry->d_name, NULL, 10);

		if (id > 0 && !is_known(id))
			found[count++] = id;
	}
	closedir(folder);
	qsort(found, count, sizeof(found[0]), compare_ids);
	for (i = 0; i < count; i++)
		(void)seize(found[i]);
	return count > 0;
}

/* ---- Following ---- */

static bool
has_effect(uint64_t call)
{
	size_t i;

	for (i = 0; i < sizeof(effects) / sizeof(effects[0]); i++)
		if (effects[i] == call)
			return true;
	return false;
}

static bool
is_here(const struct place *place, unsigned thread, uint64_t call, bool enter)
{
	return place->wanted && place->thread == thread && place->call == call &&
	    place->nth == threads[thread].made[call] && place->enter == enter;
}

/* A system call begins or ends; true when this is the place. */
static bool
on_call(pid_t id, const struct place *place)
{
	struct __ptrace_syscall_info info;
	unsigned index = thread_index(id);
	struct thread *thread = &threads[index];
	bool enter;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, id, sizeof(info), &info) <= 0)
		return false;
	enter = info.op == PTRACE_SYSCALL_INFO_ENTRY;
	if (enter)
		thread->call = info.entry.nr;
	if (thread->call >= CALLS_MAX)
		return false;
	if (enter && thread->call == SYS_accept4)
		recording = true;
	if (!recording)
		return false;
	if (enter)
		thread->made[thread->call]++;
	printf("%u %u %u %s%s\n", index, (unsigned)thread->call,
	    thread->made[thread->call], enter ? "enter" : "exit",
	    has_effect(thread->call) ? " effect" : "");
	return is_here(place, index, thread->call, enter);
}

/* One stop of one thread; true when the process is to die in it. */
static bool
on_stop(pid_t id, int status, const struct place *place)
{
	int signal_number = WSTOPSIG(status);
	int event = status >> 16;
	int pass = 0;

	if (signal_number == (SIGTRAP | 0x80)) {
		if (on_call(id, place))
			return true;
	} else if (event == 0) {
		pass = signal_number;
	}
	if (ptrace(PTRACE_SYSCALL, id, NULL, pass) < 0 && errno != ESRCH)
		die("PTRACE_SYSCALL");
	return false;
}

/* Lets the process go on until nothing happens for REST_MS. */
static void
settle(pid_t process)
{
	static const struct place nowhere;
	bool again = true;
	int status;
	pid_t id;

	while (again) {
		again = seize_new(process);
		(void)poll(NULL, 0, REST_MS);
		while ((id = waitpid(-1, &status, __WALL | WNOHANG)) > 0) {
			again = true;
			if (WIFSTOPPED(status))
				(void)on_stop(id, status, &nowhere);
		}
		if (id < 0)
			die("the process went");
	}
}

static void
follow(pid_t process, const struct place *place)
{
	int status;
	pid_t id;

	while ((id = waitpid(-1, &status, __WALL)) > 0) {
		if (WIFSTOPPED(status) && on_stop(id, status, place)) {
			(void)kill(process, SIGKILL);
			printf("killed\n");
			return;
		}
		if (!WIFSTOPPED(status) && id == process)
			die("the process ended by itself");
	}
	die("waitpid");
}

int
main(int argc, char **argv)
{
	struct place place = { .wanted = argc == 6 };
	pid_t process;

	if (argc != 2 && argc != 6)
		die("usage: kill_at_call PID [THREAD CALL NTH enter|exit]");
	setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
	process = (pid_t)read_number(argv[1]);
	if (place.wanted) {
		place.thread = (unsigned)read_number(argv[2]);
		place.call = read_number(argv[3]);
		place.nth = (unsigned)read_number(argv[4]);
		place.enter = strcmp(argv[5], "enter") == 0;
	}
	settle(process);
	printf("ready\n");
	follow(process, &place);
	return 0;
}
