/*
 * The commands that errors name, by the verb that was typed.
 */
#ifndef BROKER_CLI_NEXT_H
#define BROKER_CLI_NEXT_H

#include "broker/cli/cli.h"

/* Remembers the verb. Called once it is known; before, the general help is named. */
void next_verb(const struct verb *verb);

/* "streamhold help VERB". The text stays until the verb changes. */
const char *next_help(void);

/* What lists the things that the verb is about: "streamhold consumers list" for all of
 * `consumers`; "streamhold status" where there is no such list. */
const char *next_list(void);

#endif
