/*
 * A broker inside the test that takes deliveries: database, accounts and ingest as they
 * are, a key of the test's own, and two peers on real channels, the webhook front and
 * the API.
 */
#ifndef TESTS_FLOW_INGEST_HARNESS_H
#define TESTS_FLOW_INGEST_HARNESS_H

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "broker/dispatch.h"
#include "broker/events/hub.h"
#include "broker/events/ingest.h"
#include "broker/flow.h"
#include "broker/oauth/oauth.h"
#include "broker/store/store.h"
#include "broker/store/store_db.h"
#include "broker/subscriptions/subs_inner.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/text.h"
#include "common/time.h"

#define WAIT_MS 10000
#define LINK_FRAME_MAX (262144 + PROTO_FRAME_EXTRA)
#define ANSWERS_MAX 1200

/* A front: its end in the broker, and its own. */
struct front {
	struct client client;
	struct chan *peer;
	bool refused; /* dispatch did not take a message */
	struct proto_msg answers[ANSWERS_MAX];
	size_t count;
	size_t lasts; /* final answers among them, and requests that got none */
};

static char folder[64];
static char path[128];
static char key_path[128];
static EVP_PKEY *own_key;
static struct broker broker;
static struct front hook;
static struct front api;

static inline void
turn(void)
{
	event_base_loop(broker.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	usleep(100);
}

#define RUN_UNTIL(condition) \
	do { \
		int64_t run_end = time_boot_ms() + WAIT_MS; \
		while (!(condition) && time_boot_ms() < run_end) \
			turn(); \
		assert_true(condition); \
	} while (0)

/* Channels. */

static inline void
on_ready(struct chan *chan, void *arg)
{
	(void)chan;
	(void)arg;
}

static inline void
on_message(struct chan *chan, void *arg, struct proto_msg *msg)
{
	struct front *front = arg;

	if (chan == front->client.chan)
		front->refused = !dispatch(&front->client, msg);
}

static inline void
on_closed(struct chan *chan, void *arg, const char *reason)
{
	(void)chan;
	(void)arg;
	(void)reason;
}

static const struct chan_handlers front_handlers = {
	.on_ready = on_ready, .on_message = on_message, .on_closed = on_closed
};

static inline void
front_connect(struct front *front, enum client_role role, const char *name)
{
	struct chan_options options = { .program = "test",
		.version = "1",
		.role = "broker",
		.expect = name,
		.broker = true,
		.sender = CHAN_ANY_UID,
		.frame_max = LINK_FRAME_MAX,
		.handlers = &front_handlers,
		.arg = front };
	int ends[2];

	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends),
	    0);
	*front = (struct front){ .client = { .broker = &broker, .role = role } };
	LIST_INIT(&front->client.flows);
	front->client.chan = chan_new(broker.base, ends[0], &options);
	options.role = name;
	options.expect = "broker";
	options.broker = false;
	front->peer = chan_new(broker.base, ends[1], &options);
	RUN_UNTIL(chan_is_ready(front->peer) && chan_is_ready(front->client.chan));
}

static inline void
front_forget(struct front *front)
{
	while (front->count > 0)
		proto_clear(&front->answers[--front->count]);
	front->lasts = 0;
}

/* As the broker does when a front goes. */
static inline void
front_disconnect(struct front *front)
{
	if (!front->client.chan)
		return;
	ingest_client_gone(broker.ingest, &front->client);
	flows_client_gone(&front->client);
	chan_free(front->peer);
	chan_free(front->client.chan);
	front->peer = NULL;
	front->client.chan = NULL;
}

static inline void
on_answer(void *arg, struct proto_msg *answer, bool last)
{
	struct front *front = arg;

	if (answer && front->count < ANSWERS_MAX)
		front->answers[front->count++] = proto_move(answer);
	front->lasts += last;
}

static inline void
front_send(struct front *front, const struct proto_msg *msg)
{
	assert_int_not_equal(
	    chan_request(front->peer, msg, WAIT_MS, on_answer, front), 0);
}

