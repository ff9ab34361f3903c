/*
 * The sandbox of the fronts: resource limits, no new code, Landlock without a single
 * grant, and a filter that allows the calls of sandbox_calls.def. Owns nothing but the
 * text of what is in force. Called by main.c when everything is open.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "common/process.h"
#include "common/sandbox.h"
#include "common/sandbox_filter.h"
#include "httpd/sandbox.h"

/* All memory of a front, bytes: the cap of buffers (MEMORY_MAX), what thousands of idle
 * connections keep, and the program itself are far below. */
#define ADDRESS_SPACE_MAX (1024UL * 1024 * 1024)

#define TEST(compare, argument, mask, value) \
	{ SANDBOX_##compare, argument, mask, value },
#define ALLOW(name, reason) { #name, SANDBOX_ALLOW, 0, { { 0 } }, reason },
#define TESTED(name, tests, reason) { #name, SANDBOX_ALLOW, 0, { tests }, reason },
#ifdef STREAMHOLD_SANITIZE
#define ANSWER(name, error, reason)
#define SANITIZER(name, reason) ALLOW(name, reason)
#else
#define ANSWER(name, error, reason) { #name, SANDBOX_ANSWER, error, { { 0 } }, reason },
#define SANITIZER(name, reason)
#endif

static const struct sandbox_call calls[] = {
#include "httpd/sandbox_calls.def"
};

static const struct sandbox_table table = { calls, sizeof(calls) / sizeof(calls[0]),
	SANDBOX_KILL };

static char layers[SANDBOX_TEXT_SIZE];

const char *
sandbox_layers(void)
{
	return layers;
}

void
sandbox_print(FILE *file)
{
	sandbox_filter_print(&table, file);
}

/* A front makes no file and no process. The log may be a file, though. */
static bool
lower_limits(void)
{
	struct stat info = { .st_mode = 0 };
	const bool logs_to_file =
	    fstat(STDERR_FILENO, &info) == 0 && S_ISREG(info.st_mode);
	struct rlimit files = { 0, 0 };
	const bool known = getrlimit(RLIMIT_NOFILE, &files) == 0;
	const struct sandbox_limit limits[] = {
		{ RLIMIT_CORE, 0 },
		{ RLIMIT_MEMLOCK, 0 },
		{ RLIMIT_MSGQUEUE, 0 },
		{ RLIMIT_FSIZE, logs_to_file ? RLIM_INFINITY : 0 },
#ifndef STREAMHOLD_SANITIZE /* whose shadow is larger, and which forks */
		{ RLIMIT_NPROC, 0 },
		{ RLIMIT_AS, ADDRESS_SPACE_MAX },
#endif
		{ RLIMIT_NOFILE, files.rlim_cur },
	};

	return known && sandbox_limits(limits, sizeof(limits) / sizeof(limits[0]));
}

/* Everything, without a grant. Sanitizers read /proc and start a symbolizer. */
static int
enter_landlock(void)
{
	unsigned refuse =
	    SANDBOX_WRITING | SANDBOX_LISTENING | SANDBOX_CALLING | SANDBOX_SIGNALS;

#ifndef STREAMHOLD_SANITIZE
	refuse |= SANDBOX_READING | SANDBOX_RUNNING;
#endif
	return sandbox_landlock(refuse, NULL, 0);
}

void
sandbox_enter(void)
{
	bool no_new_code;
	int abi;
	int result;

	if (!lower_limits())
		fatal(EXIT_START, "sandbox", "resource limits cannot be lowered: %s",
		    strerror(errno));
	no_new_code = sandbox_no_new_code();
	abi = enter_landlock();
	if (abi <= 0)
		log_warning("sandbox",
		    "Landlock is not in force (%s); seccomp alone keeps this front in",
		    abi < 0 ? strerror(-abi) : "this kernel has none");
	sandbox_text(layers, abi, no_new_code, "limits seccomp");
	result = sandbox_filter_load(&table);
	if (result < 0)
		fatal(EXIT_START, "sandbox",
		    "the kernel takes no seccomp filter (%s); a front does not run "
		    "without one: use a kernel with CONFIG_SECCOMP_FILTER, and let no "
		    "container forbid it",
		    strerror(-result));
	log_info("sandbox", "in force: %s", layers);
}
