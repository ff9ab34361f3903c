/*
 * A broker inside the test: database, vault, outbound calls and OAuth as they are, a
 * peer on a real channel, and one stub server in the place of all platforms.
 */
#ifndef TESTS_FLOW_BROKER_HARNESS_H
#define TESTS_FLOW_BROKER_HARNESS_H

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "broker/dispatch.h"
#include "broker/flow.h"
#include "broker/oauth/accounts.h"
#include "broker/oauth/oauth.h"
#include "broker/outbound/fetch.h"
#include "broker/store/store.h"
#include "broker/subscriptions/subs.h"
#include "broker/vault/vault.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/text.h"
#include "common/time.h"
#include "tests/unit/stub_server.h"

/* The peer may do what the API and the command may do. */
#define HARNESS_ROLES ((enum client_role)(CLIENT_api | CLIENT_admin))
#define ROWS_MAX 16
#define ROUTES_MAX 8

/* What the stub answers to a path. */
struct route {
	const char *path; /* of the request line, without query */
	const char *status;
	const char *body;
};

struct harness {
	char folder[64];
	struct broker broker;
	struct client client;
	struct chan *peer;
	struct stub stub;
	struct route routes[ROUTES_MAX]; /* the first that fits counts */
	bool silent;                     /* the stub does not answer */
	struct proto_msg rows[ROWS_MAX];
	size_t row_count;
	size_t answered; /* requests since the last harness_send */
};

static void
harness_answer(struct stub *stub, const char *request, struct bufferevent *to)
{
	struct harness *h = stub->arg;
	const char *path = strchr(request, ' ') + 1;
	size_t length = strcspn(path, " ?");
	size_t i;

	if (h->silent)
		return;
	for (i = 0; i < ROUTES_MAX && h->routes[i].path; i++) {
		if (strlen(h->routes[i].path) != length ||
		    memcmp(h->routes[i].path, path, length) != 0)
			continue;
		stub_reply(to, h->routes[i].status, "", h->routes[i].body);
		return;
	}
	stub_reply(to, "404 Not Found", "", "");
}

static void
harness_on_ready(struct chan *chan, void *arg)
{
	(void)chan;
	(void)arg;
}

static void
harness_on_message(struct chan *chan, void *arg, struct proto_msg *msg)
{
	struct harness *h = arg;

	(void)chan;
	assert_true(dispatch(&h->client, msg));
}

static void
harness_on_closed(struct chan *chan, void *arg, const char *reason)
{
	struct harness *h = arg;

	if (chan != h->client.chan)
		return;
	(void)reason;
	flows_client_gone(&h->client);
}

static const struct chan_handlers harness_handlers = { harness_on_ready,
	harness_on_message, harness_on_closed };

static inline void
harness_turn(struct harness *h)
{
	event_base_loop(h->broker.base, EVLOOP_ONCE);
}

static inline void
harness_connect(struct harness *h)
{
	struct chan_options options = { .program = "test",
		.version = "1",
		.role = "broker",
		.expect = "api",
		.broker = true,
		.sender = CHAN_ANY_UID,
		.frame_max = PROTO_FRAME_MAX,
		.handlers = &harness_handlers,
		.arg = h };
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
	h->client = (struct client){ .broker = &h->broker, .role = HARNESS_ROLES };
	LIST_INIT(&h->client.flows);
	h->client.chan = chan_new(h->broker.base, ends[0], &options);
	options.role = "api";
	options.expect = "broker";
	options.broker = false;
	h->peer = chan_new(h->broker.base, ends[1], &options);
	while (!chan_is_ready(h->peer) || !chan_is_ready(h->client.chan))
		harness_turn(h);
}

static inline void
harness_disconnect(struct harness *h)
{
	flows_client_gone(&h->client);
	chan_free(h->peer);
	chan_free(h->client.chan);
	h->peer = NULL;
	h->client.chan = NULL;
}

static inline void
harness_start(struct harness *h)
{
	char error[VAULT_ERROR_SIZE];

	assert_int_equal(store_open(h->broker.base, h->broker.paths.database,
			     &h->broker.store, error),
	    0);
	assert_int_equal(vault_open(h->broker.base, h->broker.store, &h->broker.config,
			     &h->broker.paths, &h->broker.vault, error),
	    0);
	h->broker.fetcher = fetcher_new(h->broker.base);
	assert_int_equal(oauth_start(&h->broker), 0);
	assert_int_equal(subscriptions_start(&h->broker), 0);
	harness_connect(h);
}

static inline void
harness_stop(struct harness *h)
{
	if (h->client.chan)
		harness_disconnect(h);
	flows_end(&h->broker);
	store_close(h->broker.store);
	fetcher_free(h->broker.fetcher);
	subscriptions_stop(&h->broker);
	oauth_stop(&h->broker);
	vault_close(h->broker.vault);
}

