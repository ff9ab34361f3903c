/*
 * trigger, from request to answer:
 *
 *   key      wait for the key of this run, which is made when there is none
 *   answer   compose a delivery, sign it, and say where to send it
 *
 * The delivery then takes the way of all others: listener, front, link, ingest.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/events/kick_keys.h"
#include "broker/events/trigger.h"
#include "broker/events/trigger_body.h"
#include "broker/events/trigger_key.h"
#include "broker/flow.h"
#include "broker/oauth/accounts.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/text.h"
#include "common/time.h"

#define DEADLINE_MS 9000
#define ID_DIGITS_MAX 20

/* Whose channel it is when nobody says. */
#define PLACEHOLDER_ID "123456789"
#define PLACEHOLDER_NAME "synthetic_channel"
/* Somebody who is not ours. */
#define STRANGER_ID "9007199254740001"
#define STRANGER_NAME "synthetic_stranger"
#define STRANGE_VERSION "99"

/* The ways in which a delivery may be odd; "" is not at all. */
struct oddity {
	const char *name;
	bool late;
	bool foreign;
	bool version;
	bool spoilt;
};

static const struct oddity oddities[] = {
	{ .name = "" },
	{ .name = "late", .late = true },
	{ .name = "foreign", .foreign = true },
	{ .name = "unknown-version", .version = true },
	{ .name = "bad-signature", .spoilt = true },
};

struct trigger_flow {
	struct flow flow;
	struct trigger_wait wait;
	struct proto_msg msg;
	const struct oddity *oddity;
	char id[ID_DIGITS_MAX + 1]; /* of the broadcaster */
	char *name;
};

static void on_key(void *, struct kick_signer *, int64_t);

static void
release(struct flow *base)
{
	struct trigger_flow *flow = (struct trigger_flow *)base;

	proto_clear(&flow->msg);
	free(flow->name);
	free(flow);
}

static void
cancel(void *arg)
{
	struct trigger_flow *flow = arg;

	trigger_key_cancel(flow->flow.broker, &flow->wait);
}

static const struct oddity *
find_oddity(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(oddities) / sizeof(oddities[0]); i++)
		if (strcmp(oddities[i].name, name) == 0)
			return &oddities[i];
	return NULL;
}

/* Whose channel. */

static void
set_broadcaster(struct trigger_flow *flow, const char *id, const char *name)
{
	uint64_t number;

	if (!id || strlen(id) > ID_DIGITS_MAX ||
	    !text_to_u64(id, strlen(id), UINT64_MAX, &number))
		id = PLACEHOLDER_ID;
	(void)snprintf(flow->id, sizeof(flow->id), "%s", id);
	free(flow->name);
	flow->name = xstrdup(name);
}

static bool
is_account(const struct account *account, const char *wanted)
{
	const struct store_account *row = &account->row;

	return text_equal_nocase(row->username, wanted) ||
	    (row->user_id && strcmp(row->user_id, wanted) == 0) ||
	    (row->login && text_equal_nocase(row->login, wanted)) ||
	    (row->display_name && text_equal_nocase(row->display_name, wanted));
}

/* Takes the account with that name or id, or the first one for NULL. */
static bool
take_account(struct trigger_flow *flow, const char *wanted)
{
	size_t count;
	struct account **all = accounts_sorted(
	    flow->flow.broker->accounts, platform_at(CONFIG_PLATFORM_KICK), &count);
	bool found = false;
	size_t i;

	for (i = 0; i < count && !found; i++) {
		const struct store_account *row = &all[i]->row;

		found = !wanted || is_account(all[i], wanted);
		if (found)
			set_broadcaster(flow, row->user_id,
			    row->display_name ? row->display_name : row->username);
	}
	free(all);
	return found;
}

/* Who is meant by nothing: whoever is ours. */
static void
take_any(struct trigger_flow *flow)
{
	const struct config_subscriptions *wanted =
	    &flow->flow.broker->config.subscriptions.kick;

	if (take_account(flow, NULL))
		return;
	set_broadcaster(
	    flow, NULL, wanted->count ? wanted->items[0].username : PLACEHOLDER_NAME);
}

