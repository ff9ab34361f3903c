/*
 * Where files, folders and sockets are, and making the folders safely.
 *
 * Used by the broker, the fronts (through `streamhold up`) and the command. Owns no
 * state: what it knows of the process comes in through struct paths_env.
 */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/config.h"
#include "common/paths.h"

#define CREDENTIAL_NAME "streamhold.kek"

/* Bits of a mode that let somebody else change a folder. */
#define WRITABLE_BY_OTHERS (S_IWGRP | S_IWOTH)
#define OPEN_TO_OTHERS (S_IRWXG | S_IRWXO)

/* A folder to make, and who may own it. */
struct folder {
	const char *path;
	mode_t mode;
	bool root_may_own;
};

__attribute__((format(printf, 3, 4))) static int
fail(char *error, int code, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(error, PATHS_ERROR_SIZE, format, arguments);
	va_end(arguments);
	return code;
}

/* ---- Environment ---- */

void
paths_env_read(struct paths_env *ret_env)
{
	const struct passwd *user;

	*ret_env = (struct paths_env){
		.uid = geteuid(),
		.home = secure_getenv("HOME"),
		.xdg_config_home = secure_getenv("XDG_CONFIG_HOME"),
		.xdg_state_home = secure_getenv("XDG_STATE_HOME"),
		.xdg_runtime_dir = secure_getenv("XDG_RUNTIME_DIR"),
		.credentials_directory = secure_getenv("CREDENTIALS_DIRECTORY"),
		.root = "",
	};
	if (!ret_env->home) {
		user = getpwuid(ret_env->uid);
		ret_env->home = user ? user->pw_dir : NULL;
	}
}

/* A folder from the environment, NULL when it is unset or not absolute. */
static const char *
folder_of(const char *value)
{
	return value && value[0] == '/' ? value : NULL;
}

bool
paths_is_system(bool system_option, const struct paths_env *env)
{
	if (system_option)
		return true;
	return env->uid == 0 && !folder_of(env->xdg_config_home) &&
	    !folder_of(env->xdg_state_home) && !folder_of(env->xdg_runtime_dir);
}

/* ---- Working out ---- */

/* NULL when there is nothing to make it from. */
static char *
find_state_dir(const struct config *config, bool system, const struct paths_env *env)
{
	if (config->paths.state_dir)
		return xstrdup(config->paths.state_dir);
	if (system)
		return xasprintf("%s/var/lib/streamhold", env->root);
	if (folder_of(env->xdg_state_home))
		return xasprintf("%s/streamhold", env->xdg_state_home);
	if (folder_of(env->home))
		return xasprintf("%s/.local/state/streamhold", env->home);
	return NULL;
}

static char *
system_runtime_dir(const struct paths_env *env)
{
	return xasprintf("%s/run/streamhold", env->root);
}

static char *
user_runtime_dir(const struct paths_env *env)
{
	if (folder_of(env->xdg_runtime_dir))
		return xasprintf("%s/streamhold", env->xdg_runtime_dir);
	return xasprintf("%s/tmp/streamhold-%lu", env->root, (unsigned long)env->uid);
}

static char *
find_runtime_dir(const struct config *config, bool system, const struct paths_env *env)
{
	if (config->paths.runtime_dir)
		return xstrdup(config->paths.runtime_dir);
	return system ? system_runtime_dir(env) : user_runtime_dir(env);
}

/* The configured key, else the systemd credential, else one of our own. */
static char *
find_key_file(const struct config *config, const struct paths_env *env,
    const char *state_dir, bool *ret_own)
{
	const char *folder = folder_of(env->credentials_directory);
	char *path;

	*ret_own = false;
	if (config->keystore.key_file)
		return xstrdup(config->keystore.key_file);
	if (folder) {
		path = xasprintf("%s/" CREDENTIAL_NAME, folder);
		/* One that is there and unreadable is an error later on, never a reason
		 * to use another key. */
		if (access(path, F_OK) == 0 || (errno != ENOENT && errno != ENOTDIR))
			return path;
		free(path);
	}
	*ret_own = true;
	return xasprintf("%s/vault.key", state_dir);
}