static inline void
harness_set_url(struct harness *h, char **url, const char *path)
{
	free(*url);
	*url = xasprintf("http://127.0.0.1:%u%s", h->stub.port, path);
}

static inline int
harness_setup(void **state)
{
	struct harness *h = calloc(1, sizeof(*h));
	size_t i;

	signal(SIGPIPE, SIG_IGN);
	log_set_level(LOG_LEVEL_error);
	strcpy(h->folder, "/tmp/streamhold-flow-XXXXXX");
	assert_non_null(mkdtemp(h->folder));
	LIST_INIT(&h->broker.counters);
	config_init(&h->broker.config);
	h->broker.base = event_base_new();
	h->broker.paths.database = xasprintf("%s/streamhold.db", h->folder);
	h->broker.paths.key_file = xasprintf("%s/vault.key", h->folder);
	h->broker.paths.key_file_is_own = true;
	stub_open(&h->stub, h->broker.base, harness_answer, h);
	for (i = 0; i < CONFIG_PLATFORM_MAX; i++) {
		struct config_platform *platform = &h->broker.config.platform[i];

		harness_set_url(h, &platform->authorize_url, "/authorize");
		harness_set_url(h, &platform->token_url, "/token");
		harness_set_url(h, &platform->revoke_url, "/revoke");
		harness_set_url(h, &platform->validate_url, "/validate");
		harness_set_url(h, &platform->introspect_url, "/introspect");
		harness_set_url(h, &platform->api_url, "/api");
	}
	harness_start(h);
	*state = h;
	return 0;
}

static inline void
harness_forget(struct harness *h)
{
	while (h->row_count > 0)
		proto_clear(&h->rows[--h->row_count]);
}

static inline int
harness_teardown(void **state)
{
	struct harness *h = *state;
	struct counter *counter;
	char command[128];

	harness_stop(h);
	harness_forget(h);
	stub_shut(&h->stub);
	event_base_loop(h->broker.base, EVLOOP_NONBLOCK);
	event_base_free(h->broker.base);
	while ((counter = LIST_FIRST(&h->broker.counters))) {
		LIST_REMOVE(counter, entry);
		free(counter);
	}
	config_clear(&h->broker.config);
	paths_clear(&h->broker.paths);
	snprintf(command, sizeof(command), "rm -rf '%s'", h->folder);
	assert_int_equal(system(command), 0);
	free(h);
	return 0;
}

static void
harness_on_answer(void *arg, struct proto_msg *answer, bool last)
{
	struct harness *h = arg;

	if (answer && h->row_count < ROWS_MAX)
		h->rows[h->row_count++] = proto_move(answer);
	h->answered += last;
}

/* Sends a request; harness_wait waits for its answer. */
static inline void
harness_send(struct harness *h, const struct proto_msg *msg)
{
	harness_forget(h);
	h->answered = 0;
	assert_int_not_equal(
	    chan_request(h->peer, msg, 30000, harness_on_answer, h), 0);
}

/* Sends one more while others wait for their answers. */
static inline void
harness_send_also(struct harness *h, const struct proto_msg *msg)
{
	assert_int_not_equal(
	    chan_request(h->peer, msg, 30000, harness_on_answer, h), 0);
}

/* The last answer, when `count` requests have been answered. */
static inline const struct proto_msg *
harness_wait(struct harness *h, size_t count)
{
	while (h->answered < count)
		harness_turn(h);
	return h->row_count ? &h->rows[h->row_count - 1] : NULL;
}

/* Asks and gives the last answer, good until the next request. */
static inline const struct proto_msg *
harness_ask(struct harness *h, const struct proto_msg *msg)
{
	harness_send(h, msg);
	return harness_wait(h, 1);
}

/* The answer must be of this type. */
static inline const struct proto_msg *
harness_expect(struct harness *h, const struct proto_msg *msg, enum proto_type type)
{
	const struct proto_msg *answer = harness_ask(h, msg);

	assert_non_null(answer);
	if (answer->type == MSG_failed && type != MSG_failed)
		print_error("%s: %s\n", answer->failed.code, answer->failed.message);
	assert_int_equal(answer->type, type);
	return answer;
}

/* The answer must be this failure; gives its sentence. */
static inline const char *
harness_expect_failure(struct harness *h, const struct proto_msg *msg, const char *code)
{
	const struct proto_msg *answer = harness_expect(h, msg, MSG_failed);

	assert_string_equal(answer->failed.code, code);
	return answer->failed.message;
}

#define MESSAGE(kind, ...) \
	(&(const struct proto_msg){ .type = MSG_##kind, .kind = { __VA_ARGS__ } })

/* A secret that borrows a text. */
static inline struct secret
secret_of(const char *text)
{
	return (struct secret){ .bytes = (unsigned char *)(uintptr_t)text,
		.length = strlen(text) };
}

#endif
