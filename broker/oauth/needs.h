/*
 * Which scopes an account lacks, and what will not work without them. The tables of
 * what needs which scope are in the platforms' own files (struct platform_need); what
 * is switched on is read from the configuration. Called where an account is shown, and
 * at the end of a login.
 */
#ifndef BROKER_OAUTH_NEEDS_H
#define BROKER_OAUTH_NEEDS_H

#include "broker/broker.h"
#include "broker/oauth/platform.h"
#include "broker/store/store_account.h"

/* Bytes of the result, with which it fits into every message. What is beyond is left
 * out, line by line. */
#define NEEDS_SIZE_MAX 8192

/* Lines "SCOPE SENTENCE\n", one for each thing that will not work. A scope counts when
 * it was asked for, or when an enabled part needs it. NULL when nothing is lacking or
 * the login is lost, which says it all. The caller frees. */
char *needs_unmet(const struct broker *broker, const struct platform *platform,
    const struct store_account *row);

#endif
