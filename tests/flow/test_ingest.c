/*
 * Deliveries through dispatch: what becomes of each kind, what is stored of it, and
 * what is answered when it cannot be stored.
 */
#include <sys/stat.h>

#include "ingest_harness.h"

static const struct ingest_stats *
stats(void)
{
	return ingest_stats(broker.ingest);
}

/* The event of a message id as the API gives it; NULL when there is none. */
static const struct event_view *
stored_event(const char *id)
{
	const struct proto_msg get = { .type = MSG_event_get,
		.event_get = { .id = id } };
	const struct proto_msg *last = front_ask(&api, &get);

	return last->type == MSG_list_end ? event_read(&api, 0) : NULL;
}

static void
a_delivery_is_stored_before_it_is_answered(void **state)
{
	int64_t before = time_now_ms();
	const struct event_view *event;

	(void)state;
	assert_string_equal(deliver_text("01A", ours), "stored");
	assert_int_equal(stats()->stored, 1);
	assert_in_range(stats()->last_at, before, time_now_ms());
	event = stored_event("01A");
	assert_non_null(event);
	assert_int_equal(event->seq, 1);
	assert_string_equal(event->platform, "kick");
	assert_string_equal(event->type, "channel.followed");
	assert_int_equal(event->version, 1);
	assert_string_equal(event->broadcaster_id, "7");
	assert_string_equal(event->broadcaster_name, "STREAMER");
	assert_string_equal(event->flags, "");
	assert_true(event->json);
	assert_in_range(event->received_at, before, time_now_ms());
	assert_in_range(event->occurred_at, before - 1000, time_now_ms());
	assert_string_equal(event->kind, "follow");
	assert_int_equal(buf_length(&event->payload), sizeof(ours) - 1);
	assert_memory_equal(buf_bytes(&event->payload), ours, sizeof(ours) - 1);
}

static void
a_message_id_is_taken_once(void **state)
{
	struct signed_delivery delivery;
	unsigned i;
	unsigned stored = 0;

	(void)state;
	make_delivery(&delivery, "01A", 0, ours, sizeof(ours) - 1);
	for (i = 0; i < 32; i++)
		front_send(&hook, &delivery.msg);
	RUN_UNTIL(hook.lasts == 32);
	for (i = 0; i < 32; i++) {
		const char *verdict = hook.answers[i].delivered.verdict;

		stored += strcmp(verdict, "stored") == 0;
		assert_true(i == 0 || strcmp(verdict, "duplicate") == 0);
	}
	assert_int_equal(stored, 1);
	assert_string_equal(deliver(&delivery), "duplicate");
	assert_string_equal(deliver_text("01A", foreign), "duplicate");
	assert_int_equal(stats()->stored, 1);
	assert_int_equal(stats()->duplicates, 33);
	assert_string_equal(deliver_text("01B", ours), "stored");
}

static void
a_message_id_is_known_after_a_restart(void **state)
{
	(void)state;
	assert_string_equal(deliver_text("01A", ours), "stored");
	stop_broker();
	start_broker("{}");
	assert_string_equal(deliver_text("01A", ours), "duplicate");
	assert_int_equal(stats()->stored, 0);
}

static void
what_is_not_ours_is_foreign_and_kept(void **state)
{
	(void)state;
	assert_string_equal(deliver_text("01A", foreign), "foreign");
	assert_int_equal(stats()->foreign, 1);
	/* What it is said to be it is not, and it is not ours either. */
	assert_string_equal(stored_event("01A")->flags, "foreign quarantined");
	assert_string_equal(deliver_text("01B", "{}"), "foreign");
	assert_string_equal(
	    deliver_text(
		"01C", "{\"broadcaster\":{\"username\":\"streamer\\u0000x\"}}"),
	    "foreign");
}

static void
nothing_is_foreign_while_nobody_is_known(void **state)
{
	(void)state;
	stop_broker();
	start_broker("{}");
	assert_string_equal(deliver_text("01A", foreign), "quarantined");
	assert_string_equal(deliver_text("01B", "{}"), "quarantined");
	assert_string_equal(deliver_text("01C", "no json"), "quarantined");
	assert_string_equal(deliver_text("01D", ours), "stored");
	assert_int_equal(stats()->foreign, 0);
}

