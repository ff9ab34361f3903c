/*
 * The command line: options of all verbs and of single ones, in any order with the
 * words. `--name value`, `--name=value`, `-n`; `--` ends the options.
 */
#ifndef BROKER_CLI_OPTIONS_H
#define BROKER_CLI_OPTIONS_H

#include <stdio.h>

#include "broker/cli/cli.h"

/*
 * Reads the command line into *cli and finds the verb. --help and --version choose the
 * verbs of that name. CLI_OK; or CLI_USAGE after having said on standard error what is
 * wrong and what was perhaps meant.
 */
int options_parse(int argc, char **argv, struct cli *cli, const struct verb **ret_verb);

/* Writes the options of every verb, or those that a verb has of its own, as lines of
 * the help. */
void options_print(FILE *file, const struct verb *verb);

#endif