/* A name, an id, or ID:NAME. */
static bool
take_named(struct trigger_flow *flow, const char *wanted)
{
	const char *colon = strchr(wanted, ':');
	size_t length = colon ? (size_t)(colon - wanted) : strlen(wanted);
	const char *name = colon ? colon + 1 : wanted;
	uint64_t number;
	bool is_id =
	    length <= ID_DIGITS_MAX && text_to_u64(wanted, length, UINT64_MAX, &number);
	char id[ID_DIGITS_MAX + 1];

	if ((colon && !is_id) || !text_is_username(name, strlen(name)))
		return false;
	if (!colon && take_account(flow, wanted))
		return true;
	if (is_id)
		(void)snprintf(id, sizeof(id), "%.*s", (int)length, wanted);
	set_broadcaster(
	    flow, is_id ? id : NULL, is_id && !colon ? PLACEHOLDER_NAME : name);
	return true;
}

static bool
choose_broadcaster(struct trigger_flow *flow)
{
	const char *wanted = flow->msg.trigger.broadcaster;

	if (flow->oddity->foreign)
		set_broadcaster(flow, STRANGER_ID, STRANGER_NAME);
	else if (wanted)
		return take_named(flow, wanted);
	else
		take_any(flow);
	return true;
}

/* Where to. */

struct place {
	char host[128];
	uint32_t port;
};

/* The first address that the front listens on: "127.0.0.1:3001 [::1]:3001". An address
 * that stands for all is reached as the loopback one. */
static bool
find_place(const struct broker *broker, struct place *ret_place)
{
	const char *text = broker->webhook.addresses;
	size_t length = strcspn(text, " ");
	size_t colon = length;

	while (colon > 0 && text[colon] != ':')
		colon--;
	if (!broker->webhook.connected || colon == 0 ||
	    colon >= sizeof(ret_place->host))
		return false;
	memcpy(ret_place->host, text, colon);
	ret_place->host[colon] = '\0';
	if (strcmp(ret_place->host, "0.0.0.0") == 0)
		memcpy(ret_place->host, "127.0.0.1", sizeof("127.0.0.1"));
	else if (strcmp(ret_place->host, "[::]") == 0)
		memcpy(ret_place->host, "[::1]", sizeof("[::1]"));
	ret_place->port = broker->webhook.port;
	return true;
}

/* Start. */

static void
refuse_type(struct client *client, const struct proto_msg *msg)
{
	struct buf types = BUF_EMPTY;
	char *sentence;

	trigger_body_types(&types);
	sentence = xasprintf("There is no event type '%.128s'; there are %.*s",
	    msg->trigger.type, (int)buf_length(&types),
	    (const char *)buf_bytes(&types));
	client_fail(client, msg->rid, ERR_invalid_request, sentence);
	free(sentence);
	buf_clear(&types);
}

void
on_trigger(struct client *client, struct proto_msg *msg)
{
	const struct oddity *oddity = find_oddity(msg->trigger.as);
	struct trigger_flow *flow;
	struct place place;

	if (!trigger_body_has(msg->trigger.type)) {
		refuse_type(client, msg);
		return;
	}
	if (!oddity) {
		client_fail(client, msg->rid, ERR_invalid_request,
		    "That is no way in which a delivery can be odd");
		return;
	}
	if (!find_place(client->broker, &place)) {
		client_fail(client, msg->rid, ERR_broker_away,
		    "The webhook front is not connected, so nobody takes deliveries");
		return;
	}
	flow = xcalloc(1, sizeof(*flow));
	flow_init(&flow->flow, client->broker, client, msg->rid, "trigger", DEADLINE_MS,
	    release);
	flow->msg = proto_move(msg);
	flow->oddity = oddity;
	if (!choose_broadcaster(flow)) {
		flow_fail(&flow->flow, ERR_invalid_request,
		    "The broadcaster must be a name, a user id or ID:NAME");
		return;
	}
	flow_step(&flow->flow, "key");
	flow->wait = (struct trigger_wait){ .ready = on_key, .arg = flow };
	flow_wait(&flow->flow, cancel, flow);
	trigger_key_wait(client->broker, &flow->wait);
}

