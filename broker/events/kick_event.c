/*
 * The first look at a body: pure, over jansson. Called by ingest for every delivery
 * whose signature is good; the body may still be anything.
 */
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "broker/events/kick_event.h"

/* Every type that is documented, and its newest version. */
static const struct {
	const char *type;
	uint32_t version;
} known_types[] = {
	{ "chat.message.sent", 1 },
	{ "channel.followed", 1 },
	{ "channel.subscription.new", 1 },
	{ "channel.subscription.renewal", 1 },
	{ "channel.subscription.gifts", 1 },
	{ "channel.reward.redemption.updated", 1 },
	{ "livestream.status.updated", 1 },
	{ "livestream.metadata.updated", 1 },
	{ "moderation.banned", 1 },
	{ "kicks.gifted", 1 },
};

bool
kick_event_is_known(const char *type, uint32_t version)
{
	size_t i;

	for (i = 0; i < sizeof(known_types) / sizeof(known_types[0]); i++)
		if (strcmp(known_types[i].type, type) == 0)
			return known_types[i].version == version;
	return false;
}

static void
copy_text(const json_t *value, char *text, size_t size)
{
	if (json_is_string(value) && json_string_length(value) < size)
		memcpy(text, json_string_value(value), json_string_length(value) + 1);
}

static void
read_broadcaster(const json_t *root, struct kick_event *event)
{
	const json_t *user = json_object_get(root, "broadcaster");
	const json_t *id = json_object_get(user, "user_id");

	if (json_is_integer(id) && json_integer_value(id) > 0)
		(void)snprintf(event->broadcaster_id, sizeof(event->broadcaster_id),
		    "%lld", (long long)json_integer_value(id));
	copy_text(json_object_get(user, "username"), event->broadcaster_name,
	    sizeof(event->broadcaster_name));
	copy_text(json_object_get(user, "channel_slug"), event->broadcaster_slug,
	    sizeof(event->broadcaster_slug));
}

/* Numbers beyond 64 bits are valid JSON although jansson has no integer for them. */
static json_t *
parse(const uint8_t *body, size_t length)
{
	const size_t flags = JSON_DECODE_ANY | JSON_ALLOW_NUL;
	json_error_t error;
	json_t *root = json_loadb((const char *)body, length, flags, &error);

	if (!root && json_error_code(&error) == json_error_numeric_overflow)
		root = json_loadb((const char *)body, length,
		    flags | JSON_DECODE_INT_AS_REAL, &error);
	return root;
}

void
kick_event_read(const char *type, uint32_t version, const uint8_t *body, size_t length,
    struct kick_event *ret_event)
{
	json_t *root = parse(body, length);

	*ret_event = (struct kick_event){ .json = root != NULL,
		.known = kick_event_is_known(type, version) };
	if (root)
		read_broadcaster(root, ret_event);
	json_decref(root);
}
