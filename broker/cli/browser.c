/*
 * xdg-open, for `streamhold login`.
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/cli/browser.h"
#include "common/alloc.h"

#define PROGRAM "xdg-open"

static bool
is_set(const char *name)
{
	const char *value = getenv(name);

	return value && *value;
}

static bool
is_in_path(const char *program)
{
	const char *at = getenv("PATH");
	bool found = false;

	while (at && *at && !found) {
		size_t length = strcspn(at, ":");
		char *path = xasprintf("%.*s/%s", (int)length, at, program);

		/* Only folders named from the root: not one that somebody else
		 * may have made the current one. */
		found = path[0] == '/' && access(path, X_OK) == 0;
		free(path);
		at += length + (at[length] == ':');
	}
	return found;
}

bool
browser_is_there(void)
{
	if (geteuid() == 0 || !isatty(STDERR_FILENO))
		return false;
	if (is_set("SSH_CONNECTION") || is_set("SSH_CLIENT") || is_set("SSH_TTY"))
		return false;
	if (!is_set("DISPLAY") && !is_set("WAYLAND_DISPLAY"))
		return false;
	return is_in_path(PROGRAM);
}

bool
browser_open(const char *address)
{
	char program[] = PROGRAM;
	char *copy = xstrdup(address);
	char *arguments[] = { program, copy, NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	pid_t pid;
	int result;

	if (posix_spawn_file_actions_init(&actions) != 0)
		abort();
	if (posix_spawnattr_init(&attributes) != 0)
		abort();
	/* What a browser writes must not mix with the address on standard output. */
	result = posix_spawn_file_actions_addopen(
	    &actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	if (result == 0)
		result = posix_spawn_file_actions_addopen(
		    &actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	if (result == 0)
		result = posix_spawn_file_actions_adddup2(
		    &actions, STDOUT_FILENO, STDERR_FILENO);
	/* Ctrl-C ends the command and not the browser. */
	if (result == 0)
		result = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
	if (result == 0)
		result = posix_spawnp(
		    &pid, PROGRAM, &actions, &attributes, arguments, environ);
	(void)posix_spawnattr_destroy(&attributes);
	(void)posix_spawn_file_actions_destroy(&actions);
	free(copy);
	return result == 0;
}
