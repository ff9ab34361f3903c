/*
 * The sockets of `streamhold up`: everything that the units would open, with the same
 * names, modes and owners. They stay open here, so that a child that is started again
 * finds what has queued up meanwhile.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "broker/cli/up.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/process.h"
#include "common/sock.h"
#include "common/time.h"

#define ADMIN_GROUP "streamhold"
#define LEFTOVER_POLL_US 20000

static void
give(struct up_child *child, int fd, const char *name)
{
	if (fd < 0 || child->fd_count == UP_FDS_MAX)
		return;
	child->fds[child->fd_count].fd = fd;
	child->fds[child->fd_count].name = name;
	child->fd_count++;
}

static unsigned long
lock_holder(int fd)
{
	char text[24] = "";
	ssize_t length = pread(fd, text, sizeof(text) - 1, 0);

	return length > 0 ? strtoul(text, NULL, 10) : 0;
}

/* Two `up` on one folder would take each other's sockets away. */
static int
take_lock(struct up *up)
{
	char *path = xasprintf("%s/up.lock", up->paths.runtime_dir);
	char pid[24];
	int length;
	int status = EXIT_START;

	up->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (up->lock_fd < 0) {
		log_error("up", "cannot open '%s': %s", path, strerror(errno));
	} else if (flock(up->lock_fd, LOCK_EX | LOCK_NB) < 0) {
		log_error("up",
		    "another `streamhold up` (process %lu) already runs in '%s': stop "
		    "it first, or give this one its own paths.runtime_dir",
		    lock_holder(up->lock_fd), up->paths.runtime_dir);
	} else {
		length = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
		if (ftruncate(up->lock_fd, 0) < 0 ||
		    pwrite(up->lock_fd, pid, (size_t)length, 0) != length)
			log_warning("up", "cannot write '%s': %s; continuing", path,
			    strerror(errno));
		status = 0;
	}
	free(path);
	return status;
}

/* sock_listen_unix takes what does not answer for a dead socket; a file that is no
 * socket is somebody's. */
static int
listen_unix(const char *path, mode_t mode)
{
	struct stat status;

	if (lstat(path, &status) == 0 && !S_ISSOCK(status.st_mode))
		return -EEXIST;
	return sock_listen_unix(path, mode);
}

static int
listen_owned(const char *path, mode_t mode, uid_t uid, gid_t gid)
{
	int fd = listen_unix(path, mode);
	int error;

	if (fd < 0)
		return fd;
	if (lchown(path, uid, gid) == 0)
		return fd;
	error = -errno;
	(void)close(fd);
	(void)unlink(path);
	return error;
}

static gid_t
admin_group(const struct up *up)
{
	const struct group *group =
	    up->paths.system && geteuid() == 0 ? getgrnam(ADMIN_GROUP) : NULL;

	return group ? group->gr_gid : (gid_t)-1;
}

static int
log_unix(const char *path, int error)
{
	if (error == -EADDRINUSE)
		log_error("up",
		    "'%s' is in use: Streamhold already runs here, perhaps by its "
		    "units (`systemctl stop streamhold.target`)",
		    path);
	else if (error == -EEXIST)
		log_error("up", "'%s' exists and is no socket: remove it", path);
	else
		log_error("up", "cannot listen on '%s': %s", path, strerror(-error));
	return EXIT_START;
}

/* The broker of an `up` that was killed may be draining still, although the lock is
 * free. */
static int
listen_admin(struct up *up)
{
	const struct up_user *broker = &up->children[UP_BROKER].user;
	const char *path = up->paths.admin_socket;
	gid_t group = admin_group(up);
	mode_t mode = group == (gid_t)-1 ? 0600 : 0660;
	uid_t owner = geteuid() == 0 ? broker->uid : (uid_t)-1;
	int64_t until = time_boot_ms() + UP_LEFTOVER_MS;
	int fd;

	while ((fd = listen_owned(path, mode, owner, group)) == -EADDRINUSE &&
	    time_boot_ms() < until)
		(void)usleep(LEFTOVER_POLL_US);
	if (fd < 0)
		return log_unix(path, fd);
	give(&up->children[UP_BROKER], fd, UP_ADMIN);
	return 0;
}

/* Only the broker's user may connect to a link. */
static int
listen_link(struct up *up, enum up_role role, const char *path)
{
	const struct up_user *broker = &up->children[UP_BROKER].user;
	uid_t owner = geteuid() == 0 ? broker->uid : (uid_t)-1;
	int fd = listen_owned(path, 0600, owner, (gid_t)-1);

	if (fd < 0)
		return log_unix(path, fd);
	give(&up->children[role], fd, UP_LINK);
	return 0;
}

