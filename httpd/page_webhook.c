/*
 * Deliveries: POST on the one path of the webhook listener. Only the form of the
 * headers is looked at here (facts/kick.md 3.2); whether signature and time are right
 * is the broker's to say. Whatever is wrong with them, the answer is the same.
 */
#include <stdlib.h>
#include <string.h>

#include "common/text.h"
#include "common/time.h"
#include "httpd/httpd.h"
#include "common/json_out.h"
#include "httpd/limits.h"
#include "httpd/page.h"
#include "httpd/respond.h"

/* Bytes of the signature by a key of 8192 bits, as in messages.def. */
#define SIGNATURE_BYTES_MAX 1024

#define PREFIX "kick-event-"

static bool
is_visible(const char *text, size_t length)
{
	size_t i;

	for (i = 0; i < length; i++)
		if (text[i] <= 0x20 || text[i] > 0x7e)
			return false;
	return true;
}

static bool
is_time(const char *text, size_t length)
{
	int64_t ms;

	return time_parse(text, length, &ms) == 0;
}

enum header {
	MESSAGE_ID,
	SUBSCRIPTION_ID,
	TIMESTAMP,
	TYPE,
	VERSION,
	SIGNATURE,
	HEADER_MAX
};

#define NAME(text) (text), sizeof(text) - 1

/* The headers, by the rest of their names; bounds are those of messages.def. */
static const struct {
	const char *name;
	size_t length;
	size_t most;
	bool optional;
	bool (*check)(const char *text, size_t length); /* NULL: it is decoded */
} headers[HEADER_MAX] = {
	[MESSAGE_ID] = { NAME("message-id"), 128, false, is_visible },
	[SUBSCRIPTION_ID] = { NAME("subscription-id"), 128, true, is_visible },
	[TIMESTAMP] = { NAME("message-timestamp"), 64, false, is_time },
	[TYPE] = { NAME("type"), 128, false, is_visible },
	[VERSION] = { NAME("version"), 16, false, is_visible },
	[SIGNATURE] = { NAME("signature"), 2048, false, NULL },
};

static void
refuse(struct request *request)
{
	static const struct http_refusal refusal = { 401, "signature_refused",
		"Delivery refused" };

	respond_refusal(request, &refusal, false);
}

/* Which header of the table a name is, HEADER_MAX for others. */
static unsigned
header_of(struct http_text name)
{
	const size_t prefix = sizeof(PREFIX) - 1;
	unsigned i;

	if (name.length <= prefix ||
	    !http_text_is((struct http_text){ name.data, prefix }, PREFIX))
		return HEADER_MAX;
	name.data += prefix;
	name.length -= prefix;
	for (i = 0; i < HEADER_MAX; i++)
		if (name.length == headers[i].length &&
		    http_text_is(name, headers[i].name))
			break;
	return i;
}

/* Finds the values in one walk. LINK_COUNT_MAX: all is well, else what to count. */
static enum link_counter
find_values(const struct request *request, struct http_span *values)
{
	const struct http_request *parsed = request->parsed;
	bool seen[HEADER_MAX] = { false };
	unsigned which;
	size_t i;

	for (i = 0; i < parsed->header_count; i++) {
		which = header_of(http_text(request->bytes, parsed->headers[i].name));
		if (which == HEADER_MAX)
			continue;
		if (seen[which])
			return LINK_COUNT_refused_header_doubled;
		seen[which] = true;
		values[which] = parsed->headers[i].value;
	}
	for (which = 0; which < HEADER_MAX; which++) {
		if (seen[which] && values[which].length == 0)
			return LINK_COUNT_refused_header_empty;
		if (!seen[which] && !headers[which].optional)
			return LINK_COUNT_refused_header_missing;
	}
	return LINK_COUNT_MAX;
}

/* The value in place, with a NUL behind it: there is a space or the line's end, which
 * nobody reads again. */
static char *
terminate(struct request *request, struct http_span value)
{
	char *text = request->bytes + value.offset;

	text[value.length] = '\0';
	return text;
}

static enum link_counter
check_values(struct request *request, const struct http_span *values, char **texts)
{
	unsigned i;

	for (i = 0; i < HEADER_MAX; i++) {
		texts[i] = NULL;
		if (values[i].length == 0)
			continue;
		texts[i] = terminate(request, values[i]);
		if (values[i].length > headers[i].most ||
		    (headers[i].check && !headers[i].check(texts[i], values[i].length)))
			return LINK_COUNT_refused_header_form;
	}
	return LINK_COUNT_MAX;
}

/* The signature in the place of its text, which is longer and is not needed again. */
static enum link_counter
decode_signature(char *text, size_t length, struct proto_bytes *ret_signature)
{
	uint8_t *bytes = (uint8_t *)text;
	size_t decoded;

	if (base64_decode(text, length, bytes, SIGNATURE_BYTES_MAX, &decoded) < 0)
		return LINK_COUNT_refused_header_form;
	*ret_signature = (struct proto_bytes){ bytes, decoded };
	return LINK_COUNT_MAX;
}

/* A header that is only kept beside the delivery: left out when it does not fit. */
static char *
note(struct request *request, const char *name, size_t most)
{
	const struct http_header *header =
	    http_header_next(request->parsed, request->bytes, name, NULL);

	if (!header || header->value.length == 0 || header->value.length > most)
		return NULL;
	return terminate(request, header->value);
}

static void
on_delivered(struct request *request, struct proto_msg *answer, bool last)
{
	struct buf *body = respond_scratch();
	struct json_out json = json_out_on(body);

	(void)last;
	if (strcmp(answer->delivered.verdict, "refused") == 0) {
		refuse(request);
		return;
	}
	out_object(&json, NULL);
	out_text(&json, "status", answer->delivered.verdict);
	out_object_end(&json);
	respond_json(request, body);
}

static void
on_delivery_failed(struct request *request, const struct proto_failed *failed)
{
	if (respond_answer_of(failed).status == 401)
		refuse(request);
	else
		respond_failed(request, failed);
}

void
page_delivery(struct request *request)
{
	struct http_span values[HEADER_MAX] = { 0 };
	char *texts[HEADER_MAX];
	struct proto_bytes signature;
	enum link_counter wrong = find_values(request, values);

	if (wrong == LINK_COUNT_MAX)
		wrong = check_values(request, values, texts);
	if (wrong == LINK_COUNT_MAX)
		wrong = decode_signature(
		    texts[SIGNATURE], values[SIGNATURE].length, &signature);
	if (wrong != LINK_COUNT_MAX) {
		link_count(request->httpd->link, wrong);
		refuse(request);
		return;
	}
	request->msg = (struct proto_msg){ .type = MSG_delivery,
		.delivery = { .message_id = texts[MESSAGE_ID],
		    .subscription_id = texts[SUBSCRIPTION_ID],
		    .timestamp = texts[TIMESTAMP],
		    .type = texts[TYPE],
		    .version = texts[VERSION],
		    .signature = signature,
		    .content_type = note(request, "content-type", 256),
		    .user_agent = note(request, "user-agent", 512),
		    .body = { (const uint8_t *)request_body(request),
			request->parsed->body_length } } };
	request->on_failed = on_delivery_failed;
	request_ask(request, DELIVERY_MS, on_delivered);
}
