/*
 * `streamhold up`: broker and fronts together in the foreground, for people without
 * systemd. It opens every socket, starts the three programs that lie beside it, and
 * from then on only watches:
 *
 *   start    read the configuration, choose users, make folders, open sockets, spawn
 *   run      forward log lines; tell when all are ready; start again what dies
 *   stop     TERM to the fronts and wait for them, then the same with the broker
 *
 * It holds no secret and reads no request. It must never leave a child behind.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/cli/cli.h"
#include "broker/cli/up.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/process.h"
#include "common/time.h"

/* ---- Configuration ---- */

/* In the order of options.def. */
static const enum log_level log_levels[CONFIG_LOG_LEVEL_MAX] = {
	[CONFIG_LOG_LEVEL_ERROR] = LOG_LEVEL_error,
	[CONFIG_LOG_LEVEL_WARN] = LOG_LEVEL_warning,
	[CONFIG_LOG_LEVEL_INFO] = LOG_LEVEL_info,
	[CONFIG_LOG_LEVEL_DEBUG] = LOG_LEVEL_debug,
};

static void
apply_logging(const struct up *up)
{
	log_set_level(log_levels[up->config.logging.level]);
	log_set_format(up->config.logging.format == CONFIG_LOG_FORMAT_JSON
		? LOG_FORMAT_json
		: LOG_FORMAT_text);
}

/* A front may run as a user who cannot read the file. Its copy cannot be changed by
 * anybody, and reaches it as a descriptor. */
static int
copy_config(const char *path)
{
	const int seals = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;
	int from = open(path, O_RDONLY | O_CLOEXEC);
	int copy = memfd_create("config.json", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	char bytes[16384];
	ssize_t length = -1;

	if (from >= 0 && copy >= 0)
		while ((length = read(from, bytes, sizeof(bytes))) > 0)
			if (write(copy, bytes, (size_t)length) != length)
				break;
	if (from >= 0)
		(void)close(from);
	if (length == 0 && fcntl(copy, F_ADD_SEALS, seals) == 0)
		return copy;
	if (copy >= 0)
		(void)close(copy);
	return -1;
}

static void
renew_copy(struct up *up)
{
	int copy;

	if (!up->config_path || geteuid() != 0)
		return;
	copy = copy_config(up->config_path);
	if (copy < 0)
		return;
	if (up->config_copy >= 0)
		(void)close(up->config_copy);
	up->config_copy = copy;
}

static int
read_config(struct up *up, const struct cli *cli)
{
	struct config_error error;
	char sentence[PATHS_ERROR_SIZE];
	bool system;
	bool must_exist;
	char *path;
	int result;

	paths_env_read(&up->env);
	system = paths_is_system(cli->system, &up->env);
	config_find_path(cli->config, system, &up->env, &path, &must_exist);
	result = config_load(path, must_exist, &up->config, &error);
	config_error_print(&error, stderr);
	if (result == 0)
		up->config_path = realpath(path, NULL);
	free(path);
	if (result < 0)
		return EXIT_CONFIG;
	result =
	    paths_resolve(&up->config, cli->system, &up->env, &up->paths, sentence);
	if (result == 0)
		return 0;
	log_error("up", "%s", sentence);
	return EXIT_CONFIG;
}

/* ---- Starting ---- */

static int
find_programs(struct up *up)
{
	char folder[4096];
	ssize_t length = readlink("/proc/self/exe", folder, sizeof(folder) - 1);
	char *last;
	int status = 0;
	int role;

	if (length <= 0) {
		log_error("up", "cannot find out where this program lies: %s",
		    strerror(errno));
		return EXIT_START;
	}
	folder[length] = '\0';
	last = strrchr(folder, '/');
	if (last)
		*last = '\0';
	for (role = 0; role < UP_ROLE_MAX && status == 0; role++)
		status = up_child_init(up, (enum up_role)role, folder);
	up->children[UP_BROKER].wanted = true;
	up->children[UP_API].wanted = true;
	up->children[UP_WEBHOOK].wanted = up->config.webhooks.enabled;
	return status;
}

/* The fallback for the runtime folder goes by user id, so a broker of another user
 * would look elsewhere. */
static int
check_fallback(const struct up *up)
{
	const struct up_user *broker = &up->children[UP_BROKER].user;

	if (up->paths.system || broker->uid == geteuid() ||
	    up->config.paths.runtime_dir || up->env.xdg_runtime_dir)
		return 0;
	log_error("up",
	    "'%s' belongs to '%s', and neither paths.runtime_dir nor XDG_RUNTIME_DIR "
	    "says where the sockets go: set one, or run `streamhold up` as '%s'",
	    up->paths.state_dir, broker->name, broker->name);
	return EXIT_START;
}

static int
make_folders(struct up *up)
{
	const struct up_user *broker = &up->children[UP_BROKER].user;
	bool root = geteuid() == 0;
	uid_t owner = root ? broker->uid : (uid_t)-1;
	gid_t group = root ? broker->gid : (gid_t)-1;
	char sentence[PATHS_ERROR_SIZE];

	if (paths_make(&up->paths, PATHS_STATE, owner, group, sentence) < 0) {
		log_error("up", "%s", sentence);
		return EXIT_INIT;
	}
	if (paths_make(&up->paths, PATHS_RUNTIME, owner, group, sentence) < 0) {
		log_error("up", "%s", sentence);
		return EXIT_START;
	}
	return 0;
}

/* An abstract socket with a name of the kernel's choice: children of any user reach
 * it, and messages count only from the children's processes. */
static int
open_notify(struct up *up)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	socklen_t size = sizeof(address);
	int on = 1;

	up->notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (up->notify_fd >= 0 &&
	    setsockopt(up->notify_fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) == 0 &&
	    bind(up->notify_fd, (struct sockaddr *)&address,
		sizeof(address.sun_family)) == 0 &&
	    getsockname(up->notify_fd, (struct sockaddr *)&address, &size) == 0 &&
	    size > offsetof(struct sockaddr_un, sun_path) + 1) {
		(void)snprintf(up->notify_name, sizeof(up->notify_name), "@%.*s",
		    (int)(size - offsetof(struct sockaddr_un, sun_path) - 1),
		    address.sun_path + 1);
		return 0;
	}
	log_error("up", "cannot open the readiness socket: %s", strerror(errno));
	return EXIT_START;
}

