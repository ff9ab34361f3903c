/*
 * Sockets at birth, the ones a supervisor passes, who is at the other end, and the
 * message to the supervisor. What changes the process is done in a child.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/process.h"
#include "common/sock.h"

static char folder[64];
static char path[128];

static int
make_folder(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/streamhold-sock-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/s", folder);
	return 0;
}

static int
remove_folder(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(folder);
}

static void
check_flags(int fd)
{
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
}

static bool
is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

/* The lowest free descriptor: unchanged when nothing leaked. */
static int
lowest_free(void)
{
	int fd = dup(STDERR_FILENO);

	close(fd);
	return fd;
}

static int
connect_v4(uint16_t port)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	close(fd);
	return -1;
}

static int
connect_v6(uint16_t port)
{
	struct sockaddr_in6 address = { .sin6_family = AF_INET6,
		.sin6_port = htons(port),
		.sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int fd = socket(AF_INET6, SOCK_STREAM, 0);

	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	close(fd);
	return -1;
}

static void
localhost_is_both_families_on_one_port(void **state)
{
	unsigned i;

	(void)state;
	for (i = 0; i < 20; i++) {
		uint16_t port = 0;
		bool no_ipv6 = true;
		int fds[2] = { -7, -7 };
		int client;

		assert_int_equal(
		    sock_listen_tcp("LocalHost", 0, fds, &port, &no_ipv6), 0);
		assert_true(port > 0);
		assert_int_equal(sock_local_port(fds[0]), port);
		check_flags(fds[0]);
		client = connect_v4(port);
		assert_true(client >= 0);
		close(client);
		if (no_ipv6) {
			assert_int_equal(fds[1], -1);
		} else {
			assert_int_equal(sock_local_port(fds[1]), port);
			check_flags(fds[1]);
			client = connect_v6(port);
			assert_true(client >= 0);
			close(client);
			close(fds[1]);
		}
		close(fds[0]);
	}
}

static void
a_port_in_use_is_said_and_nothing_stays_open(void **state)
{
	uint16_t port = 0;
	bool no_ipv6;
	int held[2];
	int fds[2] = { -7, -7 };
	uint16_t got = 4711;
	int before;

	(void)state;
	assert_int_equal(sock_listen_tcp("127.0.0.1", 0, held, &port, &no_ipv6), 0);
	assert_int_equal(held[1], -1);
	before = lowest_free();
	assert_int_equal(
	    sock_listen_tcp("127.0.0.1", port, fds, &got, &no_ipv6), -EADDRINUSE);
	assert_int_equal(
	    sock_listen_tcp("localhost", port, fds, &got, &no_ipv6), -EADDRINUSE);
	assert_int_equal(got, 4711);
	assert_int_equal(lowest_free(), before);
	close(held[0]);
}

static void
a_port_in_use_on_ipv6_alone_is_in_use(void **state)
{
	uint16_t port = 0;
	bool no_ipv6;
	int held[2];
	int fds[2];
	int before;

	(void)state;
	if (sock_listen_tcp("::1", 0, held, &port, &no_ipv6) < 0)
		skip();
	before = lowest_free();
	assert_int_equal(
	    sock_listen_tcp("localhost", port, fds, &port, &no_ipv6), -EADDRINUSE);
	assert_int_equal(lowest_free(), before);
	close(held[0]);
}

static void
only_literals_and_localhost_are_hosts(void **state)
{
	static const char *const hosts[] = { "", "example.org", "127.0.0.1.", "127.1",
		"0x7f000001", "::1%lo", "[::1]", "127.0.0.1:80", "localhost." };
	uint16_t port;
	bool no_ipv6;
	int fds[2];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++)
		assert_int_equal(
		    sock_listen_tcp(hosts[i], 0, fds, &port, &no_ipv6), -EINVAL);
}

static void
a_unix_socket_has_its_mode_and_takes_connections(void **state)
{
	mode_t mask = umask(022);
	struct stat info;
	int listener;
	int client;
	int server;
	int on = 0;
	socklen_t size = sizeof(on);

	(void)state;
	listener = sock_listen_unix(path, 0660);
	assert_true(listener >= 0);
	check_flags(listener);
	assert_int_equal(stat(path, &info), 0);
	assert_int_equal(info.st_mode & 07777, 0660);
	assert_int_equal(umask(mask), 022);
	assert_int_equal(sock_accept(listener), -EAGAIN);
	client = sock_connect_unix(path);
	assert_true(client >= 0);
	check_flags(client);
	assert_int_equal(getsockopt(client, SOL_SOCKET, SO_PASSCRED, &on, &size), 0);
	assert_int_equal(on, 1);
	server = sock_accept(listener);
	assert_true(server >= 0);
	check_flags(server);
	assert_int_equal(sock_local_port(server), 0);
	close(client);
	close(server);
	close(listener);
}

