/*
 * Sockets for every program: `up` opens listeners, fronts and broker take the passed
 * ones, the command connects.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/sock.h"
#include "common/text.h"

#define SOCK_FLAGS (SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK)
#define PASSED_FIRST 3

static int passed_count;
static char passed_names[SOCK_PASSED_MAX][32];

static int
listen_at(const struct sockaddr *address, socklen_t size)
{
	int fd = socket(address->sa_family, SOCK_FLAGS, 0);
	int on = 1;
	int error;

	if (fd < 0)
		return -errno;
	if (address->sa_family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (address->sa_family != AF_UNIX)
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, address, size) == 0 && listen(fd, SOCK_BACKLOG) == 0)
		return fd;
	error = -errno;
	(void)close(fd);
	return error;
}

static int
listen_literal(const char *host, uint16_t port)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };

	if (inet_pton(AF_INET, host, &v4.sin_addr) == 1)
		return listen_at((struct sockaddr *)&v4, sizeof(v4));
	if (inet_pton(AF_INET6, host, &v6.sin6_addr) == 1)
		return listen_at((struct sockaddr *)&v6, sizeof(v6));
	return -EINVAL;
}

/* Both loopback families on one port. With port 0 the kernel picks one for IPv4, which
 * may be taken on ::1 by somebody else; then another is picked. */
static int
listen_localhost(uint16_t port, int ret_fds[static 2], bool *ret_no_ipv6)
{
	int tries;
	int v4;
	int v6;

	for (tries = 0; tries < 16; tries++) {
		v4 = listen_literal("127.0.0.1", port);
		if (v4 < 0)
			return v4;
		v6 = listen_literal("::1", sock_local_port(v4));
		if (v6 == -EADDRINUSE && port == 0) {
			(void)close(v4);
			continue;
		}
		if (v6 < 0 && v6 != -EADDRNOTAVAIL && v6 != -EAFNOSUPPORT) {
			(void)close(v4);
			return v6;
		}
		*ret_no_ipv6 = v6 < 0;
		ret_fds[0] = v4;
		ret_fds[1] = v6 < 0 ? -1 : v6;
		return 0;
	}
	return -EADDRINUSE;
}

int
sock_listen_tcp(const char *host, uint16_t port, int ret_fds[static 2],
    uint16_t *ret_port, bool *ret_no_ipv6)
{
	int result;

	*ret_no_ipv6 = false;
	if (text_equal_nocase(host, "localhost")) {
		result = listen_localhost(port, ret_fds, ret_no_ipv6);
		if (result < 0)
			return result;
	} else {
		result = listen_literal(host, port);
		if (result < 0)
			return result;
		ret_fds[0] = result;
		ret_fds[1] = -1;
	}
	*ret_port = sock_local_port(ret_fds[0]);
	return 0;
}

static int
unix_address(const char *path, struct sockaddr_un *ret_address)
{
	*ret_address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(ret_address->sun_path))
		return -ENAMETOOLONG;
	memcpy(ret_address->sun_path, path, strlen(path));
	return 0;
}

int
sock_listen_unix(const char *path, mode_t mode)
{
	struct sockaddr_un address;
	struct stat info;
	int result = unix_address(path, &address);
	mode_t mask;

	if (result < 0)
		return result;
	result = sock_connect_unix(path);
	if (result >= 0) {
		(void)close(result);
		return -EADDRINUSE;
	}
	/* Files that are no sockets refuse connections as well. */
	if (result == -ECONNREFUSED && lstat(path, &info) == 0 &&
	    S_ISSOCK(info.st_mode))
		(void)unlink(path);
	mask = umask(0777 & ~mode);
	result = listen_at((struct sockaddr *)&address, sizeof(address));
	(void)umask(mask);
	return result;
}

int
sock_connect_unix(const char *path)
{
	struct sockaddr_un address;
	int result = unix_address(path, &address);
	int on = 1;
	int fd;

	if (result < 0)
		return result;
	fd = socket(AF_UNIX, SOCK_FLAGS, 0);
	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	result = -errno;
	(void)close(fd);
	return result;
}

int
sock_accept(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

int
sock_peer(int fd, uid_t *ret_uid, gid_t *ret_gid, pid_t *ret_pid)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return -errno;
	*ret_uid = peer.uid;
	*ret_gid = peer.gid;
	*ret_pid = peer.pid;
	return 0;
}

bool
sock_peer_in_group(int fd, gid_t group)
{
	gid_t groups[256];
	socklen_t size = sizeof(groups);
	uid_t uid;
	gid_t own;
	pid_t pid;
	size_t i;

	if (sock_peer(fd, &uid, &own, &pid) == 0 && own == group)
		return true;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0)
		return false;
	for (i = 0; i < size / sizeof(groups[0]); i++)
		if (groups[i] == group)
			return true;
	return false;
}

uint16_t
sock_local_port(int fd)
{
	struct sockaddr_storage address = { .ss_family = AF_UNSPEC };
	socklen_t size = sizeof(address);

	if (getsockname(fd, (struct sockaddr *)&address, &size) < 0)
		return 0;
	if (address.ss_family == AF_INET)
		return ntohs(((struct sockaddr_in *)&address)->sin_port);
	if (address.ss_family == AF_INET6)
		return ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
	return 0;
}

/* Splits LISTEN_FDNAMES; a missing name is "unknown", as in sd_listen_fds(3). */
static void
name_passed(const char *names)
{
	int i;

	for (i = 0; i < passed_count; i++) {
		size_t length = names ? strcspn(names, ":") : 0;

		if (length == 0 || length >= sizeof(passed_names[i])) {
			memcpy(passed_names[i], "unknown", sizeof("unknown"));
		} else {
			memcpy(passed_names[i], names, length);
			passed_names[i][length] = '\0';
		}
		if (names)
			names = names[length] == ':' ? names + length + 1 : NULL;
	}
}

int
sock_passed_init(void)
{
	const char *pid = getenv("LISTEN_PID");
	const char *count = getenv("LISTEN_FDS");
	uint64_t number = 0;
	int i;

	if (pid && count && text_to_u64(pid, strlen(pid), INT32_MAX, &number) &&
	    (pid_t)number == getpid() &&
	    text_to_u64(count, strlen(count), SOCK_PASSED_MAX, &number))
		passed_count = (int)number;
	for (i = 0; i < passed_count; i++) {
		(void)fcntl(PASSED_FIRST + i, F_SETFD, FD_CLOEXEC);
		(void)fcntl(PASSED_FIRST + i, F_SETFL,
		    fcntl(PASSED_FIRST + i, F_GETFL) | O_NONBLOCK);
	}
	name_passed(getenv("LISTEN_FDNAMES"));
	(void)unsetenv("LISTEN_PID");
	(void)unsetenv("LISTEN_FDS");
	(void)unsetenv("LISTEN_FDNAMES");
	return passed_count;
}

int
sock_passed(const char *name, unsigned index)
{
	int i;

	for (i = 0; i < passed_count; i++)
		if (strcmp(passed_names[i], name) == 0 && index-- == 0)
			return PASSED_FIRST + i;
	return -1;
}
