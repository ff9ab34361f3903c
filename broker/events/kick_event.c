/*
 * The first look at a body: pure, by one scan. Called by ingest for every delivery
 * whose signature is good; the body may still be anything.
 */
#include <stdio.h>
#include <string.h>

#include "broker/events/event_kind.h"
#include "broker/events/json_scan.h"
#include "broker/events/kick_event.h"

/* Every type that is documented, its newest version, and what it is. */
static const struct {
	const char *type;
	uint32_t version;
	const char *kind;
} known_types[] = {
	{ "chat.message.sent", 1, EVENT_KIND_CHAT },
	{ "channel.followed", 1, EVENT_KIND_FOLLOW },
	{ "channel.subscription.new", 1, EVENT_KIND_SUBSCRIPTION },
	{ "channel.subscription.renewal", 1, EVENT_KIND_SUBSCRIPTION },
	{ "channel.subscription.gifts", 1, EVENT_KIND_GIFT },
	{ "channel.reward.redemption.updated", 1, EVENT_KIND_REWARD },
	{ "livestream.status.updated", 1, EVENT_KIND_STREAM },
	{ "livestream.metadata.updated", 1, EVENT_KIND_STREAM },
	{ "moderation.banned", 1, EVENT_KIND_MODERATION },
	{ "kicks.gifted", 1, EVENT_KIND_TIP },
};

const char *
kick_event_kind(const char *type, uint32_t version)
{
	size_t i;

	for (i = 0; i < sizeof(known_types) / sizeof(known_types[0]); i++)
		if (strcmp(known_types[i].type, type) == 0)
			return known_types[i].version == version ? known_types[i].kind
								 : NULL;
	return NULL;
}

bool
kick_event_is_known(const char *type, uint32_t version)
{
	return kick_event_kind(type, version) != NULL;
}

/* What is looked for; the order is that of the array in kick_event_read. */
enum { WANTED_ID, WANTED_NAME, WANTED_SLUG, WANTED_COUNT };

void
kick_event_read(const char *type, uint32_t version, const uint8_t *body, size_t length,
    struct kick_event *ret_event)
{
	struct json_wanted wanted[WANTED_COUNT] = {
		[WANTED_ID] = { .parent = "broadcaster", .name = "user_id" },
		[WANTED_NAME] = { .parent = "broadcaster", .name = "username" },
		[WANTED_SLUG] = { .parent = "broadcaster", .name = "channel_slug" },
	};
	uint64_t id;

	*ret_event = (struct kick_event){ .known = kick_event_is_known(type, version),
		.json = json_scan(body, length, wanted, WANTED_COUNT) };
	if (!ret_event->json)
		return;
	if (json_slice_id(wanted[WANTED_ID].found, &id))
		(void)snprintf(ret_event->broadcaster_id,
		    sizeof(ret_event->broadcaster_id), "%llu", (unsigned long long)id);
	(void)json_slice_text(wanted[WANTED_NAME].found, ret_event->broadcaster_name,
	    sizeof(ret_event->broadcaster_name));
	(void)json_slice_text(wanted[WANTED_SLUG].found, ret_event->broadcaster_slug,
	    sizeof(ret_event->broadcaster_slug));
}