static void
a_dead_socket_is_replaced_and_a_live_one_is_not(void **state)
{
	int first = sock_listen_unix(path, 0600);
	int before = lowest_free();
	int second;
	int client;

	(void)state;
	assert_true(first >= 0);
	assert_int_equal(sock_listen_unix(path, 0600), -EADDRINUSE);
	assert_int_equal(lowest_free(), before);
	client = sock_connect_unix(path);
	assert_true(client >= 0);
	close(client);
	close(first);
	assert_int_equal(sock_connect_unix(path), -ECONNREFUSED);
	second = sock_listen_unix(path, 0600);
	assert_true(second >= 0);
	client = sock_connect_unix(path);
	assert_true(client >= 0);
	close(client);
	close(second);
}

/* A wrong path in the configuration must not cost somebody a file. */
static void
a_file_that_is_no_socket_is_left_alone(void **state)
{
	struct stat info;
	char link[160];
	int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	(void)state;
	assert_int_equal(write(fd, "precious", 8), 8);
	close(fd);
	assert_int_equal(sock_listen_unix(path, 0600), -EADDRINUSE);
	assert_int_equal(stat(path, &info), 0);
	assert_int_equal(info.st_size, 8);
	snprintf(link, sizeof(link), "%s/l", folder);
	assert_int_equal(symlink(path, link), 0);
	assert_int_equal(sock_listen_unix(link, 0600), -EADDRINUSE);
	assert_int_equal(lstat(link, &info), 0);
	unlink(link);
	unlink(path);
}

static void
paths_are_as_long_as_the_address_allows(void **state)
{
	char text[200];
	struct sockaddr_un address;
	int fd;

	(void)state;
	memset(text, 'p', sizeof(text));
	memcpy(text, folder, strlen(folder));
	text[strlen(folder)] = '/';
	text[sizeof(address.sun_path)] = '\0';
	assert_int_equal(sock_listen_unix(text, 0600), -ENAMETOOLONG);
	assert_int_equal(sock_connect_unix(text), -ENAMETOOLONG);
	text[sizeof(address.sun_path) - 1] = '\0';
	fd = sock_listen_unix(text, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(unlink(text), 0);
	assert_int_equal(sock_connect_unix("/nowhere/at/all"), -ENOENT);
	assert_int_equal(sock_listen_unix("/nowhere/at/all", 0600), -ENOENT);
}

static void
the_peer_is_who_the_kernel_says(void **state)
{
	uid_t uid = 4711;
	gid_t gid = 4711;
	pid_t pid = 0;
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(sock_peer(pair[0], &uid, &gid, &pid), 0);
	assert_int_equal(uid, geteuid());
	assert_int_equal(gid, getegid());
	assert_int_equal(pid, getpid());
	assert_true(sock_peer_in_group(pair[0], getegid()));
	assert_false(sock_peer_in_group(pair[0], 987654));
	close(pair[0]);
	close(pair[1]);
	assert_int_equal(sock_peer(pair[0], &uid, &gid, &pid), -EBADF);
	assert_false(sock_peer_in_group(pair[0], getegid()));
}

/* Runs a part in a child; its result is the exit status, 0 for good. */
static void
in_child(int (*part)(void *arg), void *arg)
{
	int status = -1;
	pid_t child = fork();

	if (child == 0)
		_exit(part(arg));
	assert_int_equal(waitpid(child, &status, 0), child);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		fail_msg("the child ended with %x", (unsigned)status);
}

#define NEED(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "line %d: %s\n", __LINE__, #condition); \
			return 1; \
		} \
	} while (0)

static int
connect_as_other(void *arg)
{
	const gid_t groups[] = { 54321, 54322 };
	int fd;

	(void)arg;
	NEED(setgroups(2, groups) == 0);
	NEED(setresgid(65534, 65534, 65534) == 0);
	NEED(setresuid(65534, 65534, 65534) == 0);
	fd = sock_connect_unix(path);
	NEED(fd >= 0);
	usleep(300000);
	return 0;
}

