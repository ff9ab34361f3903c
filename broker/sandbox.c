/*
 * The sandbox of the broker. A process with a database, TLS and name look-ups cannot
 * live from a short list, so this one is the other way round: what nobody here needs
 * and an attacker would is refused. Called by main.c between folder and database.
 */
#include <errno.h>
#include <link.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/resource.h>

#include "broker/broker.h"
#include "broker/sandbox.h"
#include "broker/vault/vault_child.h"
#include "common/log.h"
#include "common/process.h"
#include "common/sandbox.h"
#include "common/sandbox_filter.h"

#define TEST(compare, argument, mask, value) \
	{ SANDBOX_##compare, argument, mask, value },
#define DENY(name, reason) { #name, SANDBOX_KILL, 0, { { 0 } }, reason },
#define TESTED(name, tests, reason) { #name, SANDBOX_KILL, 0, { tests }, reason },
#define ANSWER(name, error, tests, reason) \
	{ #name, SANDBOX_ANSWER, error, { tests }, reason },
#ifdef STREAMHOLD_SANITIZE
#define PLAIN(name, reason)
#else
#define PLAIN(name, reason) DENY(name, reason)
#endif

static const struct sandbox_call calls[] = {
#include "broker/sandbox_calls.def"
};

static const struct sandbox_table table = { calls, sizeof(calls) / sizeof(calls[0]),
	SANDBOX_ALLOW };

static char layers[SANDBOX_TEXT_SIZE];

const char *
broker_sandbox_layers(void)
{
	return layers;
}

void
broker_sandbox_print(FILE *file)
{
	sandbox_filter_print(&table, file);
}

/* The program that the kernel starts dynamic programs with, as this one names it: it
 * has to be runnable for the helper to be. */
static int
find_interpreter(struct dl_phdr_info *info, size_t size, void *ret_path)
{
	unsigned i;

	(void)size;
	for (i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_INTERP)
			*(const char **)ret_path = (const char *)(info->dlpi_addr +
			    info->dlpi_phdr[i].p_vaddr);
	return 1; /* the program itself comes first, and is enough */
}

/* Reading is not refused: certificates, name look-ups and the configuration lie where
 * the distribution and the user want them. Sanitizers start a symbolizer. */
static int
enter_landlock(const struct broker *broker)
{
	char *helper = vault_child_program();
	const char *interpreter = NULL;
	unsigned refuse = SANDBOX_WRITING | SANDBOX_LISTENING | SANDBOX_SIGNALS;
	int abi;

	(void)dl_iterate_phdr(find_interpreter, &interpreter);
#ifndef STREAMHOLD_SANITIZE
	refuse |= SANDBOX_RUNNING;
#endif
	const struct sandbox_grant grants[] = {
		{ broker->paths.state_dir, SANDBOX_WRITING },
		{ "/dev/null", SANDBOX_WRITING },
		{ helper, SANDBOX_RUNNING },
		{ interpreter, SANDBOX_RUNNING },
	};

	abi = sandbox_landlock(refuse, grants, sizeof(grants) / sizeof(grants[0]));
	free(helper);
	return abi;
}

void
broker_sandbox_enter(const struct broker *broker)
{
	const struct sandbox_limit limits[] = { { RLIMIT_CORE, 0 },
		{ RLIMIT_MSGQUEUE, 0 } };
	bool no_new_code = sandbox_no_new_code();
	int abi = enter_landlock(broker);
	int result;

	if (!sandbox_limits(limits, sizeof(limits) / sizeof(limits[0])))
		fatal(EXIT_INIT, "sandbox", "resource limits cannot be lowered: %s",
		    strerror(errno));
	if (abi <= 0)
		log_warning("sandbox", "Landlock is not in force (%s), continuing",
		    abi < 0 ? strerror(-abi) : "this kernel has none");
	sandbox_text(layers, abi, no_new_code, "seccomp");
	result = sandbox_filter_load(&table);
	if (result < 0)
		fatal(EXIT_INIT, "sandbox",
		    "the kernel takes no seccomp filter (%s): use a kernel with "
		    "CONFIG_SECCOMP_FILTER, and let no container forbid it",
		    strerror(-result));
	log_info("sandbox", "in force: %s", layers);
}