/* Asks, and gives the last answer, good until the next one. */
static inline const struct proto_msg *
front_ask(struct front *front, const struct proto_msg *msg)
{
	front_forget(front);
	front_send(front, msg);
	RUN_UNTIL(front->lasts);
	assert_true(front->count > 0);
	return &front->answers[front->count - 1];
}

/* The broker. */

static inline void
configure(const char *text)
{
	struct config_error *problem = xcalloc(1, sizeof(*problem));

	if (config_parse(text, strlen(text), "test", &broker.config, problem) < 0)
		fail_msg("%s", problem->error[0].sentence);
	broker.config.platform[CONFIG_PLATFORM_KICK].public_key_file =
	    xstrdup(key_path);
	free(problem);
}

static inline void
write_key(void)
{
	FILE *file = fopen(key_path, "we");

	assert_non_null(file);
	assert_int_equal(PEM_write_PUBKEY(file, own_key), 1);
	fclose(file);
}

static inline void
start_broker(const char *config)
{
	char error[STORE_ERROR_SIZE];

	broker = (struct broker){ .base = event_base_new() };
	LIST_INIT(&broker.counters);
	configure(config);
	if (store_open(broker.base, path, &broker.store, error) != 0)
		fail_msg("%s", error);
	hub_start(&broker);
	assert_int_equal(oauth_start(&broker), 0);
	assert_int_equal(subscriptions_start(&broker), 0);
	/* What is wanted is known; the platform is not asked here. */
	event_del(broker.subscriptions->timer);
	if (ingest_new(&broker, &broker.ingest, error) != 0)
		fail_msg("%s", error);
	front_connect(&hook, CLIENT_webhook, "webhook");
	front_connect(&api, CLIENT_api, "api");
}

static inline void
stop_broker(void)
{
	front_forget(&hook);
	front_forget(&api);
	front_disconnect(&hook);
	front_disconnect(&api);
	flows_end(&broker);
	ingest_stop(broker.ingest);
	store_close(broker.store);
	ingest_free(broker.ingest);
	subscriptions_stop(&broker);
	oauth_stop(&broker);
	config_clear(&broker.config);
	event_base_free(broker.base);
}

/* The gate: while it is closed, a job holds the database's thread. A test that fails
 * leaves its frame at once, so nothing of it lives there, and teardown opens the gate.
 */

struct gate_job {
	struct store_job job;
	int fail; /* what it ends with */
};

static struct {
	pthread_mutex_t mutex;
	bool closed;
	struct gate_job jobs[2];
} gate = { .mutex = PTHREAD_MUTEX_INITIALIZER };

static inline int
run_gate(struct store_job *job, struct db *db)
{
	(void)db;
	pthread_mutex_lock(&gate.mutex);
	pthread_mutex_unlock(&gate.mutex);
	return ((struct gate_job *)job)->fail;
}

static inline void
done_gate(struct store_job *job, int result)
{
	(void)job;
	(void)result;
}

static inline void
gate_submit(struct gate_job *job, int fail)
{
	*job = (struct gate_job){ .job = { .run = run_gate, .done = done_gate },
		.fail = fail };
	store_submit(broker.store, &job->job);
}

/* Once in a test. The job ends with `fail` when the gate opens. */
static inline void
gate_close(int fail)
{
	pthread_mutex_lock(&gate.mutex);
	gate.closed = true;
	gate_submit(&gate.jobs[0], fail);
}

/* A job that fails joins those that wait at the closed gate. */
static inline void
gate_add_failure(void)
{
	gate_submit(&gate.jobs[1], -ENOSPC);
}

static inline void
gate_open(void)
{
	gate.closed = false;
	pthread_mutex_unlock(&gate.mutex);
}

static inline int
setup_with(const char *config)
{
	log_set_level(LOG_LEVEL_error);
	snprintf(folder, sizeof(folder), "/tmp/streamhold-ingest-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/streamhold.db", folder);
	snprintf(key_path, sizeof(key_path), "%s/key.pem", folder);
	if (!own_key)
		own_key = EVP_RSA_gen(2048);
	write_key();
	start_broker(config);
	return 0;
}