static int
open_signals(struct up *up)
{
	static const int numbers[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2,
		SIGCHLD };
	sigset_t set;
	size_t i;

	(void)sigemptyset(&set);
	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		(void)sigaddset(&set, numbers[i]);
	up->signal_fd = sigprocmask(SIG_BLOCK, &set, NULL) == 0
	    ? signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)
	    : -1;
	if (up->signal_fd >= 0)
		return 0;
	log_error("up", "cannot wait for signals: %s", strerror(errno));
	return EXIT_START;
}

static int
start(struct up *up)
{
	static int (*const steps[])(struct up *) = { find_programs, up_user_choose,
		make_folders, open_signals, open_notify, up_listen_all };
	size_t i;
	int status = 0;

	apply_logging(up);
	up->terminal = isatty(STDERR_FILENO);
	for (i = 0; i < sizeof(steps) / sizeof(steps[0]) && status == 0; i++) {
		status = steps[i](up);
		if (status == 0 && steps[i] == up_user_choose)
			status = check_fallback(up);
	}
	if (status != 0)
		return status;
	renew_copy(up);
	for (i = 0; i < UP_ROLE_MAX; i++)
		if (up->children[i].wanted)
			up_child_start(up, &up->children[i]);
	return 0;
}

/* ---- Stopping ---- */

static bool
is_of_stage(const struct up *up, const struct up_child *child)
{
	return (child->role == UP_BROKER) == (up->stage == UP_STOPPING_BROKER);
}

static void
signal_stage(const struct up *up, int number)
{
	int role;

	for (role = UP_ROLE_MAX - 1; role >= 0; role--) {
		const struct up_child *child = &up->children[role];

		if (child->pid > 0 && is_of_stage(up, child))
			(void)kill(child->pid, number);
	}
}

static bool
stage_is_empty(const struct up *up)
{
	int role;

	for (role = 0; role < UP_ROLE_MAX; role++)
		if (up->children[role].pid > 0 && is_of_stage(up, &up->children[role]))
			return false;
	return true;
}

