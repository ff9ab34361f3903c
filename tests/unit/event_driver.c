/*
 * Composes events for tests/unit/test_event_models.py: reads deliveries from standard
 * input, does with each what ingest and hand-out do, and writes what a consumer gets.
 *
 * In: a line "type version length", then so many bytes of body. Out, for each: a line
 * "flags length", then so many bytes of JSON and a line end.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/events/event_json.h"
#include "broker/events/kick_event.h"
#include "common/alloc.h"
#include "common/config.h"

#define TYPE_SIZE 129
#define BODY_MAX (4 * 1024 * 1024)

static uint32_t
flags_of(const struct kick_event *view)
{
	return (view->known ? 0U : EVENT_UNKNOWN) | (view->json ? 0U : EVENT_NOT_JSON) |
	    (view->alien || view->ill_typed ? EVENT_QUARANTINED : 0U) |
	    (view->named ? EVENT_MASKED : 0U);
}

static char *
or_null(const char *text)
{
	return text[0] ? xstrdup(text) : NULL;
}

static void
compose(const char *type, uint32_t version, const uint8_t *body, size_t length)
{
	struct kick_event view;
	struct store_event event;
	struct buf out = BUF_EMPTY;
	char flags[EVENT_FLAGS_SIZE];

	kick_event_read(type, version, body, length, &view);
	event = (struct store_event){ .seq = 1,
		.platform = xstrdup(config_platform_name(CONFIG_PLATFORM_KICK)),
		.message_id = xstrdup("01ID"),
		.type = xstrdup(type),
		.version = version,
		.received_at = 1768730400250,
		.occurred_at = 1768730400000,
		.broadcaster_id = or_null(view.broadcaster_id),
		.broadcaster_name = or_null(view.broadcaster_name),
		.flags = flags_of(&view) };
	buf_add(&event.body, body, length);
	(void)event_json_write(&event, 0, &out);
	event_flags_text(event.flags, flags);
	printf("%s %zu\n", flags[0] ? flags : "-", buf_length(&out));
	fwrite(buf_bytes(&out), 1, buf_length(&out), stdout);
	putchar('\n');
	buf_clear(&out);
	store_event_clear(&event);
}

int
main(void)
{
	char type[TYPE_SIZE];
	unsigned version;
	size_t length;

	while (scanf("%128s %u %zu", type, &version, &length) == 3) {
		/* Memory of exactly that size, so that reading on is seen. */
		uint8_t *body = length <= BODY_MAX ? xmalloc(length) : NULL;

		if (!body || getchar() != '\n' ||
		    fread(body, 1, length, stdin) != length)
			return 1;
		compose(type, version, body, length);
		free(body);
	}
	return 0;
}
