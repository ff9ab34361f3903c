/*
 * What the broker gives up before it opens its database: writing outside of its state
 * folder, starting other programs than its helper, and the system calls of
 * sandbox_calls.def. Its threads, and the helper, inherit all of it.
 */
#ifndef BROKER_SANDBOX_H
#define BROKER_SANDBOX_H

#include <stdio.h>

struct broker;

/* The layers in force, words separated by spaces; empty before broker_sandbox_enter. */
const char *broker_sandbox_layers(void);

/* Called once, when the state folder exists and before any thread or helper is started.
 * Ends the process with EXIT_INIT when the filter cannot be put in force; Landlock is
 * best effort. */
void broker_sandbox_enter(const struct broker *broker);

/* Prints the table of system calls (-Q sandbox), a line a row. */
void broker_sandbox_print(FILE *file);

#endif
