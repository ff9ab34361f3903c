/*
 * The broadcasters that are ours: the accounts that logged in and the channels whose
 * events are wanted.
 */
#include <string.h>

#include "broker/events/ours.h"
#include "broker/oauth/accounts.h"
#include "broker/subscriptions/subs.h"

bool
ours_has(const struct broker *broker, const struct kick_event *event)
{
	const char *platform = config_platform_name(CONFIG_PLATFORM_KICK);

	if (subscriptions_channel_count(broker) == 0 &&
	    accounts_platform_count(broker->accounts, platform) == 0)
		return true;
	return accounts_have_channel(broker->accounts, platform, event->broadcaster_id,
		   event->broadcaster_name, event->broadcaster_slug) ||
	    subscriptions_have_channel(broker, event->broadcaster_id,
		event->broadcaster_name, event->broadcaster_slug);
}

const struct config_list *
ours_wanted(const struct broker *broker, const struct store_account *row)
{
	if (strcmp(row->platform, config_platform_name(CONFIG_PLATFORM_KICK)) != 0)
		return NULL;
	return subscriptions_wanted(broker, row);
}
