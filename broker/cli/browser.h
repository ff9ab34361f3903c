/*
 * Opening an address in the person's browser.
 */
#ifndef BROKER_CLI_BROWSER_H
#define BROKER_CLI_BROWSER_H

#include <stdbool.h>

/* Whether there is a browser to open: a person at a terminal of a desktop session, who
 * is not root and did not come by ssh, and xdg-open in PATH. */
bool browser_is_there(void);

/* Hands an address to xdg-open in a session of its own, without waiting for it. False
 * when that cannot be started. The address is in the arguments of that program, where
 * every user of the machine can read it: it must hold no secret. */
bool browser_open(const char *address);

#endif