/* Goes on to the next stage as long as nobody is left in the present one. */
static void
advance(struct up *up)
{
	while (
	    up->stage != UP_RUNNING && up->stage != UP_STOPPED && stage_is_empty(up)) {
		up->stage++;
		up->deadline = time_boot_ms() + up->config.server.shutdown_timeout_ms +
		    UP_STOP_GRACE_MS;
		signal_stage(up, SIGTERM);
	}
}

/* The first to call decides the exit status. */
static void
stop(struct up *up, int status)
{
	int role;

	if (up->stage != UP_RUNNING)
		return;
	up->exit_status = status;
	for (role = 0; role < UP_ROLE_MAX; role++)
		up->children[role].restart_at = 0;
	up->stage = UP_STOPPING_FRONTS;
	up->deadline =
	    time_boot_ms() + up->config.server.shutdown_timeout_ms + UP_STOP_GRACE_MS;
	up_listen_remove(up, UP_HTTP);
	signal_stage(up, SIGTERM);
	advance(up);
}

static void
kill_stage(struct up *up, const char *why)
{
	int role;

	for (role = 0; role < UP_ROLE_MAX; role++) {
		struct up_child *child = &up->children[role];

		if (child->pid > 0 && is_of_stage(up, child))
			log_warning("up", "killing %s (process %ld): %s", child->name,
			    (long)child->pid, why);
	}
	signal_stage(up, SIGKILL);
	up->deadline = INT64_MAX;
}

/* ---- Running ---- */

/* ret_text takes 96 bytes. */
static void
describe_end(int status, char *ret_text)
{
	if (WIFSIGNALED(status))
		(void)snprintf(ret_text, 96, "was killed by signal %d (%s)",
		    WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		(void)snprintf(
		    ret_text, 96, "ended with status %d", WEXITSTATUS(status));
}

static void
restart_later(struct up_child *child, const char *how, long pid)
{
	int64_t now = time_boot_ms();

	if (now - child->started >= UP_LIFE_MS)
		child->backoff_ms = UP_BACKOFF_LEAST_MS;
	child->restart_at = now + child->backoff_ms;
	child->restarts++;
	log_warning("up", "%s (process %ld) %s; starting it again in %u ms",
	    child->name, pid, how, child->backoff_ms);
	child->backoff_ms *= 2;
	if (child->backoff_ms > UP_BACKOFF_MOST_MS)
		child->backoff_ms = UP_BACKOFF_MOST_MS;
}

/* TERM ends a child that has not come to handle it yet. */
static bool
is_ordinary_end(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) == EXIT_STOPPED
				 : WTERMSIG(status) == SIGTERM;
}

static void
on_child_end(struct up *up, struct up_child *child, long pid, int status)
{
	char how[96];

	describe_end(status, how);
	if (up->stage != UP_RUNNING) {
		if (!is_ordinary_end(status))
			log_warning("up", "%s (process %ld) %s while stopping",
			    child->name, pid, how);
		else
			log_debug("up", "%s (process %ld) stopped", child->name, pid);
		advance(up);
	} else if (WIFEXITED(status) && WEXITSTATUS(status) >= EXIT_CONFIG &&
	    WEXITSTATUS(status) <= EXIT_START) {
		log_error("up", "%s (process %ld) %s, see above: stopping", child->name,
		    pid, how);
		stop(up, WEXITSTATUS(status));
	} else {
		restart_later(child, how, pid);
	}
}

static void
collect_children(struct up *up)
{
	int role;
	int status;

	for (role = 0; role < UP_ROLE_MAX; role++) {
		struct up_child *child = &up->children[role];
		long pid = child->pid;

		if (up_child_collect(child, &status))
			on_child_end(up, child, pid, status);
	}
}

static void
announce_when_ready(struct up *up)
{
	int role;

	for (role = 0; role < UP_ROLE_MAX; role++)
		if (up->children[role].wanted && !up->children[role].ready)
			return;
	if (up->announced)
		return;
	up->announced = true;
	up_listen_announce(up);
	process_notify("READY=1");
}

