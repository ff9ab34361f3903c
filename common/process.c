/*
 * Process hygiene of reliability.md 3.1, called first by every daemon.
 */
#include <errno.h>
#include <locale.h>
#include <signal.h>
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

static int notify_fd = -1;
static struct sockaddr_un notify_address;
static socklen_t notify_size;

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
	const char *path = getenv("NOTIFY_SOCKET");
	size_t length = path ? strlen(path) : 0;

	if (length < 2 || length >= sizeof(notify_address.sun_path) ||
	    (path[0] != '/' && path[0] != '@'))
		return;
	notify_address.sun_family = AF_UNIX;
	memcpy(notify_address.sun_path, path, length);
	if (path[0] == '@')
		notify_address.sun_path[0] = '\0';
	notify_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
	notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	(void)unsetenv("NOTIFY_SOCKET");
}

void
process_notify(const char *state)
{
	if (notify_fd < 0)
		return;
	(void)sendto(notify_fd, state, strlen(state), MSG_NOSIGNAL,
	    (struct sockaddr *)&notify_address, notify_size);
}
