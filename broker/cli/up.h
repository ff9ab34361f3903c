/*
 * `streamhold up`: state shared by its files. See up.c for what it does.
 */
#ifndef BROKER_CLI_UP_H
#define BROKER_CLI_UP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/config.h"
#include "common/paths.h"

/* Longest line forwarded from a child, in bytes; the rest of it is dropped. */
#define UP_LINE_MAX 4096

/* Wait before a child is started again: the least when it had become ready, else
 * doubled with each death up to the most. */
#define UP_BACKOFF_LEAST_MS 100
#define UP_BACKOFF_MOST_MS 5000

/* A disk that fails after this time fails anew; sooner, it fails still. */
#define UP_SOUND_MS 60000

/* What a child is given beyond its own drain time before it is killed. */
#define UP_STOP_GRACE_MS 1000

/* A child that is not ready after this time is mentioned in the log. */
#define UP_READY_MS 10000

/* How long a leftover broker of an `up` that was killed is waited for. */
#define UP_LEFTOVER_MS 3000

/* Names under which listeners are handed over. */
#define UP_HTTP "http"
#define UP_LINK "link"
#define UP_ADMIN "admin"

/* Descriptors handed to one child. */
#define UP_FDS_MAX 6

enum up_role { UP_BROKER, UP_API, UP_WEBHOOK, UP_ROLE_MAX };

/* Who a child runs as. */
struct up_user {
	uid_t uid;
	gid_t gid;
	char name[64]; /* or the number when it has no name */
};

/* Collects bytes to whole lines. */
struct up_lines {
	char text[UP_LINE_MAX];
	size_t length;
	bool cut; /* the line was too long; its rest is skipped */
};

struct up_child {
	enum up_role role;
	bool wanted;
	const char *name;    /* "broker", "api", "webhook" */
	const char *program; /* "streamhold-broker" */
	char *path;
	int program_fd; /* for a folder that the child's user cannot enter */
	struct up_user user;
	struct {
		int fd;
		const char *name;
	} fds[UP_FDS_MAX];
	size_t fd_count;

	pid_t pid; /* 0: does not run */
	int log_fd;
	int notify_fd; /* our end of the socket on which it tells its state, or -1 */
	struct up_lines lines;
	int64_t started;    /* boot-time ms */
	int64_t restart_at; /* boot-time ms; 0: not waiting to be started */
	unsigned backoff_ms;
	unsigned restarts;
	bool ready;
	bool worked; /* the process before had become ready */
	bool late;   /* said to be not ready */
};

enum up_stage { UP_RUNNING, UP_STOPPING_FRONTS, UP_STOPPING_BROKER, UP_STOPPED };

struct up {
	struct config config;
	struct paths paths;
	struct paths_env env;
	char *config_path; /* absolute; NULL when there is no file */
	int config_copy;   /* sealed copy for users who cannot read the file, or -1 */
	int lock_fd;
	int signal_fd;
	uint16_t api_port;
	uint16_t webhook_port;
	struct up_child children[UP_ROLE_MAX];
	enum up_stage stage;
	int64_t deadline; /* of the stage; boot-time ms */
	int exit_status;
	bool announced;
	bool terminal; /* standard error is one */
};

/* ---- up_config.c ---- */

/* Reads the configuration that is meant and works out the paths. 0, or the exit status
 * after having said what is wrong. */
struct cli;
int up_config_read(struct up *up, const struct cli *cli);

/* Reads the file again and takes over what concerns `up` itself; a file that is wrong
 * changes nothing. */
void up_config_reload(struct up *up);

/* ---- up_watch.c ---- */

/* Watches the children until they are all stopped; up->exit_status says how. */
void up_watch(struct up *up);

/* ---- up_user.c ---- */

/* Decides who every child runs as (design.md 9) and, as root, logs it. 0, or the exit
 * status after having logged why not. */
int up_user_choose(struct up *up);

/* Becomes a user for good, with its groups only when `groups`. Called in the child.
 * 0 or a negative errno. */
int up_user_become(const struct up_user *user, bool groups);

/* ---- up_listen.c ---- */

/* Takes the lock of the runtime folder, opens every socket and hands them to the
 * children's rows. 0, or the exit status after having logged why not. */
int up_listen_all(struct up *up);

/* Closes the listeners of a name, or of all names (NULL), and removes their pathname
 * sockets. When ours are closed, a front that stops listening really refuses. */
void up_listen_remove(struct up *up, const char *name);

/* Says where everything listens, in one line. */
void up_listen_announce(const struct up *up);

/* ---- up_child.c ---- */

/* Fills a child's row: program, path. 0, or the exit status after having logged. */
int up_child_init(struct up *up, enum up_role role, const char *folder);

/* Starts a child. A failure to do so counts as a death. */
void up_child_start(struct up *up, struct up_child *child);

/* Collects a child that has ended: true and *ret_status as of waitpid(2). Its last
 * lines have been forwarded then. */
bool up_child_collect(struct up_child *child, int *ret_status);

/* Hears no more of what a child tells. */
void up_child_close_notify(struct up_child *child);

/* Closes what belongs to the row. */
void up_child_clear(struct up_child *child);

/* ---- up_lines.c ---- */

/* Reads what a child wrote and forwards whole lines to standard error. False at the
 * end of the pipe. */
bool up_lines_read(struct up_lines *lines, int fd);

/* Forwards an unfinished last line. */
void up_lines_flush(struct up_lines *lines);

#endif
