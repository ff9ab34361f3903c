/*
 * `streamhold database check`: becomes the broker for a look at its database, since no
 * other program reads it. The service must not run.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/cli/cli.h"
#include "broker/cli/programs.h"
#include "broker/cli/talk.h"
#include "common/alloc.h"

#define ARGUMENTS_MAX 8

int
verb_database_check(struct cli *cli)
{
	const char *arguments[ARGUMENTS_MAX] = { NULL };
	char folder[4096];
	char *program;
	size_t count = 0;

	if (programs_folder(folder, sizeof(folder)) < 0) {
		talk_error(
		    "streamhold version", "cannot find out where this program lies");
		return CLI_FAILURE;
	}
	program = xasprintf("%s/streamhold-broker", folder);
	arguments[count++] = program;
	arguments[count++] = "--check-database";
	if (cli->json)
		arguments[count++] = "--json";
	if (cli->system)
		arguments[count++] = "--system";
	if (cli->config) {
		arguments[count++] = "--config";
		arguments[count++] = cli->config;
	}
	(void)execv(program, (char **)(uintptr_t)arguments);
	talk_error("ls -l FOLDER/streamhold-broker", "cannot start '%s': %s", program,
	    strerror(errno));
	free(program);
	return CLI_FAILURE;
}
