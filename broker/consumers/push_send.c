/*
 * Makes the requests that carry events to consumers. Called by push.c and
 * consumer_test.c.
 */
#include <stdio.h>
#include <string.h>

#include "broker/consumers/push_send.h"
#include "broker/consumers/push_sign.h"
#include "broker/events/event_json.h"
#include "common/json_out.h"
#include "common/time.h"

void
push_compose(const struct store_event *event, uint32_t extra_flags, struct buf *body)
{
	struct json_out json = json_out_on(body);
	int64_t at = event->occurred_at ? event->occurred_at : event->received_at;

	out_object(&json, NULL);
	out_text(&json, "type", event->type);
	out_time(&json, "timestamp", (uint64_t)at);
	out_key(&json, "data");
	(void)event_json_write(event, extra_flags, body);
	out_object_end(&json);
}

static void
add_header(struct fetch_request *request, const char *name, const char *text)
{
	struct secret value = secret_copy(text, strlen(text));

	fetch_request_header(request, name, NULL, &value);
	secret_clear(&value);
}

/* Standard Webhooks: signatures with spaces between; one that fits is enough. */
static void
sign(struct fetch_request *request, const struct push_secrets *secrets, const char *id,
    const struct buf *body)
{
	char signatures[2 * PUSH_SIGNATURE_SIZE];
	int64_t now = time_now_ms();
	int64_t second = now / 1000;
	char timestamp[24];
	size_t length;

	(void)snprintf(timestamp, sizeof(timestamp), "%lld", (long long)second);
	push_sign(
	    &secrets->now, id, second, buf_bytes(body), buf_length(body), signatures);
	if (secrets->before.length && now < secrets->before_until) {
		length = strlen(signatures);
		signatures[length++] = ' ';
		push_sign(&secrets->before, id, second, buf_bytes(body),
		    buf_length(body), signatures + length);
	}
	add_header(request, "webhook-id", id);
	add_header(request, "webhook-timestamp", timestamp);
	add_header(request, "webhook-signature", signatures);
}

struct fetch *
push_send(struct broker *broker, const struct store_consumer *row,
    const struct push_secrets *secrets, const char *id, const struct buf *body,
    bool redelivered, fetch_done_fn *done, void *arg)
{
	struct fetch_request request = {
		.method = "POST",
		.url = row->url,
		.content_type = "application/json",
		.timeout_ms = (unsigned)broker->config.consumers.push_timeout_ms,
		.reach =
		    row->private_too ? FETCH_REACH_private_too : FETCH_REACH_public,
		.patient = true,
	};

	sign(&request, secrets, id, body);
	add_header(&request, "streamhold-consumer", row->name);
	if (redelivered)
		add_header(&request, "streamhold-redelivered", "true");
	request.body = secret_copy(buf_bytes(body), buf_length(body));
	return fetch_start(broker->fetcher, &request, done, arg);
}

void
push_sentence(const struct fetch_reply *reply, char sentence[static PUSH_SENTENCE_SIZE])
{
	if (reply->result != FETCH_answered)
		(void)snprintf(sentence, PUSH_SENTENCE_SIZE, "%s", reply->problem);
	else if (reply->status / 100 == 3)
		(void)snprintf(sentence, PUSH_SENTENCE_SIZE,
		    "the answer was %u, and redirects are not followed", reply->status);
	else
		(void)snprintf(
		    sentence, PUSH_SENTENCE_SIZE, "the answer was %u", reply->status);
}
