/*
 * From a table of calls to a seccomp filter, by libseccomp. Called by httpd/sandbox.c
 * and broker/sandbox.c, which own the tables.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/seccomp.h>
#include <seccomp.h>

#include "common/sandbox_filter.h"

#if defined(STREAMHOLD_TEST_BUILD) || defined(STREAMHOLD_SANDBOX_TRACE)
#define TRACE 1
#else
#define TRACE 0
#endif

/* Rows before this one get a priority of their own. */
#define PRIORITY_MAX 250

/* What the handler of SIGSYS may use: everything is found before the filter is. */
static char *call_names[SANDBOX_KNOWN_LAST + 1];

static void
find_names(void)
{
	int i;

	for (i = 0; i <= SANDBOX_KNOWN_LAST; i++)
		if (!call_names[i])
			call_names[i] = seccomp_syscall_resolve_num_arch(
			    (uint32_t)SCMP_ARCH_NATIVE, i);
}

static size_t
put_number(char *text, int number)
{
	char digits[12];
	size_t length = 0;
	size_t i;

	do {
		digits[length++] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0 && length < sizeof(digits));
	for (i = 0; i < length; i++)
		text[i] = digits[length - 1 - i];
	return length;
}

static size_t
put_text(char *text, const char *more)
{
	size_t length = strlen(more);

	memcpy(text, more, length);
	return length;
}

/* Names the call and dies of the same signal, whose handler is gone by then. Whatever
 * is called here must be async-signal-safe. */
static void
on_refused(int number, siginfo_t *info, void *context)
{
	int call = info->si_syscall;
	bool known = call >= 0 && call <= SANDBOX_KNOWN_LAST && call_names[call];
	char line[160];
	size_t used = put_text(line, "sandbox: the system call '");
	ssize_t ignored;

	(void)context;
	if (known && strlen(call_names[call]) < 64)
		used += put_text(line + used, call_names[call]);
	used += put_text(line + used, "' (");
	used += put_number(line + used, call < 0 ? 0 : call);
	used += put_text(line + used, ") is not allowed, the process dies\n");
	ignored = write(STDERR_FILENO, line, used);
	(void)ignored; /* There is no place left to report it. */
	(void)raise(number);
	_exit(128 + number);
}

static int
trace(void)
{
	struct sigaction action = { .sa_sigaction = on_refused,
		.sa_flags = (int)(SA_SIGINFO | SA_RESETHAND | SA_NODEFER) };

	find_names();
	return sigaction(SIGSYS, &action, NULL) < 0 ? -errno : 0;
}

static uint32_t
action_of(enum sandbox_action action, int error)
{
	switch (action) {
	case SANDBOX_ALLOW:
		return SCMP_ACT_ALLOW;
	case SANDBOX_ANSWER:
		return SCMP_ACT_ERRNO((uint32_t)error);
	case SANDBOX_KILL:
		break;
	}
	return TRACE ? SCMP_ACT_TRAP : SCMP_ACT_KILL_PROCESS;
}

static struct scmp_arg_cmp
compare(const struct sandbox_test *test)
{
	struct scmp_arg_cmp result = { .arg = test->argument,
		.datum_a = test->value == SANDBOX_OWN_PID ? (scmp_datum_t)getpid()
							  : test->value };

	switch (test->compare) {
	case SANDBOX_IS:
		result.op = test->mask ? SCMP_CMP_MASKED_EQ : SCMP_CMP_EQ;
		if (test->mask) {
			result.datum_b = result.datum_a;
			result.datum_a = test->mask;
		}
		break;
	case SANDBOX_IS_NOT:
		result.op = SCMP_CMP_NE;
		break;
	case SANDBOX_ABOVE:
		result.op = SCMP_CMP_GT;
		break;
	case SANDBOX_ANY:
		break;
	}
	return result;
}

static int
add_call(scmp_filter_ctx filter, const struct sandbox_call *call, size_t index)
{
	struct scmp_arg_cmp tests[SANDBOX_TESTS_MAX];
	int number = seccomp_syscall_resolve_name(call->name);
	unsigned count = 0;
	size_t i;

	/* Negative: no such call on this architecture, or not known to the library. */
	if (number < 0)
		return 0;
	for (i = 0; i < SANDBOX_TESTS_MAX; i++)
		if (call->tests[i].compare != SANDBOX_ANY)
			tests[count++] = compare(&call->tests[i]);
	if (index < PRIORITY_MAX)
		(void)seccomp_syscall_priority(
		    filter, number, (uint8_t)(PRIORITY_MAX - index));
	return seccomp_rule_add_array(
	    filter, action_of(call->action, call->error), number, count, tests);
}

static int
add_future(scmp_filter_ctx filter)
{
	int result = 0;
	int number;

	for (number = SANDBOX_KNOWN_LAST + 1;
	     number <= SANDBOX_FUTURE_LAST && result == 0; number++)
		result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), number, 0);
	return result;
}

static int
fill(scmp_filter_ctx filter, const struct sandbox_table *table)
{
	int result = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	size_t i;

	if (result == 0)
		result = seccomp_attr_set(
		    filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	for (i = 0; i < table->count && result == 0; i++)
		result = add_call(filter, &table->calls[i], i);
	if (result == 0 && table->other == SANDBOX_KILL)
		result = add_future(filter);
	return result;
}

/* The library makes no filter with an action that the kernel does not offer, and does
 * not say why: the call is forbidden to us, or there is none. */
static int
why_no_filter(void)
{
	const uint32_t action = TRACE ? SECCOMP_RET_TRAP : SECCOMP_RET_KILL_PROCESS;

	if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) < 0)
		return -errno;
	return -ENOMEM;
}

int
sandbox_filter_load(const struct sandbox_table *table)
{
	scmp_filter_ctx filter = seccomp_init(action_of(table->other, 0));
	int result;

	if (!filter)
		return why_no_filter();
	result = fill(filter, table);
	if (result == 0 && TRACE)
		result = trace();
	if (result == 0)
		result = seccomp_load(filter);
	seccomp_release(filter);
	return result;
}

static void
print_test(const struct sandbox_test *test, FILE *file)
{
	static const char *const signs[] = { "", "==", "!=", ">" };

	if (test->compare == SANDBOX_ANY)
		return;
	(void)fprintf(file, " arg%u", test->argument);
	if (test->mask)
		(void)fprintf(file, "&%#" PRIx64, test->mask);
	(void)fprintf(file, "%s", signs[test->compare]);
	if (test->value == SANDBOX_OWN_PID)
		(void)fputs("own-pid", file);
	else
		(void)fprintf(file, "%#" PRIx64, test->value);
}

void
sandbox_filter_print(const struct sandbox_table *table, FILE *file)
{
	static const char *const words[] = { "allow", "answer", "kill" };
	size_t i;
	size_t j;

	for (i = 0; i < table->count; i++) {
		const struct sandbox_call *call = &table->calls[i];

		if (seccomp_syscall_resolve_name(call->name) < 0)
			continue;
		(void)fprintf(file, "%s\t%s", call->name, words[call->action]);
		if (call->action == SANDBOX_ANSWER)
			(void)fprintf(file, " %s", strerrorname_np(call->error));
		(void)fputc('\t', file);
		for (j = 0; j < SANDBOX_TESTS_MAX; j++)
			print_test(&call->tests[j], file);
		(void)fprintf(file, "\t%s\n", call->reason);
	}
	(void)fprintf(file, "*\t%s\t\tevery other call\n", words[table->other]);
}
