/*
 * Questions to the person at the terminal. Prompts go to standard error, answers come
 * from standard input, which must be a terminal.
 */
#ifndef BROKER_CLI_PROMPT_H
#define BROKER_CLI_PROMPT_H

#include <stdbool.h>
#include <stddef.h>

#include "common/secret.h"

/* Whether standard input is a terminal. */
bool prompt_possible(void);

/* Asks for a line with echo. CLI_OK and *ret_text, which the caller frees;
 * CLI_INTERRUPTED on Ctrl-C; CLI_USAGE when nothing was typed or it is longer than
 * `most` bytes. */
int prompt_text(const char *question, size_t most, char **ret_text);

/* The same without echo; the terminal is restored in every case. The caller calls
 * secret_clear. */
int prompt_secret(const char *question, size_t most, struct secret *ret_secret);

/* Reads a secret from standard input to its end; one line end after it is dropped.
 * CLI_OK or CLI_USAGE, after having said what is wrong. */
int prompt_read_secret(size_t most, struct secret *ret_secret);

/* Asks before something is removed. CLI_OK; CLI_FAILURE after a no; CLI_USAGE when
 * nobody can be asked, having named `next`, the command that asks nothing. */
int prompt_removal(const char *question, const char *next);

/* Asks a question that only "y" or "yes" affirms. */
bool prompt_confirm(const char *question);

#endif
