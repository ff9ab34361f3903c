/*
 * How consumers are shown, and how they are asked about; for the files
 * verb_consumers*.c.
 */
#ifndef BROKER_CLI_CONSUMERS_H
#define BROKER_CLI_CONSUMERS_H

#include "broker/cli/client.h"
#include "broker/cli/out.h"

/* Opens, asks one question and closes. Exit statuses as client_ask; after a failure
 * `next` is the command to type. */
int consumers_ask(const struct cli *cli, const struct proto_msg *msg, const char *next,
    struct proto_msg *ret_answer);

/* Asks for one consumer, which *ret_row holds; the caller clears it. */
int consumers_find(const struct cli *cli, const char *name, struct proto_msg *ret_row);

/* A consumer as a JSON object; `name` is that of the member, NULL in a list. */
void consumers_json(
    struct out_json *json, const char *name, const struct proto_consumer *row);

/* Everything about one, as lines for a person. */
void consumers_print(const struct proto_consumer *row);

#endif
