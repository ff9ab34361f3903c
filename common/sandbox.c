/*
 * Landlock by its raw system calls, resource limits, and what the kernel says is in
 * force. Called by httpd/sandbox.c and broker/sandbox.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/sandbox.h"

/* The same on every architecture. */
#define CALL_CREATE_RULESET 444
#define CALL_ADD_RULE 445
#define CALL_RESTRICT_SELF 446

#define CREATE_RULESET_VERSION 1U
#define RULE_PATH_BENEATH 1

/* Rights on files (linux/landlock.h), and with which ABI they came. */
#define FS_EXECUTE (1ULL << 0)
#define FS_WRITE_FILE (1ULL << 1)
#define FS_READ_FILE (1ULL << 2)
#define FS_READ_DIR (1ULL << 3)
#define FS_MAKE_AND_REMOVE 0x1ff0ULL /* bits 4 to 12 */
#define FS_REFER (1ULL << 13)        /* 2 */
#define FS_TRUNCATE (1ULL << 14)     /* 3 */
#define FS_RESOLVE_UNIX (1ULL << 16) /* 9 */
/* What a rule for something that is not a folder may hold. */
#define FS_OF_A_FILE (FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE)

#define NET_BIND_TCP (1ULL << 0)    /* 4 */
#define NET_CONNECT_TCP (1ULL << 1) /* 4 */

#define SCOPE_ABSTRACT_UNIX (1ULL << 0) /* 6 */
#define SCOPE_SIGNAL (1ULL << 1)        /* 6 */

#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#define PR_MDWE_REFUSE_EXEC_GAIN 1
#endif

struct ruleset {
	uint64_t fs;
	uint64_t net;
	uint64_t scoped;
};

struct path_beneath {
	uint64_t allowed;
	int32_t parent_fd;
} __attribute__((packed));

/* One row a right: what it is refused with, and the first ABI that has it. */
static const struct {
	unsigned what;
	int abi;
	struct ruleset rights;
} rights[] = {
	{ SANDBOX_WRITING, 1, { FS_WRITE_FILE | FS_MAKE_AND_REMOVE, 0, 0 } },
	{ SANDBOX_WRITING, 2, { FS_REFER, 0, 0 } },
	{ SANDBOX_WRITING, 3, { FS_TRUNCATE, 0, 0 } },
	{ SANDBOX_READING, 1, { FS_READ_FILE | FS_READ_DIR, 0, 0 } },
	{ SANDBOX_RUNNING, 1, { FS_EXECUTE, 0, 0 } },
	{ SANDBOX_LISTENING, 4, { 0, NET_BIND_TCP, 0 } },
	{ SANDBOX_CALLING, 4, { 0, NET_CONNECT_TCP, 0 } },
	{ SANDBOX_CALLING, 6, { 0, 0, SCOPE_ABSTRACT_UNIX } },
	{ SANDBOX_CALLING, 9, { FS_RESOLVE_UNIX, 0, 0 } },
	{ SANDBOX_SIGNALS, 6, { 0, 0, SCOPE_SIGNAL } },
};

static struct ruleset
rights_of(unsigned what, int abi)
{
	struct ruleset sum = { 0, 0, 0 };
	size_t i;

	for (i = 0; i < sizeof(rights) / sizeof(rights[0]); i++) {
		if (!(rights[i].what & what) || rights[i].abi > abi)
			continue;
		sum.fs |= rights[i].rights.fs;
		sum.net |= rights[i].rights.net;
		sum.scoped |= rights[i].rights.scoped;
	}
	return sum;
}

/* A kernel of an earlier ABI takes the longer struct when what it does not know is 0.
 */
static int
create(const struct ruleset *ruleset)
{
	long fd = syscall(CALL_CREATE_RULESET, ruleset, sizeof(*ruleset), 0);

	return fd < 0 ? -errno : (int)fd;
}

static int
grant(int ruleset, const struct sandbox_grant *one, uint64_t handled, int abi)
{
	struct path_beneath rule = { rights_of(one->what, abi).fs & handled, -1 };
	struct stat info;
	long result = 0;

	if (!one->path || !rule.allowed)
		return 0;
	rule.parent_fd = open(one->path, O_PATH | O_CLOEXEC);
	if (rule.parent_fd < 0)
		return 0;
	if (fstat(rule.parent_fd, &info) == 0 && !S_ISDIR(info.st_mode))
		rule.allowed &= FS_OF_A_FILE;
	if (rule.allowed)
		result = syscall(CALL_ADD_RULE, ruleset, RULE_PATH_BENEATH, &rule, 0);
	if (result < 0)
		result = -errno;
	(void)close(rule.parent_fd);
	return (int)result;
}

int
sandbox_landlock(
    unsigned refuse, const struct sandbox_grant *grants, size_t grant_count)
{
	long version = syscall(CALL_CREATE_RULESET, NULL, 0, CREATE_RULESET_VERSION);
	int abi = version > 0 ? (int)version : 0;
	struct ruleset handled = rights_of(refuse, abi);
	int result = 0;
	size_t i;
	int fd;

	if (abi == 0)
		return 0;
	fd = create(&handled);
	if (fd < 0)
		return fd;
	for (i = 0; i < grant_count && result == 0; i++)
		result = grant(fd, &grants[i], handled.fs, abi);
	if (result == 0 && syscall(CALL_RESTRICT_SELF, fd, 0) < 0)
		result = -errno;
	(void)close(fd);
	return result < 0 ? result : abi;
}

bool
sandbox_limits(const struct sandbox_limit *limits, size_t count)
{
	struct rlimit limit;
	bool good = true;
	size_t i;

	for (i = 0; i < count; i++) {
		if (getrlimit((__rlimit_resource_t)limits[i].resource, &limit) < 0)
			return false;
		if (limit.rlim_max > limits[i].most)
			limit.rlim_max = limits[i].most;
		if (limit.rlim_cur > limit.rlim_max)
			limit.rlim_cur = limit.rlim_max;
		if (setrlimit((__rlimit_resource_t)limits[i].resource, &limit) < 0)
			good = false;
	}
	return good;
}

bool
sandbox_no_new_code(void)
{
	return prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) == 0;
}

static void
add(char *text, const char *word)
{
	size_t used = strlen(text);

	(void)snprintf(
	    text + used, SANDBOX_TEXT_SIZE - used, "%s%s", used ? " " : "", word);
}

void
sandbox_text(char *text, int landlock_abi, bool no_new_code, const char *more)
{
	struct rlimit core = { 1, 1 };
	char landlock[24];

	*text = '\0';
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
		add(text, "no-new-privs");
	if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0)
		add(text, "not-dumpable");
	if (getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_max == 0)
		add(text, "no-core");
	if (no_new_code)
		add(text, "no-new-code");
	if (landlock_abi > 0) {
		(void)snprintf(landlock, sizeof(landlock), "landlock-%d", landlock_abi);
		add(text, landlock);
	}
	add(text, more);
}
