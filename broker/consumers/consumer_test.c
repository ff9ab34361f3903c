/*
 * consumer_test, from request to answer:
 *
 *   key     get the secret from the vault
 *   send    an event that was made up, once
 *   answer  what came of it
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/consumers/consumers.h"
#include "broker/consumers/push_key.h"
#include "broker/consumers/push_send.h"
#include "broker/consumers/push_sign.h"
#include "broker/consumers/push_verdict.h"
#include "broker/oauth/steps.h"
#include "common/alloc.h"
#include "common/crypto.h"
#include "common/text.h"
#include "common/time.h"

/* What a target gets to see; no platform and no channel have such a type. */
#define TEST_TYPE "streamhold.test"
#define TEST_PLATFORM "streamhold"

struct test_flow {
	struct flow flow;
	uint64_t consumer; /* the number of its life */
	char id[PUSH_ID_SIZE];
	int64_t began; /* boot-time ms */
};

static void on_key(void *, struct push_secrets *, const char *);
static void on_reply(void *, struct fetch_reply *);

static void
release(struct flow *flow)
{
	free(flow);
}

static void
cancel_key(void *arg)
{
	push_key_cancel(arg);
}

void
on_consumer_test(struct client *client, struct proto_msg *msg)
{
	const char *name = msg->consumer_test.name;
	struct consumer *consumer = consumers_find(client->broker, name);
	struct test_flow *test;

	if (!consumer) {
		consumer_fail_unknown(client, msg->rid, name);
		return;
	}
	if (!consumer->row.url) {
		client_fail(client, msg->rid, ERR_conflict,
		    "This consumer asks for its events by itself; there is no address "
		    "to test");
		return;
	}
	test = xcalloc(1, sizeof(*test));
	flow_init(&test->flow, client->broker, client, msg->rid, "consumer_test",
	    STEPS_LOGIN_DEADLINE_MS, release);
	test->consumer = consumer->id;
	flow_step(&test->flow, "key");
	flow_wait(&test->flow, cancel_key,
	    push_key_load(client->broker, consumer, on_key, test));
}

/* The event is in no database: its seq is 0, which no event has. */
static void
compose(struct test_flow *test, struct buf *body)
{
	static const char payload[] = "{\"message\":\"A test from Streamhold\"}";
	uint8_t chance[16];
	char message_id[2 * sizeof(chance) + 1];
	int64_t now = time_now_ms();
	struct store_event event = { .flags = EVENT_SYNTHETIC | EVENT_OWN,
		.version = 1,
		.received_at = now,
		.occurred_at = now };

	crypto_random(chance, sizeof(chance));
	hex_encode(chance, sizeof(chance), message_id);
	event.platform = xstrdup(TEST_PLATFORM);
	event.type = xstrdup(TEST_TYPE);
	event.message_id = xstrdup(message_id);
	buf_add_text(&event.body, payload);
	push_id(event.platform, event.message_id, test->id);
	push_compose(&event, 0, body);
	store_event_clear(&event);
}

static void
on_key(void *arg, struct push_secrets *secrets, const char *trouble)
{
	struct test_flow *test = arg;
	struct consumer *consumer =
	    consumers_find_id(test->flow.broker, test->consumer);
	struct buf body = BUF_EMPTY;

	flow_resume(&test->flow);
	if (!consumer) {
		flow_fail(&test->flow, ERR_not_found, "The consumer was removed");
		return;
	}
	if (trouble) {
		flow_fail(&test->flow, ERR_keystore_unavailable, trouble);
		return;
	}
	flow_step(&test->flow, "send");
	compose(test, &body);
	test->began = time_boot_ms();
	steps_wait_fetch(&test->flow,
	    push_send(test->flow.broker, &consumer->row, secrets, test->id, &body,
		false, on_reply, test));
	buf_clear(&body);
}

static void
on_reply(void *arg, struct fetch_reply *reply)
{
	struct test_flow *test = arg;
	char sentence[PUSH_SENTENCE_SIZE] = "";
	bool taken = push_judge(reply->result, reply->status) == PUSH_taken;

	flow_resume(&test->flow);
	if (!taken)
		push_sentence(reply, sentence);
	flow_answer(&test->flow,
	    &(const struct proto_msg){ .type = MSG_consumer_tested,
		.consumer_tested = { .id = test->id,
		    .taken = taken,
		    .status = reply->status > 999 ? 999 : reply->status,
		    .problem = sentence,
		    .took_ms = (uint32_t)(time_boot_ms() - test->began) } });
}
