/*
 * The table of states. Called by whoever tells of subscriptions.
 */
#include <stdio.h>
#include <string.h>

#include "broker/oauth/platform.h"
#include "broker/subscriptions/sub_state.h"

/* Where webhooks and scopes are switched on. */
#define SETTINGS "https://kick.com/settings/developer"

/* What `next` is: nothing, a text, or a command with platform and user name. */
enum next_kind { NEXT_none, NEXT_text, NEXT_command };

static const struct {
	const char *name;
	const char *sentence;
	enum next_kind kind;
	const char *next;
	bool trouble;
} rows[SUB_STATE_MAX] = {
	[SUB_none] = { "none", "no events are wanted", NEXT_none, "", false },
	[SUB_active] = { "active", "", NEXT_none, "", false },
	[SUB_pending] = { "pending", "not compared with the platform yet", NEXT_none,
	    "", false },
	[SUB_settling] = { "settling",
	    "the platform confirmed it and does not list it yet; looked at again soon",
	    NEXT_none, "", false },
	[SUB_missing_scope] = { "missing_scope",
	    "the login lacks the scope events:subscribe, so the app token is used; "
	    "tick the scope at " SETTINGS " and log in again",
	    NEXT_command, "login", true },
	[SUB_login_lost] = { "login_lost",
	    "the login was lost, so the app token is used; log in again", NEXT_command,
	    "login", true },
	[SUB_not_confirmed] = { "not_confirmed",
	    "the platform confirms the subscription and never lists it; it is created "
	    "again, ever more seldom",
	    NEXT_command, "subs sync", true },
	[SUB_missing] = { "missing", "not subscribed; tried again soon", NEXT_command,
	    "subs sync", true },
	[SUB_refused] = { "refused", "the platform refused", NEXT_command, "subs sync",
	    true },
	[SUB_limit_reached] = { "limit_reached",
	    "the application has as many subscriptions as the platform allows; remove "
	    "some, or have it verified by developers@kick.com",
	    NEXT_text, "streamhold subs list", true },
	[SUB_webhooks_off] = { "webhooks_off",
	    "webhooks are switched off for the application at the platform, which "
	    "drops all its subscriptions; switch Enable Webhooks on at " SETTINGS,
	    NEXT_command, "subs sync", true },
	[SUB_unknown_channel] = { "unknown_channel",
	    "the platform knows no such channel; look for a misspelt name", NEXT_text,
	    "streamhold subs list", true },
	[SUB_unreachable] = { "unreachable",
	    "the platform gave no usable answer; tried again, ever more seldom",
	    NEXT_command, "subs sync", true },
	[SUB_unavailable] = { "unavailable",
	    "Streamhold's own keystore or database cannot be used", NEXT_text,
	    "streamhold status", true },
	[SUB_no_credentials] = { "no_credentials",
	    "no usable client id and secret are stored for the platform", NEXT_text,
	    "streamhold app add kick", true },
};

const char *
sub_state_name(enum sub_state state)
{
	return rows[state].name;
}

const char *
sub_state_sentence(enum sub_state state)
{
	return rows[state].sentence;
}

bool
sub_state_is_trouble(enum sub_state state)
{
	return rows[state].trouble;
}

void
sub_state_next(enum sub_state state, const char *username, char *out)
{
	*out = '\0';
	if (rows[state].kind == NEXT_text)
		(void)snprintf(out, SUB_NEXT_SIZE, "%s", rows[state].next);
	else if (rows[state].kind == NEXT_command &&
	    strcmp(rows[state].next, "login") == 0)
		(void)snprintf(out, SUB_NEXT_SIZE, "streamhold login %s %s",
		    platform_kick.name, username);
	else if (rows[state].kind == NEXT_command)
		(void)snprintf(
		    out, SUB_NEXT_SIZE, "streamhold %s %s", rows[state].next, username);
}