static void
unknown_types_and_versions_are_kept_and_marked(void **state)
{
	static const struct {
		const char *type;
		const char *version;
		const char *verdict;
		uint32_t number;
		const char *flags;
	} cases[] = {
		{ "channel.followed", "1", "stored", 1, "" },
		{ "channel.followed", "2", "unknown", 2, "unknown" },
		{ "channel.followed", "0", "unknown", 0, "duplicate unknown" },
		{ "channel.followed", "x", "unknown", 0, "duplicate unknown" },
		{ "channel.followed", "1.0", "unknown", 0, "duplicate unknown" },
		{ "channel.followed", "4294967296", "unknown", 0, "duplicate unknown" },
		{ "channel.unheard.of", "1", "unknown", 1, "unknown" },
		{ "\xff\x1b[2J", "1", "unknown", 1, "unknown" },
	};
	char id[16];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct signed_delivery delivery;

		snprintf(id, sizeof(id), "id%zu", i);
		make_delivery(&delivery, id, 0, ours, sizeof(ours) - 1);
		delivery.msg.delivery.type = cases[i].type;
		delivery.msg.delivery.version = cases[i].version;
		assert_string_equal(deliver(&delivery), cases[i].verdict);
		assert_int_equal(stored_event(id)->version, cases[i].number);
		/* Bytes that are no UTF-8 are shown as U+FFFD. */
		assert_string_equal(stored_event(id)->type,
		    cases[i].type[0] == '\xff' ? "\xef\xbf\xbd\x1b[2J" : cases[i].type);
		assert_string_equal(stored_event(id)->flags, cases[i].flags);
	}
	assert_int_equal(stats()->unknown, 7);
}

static void
bodies_are_kept_byte_for_byte(void **state)
{
	static const struct {
		const char *body;
		size_t length;
		bool json;
	} cases[] = {
		{ "", 0, false },
		{ "\0\xff\xfe", 3, false },
		{ "{\"a\":\"\xff\"}", 9, false },
		{ "\xef\xbb\xbf{}", 5, false },
		{ " { \"a\" : 1.0 }\r\n", 16, true },
		{ "{\"a\":1,\"a\":2}", 13, true },
	};
	char id[16];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct signed_delivery delivery;
		const struct event_view *event;

		snprintf(id, sizeof(id), "id%zu", i);
		make_delivery(&delivery, id, 0, cases[i].body, cases[i].length);
		assert_string_equal(deliver(&delivery), "foreign");
		event = stored_event(id);
		assert_int_equal(event->json, cases[i].json);
		assert_int_equal(buf_length(&event->payload), cases[i].length);
		assert_memory_equal(
		    buf_bytes(&event->payload), cases[i].body, cases[i].length);
	}
}

/* Refusals. */

static void
expect_refused(struct signed_delivery *delivery)
{
	assert_string_equal(deliver(delivery), "refused");
	assert_null(stored_event(delivery->id));
	assert_int_equal(stats()->stored, 0);
}

static void
a_wrong_signature_is_refused(void **state)
{
	EVP_PKEY *other = EVP_RSA_gen(2048);
	struct signed_delivery delivery;

	(void)state;
	make_delivery(&delivery, "01A", 0, ours, sizeof(ours) - 1);
	sign(&delivery, other);
	expect_refused(&delivery);
	make_delivery(&delivery, "01A", 0, ours, sizeof(ours) - 1);
	delivery.msg.delivery.body.length--;
	expect_refused(&delivery);
	make_delivery(&delivery, "01A", 0, ours, sizeof(ours) - 1);
	delivery.msg.delivery.message_id = "01B";
	expect_refused(&delivery);
	make_delivery(&delivery, "01A", 0, ours, sizeof(ours) - 1);
	delivery.msg.delivery.signature.length = 3;
	expect_refused(&delivery);
	assert_int_equal(stats()->refused_signature, 4);
	assert_int_equal(stats()->refused_stale, 0);
	EVP_PKEY_free(other);
}

static void
a_stale_delivery_is_refused(void **state)
{
	const int64_t tolerance = broker.config.webhooks.timestamp_tolerance_s;
	struct signed_delivery delivery;

	(void)state;
	assert_int_equal(tolerance, 86400);
	make_delivery(&delivery, "01A", tolerance + 5, ours, sizeof(ours) - 1);
	expect_refused(&delivery);
	make_delivery(&delivery, "01A", -tolerance - 5, ours, sizeof(ours) - 1);
	expect_refused(&delivery);
	assert_int_equal(stats()->refused_stale, 2);
	assert_int_equal(stats()->refused_signature, 0);
	make_delivery(&delivery, "01B", tolerance - 5, ours, sizeof(ours) - 1);
	assert_string_equal(deliver(&delivery), "stored");
	make_delivery(&delivery, "01C", -tolerance + 5, ours, sizeof(ours) - 1);
	assert_string_equal(deliver(&delivery), "stored");
}

