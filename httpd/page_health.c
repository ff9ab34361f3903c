/*
 * How things are: /healthz, /readyz and /status. They never wait for an absent broker.
 */
#include <string.h>

#include "common/version.h"
#include "httpd/broker_link.h"
#include "httpd/httpd.h"
#include "common/json_out.h"
#include "httpd/limits.h"
#include "httpd/page.h"
#include "httpd/respond.h"
#include "httpd/sandbox.h"

#define STATE_SIZE 16
#define DETAIL_SIZE 512

static const char broker_away[] = "the broker is not connected";

/* What /status always shows beside the server itself, in this order. The broker may
 * tell of more, which is shown as it comes. */
static const char *const component_names[] = { "broker", "database", "keystore",
	"webhooks", "events", "logins", "subscriptions" };

#define COMPONENT_COUNT (sizeof(component_names) / sizeof(component_names[0]))

void
page_healthz(struct request *request)
{
	struct buf *body = respond_scratch();
	struct json_out json = json_out_on(body);

	out_object(&json, NULL);
	out_text(&json, "status", "alive");
	out_text(&json, "version", version_text());
	out_object_end(&json);
	respond_json(request, body);
}

/* Rows are collected as the JSON members they become; `missing` counts what is wrong.
 */

static void
component(
    struct json_out *json, const char *name, const char *state, const char *detail)
{
	out_object(json, name);
	out_text(json, "status", state);
	if (detail && *detail)
		out_text(json, "detail", detail);
	out_object_end(json);
}

static size_t
component_index(const char *name)
{
	size_t i;

	for (i = 0; i < COMPONENT_COUNT; i++)
		if (strcmp(component_names[i], name) == 0)
			break;
	return i;
}

/* 0 healthy, 1 degraded, 2 unhealthy. */
static unsigned
badness(const char *state, bool needed)
{
	if (strcmp(state, "healthy") == 0)
		return 0;
	return strcmp(state, "unhealthy") == 0 && needed ? 2 : 1;
}

/* Bits of request->rows: the components that were told of; above them the badness. */
#define TOLD(index) ((size_t)1 << (index))
#define WORST_SHIFT 8

static void
note_badness(struct request *request, unsigned worse)
{
	unsigned worst = (unsigned)(request->rows >> WORST_SHIFT);

	if (worse > worst)
		request->rows = (request->rows & (TOLD(WORST_SHIFT) - 1)) |
		    (size_t)worse << WORST_SHIFT;
}

static void put_figures(struct request *request, struct json_out *json);

static void
send_status(struct request *request, const char *detail)
{
	static const char *const words[] = { "healthy", "degraded", "unhealthy" };
	struct buf *body = respond_scratch();
	struct json_out json = json_out_on(body);
	size_t i;

	if (detail)
		note_badness(request, 2);
	out_object(&json, NULL);
	out_text(&json, "status", words[request->rows >> WORST_SHIFT]);
	out_text(&json, "version", version_text());
	out_text(&json, "sandbox", sandbox_layers());
	out_object(&json, "components");
	component(&json, "server", "healthy", NULL);
	if (buf_length(&request->body)) {
		out_key(&json, NULL);
		buf_add(body, buf_bytes(&request->body), buf_length(&request->body));
	}
	for (i = 0; i < COMPONENT_COUNT; i++)
		if (!(request->rows & TOLD(i)))
			component(&json, component_names[i],
			    detail ? "unhealthy" : "healthy", detail);
	out_object_end(&json);
	put_figures(request, &json);
	out_object_end(&json);
	respond_json(request, body);
}

static void
add_latency(struct json_out *json, const char *key, uint64_t count, uint64_t p50,
    uint64_t p95, uint64_t most)
{
	if (count == 0) {
		out_null(json, key);
		return;
	}
	out_object(json, key);
	out_number(json, "p50", p50);
	out_number(json, "p95", p95);
	out_number(json, "max", most);
	out_object_end(json);
}

/* Deliveries gather in `part`, and the types after them; put_figures puts them into the
 * answer. */
static void
add_figures(struct request *request, const struct proto_msg *row)
{
	const struct proto_event_type *type = &row->event_type;
	struct json_out json = json_out_on(&request->part);

	if (row->type == MSG_verdict) {
		json.comma = buf_length(&request->part) > 0;
		out_number(&json, row->verdict.name, row->verdict.count);
		return;
	}
	if (row->type != MSG_event_type)
		return;
	/* `missing` is where the deliveries end. */
	if (request->missing == 0)
		request->missing = buf_length(&request->part);
	json.comma = buf_length(&request->part) > request->missing;
	out_object(&json, NULL);
	out_text(&json, "type", type->type);
	out_number(&json, "count", type->count);
	if (type->last_at)
		out_time(&json, "last_at", type->last_at);
	else
		out_null(&json, "last_at");
	add_latency(&json, "delivery_ms", type->delivered, type->delivery_p50,
	    type->delivery_p95, type->delivery_most);
	add_latency(&json, "handout_ms", type->handed, type->handout_p50,
	    type->handout_p95, type->handout_most);
	out_object_end(&json);
}

