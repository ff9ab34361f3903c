/*
 * `streamhold config units FOLDER`: what config.json means for the systemd units.
 *
 * With systemd the sockets are opened by socket units, which cannot read config.json.
 * systemd's generator (packaging/systemd/generator) calls this at boot and at every
 * `systemctl daemon-reload`; it writes drop-ins for what differs from the units'
 * defaults, and nothing else: no secret passes here, and no service is needed.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/cli/cli.h"
#include "broker/cli/talk.h"
#include "common/alloc.h"
#include "common/config.h"
#include "common/paths.h"

/* What to do when a file cannot be written. */
#define NEXT "ls -ld FOLDER"
#define DROP_IN "50-config.conf"
#define UNIT_RUNTIME "/run/streamhold"
#define UNIT_STATE "/var/lib/streamhold"
#define UNIT_API_PORT 3000
#define UNIT_WEBHOOK_PORT 3001
#define UNIT_API_HOST "localhost"
#define UNIT_WEBHOOK_HOST "127.0.0.1"

struct units {
	const char *folder;
	const struct config *config;
	bool ipv6;
	int status;
};

static FILE *
open_drop_in(struct units *units, const char *unit)
{
	char *folder = xasprintf("%s/%s.d", units->folder, unit);
	char *path = xasprintf("%s/" DROP_IN, folder);
	FILE *file = NULL;

	if (mkdir(folder, 0755) == 0 || errno == EEXIST)
		file = fopen(path, "we");
	if (!file) {
		talk_error(NEXT, "cannot write '%s': %s", path, strerror(errno));
		units->status = CLI_FAILURE;
	} else {
		(void)fputs(
		    "# Written from config.json by `streamhold config units`.\n", file);
	}
	free(path);
	free(folder);
	return file;
}

static void
close_drop_in(struct units *units, FILE *file)
{
	bool bad = ferror(file) != 0;

	if (fclose(file) != 0 || bad) {
		talk_error(NEXT, "a file in '%s' cannot be written", units->folder);
		units->status = CLI_FAILURE;
	}
}

/* A path as a unit takes it: `%` begins a specifier there; lists of paths are split at
 * blanks, unless the words are in quotes. */
static void
put_path(FILE *file, const char *path, bool quoted)
{
	if (quoted)
		(void)fputc('"', file);
	for (; *path; path++) {
		if (*path == '%')
			(void)fputc('%', file);
		else if (quoted && (*path == '"' || *path == '\\'))
			(void)fputc('\\', file);
		(void)fputc(*path, file);
	}
	if (quoted)
		(void)fputc('"', file);
}

static void
put_listener(const struct units *units, FILE *file, const char *host, unsigned port)
{
	if (strcmp(host, UNIT_API_HOST) == 0) {
		(void)fprintf(file, "ListenStream=127.0.0.1:%u\n", port);
		if (units->ipv6)
			(void)fprintf(file, "ListenStream=[::1]:%u\n", port);
	} else if (strchr(host, ':')) {
		(void)fprintf(file, "ListenStream=[%s]:%u\n", host, port);
	} else {
		(void)fprintf(file, "ListenStream=%s:%u\n", host, port);
	}
}

/* A unit has fixed addresses, so a port of the system's choice has no meaning there. */
static bool
port_fits(struct units *units, const char *key, unsigned port)
{
	if (port != 0)
		return true;
	talk_error("streamhold up",
	    "%s is 0, which systemd's sockets cannot do; the unit's port is used", key);
	units->status = CLI_FAILURE;
	return false;
}

static void
write_api(struct units *units)
{
	const struct config *config = units->config;
	bool usual = strcmp(config->server.host, UNIT_API_HOST) == 0 &&
	    config->server.port == UNIT_API_PORT && !config->server.socket &&
	    units->ipv6;
	FILE *file;

	if (usual || !port_fits(units, "server.port", config->server.port))
		return;
	file = open_drop_in(units, "streamhold-api.socket");
	if (!file)
		return;
	(void)fputs("[Socket]\nListenStream=\n", file);
	put_listener(units, file, config->server.host, config->server.port);
	if (config->server.socket) {
		(void)fputs("ListenStream=", file);
		put_path(file, config->server.socket, false);
		(void)fprintf(file, "\nSocketMode=%s\n", config->server.socket_mode);
		if (config->server.socket_group)
			(void)fprintf(
			    file, "SocketGroup=%s\n", config->server.socket_group);
	}
	close_drop_in(units, file);
}

