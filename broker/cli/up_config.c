/*
 * The configuration of `streamhold up`: reading it, reading it again, and a copy for
 * fronts whose user cannot reach the file.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "broker/cli/cli.h"
#include "broker/cli/up.h"
#include "common/log.h"
#include "common/process.h"

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

int
up_config_read(struct up *up, const struct cli *cli)
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
	if (result < 0) {
		log_error("up", "%s", sentence);
		return EXIT_CONFIG;
	}
	apply_logging(up);
	renew_copy(up);
	return 0;
}

/* The broker reports what is wrong with the file, so nothing is said here. */
void
up_config_reload(struct up *up)
{
	struct config config;
	struct config_error error;

	if (!up->config_path || config_load(up->config_path, true, &config, &error) < 0)
		return;
	config_clear(&up->config);
	up->config = config;
	apply_logging(up);
	renew_copy(up);
}
