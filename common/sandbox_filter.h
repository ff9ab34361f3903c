/*
 * The system call filter: a table of calls, each with what happens and why, becomes a
 * seccomp filter for every thread of the process. The only user of libseccomp.
 *
 * Release builds kill the process; the kernel then tells the number of the call in its
 * log (audit type 1326). Builds with TEST_BUILD or SANDBOX_TRACE name the call on
 * standard error first, and then die of SIGSYS all the same. No build goes on.
 */
#ifndef COMMON_SANDBOX_FILTER_H
#define COMMON_SANDBOX_FILTER_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum sandbox_action { SANDBOX_ALLOW, SANDBOX_ANSWER, SANDBOX_KILL };

/* A call matches when (argument & mask) equals, is not, or is above the value. */
enum sandbox_compare { SANDBOX_ANY, SANDBOX_IS, SANDBOX_IS_NOT, SANDBOX_ABOVE };

/* The value that stands for the process's own id. */
#define SANDBOX_OWN_PID UINT64_MAX

struct sandbox_test {
	enum sandbox_compare compare;
	unsigned argument; /* 0 to 5 */
	uint64_t mask;     /* only for SANDBOX_IS */
	uint64_t value;
};

#define SANDBOX_TESTS_MAX 2

struct sandbox_call {
	const char *name; /* left out where the architecture has none of that name */
	enum sandbox_action action;
	int error; /* of SANDBOX_ANSWER */
	struct sandbox_test tests[SANDBOX_TESTS_MAX];
	const char *reason;
};

struct sandbox_table {
	const struct sandbox_call *calls; /* the most frequent first */
	size_t count;
	enum sandbox_action other; /* SANDBOX_ALLOW or SANDBOX_KILL, for all others */
};

/* The last call of Linux 6.18. Where others are killed, those from here to
 * SANDBOX_FUTURE_LAST are answered ENOSYS, with which libraries fall back on older
 * ones. */
#define SANDBOX_KNOWN_LAST 470
#define SANDBOX_FUTURE_LAST 511

/* Puts the filter in force, for all threads and for what they start. 0, or a negative
 * errno: then nothing is in force. */
int sandbox_filter_load(const struct sandbox_table *table);

/* Prints a line a row: name, action, tests, reason, separated by tabs. Names that this
 * architecture lacks are left out. */
void sandbox_filter_print(const struct sandbox_table *table, FILE *file);

#endif