static void
an_ill_formed_timestamp_is_refused_however_well_it_is_signed(void **state)
{
	static const char *const timestamps[] = { "now", "1750000000",
		"2025-13-01T00:00:00Z", " ", "0" };
	struct signed_delivery delivery;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(timestamps) / sizeof(timestamps[0]); i++) {
		make_delivery(&delivery, "01A", 0, ours, sizeof(ours) - 1);
		snprintf(delivery.timestamp, sizeof(delivery.timestamp), "%s",
		    timestamps[i]);
		sign(&delivery, own_key);
		expect_refused(&delivery);
	}
	assert_int_equal(stats()->refused_stale, i);
}

/* "id.timestamp.body" says nothing about where its parts end; moved ends leave a
 * timestamp that is none. */
static void
moved_borders_are_refused(void **state)
{
	struct signed_delivery delivery;
	char *whole;
	char *at;

	(void)state;
	make_delivery(&delivery, "01A.x", 0, ours, sizeof(ours) - 1);
	whole = xasprintf("%s.%s.%s", delivery.id, delivery.timestamp, ours);
	for (at = strchr(whole, '.'); at; at = strchr(at + 1, '.')) {
		char *end;

		for (end = strchr(at + 1, '.'); end; end = strchr(end + 1, '.')) {
			struct signed_delivery moved = delivery;
			char *id = xstrndup(whole, (size_t)(at - whole));
			char *timestamp = xstrndup(at + 1, (size_t)(end - at - 1));

			moved.msg.delivery.message_id = id;
			moved.msg.delivery.timestamp = timestamp;
			moved.msg.delivery.signature.data = moved.signature;
			moved.msg.delivery.body =
			    (struct proto_bytes){ .data = (uint8_t *)end + 1,
				    .length = strlen(end + 1) };
			if (strcmp(id, delivery.id) != 0 && timestamp[0])
				assert_string_equal(deliver(&moved), "refused");
			free(id);
			free(timestamp);
		}
	}
	assert_int_equal(stats()->stored, 0);
	assert_true(stats()->refused_stale > 0);
	free(whole);
}

static void
without_a_tolerance_age_does_not_matter(void **state)
{
	struct signed_delivery delivery;

	(void)state;
	stop_broker();
	start_broker("{\"webhooks\":{\"timestamp_tolerance_s\":0}}");
	make_delivery(&delivery, "01A", 900000000, ours, sizeof(ours) - 1);
	assert_string_equal(deliver(&delivery), "stored");
	make_delivery(&delivery, "01B", 0, ours, sizeof(ours) - 1);
	snprintf(
	    delivery.timestamp, sizeof(delivery.timestamp), "0001-01-01T00:00:00Z");
	sign(&delivery, own_key);
	assert_string_equal(deliver(&delivery), "stored");
	/* A time before 1970 is none that an event can have. */
	assert_int_equal(stored_event("01B")->occurred_at, 0);
}

static void
only_the_webhook_front_may_deliver(void **state)
{
	struct signed_delivery delivery;

	(void)state;
	make_delivery(&delivery, "01A", 0, ours, sizeof(ours) - 1);
	front_send(&api, &delivery.msg);
	RUN_UNTIL(api.refused);
	assert_int_equal(stats()->pending, 0);
	front_send(&hook,
	    &(const struct proto_msg){
		.type = MSG_event_get, .event_get = { .seq = 1 } });
	RUN_UNTIL(hook.refused);
}

/* When it cannot be stored, or nobody waits. */

static void
a_delivery_of_a_front_that_went_is_stored(void **state)
{
	struct signed_delivery delivery;

	(void)state;
	make_delivery(&delivery, "01A", 0, ours, sizeof(ours) - 1);
	gate_close(0);
	front_send(&hook, &delivery.msg);
	RUN_UNTIL(stats()->pending == 1);
	front_disconnect(&hook);
	gate_open();
	RUN_UNTIL(stats()->pending == 0);
	assert_int_equal(stats()->stored, 1);
	assert_non_null(stored_event("01A"));
	front_connect(&hook, CLIENT_webhook, "webhook");
	assert_string_equal(deliver_text("01A", ours), "duplicate");
}