static void
a_peer_of_another_user_is_known_with_its_groups(void **state)
{
	int listener = sock_listen_unix(path, 0666);
	int tries;
	int fd = -EAGAIN;
	uid_t uid;
	gid_t gid;
	pid_t pid;
	pid_t child;
	int status;

	(void)state;
	if (geteuid() != 0) {
		close(listener);
		skip();
	}
	assert_int_equal(chmod(folder, 0755), 0);
	child = fork();
	if (child == 0)
		_exit(connect_as_other(NULL));
	for (tries = 0; tries < 200 && fd == -EAGAIN; tries++) {
		fd = sock_accept(listener);
		usleep(10000);
	}
	assert_true(fd >= 0);
	assert_int_equal(sock_peer(fd, &uid, &gid, &pid), 0);
	assert_int_equal(uid, 65534);
	assert_int_equal(gid, 65534);
	assert_int_equal(pid, child);
	assert_true(sock_peer_in_group(fd, 65534));
	assert_true(sock_peer_in_group(fd, 54321));
	assert_true(sock_peer_in_group(fd, 54322));
	assert_false(sock_peer_in_group(fd, 54323));
	assert_false(sock_peer_in_group(fd, 0));
	assert_int_equal(waitpid(child, &status, 0), child);
	close(fd);
	close(listener);
}

struct passing {
	const char *pid;   /* NULL: the child's own */
	const char *count; /* NULL: not set */
	const char *names; /* NULL: not set */
	int expected;
	const char *known[4]; /* names of 3, 4, ... */
};

static int
take_passed(void *arg)
{
	const struct passing *passing = arg;
	char own[32];
	int i;

	for (i = 3; i < 3 + 20; i++)
		NEED(dup2(STDERR_FILENO, i) == i);
	snprintf(own, sizeof(own), "%ld", (long)getpid());
	setenv("LISTEN_PID", passing->pid ? passing->pid : own, 1);
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	if (passing->count)
		setenv("LISTEN_FDS", passing->count, 1);
	if (passing->names)
		setenv("LISTEN_FDNAMES", passing->names, 1);
	NEED(sock_passed_init() == passing->expected);
	NEED(!getenv("LISTEN_PID") && !getenv("LISTEN_FDS") &&
	    !getenv("LISTEN_FDNAMES"));
	for (i = 0; i < 4 && passing->known[i]; i++) {
		unsigned index = 0;
		int j;

		for (j = 0; j < i; j++)
			index += strcmp(passing->known[j], passing->known[i]) == 0;
		NEED(sock_passed(passing->known[i], index) == 3 + i);
		NEED(fcntl(3 + i, F_GETFD) & FD_CLOEXEC);
		NEED(fcntl(3 + i, F_GETFL) & O_NONBLOCK);
	}
	NEED(sock_passed("absent", 0) == -1);
	NEED(sock_passed("http", 2) == -1);
	process_harden(passing->expected);
	for (i = 3; i < 3 + 20; i++)
		NEED(is_open(i) == (i < 3 + passing->expected));
	return 0;
}

static void
passed_sockets_are_found_by_name(void **state)
{
	static const struct passing cases[] = {
		{ NULL, "1", "admin", 1, { "admin" } },
		{ NULL, "3", "http:http:link", 3, { "http", "http", "link" } },
		{ NULL, "2", NULL, 2, { "unknown", "unknown" } },
		{ NULL, "2", "http", 2, { "http", "unknown" } },
		{ NULL, "2", ":link", 2, { "unknown", "link" } },
		{ NULL, "2", "http:link:more", 2, { "http", "link" } },
		{ NULL, "2", "a-name-that-is-much-longer-than-any-we-use:link", 2,
		    { "unknown", "link" } },
		{ NULL, "16", "http", 16, { "http", "unknown" } },
		{ NULL, "17", "http", 0, { NULL } },
		{ NULL, "0", "", 0, { NULL } },
		{ NULL, "-1", "http", 0, { NULL } },
		{ NULL, "1x", "http", 0, { NULL } },
		{ NULL, "", "http", 0, { NULL } },
		{ NULL, "4294967297", "http", 0, { NULL } },
		{ NULL, NULL, "http", 0, { NULL } },
		{ "1", "1", "http", 0, { NULL } },
		{ "", "1", "http", 0, { NULL } },
		{ "99999999999999999999", "1", "http", 0, { NULL } },
	};
	struct passing one;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		one = cases[i];
		in_child(take_passed, &one);
	}
}