/* Without webhooks there is nothing to listen for: the units are masked. */
static void
mask_webhook(struct units *units)
{
	static const char *const names[] = { "streamhold-webhook.socket",
		"streamhold-webhook-link.socket", "streamhold-webhook.service" };
	char *path;
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		path = xasprintf("%s/%s", units->folder, names[i]);
		if (symlink("/dev/null", path) < 0 && errno != EEXIST) {
			talk_error(NEXT, "cannot make '%s': %s", path, strerror(errno));
			units->status = CLI_FAILURE;
		}
		free(path);
	}
}

static void
write_webhook(struct units *units)
{
	const struct config *config = units->config;
	bool usual = strcmp(config->webhooks.host, UNIT_WEBHOOK_HOST) == 0 &&
	    config->webhooks.port == UNIT_WEBHOOK_PORT;
	FILE *file;

	if (!config->webhooks.enabled) {
		mask_webhook(units);
		return;
	}
	if (usual || !port_fits(units, "webhooks.port", config->webhooks.port))
		return;
	file = open_drop_in(units, "streamhold-webhook.socket");
	if (!file)
		return;
	(void)fputs("[Socket]\nListenStream=\n", file);
	put_listener(units, file, config->webhooks.host, config->webhooks.port);
	close_drop_in(units, file);
}

/* The sockets between the processes, and the command's. */
static void
write_runtime(struct units *units)
{
	static const struct {
		const char *unit;
		const char *socket;
	} rows[] = {
		{ "streamhold-broker.socket", "broker.sock" },
		{ "streamhold-api-link.socket", "api/link.sock" },
		{ "streamhold-webhook-link.socket", "webhook/link.sock" },
	};
	const char *folder = units->config->paths.runtime_dir;
	FILE *file;
	size_t i;

	if (!folder || strcmp(folder, UNIT_RUNTIME) == 0)
		return;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		file = open_drop_in(units, rows[i].unit);
		if (!file)
			return;
		(void)fputs("[Socket]\nListenStream=\nListenStream=", file);
		put_path(file, folder, false);
		(void)fprintf(file, "/%s\n", rows[i].socket);
		close_drop_in(units, file);
	}
}

/* The broker's unit may write into its own state folder only. */
static void
write_state(struct units *units)
{
	const char *folder = units->config->paths.state_dir;
	FILE *file;

	if (!folder || strcmp(folder, UNIT_STATE) == 0)
		return;
	file = open_drop_in(units, "streamhold-broker.service");
	if (!file)
		return;
	(void)fputs("[Service]\nReadWritePaths=", file);
	put_path(file, folder, true);
	(void)fputs("\n", file);
	close_drop_in(units, file);
}

static bool
has_control_characters(const char *text)
{
	for (; text && *text; text++)
		if ((unsigned char)*text < ' ' || *text == '\x7f')
			return true;
	return false;
}

static int
write_units(struct units *units)
{
	const struct config *config = units->config;

	if (has_control_characters(config->server.socket) ||
	    has_control_characters(config->paths.runtime_dir) ||
	    has_control_characters(config->paths.state_dir)) {
		talk_error("streamhold config show",
		    "a path in the configuration has control characters, which units "
		    "cannot have");
		return CLI_FAILURE;
	}
	write_api(units);
	write_webhook(units);
	write_runtime(units);
	write_state(units);
	return units->status;
}

int
verb_config_units(struct cli *cli)
{
	struct config config;
	struct config_error *error = xcalloc(1, sizeof(*error));
	struct units units = { .folder = cli->words[0],
		.config = &config,
		.ipv6 = access("/proc/net/if_inet6", F_OK) == 0,
		.status = CLI_OK };
	struct paths_env env;
	bool must_exist;
	char *path;
	int status = CLI_FAILURE;

	paths_env_read(&env);
	config_find_path(
	    cli->config, paths_is_system(cli->system, &env), &env, &path, &must_exist);
	if (config_load(path, must_exist, &config, error) == 0) {
		status = write_units(&units);
		config_clear(&config);
	} else {
		config_error_print(error, stderr);
		talk_error("streamhold config check", "'%s' cannot be used", path);
	}
	free(path);
	free(error);
	return status;
}
