/*
 * `streamhold exec PLATFORM/NAME -- COMMAND`: becomes the command, with an access token
 * in its environment.
 *
 * No process is left behind: the command has this one's id, gets its signals, and its
 * exit status is the command's own. The token is in no argument and in the environment
 * of the command and its children only.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/cli/talk.h"
#include "broker/cli/token.h"
#include "common/alloc.h"

#define VARIABLE "STREAMHOLD_TOKEN="

/* Exit statuses of a command that could not be started, as env(1) has them. */
#define CANNOT_RUN 126
#define NOT_FOUND 127

/* The environment with `variable` in the place of one of its name. The caller frees
 * the array. */
static char **
add_variable(char *variable)
{
	size_t count = 0;
	size_t kept = 0;
	size_t i;
	char **result;

	while (environ[count])
		count++;
	result = xcalloc(count + 2, sizeof(*result));
	for (i = 0; i < count; i++)
		if (strncmp(environ[i], VARIABLE, strlen(VARIABLE)) != 0)
			result[kept++] = environ[i];
	result[kept] = variable;
	return result;
}

static struct secret
make_variable(const struct secret *token)
{
	size_t before = strlen(VARIABLE);
	struct secret variable = { .bytes = xcalloc(1, before + token->length + 1),
		.length = before + token->length };

	memcpy(variable.bytes, VARIABLE, before);
	memcpy(variable.bytes + before, token->bytes, token->length);
	return variable;
}

static int
become(char **command, char *variable)
{
	const struct sigaction normal = { .sa_handler = SIG_DFL };
	char **variables = add_variable(variable);
	int status;

	/* What was ignored here would be ignored there. */
	(void)sigaction(SIGPIPE, &normal, NULL);
	(void)execvpe(command[0], command, variables);
	status = errno == ENOENT ? NOT_FOUND : CANNOT_RUN;
	talk_error("streamhold help exec", "'%s' cannot be started: %s", command[0],
	    strerror(errno));
	free(variables);
	return status;
}

int
verb_exec(struct cli *cli)
{
	struct proto_msg given = { .type = MSG_none };
	struct secret variable;
	int status = token_ask(cli, true, &given);

	if (status == CLI_OK) {
		variable = make_variable(&given.token_given.access_token);
		proto_clear(&given);
		status = become(cli->words + 1, (char *)variable.bytes);
		secret_clear(&variable);
	}
	return status;
}
