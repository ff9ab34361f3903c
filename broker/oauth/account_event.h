/*
 * Events about logins in the inbox, beside those of the platforms: a login was lost, or
 * is there again.
 */
#ifndef BROKER_OAUTH_ACCOUNT_EVENT_H
#define BROKER_OAUTH_ACCOUNT_EVENT_H

#include "broker/store/store_account.h"
#include "broker/store/store_event.h"
#include "common/time.h"

/* Types. */
#define ACCOUNT_EVENT_LOST "account.reauth_required"
#define ACCOUNT_EVENT_RECOVERED "account.recovered"

/* Bytes of a message id: of this process' making, the same for the same tokens. */
#define ACCOUNT_EVENT_ID_SIZE 64

/* Made on the loop, stored by a job: store_account_event. */
struct account_event {
	char *platform;
	char *username;
	char *user_id; /* NULL: not known */
	const char *type;
	char id[ACCOUNT_EVENT_ID_SIZE];
	int64_t now;
	char *body; /* a JSON object */
};

/* Makes the event of an account as its row says. `type` is one of those above. */
void account_event_make(
    struct account_event *event, const char *type, const struct store_account *row);

/* Stores it, in the transaction of the change that it tells of; one that was never made
 * is left out. For `run` functions. 0 or a negative errno. */
int account_event_put(struct db *db, const struct account_event *event);

/* Frees what it owns. */
void account_event_clear(struct account_event *event);

#endif
