/*
 * What the command says to a person: errors with the next command, hints, coloured
 * words. Standard output is data and standard error is talk.
 */
#ifndef BROKER_CLI_TALK_H
#define BROKER_CLI_TALK_H

#include "broker/cli/cli.h"

/* Decides about colours: none with --no-color, NO_COLOR (no-color.org), TERM=dumb or
 * when standard output is no terminal. */
void talk_open(struct cli *cli);

/* A line on standard error; what a format produces is escaped, line ends too. */
__attribute__((format(printf, 1, 2))) void talk(const char *format, ...);

/* The command to type next, as a line on standard error. */
__attribute__((format(printf, 1, 2))) void talk_next(const char *format, ...);

/* "streamhold: <sentence>" on standard error, then the command to type next unless it
 * is NULL. Control characters in the sentence are escaped. */
__attribute__((format(printf, 2, 3))) void
talk_error(const char *next, const char *format, ...);

enum talk_color { TALK_PLAIN, TALK_BOLD, TALK_GOOD, TALK_WARN, TALK_BAD, TALK_DIM };

/* The escape sequence that starts a colour on standard output, and the one that ends
 * it; "" without colours. */
const char *talk_on(const struct cli *cli, enum talk_color color);
const char *talk_off(const struct cli *cli, enum talk_color color);

#endif
