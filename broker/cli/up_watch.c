/*
 * The life of `streamhold up` after everything was started: one loop over the
 * children's logs, their readiness, signals and what is due; starting again what died;
 * stopping in order.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/cli/up.h"
#include "common/log.h"
#include "common/process.h"
#include "common/time.h"

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
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
		(void)snprintf(ret_text, 96,
		    "was killed by the sandbox; `journalctl -k -g type=1326` has the "
		    "system call");
	else if (WIFSIGNALED(status))
		(void)snprintf(ret_text, 96, "was killed by signal %d (%s)",
		    WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		(void)snprintf(
		    ret_text, 96, "ended with status %d", WEXITSTATUS(status));
}

/* Whether a child is wanted back at once: it has worked. One that does not even come
 * up is tried less and less often, and so is one whose disk fails again and again. */
static bool
has_worked(const struct up_child *child, int status, int64_t now)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_STORAGE)
		return now - child->started >= UP_SOUND_MS;
	return child->worked;
}

static void
restart_later(struct up_child *child, const char *how, long pid, int status)
{
	int64_t now = time_boot_ms();

	if (has_worked(child, status, now))
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

/* Whether starting it again would meet the same. */
static bool
needs_person(int status)
{
	return WIFEXITED(status) &&
	    ((WEXITSTATUS(status) >= EXIT_CONFIG &&
		 WEXITSTATUS(status) <= EXIT_START) ||
		WEXITSTATUS(status) == EXIT_DAMAGED);
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
	} else if (needs_person(status)) {
		log_error("up", "%s (process %ld) %s, see above: stopping", child->name,
		    pid, how);
		stop(up, WEXITSTATUS(status));
	} else {
		restart_later(child, how, pid, status);
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
on_ready(struct up *up, struct up_child *child)
{
	if (child->ready)
		return;
	child->ready = true;
	if (up->announced)
		log_info("up", "%s is ready again (process %ld)", child->name,
		    (long)child->pid);
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

/* Whose socket it is says who wrote. A child that has closed its end tells no more. */
static void
read_notify(struct up *up, struct up_child *child)
{
	char text[512];
	ssize_t length = recv(child->notify_fd, text, sizeof(text) - 1, MSG_DONTWAIT);

	if (length > 0) {
		text[length] = '\0';
		if (has_line(text, "READY=1"))
			on_ready(up, child);
	} else if (length == 0 || errno != EAGAIN) {
		up_child_close_notify(child);
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
		else {
			up_config_reload(up);
			pass_on(up, SIGHUP);
		}
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
	struct pollfd fds[2 * UP_ROLE_MAX + 1];
	int role;

	for (role = 0; role < UP_ROLE_MAX; role++) {
		fds[role] = (struct pollfd){ .fd = up->children[role].log_fd,
			.events = POLLIN };
		fds[UP_ROLE_MAX + role] =
		    (struct pollfd){ .fd = up->children[role].notify_fd,
			    .events = POLLIN };
	}
	fds[2 * UP_ROLE_MAX] = (struct pollfd){ .fd = up->signal_fd, .events = POLLIN };
	if (poll(fds, 2 * UP_ROLE_MAX + 1, wait_time(up)) < 0 && errno != EINTR)
		fatal(EXIT_START, "up", "poll: %s", strerror(errno));
	for (role = 0; role < UP_ROLE_MAX; role++) {
		struct up_child *child = &up->children[role];

		if (!fds[role].revents || up_lines_read(&child->lines, child->log_fd))
			continue;
		up_lines_flush(&child->lines);
		(void)close(child->log_fd);
		child->log_fd = -1;
	}
	for (role = 0; role < UP_ROLE_MAX; role++)
		if (fds[UP_ROLE_MAX + role].revents)
			read_notify(up, &up->children[role]);
	if (fds[2 * UP_ROLE_MAX].revents)
		read_signals(up);
	do_due(up);
}

void
up_watch(struct up *up)
{
	while (up->stage != UP_STOPPED)
		wait_and_work(up);
}