static int
log_tcp(const char *section, const char *host, unsigned port, int error)
{
	if (error == -EADDRINUSE)
		log_error("up",
		    "cannot listen on %s port %u: it is in use; stop the program that "
		    "has it (`ss -ltnp sport = :%u` shows it) or set %s.port",
		    host, port, port, section);
	else if (error == -EACCES)
		log_error("up",
		    "cannot listen on %s port %u: ports below 1024 are for root; set "
		    "%s.port to a higher one",
		    host, port, section);
	else if (error == -EADDRNOTAVAIL)
		log_error("up",
		    "cannot listen on %s port %u: this machine has no such address; "
		    "set %s.host to one of its own",
		    host, port, section);
	else
		log_error("up",
		    "cannot listen on %s port %u: %s; see %s.host and .port", host,
		    port, strerror(-error), section);
	return EXIT_START;
}

static int
listen_tcp(struct up_child *child, const char *section, const char *host, uint32_t port,
    uint16_t *ret_port)
{
	int fds[2] = { -1, -1 };
	bool no_ipv6 = false;
	int result = sock_listen_tcp(host, (uint16_t)port, fds, ret_port, &no_ipv6);

	if (result < 0)
		return log_tcp(section, host, port, result);
	if (no_ipv6)
		log_warning("up",
		    "this machine has no IPv6 loopback: %s is served on 127.0.0.1 "
		    "only; "
		    "continuing",
		    child->name);
	give(child, fds[0], UP_HTTP);
	give(child, fds[1], UP_HTTP);
	return 0;
}

/* The API on a Unix socket as well, for machines shared by several people. */
static int
listen_api_socket(struct up *up)
{
	const char *path = up->config.server.socket;
	const char *name = up->config.server.socket_group;
	mode_t mode = (mode_t)strtoul(up->config.server.socket_mode, NULL, 8);
	const struct group *group = name ? getgrnam(name) : NULL;
	int fd;

	if (!path)
		return 0;
	if (name && !group) {
		log_error("up",
		    "there is no group '%s', which server.socket_group names: make it "
		    "with `groupadd %s`",
		    name, name);
		return EXIT_START;
	}
	fd = listen_owned(path, mode, (uid_t)-1, group ? group->gr_gid : (gid_t)-1);
	if (fd == -EPERM && name) {
		log_error("up",
		    "cannot give '%s' to group '%s': only its members and root may",
		    path, name);
		return EXIT_START;
	}
	if (fd < 0)
		return log_unix(path, fd);
	give(&up->children[UP_API], fd, UP_HTTP);
	return 0;
}

int
up_listen_all(struct up *up)
{
	const struct config *config = &up->config;
	struct up_child *api = &up->children[UP_API];
	struct up_child *webhook = &up->children[UP_WEBHOOK];
	int status = take_lock(up);

	if (status == 0)
		status = listen_admin(up);
	if (status == 0)
		status = listen_tcp(api, "server", config->server.host,
		    config->server.port, &up->api_port);
	if (status == 0)
		status = listen_api_socket(up);
	if (status == 0)
		status = listen_link(up, UP_API, up->paths.api_link);
	if (status != 0 || !webhook->wanted)
		return status;
	status = listen_tcp(webhook, "webhooks", config->webhooks.host,
	    config->webhooks.port, &up->webhook_port);
	if (status == 0)
		status = listen_link(up, UP_WEBHOOK, up->paths.webhook_link);
	return status;
}

/* Removes what was opened here, and nothing that a refused start has merely met. */
void
up_listen_remove(struct up *up, const char *name)
{
	size_t role;
	size_t i;

	for (role = 0; role < UP_ROLE_MAX; role++) {
		for (i = 0; i < up->children[role].fd_count; i++) {
			struct sockaddr_un address = { .sun_family = AF_UNSPEC };
			socklen_t size = sizeof(address) - 1;
			int *fd = &up->children[role].fds[i].fd;

			if (*fd < 0 ||
			    (name && strcmp(up->children[role].fds[i].name, name) != 0))
				continue;
			if (getsockname(*fd, (struct sockaddr *)&address, &size) == 0 &&
			    address.sun_family == AF_UNIX && address.sun_path[0] == '/')
				(void)unlink(address.sun_path);
			(void)close(*fd);
			*fd = -1;
		}
	}
}

void
up_listen_announce(const struct up *up)
{
	const struct config *config = &up->config;
	char *api = config_listener_url(config->server.host, up->api_port, "");
	char *webhook = up->children[UP_WEBHOOK].wanted
	    ? config_listener_url(
		  config->webhooks.host, up->webhook_port, config->webhooks.path)
	    : xstrdup("off");

	if (config->server.socket)
		log_info("up", "listening api=%s webhook=%s socket=%s", api, webhook,
		    config->server.socket);
	else
		log_info("up", "listening api=%s webhook=%s", api, webhook);
	free(api);
	free(webhook);
}
