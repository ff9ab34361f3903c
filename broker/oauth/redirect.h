/*
 * Redirect addresses (design.md 3.2).
 */
#ifndef BROKER_OAUTH_REDIRECT_H
#define BROKER_OAUTH_REDIRECT_H

#include <stdbool.h>

#include "broker/broker.h"
#include "broker/oauth/platform.h"

/* Bytes of a redirect address with its NUL; it fits into messages.def. */
#define REDIRECT_SIZE 1025

/* What stands for the state in an address that is shown or stored: of a pending login
 * only the hash of its state is kept. */
#define REDIRECT_STATE ":state"

/* The address that the platform sends the browser back to: fixed, or with the state in
 * its path when oauth.state_in_path asks for that. False while the API's port is not
 * known, or when the address would be too long. */
bool redirect_uri(const struct broker *broker, const struct platform *platform,
    const char *state, char *uri);

/* The address to register with the platform, for people. */
void
redirect_shown(const struct broker *broker, const struct platform *platform, char *uri);

/* A stored address as it was sent: with the state where REDIRECT_STATE ends it. The
 * caller wipes and frees. */
char *redirect_sent(const char *stored, const char *state);

#endif
