/*
 * login_wait: answers when the login with a state has ended, or at once when it ended a
 * short while ago. For the command, which sent the user to a browser.
 */
#include <stdlib.h>
#include <string.h>

#include "broker/oauth/accounts.h"
#include "broker/oauth/oauth.h"
#include "common/alloc.h"
#include "common/time.h"

/* After the state has expired an exchange may still be under way. */
#define AFTER_EXPIRY_MS 30000

static void
release(struct flow *flow)
{
	struct login_wait *wait = (struct login_wait *)flow;

	LIST_REMOVE(wait, entry);
	free(wait);
}

void
on_login_wait(struct client *client, struct proto_msg *msg)
{
	const struct secret *state = &msg->login_wait.state;
	struct login_entry *login;
	struct login_wait *wait;
	uint8_t hash[CRYPTO_SHA256_SIZE];
	int64_t left;

	logins_hash((const char *)state->bytes, state->length, hash);
	login = logins_find(&client->broker->accounts->logins, hash);
	if (!login) {
		client_fail(client, msg->rid, ERR_invalid_state,
		    "No login with this state is pending");
		return;
	}
	left = login->until - time_now_ms();
	wait = xcalloc(1, sizeof(*wait));
	flow_init(&wait->flow, client->broker, client, msg->rid, "login_wait",
	    (unsigned)((left > 0 ? left : 0) + AFTER_EXPIRY_MS), release);
	logins_wait(login, wait);
}
