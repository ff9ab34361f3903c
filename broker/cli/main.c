/*
 * The `streamhold` command: finds the verb, reads its options, runs it.
 */
#include <stdio.h>

#include "broker/cli/cli.h"
#include "broker/cli/options.h"

int
main(int argc, char **argv)
{
	struct cli cli = { .color = false };
	const struct verb *verb;
	int status = options_parse(argc, argv, &cli, &verb);

	if (status != CLI_OK)
		return status;
	status = verb->run(&cli);
	/* A full disk or a closed pipe must not look like success. */
	if (fflush(stdout) != 0 || ferror(stdout))
		return status == CLI_OK ? CLI_FAILURE : status;
	return status;
}
