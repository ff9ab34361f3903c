/*
 * Composes events for those who read them. Called at hand-out, on the loop; it parses
 * nothing but what was found to be JSON when the event was stored.
 */
#include <stdlib.h>
#include <string.h>

#include "broker/events/event_json.h"
#include "broker/events/event_kind.h"
#include "broker/events/mask.h"
#include "common/json_out.h"
#include "common/text.h"

/* What readers see of the flags, in this order. */
static const struct {
	uint32_t flag;
	const char *word;
} words[] = {
	{ EVENT_DUPLICATE, "duplicate" },
	{ EVENT_FOREIGN, "foreign" },
	{ EVENT_LATE, "late" },
	{ EVENT_SYNTHETIC, "synthetic" },
	{ EVENT_REDELIVERED, "redelivered" },
	{ EVENT_UNKNOWN, "unknown" },
	{ EVENT_QUARANTINED, "quarantined" },
	{ EVENT_DAMAGED, "damaged" },
	{ EVENT_OWN, "own" },
	{ EVENT_MASKED, "masked" },
};

void
event_flags_text(uint32_t flags, char text[static EVENT_FLAGS_SIZE])
{
	size_t used = 0;
	size_t i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		size_t length = strlen(words[i].word);

		if (!(flags & words[i].flag) || used + length + 2 > EVENT_FLAGS_SIZE)
			continue;
		if (used)
			text[used++] = ' ';
		memcpy(text + used, words[i].word, length);
		used += length;
	}
	text[used] = '\0';
}

static void
write_broadcaster(struct json_out *json, const struct store_event *event)
{
	if (!event->broadcaster_id && !event->broadcaster_name) {
		out_null(json, "broadcaster");
		return;
	}
	out_object(json, "broadcaster");
	out_text(json, "id", event->broadcaster_id);
	out_text(json, "name", event->broadcaster_name);
	out_object_end(json);
}

static void
write_times(struct json_out *json, const struct store_event *event)
{
	out_time(json, "received_at", (uint64_t)event->received_at);
	if (!event->occurred_at) {
		out_null(json, "occurred_at");
		out_null(json, "latency_ms");
		return;
	}
	out_time(json, "occurred_at", (uint64_t)event->occurred_at);
	out_integer(json, "latency_ms", event->received_at - event->occurred_at);
}

/* What was found wrong when it was stored, and what came before anybody looked, has no
 * fields of its own. Our own events say everything in their payload, an object. */
static void
write_fields(struct json_out *json, const struct store_event *event)
{
	const struct event_model *model = event_model_of(event->platform);
	const uint8_t *body = buf_bytes(&event->body);
	size_t length = buf_length(&event->body);
	bool readable =
	    !(event->flags & (EVENT_NOT_JSON | EVENT_QUARANTINED)) && length > 0;

	if (readable && !(event->flags & EVENT_OWN) && model &&
	    model->write(json, event->type, event->version, body, length))
		return;
	out_null(json, "actor");
	if (!readable || !(event->flags & EVENT_OWN) || body[0] != '{') {
		out_null(json, "data");
		return;
	}
	out_key(json, "data");
	buf_add(json->buf, body, length);
}

/* Of bytes that are no JSON, or no longer those that were looked at, nobody can say
 * which of them are a name: where one is to be hidden, nothing of them is shown. */
static void
write_payload(struct json_out *json, const struct store_event *event)
{
	const uint8_t *body = buf_bytes(&event->body);
	size_t length = buf_length(&event->body);
	char *encoded;

	/* Nothing at all is not JSON. */
	if (!(event->flags & EVENT_NOT_JSON) && length > 0) {
		out_key(json, "payload");
		if (event->flags & EVENT_MASKED)
			mask_write(body, length, json->buf);
		else
			buf_add(json->buf, body, length);
		return;
	}
	encoded = base64_encode(body, event->flags & EVENT_MASKED ? 0 : length);
	out_text(json, "payload_base64", encoded);
	free(encoded);
}

int
event_json_write(const struct store_event *event, uint32_t extra_flags, struct buf *out)
{
	struct json_out json = json_out_on(out);
	char flags[EVENT_FLAGS_SIZE];

	event_flags_text(event->flags | extra_flags, flags);
	out_object(&json, NULL);
	out_number(&json, "seq", event->seq);
	out_text(&json, "id", event->message_id);
	out_text(&json, "platform", event->platform);
	out_text(&json, "type", event->type);
	out_number(&json, "version", event->version);
	out_number(&json, "shape", EVENT_SHAPE_VERSION);
	out_text(&json, "kind",
	    event_kind(event->platform, event->type, event->version, event->flags));
	write_times(&json, event);
	write_broadcaster(&json, event);
	write_fields(&json, event);
	out_words(&json, "flags", flags);
	if (event->duplicate_of)
		out_number(&json, "duplicate_of", event->duplicate_of);
	else
		out_null(&json, "duplicate_of");
	write_payload(&json, event);
	out_object_end(&json);
	return 0;
}