static int
harden(void *arg)
{
	struct rlimit core;
	int passed = dup2(1, 3);
	int stray = dup2(1, 4);
	int far = dup2(1, 700);

	(void)arg;
	NEED(passed == 3 && stray == 4 && far == 700);
	setenv("https_proxy", "http://evil.test", 1);
	setenv("SECRET_BACKEND", "file", 1);
	setenv("SSLKEYLOGFILE", "/tmp/keys", 1);
	umask(0);
	process_harden(1);
	NEED(fcntl(passed, F_GETFD) >= 0 && fcntl(1, F_GETFD) >= 0);
	NEED(fcntl(stray, F_GETFD) < 0 && errno == EBADF);
	NEED(fcntl(far, F_GETFD) < 0 && errno == EBADF);
	NEED(umask(077) == 077);
	NEED(getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_cur == 0 &&
	    core.rlim_max == 0);
	NEED(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
#ifndef STREAMHOLD_SANITIZE
	NEED(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
#endif
	NEED(!getenv("https_proxy") && !getenv("SECRET_BACKEND") &&
	    !getenv("SSLKEYLOGFILE"));
	NEED(raise(SIGPIPE) == 0);
	return 0;
}

static void
a_daemon_hardens_itself(void **state)
{
	(void)state;
	in_child(harden, NULL);
}

/* Nothing that runs is interrupted for it, and a policy that was chosen for it stays.
 */
static int
give_way(void *arg)
{
	const struct sched_param none = { .sched_priority = 0 };
	int before = *(const int *)arg;

	NEED(sched_setscheduler(0, before, &none) == 0);
	process_harden(0);
	NEED(sched_getscheduler(0) == (before == SCHED_OTHER ? SCHED_BATCH : before));
	return 0;
}

static void
a_daemon_gives_way(void **state)
{
	int policies[] = { SCHED_OTHER, SCHED_BATCH, SCHED_IDLE };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(policies) / sizeof(policies[0]); i++)
		in_child(give_way, &policies[i]);
}

static int
notify(void *arg)
{
	process_notify("TOO=early");
	if (arg)
		setenv("NOTIFY_SOCKET", arg, 1);
	else
		unsetenv("NOTIFY_SOCKET");
	process_notify_open();
	if (arg && (*(char *)arg == '/' || *(char *)arg == '@'))
		NEED(!getenv("NOTIFY_SOCKET"));
	process_notify("READY=1");
	return 0;
}

static void
check_notified(const struct sockaddr_un *address, socklen_t size, char *name)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	char text[32] = "";

	assert_int_equal(bind(fd, (const struct sockaddr *)address, size), 0);
	in_child(notify, name);
	assert_int_equal(recv(fd, text, sizeof(text), 0), 7);
	assert_string_equal(text, "READY=1");
	assert_int_equal(recv(fd, text, sizeof(text), 0), -1);
	close(fd);
}

static void
the_supervisor_is_told(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char name[100];

	(void)state;
	memcpy(address.sun_path, path, strlen(path));
	check_notified(&address, sizeof(address), path);
	snprintf(name, sizeof(name), "@streamhold-test-%ld", (long)getpid());
	memset(address.sun_path, 0, sizeof(address.sun_path));
	memcpy(address.sun_path + 1, name + 1, strlen(name) - 1);
	check_notified(&address,
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name)), name);
	in_child(notify, NULL);
	snprintf(name, sizeof(name), "relative");
	in_child(notify, name);
	memset(name, '/', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	in_child(notify, name);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(localhost_is_both_families_on_one_port),
		cmocka_unit_test(a_port_in_use_is_said_and_nothing_stays_open),
		cmocka_unit_test(a_port_in_use_on_ipv6_alone_is_in_use),
		cmocka_unit_test(only_literals_and_localhost_are_hosts),
		cmocka_unit_test_setup_teardown(
		    a_unix_socket_has_its_mode_and_takes_connections, make_folder,
		    remove_folder),
		cmocka_unit_test_setup_teardown(
		    a_dead_socket_is_replaced_and_a_live_one_is_not, make_folder,
		    remove_folder),
		cmocka_unit_test_setup_teardown(
		    a_file_that_is_no_socket_is_left_alone, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(paths_are_as_long_as_the_address_allows,
		    make_folder, remove_folder),
		cmocka_unit_test(the_peer_is_who_the_kernel_says),
		cmocka_unit_test_setup_teardown(
		    a_peer_of_another_user_is_known_with_its_groups, make_folder,
		    remove_folder),
		cmocka_unit_test(passed_sockets_are_found_by_name),
		cmocka_unit_test(a_daemon_hardens_itself),
		cmocka_unit_test(a_daemon_gives_way),
		cmocka_unit_test_setup_teardown(
		    the_supervisor_is_told, make_folder, remove_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
