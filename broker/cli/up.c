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
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "broker/cli/cli.h"
#include "broker/cli/programs.h"
#include "broker/cli/up.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/process.h"

static int
find_programs(struct up *up)
{
	char folder[4096];
	int result = programs_folder(folder, sizeof(folder));
	int status = 0;
	int role;

	if (result < 0) {
		log_error("up", "cannot find out where this program lies: %s",
		    strerror(-result));
		return EXIT_START;
	}
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
		make_folders, open_signals, up_listen_all };
	size_t i;
	int status = 0;

	up->terminal = isatty(STDERR_FILENO);
	for (i = 0; i < sizeof(steps) / sizeof(steps[0]) && status == 0; i++) {
		status = steps[i](up);
		if (status == 0 && steps[i] == up_user_choose)
			status = check_fallback(up);
	}
	if (status != 0)
		return status;
	for (i = 0; i < UP_ROLE_MAX; i++)
		if (up->children[i].wanted)
			up_child_start(up, &up->children[i]);
	return 0;
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
	struct up up = { .config_copy = -1, .lock_fd = -1, .signal_fd = -1 };
	int status;

	process_harden(0);
	process_notify_open();
	log_open("streamhold");
	status = up_config_read(&up, cli);
	if (status != 0 || cli->check_only) {
		clear(&up);
		return status;
	}
	status = start(&up);
	if (status == 0) {
		up_watch(&up);
		status = up.exit_status;
		log_info("up", "stopped");
	}
	clear(&up);
	return status;
}