static inline int
setup(void **state)
{
	(void)state;
	return setup_with("{\"subscriptions\":{\"kick\":[{\"username\":\"Streamer\","
			  "\"events\":[\"channel.followed\"]}]}}");
}

static inline int
teardown(void **state)
{
	char name[200];

	(void)state;
	if (gate.closed)
		gate_open();
	stop_broker();
	snprintf(name, sizeof(name), "%s-wal", path);
	(void)unlink(name);
	(void)unlink(path);
	(void)unlink(key_path);
	return rmdir(folder);
}

/* Deliveries. */

struct signed_delivery {
	char id[64];
	char timestamp[64];
	uint8_t signature[512];
	struct proto_msg msg;
};

static inline void
sign(struct signed_delivery *delivery, EVP_PKEY *key)
{
	const struct proto_bytes *body = &delivery->msg.delivery.body;
	struct buf message = BUF_EMPTY;
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	size_t size = sizeof(delivery->signature);

	buf_printf(&message, "%s.%s.", delivery->id, delivery->timestamp);
	buf_add(&message, body->data, body->length);
	assert_int_equal(EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key), 1);
	assert_int_equal(EVP_DigestSign(context, delivery->signature, &size,
			     buf_bytes(&message), buf_length(&message)),
	    1);
	delivery->msg.delivery.signature =
	    (struct proto_bytes){ .data = delivery->signature, .length = size };
	EVP_MD_CTX_free(context);
	buf_clear(&message);
}

/* A delivery of these bytes sent `age_s` ago, signed. */
static inline void
make_delivery(struct signed_delivery *delivery, const char *id, int64_t age_s,
    const void *body, size_t length)
{
	snprintf(delivery->id, sizeof(delivery->id), "%s", id);
	time_format(time_now_ms() - age_s * 1000, delivery->timestamp);
	delivery->msg = (struct proto_msg){ .type = MSG_delivery,
		.delivery = { .message_id = delivery->id,
		    .subscription_id = "01SUB",
		    .timestamp = delivery->timestamp,
		    .type = "channel.followed",
		    .version = "1",
		    .content_type = "application/json",
		    .user_agent = "Go-http-client/1.1",
		    .body = { .data = body, .length = length } } };
	sign(delivery, own_key);
}

static const char ours[] =
    "{\"broadcaster\":{\"user_id\":7,\"username\":\"STREAMER\","
    "\"channel_slug\":\"streamer\"},\"follower\":{\"user_id\":8}}";
static const char foreign[] = "{\"broadcaster\":{\"user_id\":9,\"username\":\"Other\","
			      "\"channel_slug\":\"other\"}}";

/* What becomes of a delivery. */
static inline const char *
deliver(const struct signed_delivery *delivery)
{
	const struct proto_msg *answer = front_ask(&hook, &delivery->msg);

	return answer->type == MSG_delivered ? answer->delivered.verdict
					     : answer->failed.code;
}

static inline const char *
deliver_text(const char *id, const char *body)
{
	struct signed_delivery delivery;

	make_delivery(&delivery, id, 0, body, strlen(body));
	return deliver(&delivery);
}

/* Events as they were composed. */

/* An event that came in answer number `first` and the parts after it: its whole JSON in
 * *text, and how many answers it took. */
static inline size_t
join_event(const struct front *front, size_t first, struct buf *text)
{
	const struct proto_event *event = &front->answers[first].event;
	size_t count = 1;

	assert_int_equal(front->answers[first].type, MSG_event);
	buf_add(text, event->json.data, event->json.length);
	while (buf_length(text) < event->length) {
		const struct proto_msg *part = &front->answers[first + count++];

		assert_int_equal(part->type, MSG_event_part);
		assert_true(part->event_part.json.length > 0);
		buf_add(text, part->event_part.json.data, part->event_part.json.length);
	}
	assert_int_equal(buf_length(text), event->length);
	return count;
}

