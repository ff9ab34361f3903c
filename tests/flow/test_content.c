/*
 * The same event under another message id, and what else a body says about itself:
 * late, of another type than its header claims, about somebody anonymous.
 */
#include "broker/events/kick_keys.h"
#include "ingest_harness.h"

#define STREAMER "\"broadcaster\":{\"user_id\":7,\"username\":\"STREAMER\"}"
#define OLD_TIME "2025-01-14T16:08:06Z"

static const struct ingest_stats *
stats(void)
{
	return ingest_stats(broker.ingest);
}

/* Sends a body under a type as if it had been sent at `sent` (ms since 1970); the event
 * that was stored. */
static const struct event_view *
send_at(const char *id, const char *type, int64_t sent, const char *body)
{
	const struct proto_msg get = { .type = MSG_event_get,
		.event_get = { .id = id } };
	struct signed_delivery delivery;

	make_delivery(&delivery, id, 0, body, strlen(body));
	time_format(sent, delivery.timestamp);
	sign(&delivery, own_key);
	delivery.msg.delivery.type = type;
	assert_string_not_equal(deliver(&delivery), "refused");
	assert_int_equal(front_ask(&api, &get)->type, MSG_list_end);
	return event_read(&api, 0);
}

static const struct event_view *
send_now(const char *id, const char *type, const char *body)
{
	return send_at(id, type, time_now_ms(), body);
}

/* Flags without those about age. */
static void
expect(const struct event_view *event, uint64_t duplicate_of)
{
	const char *flags = event->flags;

	assert_int_equal(event->duplicate_of, duplicate_of);
	assert_int_equal(strncmp(flags, "duplicate", 9) == 0, duplicate_of != 0);
}

static void
restart(const char *config)
{
	stop_broker();
	start_broker(config);
}

static char *
follow_of(unsigned user)
{
	return xasprintf("{" STREAMER ",\"follower\":{\"user_id\":%u}}", user);
}

static char *
chat_of(const char *id, const char *created, const char *text)
{
	return xasprintf("{" STREAMER
			 ",\"message_id\":\"%s\",\"sender\":{\"user_id\":8},"
			 "\"content\":\"%s\",\"created_at\":%s}",
	    id, text, created);
}

/* Doubled subscriptions. */

static void
the_second_is_a_duplicate_of_the_first(void **state)
{
	static const char *const types[][2] = {
		{ "channel.followed", "\"follower\":{\"user_id\":8}" },
		{ "channel.subscription.new", "\"subscriber\":{\"user_id\":8}" },
		{ "channel.subscription.gifts", "\"giftees\":[]" },
		{ "livestream.status.updated", "\"is_live\":true" },
		{ "livestream.metadata.updated", "\"metadata\":{\"title\":\"t\"}" },
		{ "moderation.banned", "\"banned_user\":{\"user_id\":8}" },
		{ "kicks.gifted", "\"gift\":{\"amount\":5}" },
		{ "chat.message.sent", "\"message_id\":\"m\",\"content\":\"\"" },
		{ "channel.reward.redemption.updated",
		    "\"redeemer\":null,\"id\":\"r\",\"status\":\"pending\"" },
		{ "no.such.type", "\"x\":1" },
	};
	char id[16];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		char *body = xasprintf("{" STREAMER ",%s}", types[i][1]);
		uint64_t first;

		snprintf(id, sizeof(id), "a%zu", i);
		first = send_now(id, types[i][0], body)->seq;
		expect(&event_view, 0);
		id[0] = 'b';
		expect(send_now(id, types[i][0], body), first);
		id[0] = 'c';
		expect(send_now(id, types[i][0], body), first);
		free(body);
	}
	assert_int_equal(stats()->repeated, 2 * i);
	assert_int_equal(stats()->stored, 3 * i);
	assert_int_equal(stats()->duplicates, 0);
	assert_int_equal(stats()->verdicts[INGEST_quarantined], 0);
}

static void
it_is_one_after_a_restart(void **state)
{
	char *body = follow_of(8);
	char *chat = chat_of("m", "\"" OLD_TIME "\"", "hello");

	(void)state;
	expect(send_now("a", "channel.followed", body), 0);
	expect(send_now("b", "chat.message.sent", chat), 0);
	restart("{}");
	expect(send_now("c", "channel.followed", body), 1);
	expect(send_now("d", "chat.message.sent", chat), 2);
	free(body);
	free(chat);
}

static void
several_that_are_stored_together_are_one(void **state)
{
	struct signed_delivery deliveries[16];
	char id[16];
	unsigned i;

	(void)state;
	gate_close(0);
	for (i = 0; i < 16; i++) {
		snprintf(id, sizeof(id), "id%u", i);
		make_delivery(&deliveries[i], id, 0, ours, sizeof(ours) - 1);
		front_send(&hook, &deliveries[i].msg);
	}
	RUN_UNTIL(store_backlog(broker.store) == 17); /* the gate's is one */
	gate_open();
	RUN_UNTIL(hook.lasts == 16);
	assert_int_equal(stats()->stored, 16);
	assert_int_equal(stats()->repeated, 15);
}