static void
on_ready(struct up *up, pid_t pid)
{
	int role;

	for (role = 0; role < UP_ROLE_MAX; role++) {
		struct up_child *child = &up->children[role];

		if (child->pid != pid || child->ready)
			continue;
		child->ready = true;
		if (up->announced)
			log_info("up", "%s is ready again (process %ld)", child->name,
			    (long)pid);
	}
	announce_when_ready(up);
}

static bool
has_line(const char *text, const char *line)
{
	size_t length = strlen(line);
	const char *at;

	for (at = text; at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL)
		if (strncmp(at, line, length) == 0 &&
		    (at[length] == '\0' || at[length] == '\n'))
			return true;
	return false;
}

/* The kernel says which process wrote; only children are heard. */
static void
read_notify(struct up *up)
{
	union {
		char space[CMSG_SPACE(sizeof(struct ucred))];
		struct cmsghdr align;
	} control;
	char text[512];
	struct iovec part = { .iov_base = text, .iov_len = sizeof(text) - 1 };
	unsigned turn;

	for (turn = 0; turn < 64; turn++) {
		struct msghdr message = { .msg_iov = &part,
			.msg_iovlen = 1,
			.msg_control = control.space,
			.msg_controllen = sizeof(control.space) };
		ssize_t length =
		    recvmsg(up->notify_fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
		const struct cmsghdr *header;
		struct ucred sender = { .pid = 0 };

		if (length < 0)
			return;
		text[length] = '\0';
		header = CMSG_FIRSTHDR(&message);
		if (header && header->cmsg_level == SOL_SOCKET &&
		    header->cmsg_type == SCM_CREDENTIALS)
			memcpy(&sender, CMSG_DATA(header), sizeof(sender));
		if (sender.pid > 0 && has_line(text, "READY=1"))
			on_ready(up, sender.pid);
	}
}

/* Only to those that are ready, as before that these signals are deadly. */
static void
pass_on(const struct up *up, int number)
{
	int role;

	for (role = 0; role < UP_ROLE_MAX; role++)
		if (up->children[role].pid > 0 && up->children[role].ready)
			(void)kill(up->children[role].pid, number);
}

/* A closed terminal sends HUP to its foreground job: that ends us, whereas a HUP that
 * somebody sent asks to read the configuration again. */
static bool
terminal_is_gone(const struct up *up)
{
	struct pollfd out = { .fd = STDERR_FILENO };

	return up->terminal && poll(&out, 1, 0) == 1 && (out.revents & POLLHUP);
}

/* The broker reads the file itself and reports what it finds there, so a file that is
 * wrong is left to it. */
static void
reload(struct up *up)
{
	struct config config;
	struct config_error error;

	if (up->config_path &&
	    config_load(up->config_path, true, &config, &error) == 0) {
		config_clear(&up->config);
		up->config = config;
		apply_logging(up);
		renew_copy(up);
	}
	pass_on(up, SIGHUP);
}

static void
dump_state(const struct up *up)
{
	int role;

	for (role = 0; role < UP_ROLE_MAX; role++) {
		const struct up_child *child = &up->children[role];

		if (child->wanted)
			log_info("up",
			    "%s: process %ld, user '%s', %s, started again %u times",
			    child->name, (long)child->pid, child->user.name,
			    child->ready ? "ready" : "not ready", child->restarts);
	}
	pass_on(up, SIGUSR1);
}

static void
on_stop_signal(struct up *up, int number)
{
	if (up->stage == UP_RUNNING) {
		log_info("up", "stopping on signal %d (%s)", number, strsignal(number));
		stop(up, EXIT_STOPPED);
	} else if (number == SIGINT) {
		kill_stage(up, "interrupted again");
	}
}

static void
on_signal(struct up *up, int number)
{
	switch (number) {
	case SIGCHLD:
		collect_children(up);
		break;
	case SIGHUP:
		if (terminal_is_gone(up))
			on_stop_signal(up, number);
		else
			reload(up);
		break;
	case SIGUSR1:
		dump_state(up);
		break;
	case SIGUSR2:
		log_toggle_debug();
		pass_on(up, SIGUSR2);
		break;
	default:
		on_stop_signal(up, number);
		break;
	}
}

static void
read_signals(struct up *up)
{
	struct signalfd_siginfo info;

	while (read(up->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		on_signal(up, (int)info.ssi_signo);
}

/* ---- The loop ---- */

static void
sooner(int64_t *next, int64_t when)
{
	if (when < *next)
		*next = when;
}

/* When something is due even if nothing happens; INT64_MAX: never. */
static int64_t
next_due(const struct up *up)
{
	int64_t next = up->stage == UP_RUNNING ? INT64_MAX : up->deadline;
	int role;

	for (role = 0; role < UP_ROLE_MAX; role++) {
		const struct up_child *child = &up->children[role];

		if (child->restart_at)
			sooner(&next, child->restart_at);
		else if (child->pid > 0 && !child->ready && !child->late)
			sooner(&next, child->started + UP_READY_MS);
	}
	return next;
}

static void
do_due(struct up *up)
{
	int64_t now = time_boot_ms();
	int role;

	if (up->stage != UP_RUNNING) {
		if (now >= up->deadline)
			kill_stage(up, "it did not stop in time");
		return;
	}
	for (role = 0; role < UP_ROLE_MAX; role++) {
		struct up_child *child = &up->children[role];

		if (child->restart_at && now >= child->restart_at) {
			up_child_start(up, child);
		} else if (child->pid > 0 && !child->ready && !child->late &&
		    now >= child->started + UP_READY_MS) {
			child->late = true;
			log_warning("up",
			    "%s (process %ld) is not ready after %d s; continuing",
			    child->name, (long)child->pid, UP_READY_MS / 1000);
		}
	}
}

static int
wait_time(const struct up *up)
{
	int64_t next = next_due(up);
	int64_t now = time_boot_ms();

	if (next == INT64_MAX)
		return -1;
	if (next <= now)
		return 0;
	return next - now > 60000 ? 60000 : (int)(next - now);
}

/* Log lines before signals, so that a dead child's last words precede its obituary. */
static void
wait_and_work(struct up *up)
{
	struct pollfd fds[UP_ROLE_MAX + 2];
	int role;

	for (role = 0; role < UP_ROLE_MAX; role++)
		fds[role] = (struct pollfd){ .fd = up->children[role].log_fd,
			.events = POLLIN };
	fds[UP_ROLE_MAX] = (struct pollfd){ .fd = up->notify_fd, .events = POLLIN };
	fds[UP_ROLE_MAX + 1] = (struct pollfd){ .fd = up->signal_fd, .events = POLLIN };
	if (poll(fds, UP_ROLE_MAX + 2, wait_time(up)) < 0 && errno != EINTR)
		fatal(EXIT_START, "up", "poll: %s", strerror(errno));
	for (role = 0; role < UP_ROLE_MAX; role++) {
		struct up_child *child = &up->children[role];

		if (!fds[role].revents || up_lines_read(&child->lines, child->log_fd))
			continue;
		up_lines_flush(&child->lines);
		(void)close(child->log_fd);
		child->log_fd = -1;
	}
	if (fds[UP_ROLE_MAX].revents)
		read_notify(up);
	if (fds[UP_ROLE_MAX + 1].revents)
		read_signals(up);
	do_due(up);
}

static void
clear(struct up *up)
{
	int role;

	up_listen_remove(up, NULL);
	for (role = 0; role < UP_ROLE_MAX; role++)
		if (up->children[role].path)
			up_child_clear(&up->children[role]);
	paths_clear(&up->paths);
	config_clear(&up->config);
	free(up->config_path);
}

int
verb_up(struct cli *cli)
{
	struct up up = {
		.config_copy = -1, .lock_fd = -1, .notify_fd = -1, .signal_fd = -1
	};
	int status;

	process_harden(0);
	process_notify_open();
	log_open("streamhold");
	status = read_config(&up, cli);
	if (status != 0 || cli->check_only) {
		clear(&up);
		return status;
	}
	status = start(&up);
	while (status == 0 && up.stage != UP_STOPPED)
		wait_and_work(&up);
	if (status == 0) {
		status = up.exit_status;
		log_info("up", "stopped");
	}
	clear(&up);
	return status;
}
