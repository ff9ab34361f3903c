/*
 * An access token from the broker, for `token get` and `exec`.
 */
#ifndef BROKER_CLI_TOKEN_H
#define BROKER_CLI_TOKEN_H

#include "broker/cli/client.h"

/* Asks for the token of the account in cli->words[0], which must live for --min-ttl
 * seconds yet. `command` is for the audit. CLI_OK and *ret_given, which the caller
 * clears with proto_clear (that wipes it); or an exit status, after having said why. */
int token_ask(const struct cli *cli, bool command, struct proto_msg *ret_given);

#endif