/* Nothing is remembered of what was not stored. */
static void
one_that_failed_is_no_first(void **state)
{
	struct signed_delivery delivery;

	(void)state;
	gate_close(0);
	usleep(20000);
	make_delivery(&delivery, "a", 0, ours, sizeof(ours) - 1);
	front_send(&hook, &delivery.msg);
	RUN_UNTIL(store_backlog(broker.store) == 2);
	gate_add_failure();
	gate_open();
	RUN_UNTIL(hook.lasts == 1);
	assert_string_equal(hook.answers[0].failed.code, "storage_failed");
	expect(send_now("b", "channel.followed", ours), 0);
	assert_int_equal(stats()->repeated, 0);
}

/* Windows. The times are such that pairs lie in every way over the stretches of ten
 * minutes in which contents are kept. */

static void
a_window_has_an_end_on_both_sides(void **state)
{
	static const struct {
		const char *type;
		int64_t window_s;
	} cases[] = { { "channel.followed", 60 },
		{ "channel.subscription.renewal", 300 },
		{ "livestream.status.updated", 10 } };
	static const int64_t offsets[] = { -301, -300, -299, -61, -11, -1, 0, 1, 150,
		290, 299, 300, 301, 540, 599 };
	const int64_t begin = 2900000LL * 600000; /* a stretch, some time in 2025 */
	unsigned user = 1;
	char id[32];
	size_t i;
	size_t j;
	int k;

	(void)state;
	restart("{\"webhooks\":{\"timestamp_tolerance_s\":0}}");
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (j = 0; j < sizeof(offsets) / sizeof(offsets[0]); j++)
			for (k = 0; k < 4; k++) {
				int64_t window = cases[i].window_s * 1000;
				int64_t apart = k & 1 ? window + 1 : window;
				int64_t first = begin + offsets[j] * 1000;
				int64_t second = k & 2 ? first - apart : first + apart;
				char *body = xasprintf(
				    "{" STREAMER ",\"follower\":null,\"is_live\":null,"
				    "\"subscriber\":{\"user_id\":%u},"
				    "\"title\":\"%u\"}",
				    user, user);
				uint64_t seq;

				snprintf(id, sizeof(id), "a%u", user);
				seq = send_at(id, cases[i].type, first, body)->seq;
				expect(&event_view, 0);
				snprintf(id, sizeof(id), "b%u", user++);
				expect(send_at(id, cases[i].type, second, body),
				    k & 1 ? 0 : seq);
				free(body);
			}
}

static void
who_follows_again_weeks_later_is_no_duplicate(void **state)
{
	int64_t week = 7 * 86400000LL;
	char *body = follow_of(8);
	int64_t now = time_now_ms();

	(void)state;
	restart("{\"webhooks\":{\"timestamp_tolerance_s\":0}}");
	expect(send_at("a", "channel.followed", now - 3 * week, body), 0);
	expect(send_at("b", "channel.followed", now - 3 * week + 2000, body), 1);
	expect(send_at("c", "channel.followed", now, body), 0);
	expect(send_at("d", "channel.followed", now + 1000, body), 3);
	free(body);
}

/* Ids in the body. */

static void
a_chat_message_is_known_by_its_id(void **state)
{
	char *first = chat_of("m1", "\"" OLD_TIME "\"", "hello");
	char *edited = chat_of("m1", "\"" OLD_TIME "\"", "hello, said otherwise");
	char *other = chat_of("m2", "\"" OLD_TIME "\"", "hello");
	char *untimed = chat_of("m3", "null", "hello");
	int64_t now = time_now_ms();

	(void)state;
	restart("{\"webhooks\":{\"timestamp_tolerance_s\":0}}");
	expect(send_at("a", "chat.message.sent", now - 40 * 86400000LL, first), 0);
	expect(send_at("b", "chat.message.sent", now, edited), 1);
	expect(send_at("c", "chat.message.sent", now, other), 0);
	expect(send_at("d", "chat.message.sent", now, untimed), 0);
	expect(send_at("e", "chat.message.sent", now + 1000, untimed), 4);
	free(first);
	free(edited);
	free(other);
	free(untimed);
}

