/*
 * One child of `streamhold up`: making it, and collecting what is left of it.
 *
 * A child gets its listeners and a socket to tell that it is ready in the manner of
 * systemd (each its own, which nobody else can write to), its own
 * process group (so that Ctrl-C reaches the supervisor alone and the order of stopping
 * is kept), its own user, and dies with the supervisor (PR_SET_PDEATHSIG). Its log
 * comes through a pipe that never blocks it.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/cli/up.h"
#include "common/alloc.h"
#include "common/buf.h"
#include "common/log.h"
#include "common/process.h"
#include "common/time.h"

#define PASSED_FIRST 3
#define ARGUMENTS_MAX 16
#define COPY_NAME "config"

/* Descriptors are parked here before they are put in their places. */
#define PARKED_FIRST 64

static const struct {
	const char *name;
	const char *program;
} rows[UP_ROLE_MAX] = {
	[UP_BROKER] = { "broker", "streamhold-broker" },
	[UP_API] = { "api", "streamhold-httpd" },
	[UP_WEBHOOK] = { "webhook", "streamhold-httpd" },
};

int
up_child_init(struct up *up, enum up_role role, const char *folder)
{
	struct up_child *child = &up->children[role];

	child->role = role;
	child->name = rows[role].name;
	child->program = rows[role].program;
	child->log_fd = -1;
	child->notify_fd = -1;
	child->backoff_ms = UP_BACKOFF_LEAST_MS;
	child->path = xasprintf("%s/%s", folder, child->program);
	child->program_fd = open(child->path, O_PATH | O_CLOEXEC);
	if (child->program_fd >= 0 && access(child->path, X_OK) == 0)
		return 0;
	log_error("up",
	    "cannot find '%s', which must lie beside the streamhold command: %s; "
	    "build or install all programs",
	    child->path, strerror(errno));
	return EXIT_START;
}

/* ---- In the child, between fork and exec ---- */

__attribute__((format(printf, 2, 3), noreturn)) static void
child_fail(const struct up_child *child, const char *format, ...)
{
	char sentence[512];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(sentence, sizeof(sentence), format, arguments);
	va_end(arguments);
	log_error("up", "cannot start %s: %s", child->name, sentence);
	_exit(EXIT_START);
}

static void
reset_signals(void)
{
	const struct sigaction standard = { .sa_handler = SIG_DFL };
	sigset_t none;
	int number;

	for (number = 1; number < NSIG; number++)
		(void)sigaction(number, &standard, NULL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static int
park(const struct up_child *child, int fd)
{
	int parked = fcntl(fd, F_DUPFD_CLOEXEC, PARKED_FIRST);

	if (parked < 0)
		child_fail(child, "no descriptor is free: %s", strerror(errno));
	return parked;
}

/* Puts the descriptors at 3 and up, and names them. Everything else is close-on-exec.
 * Returns the number of the configuration's copy, or -1. */
static int
pass_descriptors(
    const struct up *up, const struct up_child *child, int notify_fd, bool with_copy)
{
	int parked[UP_FDS_MAX + 2];
	struct buf names = BUF_EMPTY;
	char number[24];
	size_t count = child->fd_count;
	size_t i;

	for (i = 0; i < child->fd_count; i++) {
		parked[i] = park(child, child->fds[i].fd);
		buf_printf(&names, "%s%s", i ? ":" : "", child->fds[i].name);
	}
	parked[count++] = park(child, notify_fd);
	buf_printf(&names, "%s" PROCESS_NOTIFY, i ? ":" : "");
	if (with_copy) {
		parked[count++] = park(child, up->config_copy);
		buf_add_text(&names, ":" COPY_NAME);
	}
	buf_add(&names, "", 1);
	for (i = 0; i < count; i++)
		if (dup2(parked[i], PASSED_FIRST + (int)i) < 0)
			child_fail(child, "dup2: %s", strerror(errno));
	(void)snprintf(number, sizeof(number), "%zu", count);
	(void)setenv("LISTEN_FDS", number, 1);
	(void)setenv("LISTEN_FDNAMES", (const char *)buf_bytes(&names), 1);
	buf_clear(&names);
	(void)snprintf(number, sizeof(number), "%ld", (long)getpid());
	(void)setenv("LISTEN_PID", number, 1);
	return with_copy ? PASSED_FIRST + (int)count - 1 : -1;
}

/* A broker of another user finds the folders of this one by the environment. */
static void
set_folder(const char *variable, const char *path)
{
	const char *last = strrchr(path, '/');
	char *folder;

	if (!last || last == path || strcmp(last, "/streamhold") != 0)
		return;
	folder = xstrndup(path, (size_t)(last - path));
	(void)setenv(variable, folder, 1);
	free(folder);
}

static void
set_environment(const struct up *up, const struct up_child *child)
{
	(void)unsetenv("NOTIFY_SOCKET");
	(void)unsetenv("WATCHDOG_USEC");
	(void)unsetenv("WATCHDOG_PID");
	if (child->user.uid == geteuid() || up->paths.system)
		return;
	set_folder("XDG_STATE_HOME", up->paths.state_dir);
	set_folder("XDG_RUNTIME_DIR", up->paths.runtime_dir);
}

static void
set_streams(int log_fd)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0 || dup2(null, STDIN_FILENO) < 0 ||
	    dup2(log_fd, STDOUT_FILENO) < 0 || dup2(log_fd, STDERR_FILENO) < 0)
		_exit(EXIT_START);
}