/* Answer. */

/* When it claims to have been sent. */
static int64_t
sent_at(const struct trigger_flow *flow)
{
	int64_t tolerance =
	    (int64_t)flow->flow.broker->config.webhooks.timestamp_tolerance_s * 1000;
	int64_t age = TRIGGER_LATE_MS;

	if (!flow->oddity->late)
		return time_now_ms();
	if (tolerance != 0 && age > tolerance - tolerance / 10)
		age = tolerance - tolerance / 10;
	return time_now_ms() - age;
}

/* As the platform writes it: whole seconds. */
static void
write_timestamp(int64_t ms, char text[static TIME_TEXT_SIZE])
{
	time_format(ms, text);
	(void)snprintf(text + strlen("2026-01-18T10:00:00"), 2, "Z");
}

static void
write_body(const struct trigger_flow *flow, int64_t sent, struct buf *body)
{
	const struct proto_bytes *given = &flow->msg.trigger.body;
	const struct trigger_values values = { .broadcaster_id = flow->id,
		.broadcaster_name = flow->name,
		.now = sent,
		.number = flow->msg.trigger.number };

	if (given->data)
		buf_add(body, given->data, given->length);
	else if (trigger_body_write(flow->msg.trigger.type, &values, body) < 0)
		abort();
}

/* One that is of the right form and wrong. */
static void
spoil(char *signature)
{
	signature[0] = signature[0] == 'A' ? 'B' : 'A';
}

static void
answer(struct trigger_flow *flow, struct kick_signer *signer, int64_t until)
{
	char id[sizeof(KICK_SYNTHETIC_PREFIX) + TRIGGER_ULID_SIZE] =
	    KICK_SYNTHETIC_PREFIX;
	char subscription[TRIGGER_ULID_SIZE];
	char timestamp[TIME_TEXT_SIZE];
	struct buf body = BUF_EMPTY;
	int64_t sent = sent_at(flow);
	struct place place = { .port = 0 };
	char *signature;

	trigger_ulid(sent, id + sizeof(KICK_SYNTHETIC_PREFIX) - 1);
	trigger_ulid(sent, subscription);
	write_timestamp(sent, timestamp);
	write_body(flow, sent, &body);
	signature = kick_signer_sign(
	    signer, id, timestamp, buf_bytes(&body), buf_length(&body));
	if (!signature || !find_place(flow->flow.broker, &place)) {
		flow_fail(&flow->flow, ERR_internal, "The delivery cannot be signed");
	} else {
		if (flow->oddity->spoilt)
			spoil(signature);
		flow_answer(&flow->flow,
		    &(const struct proto_msg){ .type = MSG_triggered,
			.triggered = { .message_id = id,
			    .subscription_id = subscription,
			    .timestamp = timestamp,
			    .type = flow->msg.trigger.type,
			    .version = flow->oddity->version ? STRANGE_VERSION : "1",
			    .signature = signature,
			    .body = { .data = buf_bytes(&body),
				.length = buf_length(&body) },
			    .host = place.host,
			    .port = place.port,
			    .path = flow->flow.broker->config.webhooks.path,
			    .key_until = (uint64_t)until } });
	}
	free(signature);
	buf_clear(&body);
}

static void
on_key(void *arg, struct kick_signer *signer, int64_t until)
{
	struct trigger_flow *flow = arg;

	flow_resume(&flow->flow);
	if (!signer) {
		flow_fail(&flow->flow, ERR_internal, "No key can be made to sign with");
		return;
	}
	flow_step(&flow->flow, "answer");
	log_debug("trigger", "a synthetic '%s' is signed for user %u",
	    log_quote(flow->msg.trigger.type), (unsigned)flow->flow.client->uid);
	answer(flow, signer, until);
}
