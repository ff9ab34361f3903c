/*
 * The configuration file: which one it is, and reading it whole.
 *
 * Called by every program at its start and on SIGHUP.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/config_table.h"
#include "common/paths.h"

/* Reads all of a regular file, at most CONFIG_SIZE_MAX + 1 bytes. */
static int
read_file(int file, char **ret_text, size_t *ret_length)
{
	char *text = xmalloc(CONFIG_SIZE_MAX + 1);
	size_t length = 0;
	ssize_t got;

	while (length <= CONFIG_SIZE_MAX) {
		got = read(file, text + length, CONFIG_SIZE_MAX + 1 - length);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			free(text);
			return -errno;
		}
		if (got == 0)
			break;
		length += (size_t)got;
	}
	*ret_text = text;
	*ret_length = length;
	return 0;
}

static int
open_file(const char *path)
{
	struct stat status;
	int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (file < 0)
		return -errno;
	if (fstat(file, &status) < 0 || !S_ISREG(status.st_mode)) {
		close(file);
		return -EBADF;
	}
	return file;
}

static int
refuse_file(const char *path, int code, struct config_error *ret_error)
{
	const struct config_source source = { .name = path, .error = ret_error };

	memset(ret_error, 0, sizeof *ret_error);
	if (code == -EBADF) {
		config_problem_line(&source, 0, "must be a regular file");
		return -EINVAL;
	}
	config_problem_line(
	    &source, 0, "the configuration cannot be read: %s", strerror(-code));
	return code;
}

int
config_load(const char *path, bool must_exist, struct config *ret_config,
    struct config_error *ret_error)
{
	int file = open_file(path);
	size_t length;
	char *text;
	int code;

	if ((file == -ENOENT || file == -ENOTDIR) && !must_exist) {
		memset(ret_error, 0, sizeof *ret_error);
		config_init(ret_config);
		return 0;
	}
	if (file < 0)
		return refuse_file(path, file, ret_error);
	code = read_file(file, &text, &length);
	close(file);
	if (code < 0)
		return refuse_file(path, code, ret_error);
	code = config_parse(text, length, path, ret_config, ret_error);
	free(text);
	return code;
}

static const char *
absolute(const char *folder)
{
	return folder && folder[0] == '/' ? folder : NULL;
}

void
config_find_path(const char *option, bool system, const struct paths_env *env,
    char **ret_path, bool *ret_must_exist)
{
	const char *home = absolute(env->home);
	const char *folder = absolute(env->xdg_config_home);
	char *path = NULL;

	*ret_must_exist = option != NULL;
	if (option) {
		*ret_path = xstrdup(option);
		return;
	}
	if (!system && folder)
		path = xasprintf("%s/streamhold/config.json", folder);
	else if (!system && home)
		path = xasprintf("%s/.config/streamhold/config.json", home);
	/* A file that is there and cannot be read is an error, not a reason to go on.
	 */
	if (path && access(path, F_OK) < 0 && (errno == ENOENT || errno == ENOTDIR)) {
		free(path);
		path = NULL;
	}
	*ret_path = path ? path : xasprintf("%s/etc/streamhold/config.json", env->root);
}