/* The supervisor may have died before the request was made, hence the question. */
static void
die_with_parent(pid_t parent)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
	if (getppid() != parent)
		_exit(EXIT_STOPPED);
}

static char *
number_text(unsigned long number)
{
	return xasprintf("%lu", number);
}

static void
fill_arguments(const struct up *up, const struct up_child *child, char **arguments,
    char *config_path)
{
	const struct up_child *children = up->children;
	size_t count = 0;

	arguments[count++] = child->path;
	if (child->role == UP_BROKER) {
		arguments[count++] = xstrdup("--api-uid");
		arguments[count++] = number_text(children[UP_API].user.uid);
		arguments[count++] = xstrdup("--webhook-uid");
		arguments[count++] = number_text(children[UP_WEBHOOK].user.uid);
	} else {
		arguments[count++] = xstrdup("--role");
		arguments[count++] = xstrdup(child->name);
		arguments[count++] = xstrdup("--broker-uid");
		arguments[count++] = number_text(children[UP_BROKER].user.uid);
	}
	if (up->paths.system)
		arguments[count++] = xstrdup("--system");
	if (config_path) {
		arguments[count++] = xstrdup("--config");
		arguments[count++] = config_path;
	}
	arguments[count] = NULL;
	assert(count < ARGUMENTS_MAX);
}

/* A user who cannot enter the folder can still run the program that was opened. */
__attribute__((noreturn)) static void
execute(const struct up_child *child, int program, char **arguments)
{
	(void)execv(child->path, arguments);
	if (errno == EACCES)
		(void)fexecve(program, arguments, environ);
	child_fail(child, "cannot run '%s': %s", child->path, strerror(errno));
}

__attribute__((noreturn)) static void
become(const struct up *up, const struct up_child *child, int log_fd, int notify_fd,
    pid_t parent)
{
	char *arguments[ARGUMENTS_MAX];
	char *config_path = up->config_path;
	int program = park(child, child->program_fd);
	bool with_copy;
	int copy;
	int result;

	set_streams(log_fd);
	reset_signals();
	(void)setpgid(0, 0);
	set_environment(up, child);
	result = up_user_become(&child->user, child->role == UP_BROKER);
	if (result < 0)
		child_fail(child, "cannot become '%s': %s", child->user.name,
		    strerror(-result));
	die_with_parent(parent);
	with_copy = config_path && up->config_copy >= 0 && child->role != UP_BROKER &&
	    access(config_path, R_OK) != 0;
	copy = pass_descriptors(up, child, notify_fd, with_copy);
	if (with_copy)
		config_path = xasprintf("/proc/self/fd/%d", copy);
	fill_arguments(up, child, arguments, config_path);
	if (chdir("/") < 0)
		child_fail(child, "chdir: %s", strerror(errno));
	execute(child, program, arguments);
}

/* ---- In the supervisor ---- */

static void
start_failed(struct up_child *child, const char *what)
{
	log_error("up", "cannot start %s: %s: %s", child->name, what, strerror(errno));
	child->pid = 0;
	child->restart_at = child->started + UP_BACKOFF_MOST_MS;
}

static void
close_pair(const int fds[static 2])
{
	(void)close(fds[0]);
	(void)close(fds[1]);
}

/* All ends nonblocking: a child whose log is not read loses lines, not time. */
void
up_child_start(struct up *up, struct up_child *child)
{
	pid_t parent = getpid();
	int pipe_fds[2];
	int notify_fds[2];

	child->restart_at = 0;
	child->ready = false;
	child->late = false;
	child->started = time_boot_ms();
	child->lines.length = 0;
	child->lines.cut = false;
	if (pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) < 0) {
		start_failed(child, "pipe");
		return;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
		notify_fds) < 0) {
		start_failed(child, "socketpair");
		close_pair(pipe_fds);
		return;
	}
	child->pid = fork();
	if (child->pid == 0)
		become(up, child, pipe_fds[1], notify_fds[1], parent);
	if (child->pid < 0) {
		start_failed(child, "fork");
		close_pair(pipe_fds);
		close_pair(notify_fds);
		return;
	}
	(void)close(pipe_fds[1]);
	(void)close(notify_fds[1]);
	child->log_fd = pipe_fds[0];
	child->notify_fd = notify_fds[0];
	log_debug("up", "started %s as '%s', process %ld", child->name,
	    child->user.name, (long)child->pid);
}

void
up_child_close_notify(struct up_child *child)
{
	if (child->notify_fd >= 0)
		(void)close(child->notify_fd);
	child->notify_fd = -1;
}

static void
close_log(struct up_child *child)
{
	if (child->log_fd < 0)
		return;
	(void)up_lines_read(&child->lines, child->log_fd);
	up_lines_flush(&child->lines);
	(void)close(child->log_fd);
	child->log_fd = -1;
}

bool
up_child_collect(struct up_child *child, int *ret_status)
{
	if (child->pid == 0 || waitpid(child->pid, ret_status, WNOHANG) != child->pid)
		return false;
	close_log(child);
	up_child_close_notify(child);
	child->pid = 0;
	child->worked = child->ready;
	child->ready = false;
	return true;
}

void
up_child_clear(struct up_child *child)
{
	close_log(child);
	up_child_close_notify(child);
	if (child->program_fd >= 0)
		(void)close(child->program_fd);
	free(child->path);
	child->path = NULL;
}