static void
what_cannot_be_stored_is_answered_so(void **state)
{
	struct signed_delivery deliveries[5];
	char id[16];
	unsigned i;

	(void)state;
	assert_string_equal(deliver_text("before", ours), "stored");
	front_forget(&hook);
	gate_close(-ENOSPC);
	usleep(20000);
	/* These gather behind it, with one more that fails. */
	for (i = 0; i < 5; i++) {
		snprintf(id, sizeof(id), "id%u", i);
		make_delivery(&deliveries[i], id, 0, ours, sizeof(ours) - 1);
		front_send(&hook, &deliveries[i].msg);
	}
	RUN_UNTIL(store_backlog(broker.store) == 6); /* the gate's is one */
	gate_add_failure();
	gate_open();
	RUN_UNTIL(hook.lasts == 5);
	for (i = 0; i < 5; i++) {
		assert_int_equal(hook.answers[i].type, MSG_failed);
		assert_string_equal(hook.answers[i].failed.code, "storage_failed");
		assert_int_equal(hook.answers[i].failed.retry_after, 1);
	}
	assert_int_equal(stats()->failed, 5);
	assert_int_equal(stats()->stored, 1);
	assert_non_null(broker.storage_trouble);
	/* What writes nothing does not show that writing works. */
	assert_string_equal(deliver_text("before", ours), "duplicate");
	assert_non_null(broker.storage_trouble);
	for (i = 0; i < 5; i++)
		assert_string_equal(deliver(&deliveries[i]), "stored");
	assert_null(broker.storage_trouble);
}

static void
too_many_at_once_are_told_to_come_again(void **state)
{
	struct signed_delivery delivery;
	unsigned i;

	(void)state;
	make_delivery(&delivery, "01A", 0, "{}", 2);
	gate_close(0);
	for (i = 0; i < INGEST_PENDING_MAX; i++)
		assert_int_equal(chan_send(hook.peer, 0, &delivery.msg), 0);
	RUN_UNTIL(stats()->pending == INGEST_PENDING_MAX);
	assert_string_equal(deliver(&delivery), "busy");
	gate_open();
	RUN_UNTIL(stats()->pending == 0);
	assert_string_equal(deliver(&delivery), "duplicate");
	assert_int_equal(stats()->stored, 1);
}

/* Keys. */

static void
a_key_file_must_hold_a_key(void **state)
{
	char error[INGEST_ERROR_SIZE];
	struct ingest *second = NULL;
	FILE *file;

	(void)state;
	assert_int_equal(strlen(ingest_key_id(broker.ingest)), 64);
	file = fopen(key_path, "we");
	fputs("no key\n", file);
	fclose(file);
	assert_int_equal(ingest_new(&broker, &second, error), -EINVAL);
	assert_non_null(strstr(error, key_path));
	assert_non_null(strstr(error, "RSA public key"));
	assert_int_equal(unlink(key_path), 0);
	assert_int_equal(ingest_new(&broker, &second, error), -ENOENT);
	assert_non_null(strstr(error, key_path));
	assert_int_equal(mkdir(key_path, 0700), 0);
	assert_true(ingest_new(&broker, &second, error) < 0);
	assert_int_equal(rmdir(key_path), 0);
	assert_null(second);
	ingest_free(NULL);
}

static void
without_a_key_file_the_shipped_key_counts(void **state)
{
	char **file = &broker.config.platform[CONFIG_PLATFORM_KICK].public_key_file;
	char error[INGEST_ERROR_SIZE];
	struct ingest *shipped;
	struct ingest *own = broker.ingest;

	(void)state;
	free(*file);
	*file = NULL;
	assert_int_equal(ingest_new(&broker, &shipped, error), 0);
	assert_string_equal(ingest_key_id(shipped),
	    "407899e1bb8e86c10ecc032cd8c5d02f1180e8b3c58686ddfe1fb541d8a646aa");
	broker.ingest = shipped;
	assert_string_equal(deliver_text("01A", ours), "refused");
	broker.ingest = own;
	ingest_free(shipped);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_delivery_is_stored_before_it_is_answered),
		TEST(a_message_id_is_taken_once),
		TEST(a_message_id_is_known_after_a_restart),
		TEST(what_is_not_ours_is_foreign_and_kept),
		TEST(nothing_is_foreign_while_nobody_is_known),
		TEST(unknown_types_and_versions_are_kept_and_marked),
		TEST(bodies_are_kept_byte_for_byte),
		TEST(a_wrong_signature_is_refused),
		TEST(a_stale_delivery_is_refused),
		TEST(an_ill_formed_timestamp_is_refused_however_well_it_is_signed),
		TEST(moved_borders_are_refused),
		TEST(without_a_tolerance_age_does_not_matter),
		TEST(only_the_webhook_front_may_deliver),
		TEST(a_delivery_of_a_front_that_went_is_stored),
		TEST(what_cannot_be_stored_is_answered_so),
		TEST(too_many_at_once_are_told_to_come_again),
		TEST(a_key_file_must_hold_a_key),
		TEST(without_a_key_file_the_shipped_key_counts),
	};

	return cmocka_run_group_tests(tests, NULL, free_key);
}
