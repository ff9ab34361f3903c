/*
 * `streamhold-broker --check-database`, which `streamhold database check` starts.
 */
#ifndef BROKER_CHECK_H
#define BROKER_CHECK_H

#include <stdbool.h>

struct broker;

/* Reads the whole database, prints what is damaged on standard output (as one line of
 * JSON when `json`), and gives the exit status: EXIT_STOPPED when all is sound,
 * EXIT_CONFIG when it is damaged, or, after a sentence on standard error, when it
 * could not be looked at. Configuration and paths are known. */
int check_database(const struct broker *broker, bool json);

#endif
