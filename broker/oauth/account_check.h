/*
 * Asking a platform whether a stored token is still good, whose it is and how long it
 * lives, and taking over what it says.
 */
#ifndef BROKER_OAUTH_ACCOUNT_CHECK_H
#define BROKER_OAUTH_ACCOUNT_CHECK_H

#include "broker/broker.h"
#include "broker/oauth/accounts.h"

/* What came of a check. */
struct account_check_end {
	const struct platform *platform;
	const char *username;       /* borrowed until the callback returns */
	enum check_verdict verdict; /* CHECK_never: it could not be asked */
	uint32_t retry_after_s;     /* said by the platform, 0: not said */
};

typedef void account_check_done_fn(void *arg, const struct account_check_end *end);

/*
 * Starts a check of an account that has tokens. A client that is not NULL is answered
 * with account_checked, or with a failure when nothing could be asked. `done` (NULL:
 * nobody) is called once from the loop, never before this has returned.
 */
void account_check_start(struct broker *broker, struct client *client, uint32_t rid,
    const struct account *account, account_check_done_fn *done, void *arg);

/* "good", "refused", ...; NULL for CHECK_never. Static. */
const char *check_verdict_name(enum check_verdict verdict);

#endif
