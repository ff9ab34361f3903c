/*
 * Where files, folders and sockets are: system or user mode, the fallbacks, and the
 * making of folders that nobody else can tamper with (design.md 9, "Processes").
 */
#ifndef COMMON_PATHS_H
#define COMMON_PATHS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct config;

/* Bytes of the sentences written by this file, with the NUL. */
#define PATHS_ERROR_SIZE 512

/* What is taken from the environment. NULL and "" mean unset; relative folders are
 * taken as unset too (XDG Base Directory Specification). All texts are borrowed. */
struct paths_env {
	uid_t uid; /* effective */
	const char *home;
	const char *xdg_config_home;
	const char *xdg_state_home;
	const char *xdg_runtime_dir;
	const char *credentials_directory; /* systemd's $CREDENTIALS_DIRECTORY */
	const char *root; /* put before /etc, /var/lib, /run and /tmp; ""
			   * outside tests */
};

/* Reads the environment of the process; its texts live as long as the environment is
 * left alone. A missing HOME is taken from the user database. */
void paths_env_read(struct paths_env *ret_env);

/* System mode: asked for with --system, or root with none of XDG_CONFIG_HOME,
 * XDG_STATE_HOME and XDG_RUNTIME_DIR set. Otherwise user mode. */
bool paths_is_system(bool system_option, const struct paths_env *env);

/* All owned; paths_clear frees them. */
struct paths {
	bool system;
	char *state_dir;
	char *runtime_dir;
	char *api_dir;        /* <runtime_dir>/api */
	char *webhook_dir;    /* <runtime_dir>/webhook */
	char *database;       /* <state_dir>/streamhold.db */
	char *key_file;       /* of the file keystore */
	bool key_file_is_own; /* may be created: neither configured nor a credential */
	char *api_link;       /* <runtime_dir>/api/link.sock */
	char *webhook_link;   /* <runtime_dir>/webhook/link.sock */
	char *admin_socket;   /* <runtime_dir>/broker.sock */
};

/*
 * Works out every path from configuration and environment; touches no folder, and of
 * files only asks whether the systemd credential `streamhold.kek` exists.
 *
 * 0 and *ret_paths filled (end it with paths_clear); -EINVAL when there is no home to
 * fall back to, -ENAMETOOLONG when a socket path would not fit into an address; then
 * `error` (PATHS_ERROR_SIZE bytes) says in one sentence what to do.
 */
int paths_resolve(const struct config *config, bool system_option,
    const struct paths_env *env, struct paths *ret_paths, char *error);

/* Frees every member and zeroes the struct. A zeroed struct is allowed. */
void paths_clear(struct paths *paths);

/* Which folders paths_make is asked for. */
enum {
	PATHS_STATE = 1,   /* state_dir, 0700, owned by the broker's user */
	PATHS_RUNTIME = 2, /* runtime_dir and the two folders in it; 0755 in system
			    * mode, 0700 otherwise */
};

/*
 * Makes the folders that are missing, and their missing parents, and checks those that
 * exist: a real folder (no symbolic link), of the right owner, not writable by group
 * or others. Runtime folders may also belong to root. A state folder that others may
 * read is closed to them.
 *
 * `owner` and `group` are those of the broker; (uid_t)-1 means the process itself.
 * Only root can ask for another user; folders made for one are given to it.
 *
 * 0, or a negative errno (-EPERM: unsafe) and a sentence in `error`.
 */
int paths_make(
    const struct paths *paths, unsigned which, uid_t owner, gid_t group, char *error);

/*
 * Finds the broker's socket for the command: `socket_option` (of --socket), else
 * paths.runtime_dir of `config` (that of --config or of the default file, NULL when
 * there is none), else the user's runtime folder, else /run/streamhold. The first two
 * are taken as they are; of the others the first where a socket exists. A folder in
 * /tmp counts only when it belongs to the user alone, so that nobody else can pose as
 * the broker.
 *
 * 0 and *ret_path (the caller frees); -ENOENT when there is none, -EACCES when one is
 * there that the user may not reach, -ENAMETOOLONG; then `error` says in one sentence
 * where was looked and what to do.
 */
int paths_client_socket(const char *socket_option, const struct config *config,
    const struct paths_env *env, char **ret_path, char *error);

#endif
