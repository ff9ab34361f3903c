/*
 * What a daemon takes from itself before it listens to anybody: resource limits and
 * Landlock. The system call filter is common/sandbox_filter.h, which needs libseccomp.
 *
 * Landlock is best effort, since kernels differ: which of its versions (ABI) is in
 * force is told, and nothing fails without it. Its numbers are defined here, as the
 * headers of older distributions lack most of them.
 */
#ifndef COMMON_SANDBOX_H
#define COMMON_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

/* The layers in force, as words separated by spaces, for the report and for
 * `listening`; bytes with the NUL. */
#define SANDBOX_TEXT_SIZE 128

/* What Landlock is to refuse, beside what `grants` allow. */
enum {
	SANDBOX_WRITING = 1,   /* writing, making, moving and removing files */
	SANDBOX_READING = 2,   /* reading files and folders */
	SANDBOX_RUNNING = 4,   /* starting programs */
	SANDBOX_LISTENING = 8, /* binding TCP ports */
	SANDBOX_CALLING = 16,  /* TCP and Unix connections, abstract names included */
	SANDBOX_SIGNALS = 32,  /* signals to processes that it has not started */
};

/* What is allowed all the same, beneath a folder or for one file. */
struct sandbox_grant {
	const char *path; /* left out when it does not exist; NULL is left out too */
	unsigned what;    /* SANDBOX_WRITING, _READING, _RUNNING */
};

/* Restricts the calling thread, and the threads and programs that it starts from then
 * on; needs no-new-privs. Gives the ABI that is in force, 0 when the kernel has none,
 * or a negative errno when it refused. */
int sandbox_landlock(
    unsigned refuse, const struct sandbox_grant *grants, size_t grant_count);

struct sandbox_limit {
	int resource; /* RLIMIT_... */
	rlim_t most;
};

/* Lowers limits, soft and hard; those that are lower already stay. False when one could
 * not be lowered. */
bool sandbox_limits(const struct sandbox_limit *limits, size_t count);

/* Refuses memory that is writable and executable, for good (PR_SET_MDWE, Linux 6.3).
 * False when the kernel cannot. */
bool sandbox_no_new_code(void);

/* Writes what is in force into `text` (SANDBOX_TEXT_SIZE bytes): what the kernel says
 * of this process, the ABI of Landlock, memory without new code, and the words in
 * `more`. */
void sandbox_text(char *text, int landlock_abi, bool no_new_code, const char *more);

#endif