/* What add_figures has gathered. */
static void
put_figures(struct request *request, struct json_out *json)
{
	const uint8_t *bytes = buf_bytes(&request->part);
	size_t length = buf_length(&request->part);
	size_t first = request->missing ? request->missing : length;

	if (length == 0)
		return;
	out_object(json, "deliveries");
	buf_add(json->buf, bytes, first);
	out_object_end(json);
	out_array(json, "events");
	buf_add(json->buf, bytes + first, length - first);
	out_array_end(json);
}

static void
forget_status(struct request *request)
{
	buf_clear(&request->body);
	buf_clear(&request->part);
	request->rows = 0;
	request->missing = 0;
}

static void
on_status(struct request *request, struct proto_msg *answer, bool last)
{
	const struct proto_health *row = &answer->health;
	struct json_out json = json_out_on(&request->body);
	size_t index;

	if (last) {
		send_status(request, NULL);
		return;
	}
	if (answer->type != MSG_health) {
		add_figures(request, answer);
		return;
	}
	index = component_index(row->component);
	if (index < COMPONENT_COUNT && request->rows & TOLD(index))
		return;
	if (index < COMPONENT_COUNT)
		request->rows |= TOLD(index);
	note_badness(request, badness(row->state, row->needed));
	json.comma = buf_length(&request->body) > 0;
	component(&json, row->component, row->state, row->detail);
}

static void
on_status_failed(struct request *request, const struct proto_failed *failed)
{
	forget_status(request);
	send_status(request, failed->message);
}

/* The broker went away while it was asked: that is an answer as well. */
static void
on_status_break(struct request *request)
{
	forget_status(request);
	send_status(request, broker_away);
}

void
page_status(struct request *request)
{
	if (!link_is_up(request->httpd->link)) {
		send_status(request, broker_away);
		return;
	}
	request->msg.type = MSG_health_get;
	request->on_failed = on_status_failed;
	request->on_restart = on_status_break;
	request_ask(request, HEALTH_MS, on_status);
}

/* /readyz: the body collects reasons. */

static void
add_reason(struct request *request, const char *component_name, const char *detail)
{
	struct buf text = BUF_EMPTY;
	struct json_out json = json_out_on(&request->body);

	buf_printf(&text, "%s: %s", component_name, detail);
	buf_add(&text, "", 1);
	json.comma = buf_length(&request->body) > 0;
	out_text(&json, NULL, (const char *)buf_bytes(&text));
	buf_clear(&text);
}

static void
send_ready(struct request *request)
{
	const bool ready = buf_length(&request->body) == 0;
	const struct answer answer = { .status = ready ? 200 : 503,
		.code = ready ? NULL : "not_ready",
		.retry_after = ready ? 0 : 1 };
	struct buf *body = respond_scratch();
	struct json_out json = json_out_on(body);

	out_object(&json, NULL);
	out_flag(&json, "ready", ready);
	if (!ready) {
		out_array(&json, "reasons");
		buf_add(body, buf_bytes(&request->body), buf_length(&request->body));
		out_array_end(&json);
	}
	out_object_end(&json);
	respond_buf(request, &answer, body);
}

static void
on_ready(struct request *request, struct proto_msg *answer, bool last)
{
	const struct proto_health *row = &answer->health;

	if (last)
		send_ready(request);
	else if (answer->type == MSG_health && row->needed &&
	    strcmp(row->state, "unhealthy") == 0)
		add_reason(
		    request, row->component, *row->detail ? row->detail : "unhealthy");
}

static void
on_ready_failed(struct request *request, const struct proto_failed *failed)
{
	buf_clear(&request->body);
	add_reason(request, "broker", failed->message);
	send_ready(request);
}

static void
on_ready_break(struct request *request)
{
	buf_clear(&request->body);
	add_reason(request, "broker", broker_away);
	send_ready(request);
}

void
page_readyz(struct request *request)
{
	if (request->httpd->draining) {
		add_reason(request, "server", "it is stopping");
		send_ready(request);
		return;
	}
	if (!link_is_up(request->httpd->link)) {
		add_reason(request, "broker", broker_away);
		send_ready(request);
		return;
	}
	request->msg.type = MSG_health_get;
	request->on_failed = on_ready_failed;
	request->on_restart = on_ready_break;
	request_ask(request, HEALTH_MS, on_ready);
}
