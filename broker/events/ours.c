/*
 * The broadcasters that are ours: the accounts that logged in and the subscriptions of
 * the configuration.
 */
#include <string.h>

#include "broker/events/ours.h"
#include "broker/oauth/accounts.h"
#include "common/text.h"

static bool
is_subscribed(const struct broker *broker, const struct kick_event *event)
{
	const struct config_subscriptions *wanted = &broker->config.subscriptions.kick;
	size_t i;

	for (i = 0; i < wanted->count; i++)
		if (text_equal_nocase(
			wanted->items[i].username, event->broadcaster_name) ||
		    text_equal_nocase(
			wanted->items[i].username, event->broadcaster_slug))
			return true;
	return false;
}

bool
ours_has(const struct broker *broker, const struct kick_event *event)
{
	const char *platform = config_platform_name(CONFIG_PLATFORM_KICK);

	if (broker->config.subscriptions.kick.count == 0 &&
	    accounts_platform_count(broker->accounts, platform) == 0)
		return true;
	return is_subscribed(broker, event) ||
	    accounts_have_channel(broker->accounts, platform, event->broadcaster_id,
		event->broadcaster_name, event->broadcaster_slug);
}

/* Whether a subscription's name means the account; `login` is its slug there. */
static bool
names(const char *username, const struct store_account *row)
{
	return text_equal_nocase(username, row->username) ||
	    (row->login && text_equal_nocase(username, row->login)) ||
	    (row->display_name && text_equal_nocase(username, row->display_name));
}

const struct config_list *
ours_wanted(const struct broker *broker, const struct store_account *row)
{
	const struct config_subscriptions *wanted = &broker->config.subscriptions.kick;
	size_t i;

	if (strcmp(row->platform, config_platform_name(CONFIG_PLATFORM_KICK)) != 0)
		return NULL;
	for (i = 0; i < wanted->count; i++)
		if (names(wanted->items[i].username, row))
			return &wanted->items[i].events;
	return NULL;
}