int
paths_resolve(const struct config *config, bool system_option,
    const struct paths_env *env, struct paths *ret_paths, char *error)
{
	struct paths paths = { .system = paths_is_system(system_option, env) };

	paths.state_dir = find_state_dir(config, paths.system, env);
	if (!paths.state_dir)
		return fail(error, -EINVAL,
		    "there is no folder for the database: set HOME, XDG_STATE_HOME or "
		    "\"paths.state_dir\"");
	paths.runtime_dir = find_runtime_dir(config, paths.system, env);
	paths.api_dir = xasprintf("%s/api", paths.runtime_dir);
	paths.webhook_dir = xasprintf("%s/webhook", paths.runtime_dir);
	paths.database = xasprintf("%s/streamhold.db", paths.state_dir);
	paths.key_file =
	    find_key_file(config, env, paths.state_dir, &paths.key_file_is_own);
	paths.api_link = xasprintf("%s/link.sock", paths.api_dir);
	paths.webhook_link = xasprintf("%s/link.sock", paths.webhook_dir);
	paths.admin_socket = xasprintf("%s/broker.sock", paths.runtime_dir);
	if (strlen(paths.webhook_link) > CONFIG_SOCKET_PATH_MAX) {
		fail(error, 0,
		    "the folder for sockets '%.200s' has more than %d bytes: set "
		    "\"paths.runtime_dir\" to a shorter one",
		    paths.runtime_dir, CONFIG_RUNTIME_DIR_MAX);
		paths_clear(&paths);
		return -ENAMETOOLONG;
	}
	*ret_paths = paths;
	return 0;
}

void
paths_clear(struct paths *paths)
{
	free(paths->state_dir);
	free(paths->runtime_dir);
	free(paths->api_dir);
	free(paths->webhook_dir);
	free(paths->database);
	free(paths->key_file);
	free(paths->api_link);
	free(paths->webhook_link);
	free(paths->admin_socket);
	*paths = (struct paths){ .state_dir = NULL };
}

/* ---- Making folders ---- */

/* Makes the folders above `path` that are missing. */
static int
make_parents(const char *path, mode_t mode, char *error)
{
	char *copy = xstrdup(path);
	char *slash;
	int code = 0;

	for (slash = strchr(copy + 1, '/'); slash && code == 0;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(copy, mode) < 0 && errno != EEXIST)
			code = fail(error, -errno, "folder '%.200s' cannot be made: %s",
			    copy, strerror(errno));
		*slash = '/';
	}
	free(copy);
	return code;
}

/* Whether the folder behind a descriptor is safe to keep our files in. */
static int
check_folder(
    const struct folder *folder, const struct stat *status, uid_t owner, char *error)
{
	if (status->st_uid != owner && !(folder->root_may_own && status->st_uid == 0))
		return fail(error, -EPERM,
		    "folder '%.200s' belongs to user %lu and not to user %lu: give it "
		    "to "
		    "that user with chown, or configure another one",
		    folder->path, (unsigned long)status->st_uid, (unsigned long)owner);
	if (status->st_mode & WRITABLE_BY_OTHERS)
		return fail(error, -EPERM,
		    "folder '%.200s' can be changed by other users (mode %04o): run "
		    "`chmod go-w` on it",
		    folder->path, (unsigned)(status->st_mode & 07777));
	return 0;
}

/* Gives a new folder to its owner, or checks an old one; closes a private one. */
static int
settle_folder(const struct folder *folder, int file, bool is_new, uid_t owner,
    gid_t group, char *error)
{
	struct stat status;
	int code;

	if (is_new && (owner != geteuid() || group != (gid_t)-1) &&
	    fchown(file, owner, group) < 0)
		return fail(error, -errno,
		    "folder '%.200s' cannot be given to user %lu: %s", folder->path,
		    (unsigned long)owner, strerror(errno));
	if (fstat(file, &status) < 0)
		return fail(error, -errno, "folder '%.200s' cannot be examined: %s",
		    folder->path, strerror(errno));
	code = check_folder(folder, &status, owner, error);
	if (code < 0)
		return code;
	/* A mask may have taken bits from a new folder. */
	if (!is_new &&
	    ((folder->mode & OPEN_TO_OTHERS) || !(status.st_mode & OPEN_TO_OTHERS)))
		return 0;
	if (fchmod(file, folder->mode) < 0)
		return fail(error, -errno,
		    "folder '%.200s' cannot be set to mode %04o: %s", folder->path,
		    (unsigned)folder->mode, strerror(errno));
	return 0;
}