static void
a_redemption_is_known_by_id_and_status(void **state)
{
	static const struct {
		const char *id;
		const char *status;
		uint64_t duplicate_of;
	} cases[] = { { "r1", "pending", 0 }, { "r1", "accepted", 0 },
		{ "r1", "pending", 1 }, { "r1", "accepted", 2 }, { "r2", "pending", 0 },
		{ "r1p", "ending", 0 } };
	char id[8];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *body = xasprintf("{" STREAMER
				       ",\"redeemer\":{\"user_id\":8},\"id\":\"%s\","
				       "\"status\":\"%s\",\"redeemed_at\":\"" OLD_TIME
				       "\",\"user_input\":\"%zu\"}",
		    cases[i].id, cases[i].status, i);

		snprintf(id, sizeof(id), "id%zu", i);
		expect(send_now(id, "channel.reward.redemption.updated", body),
		    cases[i].duplicate_of);
		free(body);
	}
}

/* What must not be the first. */

static void
what_was_not_handed_on_is_no_first(void **state)
{
	char *body = follow_of(8);

	(void)state;
	restart("{\"subscriptions\":{\"kick\":[{\"username\":\"Other\",\"events\":"
		"[\"channel.followed\"]}]}}");
	assert_string_equal(send_now("a", "channel.followed", body)->flags, "foreign");
	restart("{}");
	assert_string_equal(send_now("b", "kicks.gifted", body)->flags, "quarantined");
	expect(send_now("c", "channel.followed", body), 0);
	assert_string_equal(event_view.flags, "");
	free(body);
}

static void
types_that_are_not_known_have_contents_of_their_own(void **state)
{
	char *body = follow_of(8);

	(void)state;
	expect(send_now("a", "no.such.type", body), 0);
	expect(send_now("b", "no.other.type", body), 0);
	expect(send_now("c", "channel.followed", body), 0);
	expect(send_now("d", "no.such.type", body), 1);
	free(body);
}

/* The type is not signed, and these two have the same body (facts/kick.md 2.2). */
static void
a_renewal_that_was_a_new_one_is_a_duplicate(void **state)
{
	static const char body[] =
	    "{" STREAMER ",\"subscriber\":{\"user_id\":8},\"duration\":1}";

	(void)state;
	expect(send_now("a", "channel.subscription.new", body), 0);
	expect(send_now("b", "channel.subscription.renewal", body), 1);
}

static void
what_is_made_for_a_test_is_no_first_of_what_is_real(void **state)
{
	EVP_PKEY *real = own_key;
	BIO *memory = BIO_new(BIO_s_mem());
	char *body = follow_of(8);
	char *pem;
	long length;

	(void)state;
	own_key = EVP_RSA_gen(2048);
	assert_int_equal(PEM_write_bio_PUBKEY(memory, own_key), 1);
	length = BIO_get_mem_data(memory, &pem);
	assert_int_equal(kick_ring_put(ingest_ring(broker.ingest), pem, (size_t)length,
			     KICK_KEY_synthetic, 0),
	    0);
	assert_string_equal(
	    send_now("synthetic.a", "channel.followed", body)->flags, "synthetic");
	expect(send_now("synthetic.b", "channel.followed", body), 1);
	EVP_PKEY_free(own_key);
	own_key = real;
	expect(send_now("c", "channel.followed", body), 0);
	assert_int_equal(stats()->synthetic, 2);
	BIO_free(memory);
	free(body);
}

/* Late. */

static void
what_was_sent_long_ago_is_late(void **state)
{
	int64_t now = time_now_ms();

	(void)state;
	assert_string_equal(
	    send_at("a", "channel.followed", now - 290000, ours)->flags, "");
	assert_string_equal(send_at("b", "channel.followed", now - 310000, ours)->flags,
	    "duplicate late");
	assert_int_equal(stats()->late, 1);
	restart("{\"events\":{\"late_after_s\":20}}");
	assert_string_equal(
	    send_at("c", "channel.followed", now - 40000, ours)->flags, "late");
	restart("{\"events\":{\"late_after_s\":0}}");
	assert_string_equal(
	    send_at("d", "channel.followed", now - 80000000, ours)->flags, "");
}

static void
what_happened_long_ago_is_late_however_new_it_is(void **state)
{
	char *old = chat_of("m1", "\"" OLD_TIME "\"", "");
	char *unsaid = chat_of("m2", "null", "");

	(void)state;
	assert_string_equal(send_now("a", "chat.message.sent", old)->flags, "late");
	assert_string_equal(send_now("b", "chat.message.sent", unsaid)->flags, "");
	/* A renewal names the time of the first month. */
	assert_string_equal(
	    send_now("c", "channel.subscription.renewal",
		"{" STREAMER ",\"subscriber\":null,\"created_at\":\"" OLD_TIME "\"}")
		->flags,
	    "");
	free(old);
	free(unsaid);
}

/* Bodies of another type, and what is counted. */

