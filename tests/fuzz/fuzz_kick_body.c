/*
 * Fuzzer of bodies: nothing fails, and what is found is text that fits and is UTF-8.
 * The first byte picks the type.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/events/kick_event.h"
#include "common/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const types[] = { "chat.message.sent", "channel.followed",
	"channel.subscription.new", "channel.subscription.renewal",
	"channel.subscription.gifts", "channel.reward.redemption.updated",
	"livestream.status.updated", "livestream.metadata.updated", "moderation.banned",
	"kicks.gifted", "no.such.type", "" };

static void
require(int condition, const char *claim)
{
	if (condition)
		return;
	fprintf(stderr, "broken: %s\n", claim);
	abort();
}

static void
check_text(const char *text, size_t size)
{
	require(memchr(text, '\0', size) != NULL, "a text ends");
	require(text_is_utf8(text, strlen(text)), "a text is UTF-8");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kick_event event;
	size_t type;
	uint64_t id = 0;

	if (size < 1)
		return 0;
	type = data[0] % (sizeof(types) / sizeof(types[0]));
	memset(&event, 0x5a, sizeof(event));
	kick_event_read(types[type], data[0] / 64, data + 1, size - 1, &event);
	require(event.known == (type < 10 && data[0] / 64 == 1), "types are known");
	check_text(event.broadcaster_id, sizeof(event.broadcaster_id));
	check_text(event.broadcaster_name, sizeof(event.broadcaster_name));
	check_text(event.broadcaster_slug, sizeof(event.broadcaster_slug));
	require(event.json ||
		(!event.broadcaster_id[0] && !event.broadcaster_name[0] &&
		    !event.broadcaster_slug[0]),
	    "what is no JSON says nothing");
	require(!event.broadcaster_id[0] ||
		text_to_u64(
		    event.broadcaster_id, strlen(event.broadcaster_id), INT64_MAX, &id),
	    "an id is a number");
	return 0;
}