/* What an event says, and its payload byte for byte; good until the next is read. */
struct event_view {
	json_t *document;
	uint64_t seq;
	const char *id;
	const char *platform;
	const char *type;
	const char *kind;
	uint32_t version;
	const char *broadcaster_id;
	const char *broadcaster_name;
	char flags[256];
	bool json; /* the payload is given as JSON */
	int64_t received_at;
	int64_t occurred_at;   /* 0: null */
	uint64_t duplicate_of; /* 0: null */
	struct buf payload;
};

static struct event_view event_view;

static inline void
event_forget(void)
{
	json_decref(event_view.document);
	buf_clear(&event_view.payload);
	event_view = (struct event_view){ .seq = 0 };
}

static inline const char *
text_of(const char *name)
{
	return json_string_value(json_object_get(event_view.document, name));
}

static inline int64_t
time_of(const char *name)
{
	const char *text = text_of(name);
	int64_t ms = 0;

	if (text)
		assert_int_equal(time_parse(text, strlen(text), &ms), 0);
	return ms;
}

/* The payload is the last member, its text the original one. */
static inline void
take_payload(const struct buf *text)
{
	static const char name[] = ",\"payload\":";
	const char *encoded = text_of("payload_base64");
	const uint8_t *end = buf_bytes(text) + buf_length(text) - 1;
	const uint8_t *at;
	size_t length;

	event_view.json = encoded == NULL;
	if (encoded) {
		size_t size = strlen(encoded);

		assert_int_equal(
		    base64_decode(encoded, size,
			buf_reserve(&event_view.payload, size + 1), size + 1, &length),
		    0);
		buf_added(&event_view.payload, length);
		return;
	}
	at = memmem(buf_bytes(text), buf_length(text), name, sizeof(name) - 1);
	assert_non_null(at);
	at += sizeof(name) - 1;
	buf_add(&event_view.payload, at, (size_t)(end - at));
}

static inline void
join_flags(const json_t *flags)
{
	size_t i;
	json_t *flag;

	json_array_foreach(flags, i, flag)
	{
		if (i)
			strcat(event_view.flags, " ");
		strcat(event_view.flags, json_string_value(flag));
	}
}

/* Reads the event of answer number `first`, and checks that what the message says
 * beside it is the same. */
static inline const struct event_view *
event_read(const struct front *front, size_t first)
{
	const struct proto_event *event = &front->answers[first].event;
	const json_t *broadcaster;
	struct buf text = BUF_EMPTY;
	json_t *document;

	event_forget();
	(void)join_event(front, first, &text);
	document = json_loadb((const char *)buf_bytes(&text), buf_length(&text),
	    JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);
	assert_non_null(document);
	broadcaster = json_object_get(document, "broadcaster");
	event_view.document = document;
	event_view.seq = (uint64_t)json_number_value(json_object_get(document, "seq"));
	event_view.id = text_of("id");
	event_view.platform = text_of("platform");
	event_view.type = text_of("type");
	event_view.kind = text_of("kind");
	event_view.version =
	    (uint32_t)json_number_value(json_object_get(document, "version"));
	event_view.broadcaster_id =
	    json_string_value(json_object_get(broadcaster, "id"));
	event_view.broadcaster_name =
	    json_string_value(json_object_get(broadcaster, "name"));
	event_view.received_at = time_of("received_at");
	event_view.occurred_at = time_of("occurred_at");
	event_view.duplicate_of =
	    (uint64_t)json_number_value(json_object_get(document, "duplicate_of"));
	join_flags(json_object_get(document, "flags"));
	take_payload(&text);
	buf_clear(&text);
	assert_int_equal(event->seq, event_view.seq);
	assert_string_equal(event->kind, event_view.kind);
	assert_string_equal(event->flags, event_view.flags);
	return &event_view;
}

static inline int
free_key(void **state)
{
	(void)state;
	EVP_PKEY_free(own_key);
	event_forget();
	return 0;
}

#endif