static void
a_body_that_is_not_of_its_type_is_kept_aside(void **state)
{
	const struct proto_msg list = { .type = MSG_events_list,
		.events_list = { .limit = 10 } };

	(void)state;
	assert_string_equal(send_now("a", "kicks.gifted", ours)->flags, "quarantined");
	assert_string_equal(event_view.kind, "tip");
	assert_true(json_is_null(json_object_get(event_view.document, "data")));
	assert_memory_equal(buf_bytes(&event_view.payload), ours, sizeof(ours) - 1);
	assert_string_equal(send_now("b", "channel.followed",
				"{" STREAMER ",\"follower\":{\"user_id\":\"8\"}}")
				->flags,
	    "quarantined");
	assert_int_equal(stats()->alien, 1);
	assert_int_equal(stats()->ill_typed, 1);
	assert_int_equal(stats()->verdicts[INGEST_quarantined], 2);
	assert_int_equal(front_ask(&api, &list)->list_end.next, 0);
	assert_int_equal(api.count, 1);
}

static void
every_verdict_and_refusal_has_a_counter(void **state)
{
	struct signed_delivery delivery;

	(void)state;
	assert_string_equal(deliver_text("a", ours), "stored");
	assert_string_equal(deliver_text("a", ours), "duplicate");
	assert_string_equal(deliver_text("b", foreign), "foreign");
	assert_string_equal(deliver_text("c", "{" STREAMER "}"), "quarantined");
	make_delivery(&delivery, "d", 0, ours, sizeof(ours) - 1);
	delivery.msg.delivery.version = "2";
	assert_string_equal(deliver(&delivery), "unknown");
	make_delivery(&delivery, "e", 100000, ours, sizeof(ours) - 1);
	assert_string_equal(deliver(&delivery), "refused");
	make_delivery(&delivery, "e", -100000, ours, sizeof(ours) - 1);
	assert_string_equal(deliver(&delivery), "refused");
	delivery.msg.delivery.timestamp = "soon";
	assert_string_equal(deliver(&delivery), "refused");
	make_delivery(&delivery, "e", 0, ours, sizeof(ours) - 1);
	delivery.msg.delivery.signature.length = 3;
	assert_string_equal(deliver(&delivery), "refused");
	for (int i = 0; i < INGEST_VERDICT_MAX; i++)
		assert_int_equal(stats()->verdicts[i], 1);
	assert_int_equal(stats()->refused_old, 1);
	assert_int_equal(stats()->refused_future, 1);
	assert_int_equal(stats()->refused_time, 1);
	assert_int_equal(stats()->refused_stale, 3);
	assert_int_equal(stats()->refused_malformed, 1);
	assert_int_equal(stats()->refused_signature, 1);
}

/* An anonymous person keeps no name, and what was received is kept as it was. */
static void
somebody_anonymous_has_no_name(void **state)
{
	static const char body[] =
	    "{" STREAMER ",\"gifter\":{\"is_anonymous\":true,\"user_id\":4711,"
	    "\"username\":\"Secret\"},\"giftees\":[{\"user_id\":8}]}";
	const json_t *actor;
	struct buf text = BUF_EMPTY;

	(void)state;
	assert_string_equal(
	    send_now("a", "channel.subscription.gifts", body)->flags, "masked");
	(void)join_event(&api, 0, &text);
	assert_null(memmem(buf_bytes(&text), buf_length(&text), "Secret", 6));
	assert_null(memmem(buf_bytes(&text), buf_length(&text), "4711", 4));
	buf_clear(&text);
	actor = json_object_get(event_view.document, "actor");
	assert_true(json_is_true(json_object_get(actor, "anonymous")));
	assert_true(json_is_null(json_object_get(actor, "name")));
	assert_int_equal(stats()->masked, 1);
	/* It is the same event when it comes again, so the body was kept whole. */
	expect(send_now("b", "channel.subscription.gifts", body), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_second_is_a_duplicate_of_the_first),
		TEST(it_is_one_after_a_restart),
		TEST(several_that_are_stored_together_are_one),
		TEST(one_that_failed_is_no_first),
		TEST(a_window_has_an_end_on_both_sides),
		TEST(who_follows_again_weeks_later_is_no_duplicate),
		TEST(a_chat_message_is_known_by_its_id),
		TEST(a_redemption_is_known_by_id_and_status),
		TEST(what_was_not_handed_on_is_no_first),
		TEST(types_that_are_not_known_have_contents_of_their_own),
		TEST(a_renewal_that_was_a_new_one_is_a_duplicate),
		TEST(what_is_made_for_a_test_is_no_first_of_what_is_real),
		TEST(what_was_sent_long_ago_is_late),
		TEST(what_happened_long_ago_is_late_however_new_it_is),
		TEST(a_body_that_is_not_of_its_type_is_kept_aside),
		TEST(every_verdict_and_refusal_has_a_counter),
		TEST(somebody_anonymous_has_no_name),
	};

	return cmocka_run_group_tests(tests, NULL, free_key);
}
