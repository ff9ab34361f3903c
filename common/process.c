/*
 * Process hygiene of reliability.md 3.1, called first by every daemon.
 */
#include <errno.h>
#include <locale.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/process.h"
#include "common/sock.h"
#include "common/text.h"

static int notify_fd = -1;

/* curl obeys proxy variables and netrc's HOME; libsecret's file backend has a switch
 * for tests that replaces the keystore. None of them may decide for the daemon. */
static const char *const unwanted[] = { "http_proxy", "https_proxy", "HTTPS_PROXY",
	"all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY", "SECRET_BACKEND",
	"SECRET_FILE_TEST_PATH", "SECRET_FILE_TEST_PASSWORD", "SSLKEYLOGFILE",
	"CURL_CA_BUNDLE" };

static void
close_from(unsigned first)
{
	long most;
	unsigned fd;

	if (syscall(SYS_close_range, first, ~0U, 0) == 0)
		return;
	most = sysconf(_SC_OPEN_MAX);
	for (fd = first; most > 0 && fd < (unsigned)most && fd < 65536; fd++)
		(void)close((int)fd);
}

/* What is awake is not interrupted because something came for us: that lets a front and
 * the broker do more with each turn on a processor, and leaves a person's programs in
 * peace (sched(7), SCHED_BATCH). Whoever chose something else for us has it. Under
 * systemd the units say it, whose filter refuses this call. */
static void
give_way(void)
{
	const struct sched_param none = { .sched_priority = 0 };

	if (sched_getscheduler(0) == SCHED_OTHER)
		(void)sched_setscheduler(0, SCHED_BATCH, &none);
}

void
process_harden(int passed)
{
	const struct rlimit none = { 0, 0 };
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	size_t i;

	close_from(3U + (unsigned)passed);
	(void)umask(077);
	(void)setrlimit(RLIMIT_CORE, &none);
#ifndef STREAMHOLD_SANITIZE
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	(void)sigaction(SIGPIPE, &ignore, NULL);
	give_way();
	(void)setlocale(LC_ALL, "C");
	tzset();
	for (i = 0; i < sizeof(unwanted) / sizeof(unwanted[0]); i++)
		(void)unsetenv(unwanted[i]);
}

void
process_block_signals(void)
{
	static const int numbers[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2 };
	sigset_t set;
	size_t i;

	(void)sigemptyset(&set);
	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		(void)sigaddset(&set, numbers[i]);
	(void)pthread_sigmask(SIG_BLOCK, &set, NULL);
}

void
process_notify_open(void)
{
	int passed = sock_passed(PROCESS_NOTIFY, 0);
	const char *path = getenv("NOTIFY_SOCKET");
	size_t length = path ? strlen(path) : 0;
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (passed >= 0) {
		notify_fd = passed;
		return;
	}
	if (length < 2 || length >= sizeof(address.sun_path) ||
	    (path[0] != '/' && path[0] != '@'))
		return;
	memcpy(address.sun_path, path, length);
	if (path[0] == '@')
		address.sun_path[0] = '\0';
	(void)unsetenv("NOTIFY_SOCKET");
	notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (notify_fd >= 0 &&
	    connect(notify_fd, (struct sockaddr *)&address,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)) < 0) {
		(void)close(notify_fd);
		notify_fd = -1;
	}
}

void
process_notify(const char *state)
{
	if (notify_fd < 0)
		return;
	(void)send(notify_fd, state, strlen(state), MSG_NOSIGNAL);
}

/* A number of the environment, which is then removed; 0 when it is none. */
static uint64_t
take_number(const char *variable)
{
	const char *text = getenv(variable);
	uint64_t number = 0;

	if (text && !text_to_u64(text, strlen(text), UINT64_MAX, &number))
		number = 0;
	(void)unsetenv(variable);
	return number;
}

uint64_t
process_watchdog_us(void)
{
	bool for_somebody = getenv("WATCHDOG_PID") != NULL;
	uint64_t pid = take_number("WATCHDOG_PID");
	uint64_t interval = take_number("WATCHDOG_USEC");

	if (for_somebody && pid != (uint64_t)getpid())
		return 0;
	return interval;
}

int
process_user_id(const char *text, uid_t *ret_uid)
{
	const struct passwd *user;
	uint64_t number;

	if (text_to_u64(text, strlen(text), UINT32_MAX - 1, &number)) {
		*ret_uid = (uid_t)number;
		return 0;
	}
	user = getpwnam(text);
	if (!user)
		return -EINVAL;
	*ret_uid = user->pw_uid;
	return 0;
}
