/*
 * OAuth as the rest of the broker sees it: client credentials, logins and the accounts
 * that came of them (design.md 3.1, 3.2, 4 and 9).
 *
 * Everything that is asked all the time is answered from memory (accounts.h); what
 * changes is written to the database first and to memory when it is durable.
 */
#ifndef BROKER_OAUTH_OAUTH_H
#define BROKER_OAUTH_OAUTH_H

#include <stddef.h>

#include "broker/dispatch.h"

struct broker;

/* Loads credentials, accounts and pending logins into broker->accounts, throws expired
 * logins away, now and every hour. Needs the base, the store and the configuration;
 * call it before the loop runs. 0, or a negative errno when the database cannot be
 * read. */
int oauth_start(struct broker *broker);

/* Frees what oauth_start made, after the flows have ended and the store is closed. */
void oauth_stop(struct broker *broker);

/* How many logins are stored, and how many of them need a new one. */
size_t oauth_account_count(const struct broker *broker);
size_t oauth_account_lost_count(const struct broker *broker);

/* Refreshes that run, and why nothing is refreshed at a platform (NULL: it is). */
size_t oauth_refresh_count(const struct broker *broker);
const char *
oauth_refresh_pause(const struct broker *broker, enum config_platform_index index);

/* Bytes of a sentence for the health, with its NUL. */
#define OAUTH_HEALTH_SIZE 400

/* Whether a login needs a person: a sentence that says which, why and what to type.
 * `text` takes OAUTH_HEALTH_SIZE bytes. When false it tells of the last login that was
 * turned away, or is empty. */
bool oauth_logins_trouble(const struct broker *broker, char *text);

/* Whether the logins of a platform are refreshed, or what keeps them from it. */
enum oauth_refreshing {
	OAUTH_REFRESHING_unused, /* neither logins nor credentials */
	OAUTH_REFRESHING_well,
	OAUTH_REFRESHING_trouble, /* `text` says why and what to do */
};
enum oauth_refreshing oauth_refreshing(
    const struct broker *broker, enum config_platform_index index, char *text);

/* Logins that were started and have not come back. */
size_t oauth_login_count(const struct broker *broker);

/* What dispatch.c calls for the messages of the same names. */
dispatch_fn on_credentials_put;
dispatch_fn on_credentials_list;
dispatch_fn on_credentials_delete;
dispatch_fn on_account_get;
dispatch_fn on_accounts_list;
dispatch_fn on_account_check;
dispatch_fn on_account_delete;
dispatch_fn on_token_refresh;
dispatch_fn on_login_start;
dispatch_fn on_login_finish;
dispatch_fn on_login_wait;
dispatch_fn on_device_login;
dispatch_fn on_token_get;
dispatch_fn on_token_allow;
dispatch_fn on_audit_list;

#endif
