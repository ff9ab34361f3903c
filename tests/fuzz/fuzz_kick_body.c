/*
 * Fuzzer of the models: whatever a body is, nothing fails, what is found is text that
 * fits and is UTF-8, and what is composed of it is JSON with the parts that every event
 * has. The first byte picks type and version.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "broker/events/event_json.h"
#include "broker/events/json_scan.h"
#include "broker/events/kick_event.h"
#include "broker/events/mask.h"
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

static void
check_view(const struct kick_event *event)
{
	uint64_t id = 0;

	check_text(event->broadcaster_id, sizeof(event->broadcaster_id));
	check_text(event->broadcaster_name, sizeof(event->broadcaster_name));
	check_text(event->broadcaster_slug, sizeof(event->broadcaster_slug));
	require(event->json ||
		(!event->broadcaster_id[0] && !event->broadcaster_name[0] &&
		    !event->broadcaster_slug[0]),
	    "what is no JSON says nothing");
	require(!event->broadcaster_id[0] ||
		text_to_u64(event->broadcaster_id, strlen(event->broadcaster_id),
		    UINT64_MAX, &id),
	    "an id is a number");
	require(event->known || (!event->alien && !event->ill_typed),
	    "what is not known can fit nothing");
	require(
	    event->known && !event->json ? event->alien : 1, "no JSON does not fit");
	require((event->alien || event->ill_typed) ==
		(event->content.rule == STORE_CONTENT_NONE),
	    "what fits is compared with others");
	require(event->content.rule == STORE_CONTENT_NONE ||
		(event->content.window_ms > 0 &&
		    event->content.window_ms <= STORE_CONTENT_WINDOW_MAX),
	    "windows have an end");
}

static bool
has_names(const json_t *person)
{
	static const char *const names[] = { "id", "name", "slug", "picture" };
	size_t i;

	for (i = 0; i < 4; i++)
		if (!json_is_null(json_object_get(person, names[i])))
			return true;
	return false;
}

static void
check_document(const json_t *document, const struct kick_event *view)
{
	const json_t *actor = json_object_get(document, "actor");
	const json_t *data = json_object_get(document, "data");

	require(json_is_object(document), "an event is an object");
	require(actor && data, "every event has actor and data");
	require(json_is_object(data) ==
		(view->known && view->json && !view->alien && !view->ill_typed),
	    "fields are there when the body fits");
	require(!json_is_true(json_object_get(actor, "anonymous")) || !has_names(actor),
	    "nobody has no name");
}

/* Composes as ingest and hand-out would. */
static void
check_composed(const char *type, uint32_t version, const uint8_t *body, size_t length,
    const struct kick_event *view)
{
	struct store_event event = { .seq = 1,
		.platform = (char[]){ "kick" },
		.message_id = (char[]){ "id" },
		.version = version,
		.received_at = 5,
		.flags = (view->known ? 0U : EVENT_UNKNOWN) |
		    (view->json ? 0U : EVENT_NOT_JSON) |
		    (view->alien || view->ill_typed ? EVENT_QUARANTINED : 0U) };
	struct buf out = BUF_EMPTY;
	json_error_t error;
	json_t *document;

	if (view->named)
		event.flags |= EVENT_MASKED;
	event.type = strdup(type);
	buf_add(&event.body, body, length);
	require(event_json_write(&event, 0, &out) == 0, "it is composed");
	document = json_loadb(
	    (const char *)buf_bytes(&out), buf_length(&out), JSON_ALLOW_NUL, &error);
	require(document || json_error_code(&error) == json_error_numeric_overflow ||
		json_error_code(&error) == json_error_null_byte_in_key,
	    "what is composed is JSON");
	if (document)
		check_document(document, view);
	json_decref(document);
	buf_clear(&out);
	buf_clear(&event.body);
	free(event.type);
}

/* After masking nothing is left to mask, and it is still JSON of the same kind. */
static void
check_masked(const uint8_t *body, size_t length)
{
	struct json_found found = { .count = 0 };
	struct buf out = BUF_EMPTY;

	mask_write(body, length, &out);
	require(json_scan(buf_bytes(&out), buf_length(&out), NULL, &found),
	    "what is masked is JSON");
	require(!mask_is_needed(buf_bytes(&out), buf_length(&out)),
	    "what is masked needs no mask");
	require(mask_is_needed(body, length) ||
		(buf_length(&out) == length &&
		    memcmp(buf_bytes(&out), body, length) == 0),
	    "nothing is changed without need");
	buf_clear(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kick_event event;
	uint32_t version;
	size_t type;

	if (size < 1 || size > 60000)
		return 0;
	type = data[0] % (sizeof(types) / sizeof(types[0]));
	version = data[0] / 64;
	memset(&event, 0x5a, sizeof(event));
	kick_event_read(types[type], version, data + 1, size - 1, &event);
	require(event.known == (type < 10 && version == 1), "types are known");
	check_view(&event);
	check_composed(types[type], version, data + 1, size - 1, &event);
	if (event.json)
		check_masked(data + 1, size - 1);
	return 0;
}