static int
make_folder(const struct folder *folder, uid_t owner, gid_t group, char *error)
{
	bool is_new = mkdir(folder->path, 0700) == 0;
	int file, code;

	if (!is_new && errno != EEXIST)
		return fail(error, -errno, "folder '%.200s' cannot be made: %s",
		    folder->path, strerror(errno));
	file = open(folder->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (file < 0 && (errno == ELOOP || errno == ENOTDIR))
		return fail(error, -EPERM,
		    "'%.200s' is not a folder but a file or a symbolic link: remove "
		    "it, or "
		    "configure another folder",
		    folder->path);
	if (file < 0)
		return fail(error, -errno, "folder '%.200s' cannot be opened: %s",
		    folder->path, strerror(errno));
	code = settle_folder(folder, file, is_new, owner, group, error);
	close(file);
	return code;
}

int
paths_make(
    const struct paths *paths, unsigned which, uid_t owner, gid_t group, char *error)
{
	/* In system mode users of group streamhold pass through to the admin socket. */
	const mode_t runtime_mode = paths->system ? 0755 : 0700;
	const struct {
		unsigned which;
		bool has_parents;
		struct folder folder;
	} steps[] = {
		{ PATHS_STATE, true, { paths->state_dir, 0700, false } },
		{ PATHS_RUNTIME, true, { paths->runtime_dir, runtime_mode, true } },
		{ PATHS_RUNTIME, false, { paths->api_dir, runtime_mode, true } },
		{ PATHS_RUNTIME, false, { paths->webhook_dir, runtime_mode, true } },
	};
	size_t i;
	int code;

	if (owner == (uid_t)-1)
		owner = geteuid();
	for (i = 0; i < sizeof steps / sizeof steps[0]; i++) {
		if (!(steps[i].which & which))
			continue;
		if (steps[i].has_parents) {
			code = make_parents(
			    steps[i].folder.path, paths->system ? 0755 : 0700, error);
			if (code < 0)
				return code;
		}
		code = make_folder(&steps[i].folder, owner, group, error);
		if (code < 0)
			return code;
	}
	return 0;
}

/* ---- The socket for the command ---- */

/* Whether nobody but the user or root can put a socket into the folder. */
static bool
is_folder_of(const char *folder, uid_t uid)
{
	struct stat status;

	if (lstat(folder, &status) < 0 || !S_ISDIR(status.st_mode))
		return false;
	return (status.st_uid == uid || status.st_uid == 0) &&
	    !(status.st_mode & WRITABLE_BY_OTHERS);
}

/* 0 when a socket is there, -ENOENT or -EACCES. */
static int
look_for_socket(const char *path)
{
	struct stat status;

	if (lstat(path, &status) < 0)
		return errno == EACCES ? -EACCES : -ENOENT;
	return S_ISSOCK(status.st_mode) ? 0 : -ENOENT;
}

/* Looks in both runtime folders. 0 and the first socket, which the caller frees; else
 * -EACCES when one of them could not be looked into, or -ENOENT. */
static int
search_sockets(const struct paths_env *env, char **ret_path)
{
	char *folders[] = { user_runtime_dir(env), system_runtime_dir(env) };
	int result = -ENOENT;
	size_t i;
	int code;

	for (i = 0; i < 2; i++) {
		char *path = xasprintf("%s/broker.sock", folders[i]);

		code = i == 0 && !is_folder_of(folders[i], env->uid)
		    ? -ENOENT
		    : look_for_socket(path);
		if (result != 0 && code != -ENOENT)
			result = code;
		if (code == 0 && !*ret_path)
			*ret_path = path;
		else
			free(path);
		free(folders[i]);
	}
	return result;
}

static int
take_socket(char *path, char **ret_path, char *error)
{
	if (strlen(path) > CONFIG_SOCKET_PATH_MAX) {
		fail(error, 0, "the socket path '%.200s' has more than %d bytes", path,
		    CONFIG_SOCKET_PATH_MAX);
		free(path);
		return -ENAMETOOLONG;
	}
	*ret_path = path;
	return 0;
}

int
paths_client_socket(const char *socket_option, const struct config *config,
    const struct paths_env *env, char **ret_path, char *error)
{
	char *path = NULL;
	char *folder;
	int code;

	if (socket_option)
		return take_socket(xstrdup(socket_option), ret_path, error);
	if (config && config->paths.runtime_dir)
		return take_socket(
		    xasprintf("%s/broker.sock", config->paths.runtime_dir), ret_path,
		    error);
	code = search_sockets(env, &path);
	if (code == 0)
		return take_socket(path, ret_path, error);
	folder = user_runtime_dir(env);
	if (code == -EACCES)
		fail(error, 0,
		    "the service is there, but this user may not reach it: join the "
		    "group "
		    "streamhold, or use sudo");
	else
		fail(error, 0,
		    "the service is not running: there is no broker.sock in '%.150s' "
		    "or "
		    "'%s/run/streamhold'; start it with `streamhold up` or systemctl",
		    folder, env->root);
	free(folder);
	return code;
}
