/*
 * The states that a channel's subscriptions can be in, each with its name, a sentence
 * for a person and what to do next. One table; also for the single events of a channel.
 */
#ifndef BROKER_SUBSCRIPTIONS_SUB_STATE_H
#define BROKER_SUBSCRIPTIONS_SUB_STATE_H

#include <stdbool.h>
#include <stddef.h>

/* In the order of urgency: of several that fit a channel the last counts. */
enum sub_state {
	SUB_none,          /* nothing is wanted */
	SUB_active,        /* everything that is wanted is in force */
	SUB_pending,       /* not looked at yet */
	SUB_settling,      /* created, the platform does not list it yet */
	SUB_missing_scope, /* the login may not; the app token is used */
	SUB_login_lost,    /* the login was lost; the app token is used */
	SUB_not_confirmed, /* created again and again, and never listed */
	SUB_missing,       /* not there, and not created yet */
	SUB_refused,       /* the platform refused it for another reason */
	SUB_limit_reached,
	SUB_webhooks_off,
	SUB_unknown_channel,
	SUB_unreachable,
	SUB_unavailable, /* keystore or database of our own */
	SUB_no_credentials,
	SUB_STATE_MAX
};

/* "active", "limit_reached", ...; static. */
const char *sub_state_name(enum sub_state state);

/* What it means; static. "" when there is nothing to say. */
const char *sub_state_sentence(enum sub_state state);

/* Whether somebody should do something. */
bool sub_state_is_trouble(enum sub_state state);

/* What to do next about a channel, "" when nothing. `out` takes SUB_NEXT_SIZE bytes. */
#define SUB_NEXT_SIZE 256
void sub_state_next(enum sub_state state, const char *username, char *out);

#endif
