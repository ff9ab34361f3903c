/*
 * Locks a front down: after it the process can accept, read, write and wait, and
 * nothing else. There is no way back and no switch.
 */
#ifndef HTTPD_SANDBOX_H
#define HTTPD_SANDBOX_H

#include <stdio.h>

/* The layers in force, words separated by spaces; empty before sandbox_enter. The text
 * stays at this address. */
const char *sandbox_layers(void);

/* Called once, when everything is open. Ends the process with EXIT_START when a layer
 * that every supported kernel has cannot be put in force; Landlock is best effort. */
void sandbox_enter(void);

/* Prints the table of system calls (-Q sandbox), a line a row. */
void sandbox_print(FILE *file);

#endif
