/*
 * What an event is known by is written into its table in batches: until then it is a
 * note, and neither a restart nor a failed transaction makes a difference.
 */
#include "store_fixture.h"

#include "broker/store/store_content.h"
#include "broker/store/store_content_notes.h"
#include "broker/store/store_event.h"
#include "broker/store/store_retention.h"

#define NOW INT64_C(1768730400000)
#define TABLE "SELECT count(*) FROM contents"
#define SETTLED "SELECT contents_to FROM sequence"

/* Notes. */

static void
key_of(unsigned number, uint8_t key[static STORE_CONTENT_KEY_SIZE])
{
	memset(key, 0, STORE_CONTENT_KEY_SIZE);
	memcpy(key, &number, sizeof(number));
}

/* All of them begin their search at the same place. */
static void
notes_are_found_whatever_their_hash(void **state)
{
	struct store_content_notes *notes = store_content_notes_new();
	uint8_t key[STORE_CONTENT_KEY_SIZE];
	unsigned i;

	(void)state;
	for (i = 0; i < STORE_CONTENT_NOTES_MAX; i++) {
		key_of(i, key);
		assert_null(store_content_notes_find(notes, key));
		assert_true(store_content_notes_put(notes, key, i + 1));
	}
	key_of(i, key);
	assert_false(store_content_notes_put(notes, key, 1));
	assert_null(store_content_notes_find(notes, key));
	for (i = 0; i < STORE_CONTENT_NOTES_MAX; i++) {
		key_of(i, key);
		assert_int_equal(store_content_notes_find(notes, key)->seq, i + 1);
		assert_true(store_content_notes_put(notes, key, i + 7));
		assert_int_equal(store_content_notes_find(notes, key)->seq, i + 7);
	}
	assert_int_equal(notes->count, STORE_CONTENT_NOTES_MAX);
	store_content_notes_clear(notes, 5);
	assert_null(store_content_notes_find(notes, key));
	assert_int_equal(notes->settled_to, 5);
	store_content_notes_free(notes);
}

/* Events. */

struct putting {
	struct store_job job;
	const char *id; /* begin of the message ids: a repeat has another one */
	unsigned first; /* number of the content */
	unsigned count;
	enum store_content_rule rule;
	int64_t sent_at;    /* 0: NOW, and that is when it was born as well */
	uint32_t window_ms; /* with sent_at */
	int fail;           /* what `run` gives in the end */
	uint64_t duplicate_of;
	int result;
};

static int
run_putting(struct store_job *job, struct db *db)
{
	struct putting *putting = (struct putting *)job;
	char id[32];
	unsigned i;

	for (i = putting->first; i < putting->first + putting->count; i++) {
		struct store_delivery delivery = { .platform = "kick",
			.message_id = id,
			.type = "chat.message.sent",
			.version = 1,
			.received_at = putting->sent_at ? putting->sent_at : NOW,
			.timestamp = "",
			.signature = "",
			.body = (const uint8_t *)"{}",
			.body_length = 2,
			.content = { .rule = putting->rule,
			    .born = putting->sent_at ? 0 : NOW,
			    .window_ms = putting->window_ms },
			.ret_duplicate_of = &putting->duplicate_of };
		uint64_t seq;

		snprintf(id, sizeof(id), "%s%u", putting->id, i);
		memcpy(delivery.content.digest, &i, sizeof(i));
		if (store_event_put(db, &delivery, &seq) != 1)
			return -EINVAL;
	}
	return putting->fail;
}

static void
done_putting(struct store_job *job, int result)
{
	((struct putting *)job)->result = result;
}

static struct putting
put(struct putting putting)
{
	putting.job = (struct store_job){ .run = run_putting, .done = done_putting };
	if (!putting.count)
		putting.count = 1;
	store_run_now(store, &putting.job);
	assert_int_equal(putting.result, putting.fail);
	return putting;
}

/* The event that a content belongs to, 0: it is new. Asking makes it known. */
static uint64_t
ask(const char *id, unsigned content)
{
	const struct putting putting = {
		.id = id, .first = content, .rule = STORE_CONTENT_IDS
	};

	return put(putting).duplicate_of;
}

static void
put_many(const char *id, unsigned first, unsigned count)
{
	const struct putting putting = {
		.id = id, .first = first, .count = count, .rule = STORE_CONTENT_IDS
	};

	assert_int_equal(put(putting).duplicate_of, 0);
}

/* An answer of the file, between two runs. */
static int64_t
after_restart(const char *sql)
{
	int64_t answer;

	close_store();
	answer = ask_file(sql);
	open_store();
	return answer;
}

static void
a_restart_forgets_no_note(void **state)
{
	(void)state;
	put_many("a", 0, 100);
	assert_int_equal(ask("b", 7), 8);
	assert_int_equal(after_restart(TABLE), 0);
	assert_int_equal(ask("c", 7), 8);
	assert_int_equal(ask("c", 99), 100);
	assert_int_equal(ask("c", 100), 0);
}

static void
the_table_gets_them_many_at_a_time(void **state)
{
	(void)state;
	put_many("a", 0, STORE_CONTENT_NOTES_MAX);
	assert_int_equal(after_restart(TABLE), 0);
	assert_int_equal(after_restart(SETTLED), 0);
	/* There is no room for another one. */
	assert_int_equal(ask("b", 5), 6);
	assert_int_equal(after_restart(TABLE), STORE_CONTENT_NOTES_MAX);
	assert_int_equal(after_restart(SETTLED), STORE_CONTENT_NOTES_MAX);
	put_many("a", STORE_CONTENT_NOTES_MAX, 1);
	assert_int_equal(ask("c", 5), 6);
	assert_int_equal(
	    ask("c", STORE_CONTENT_NOTES_MAX), STORE_CONTENT_NOTES_MAX + 2);
	assert_int_equal(after_restart(TABLE), STORE_CONTENT_NOTES_MAX);
}

/* However few have a content, a start does not have to read far. */
static void
events_without_content_do_not_lie_in_the_way(void **state)
{
	struct putting none = { .id = "n", .count = STORE_CONTENT_EVENTS_MAX };

	(void)state;
	put_many("a", 0, 1);
	put(none);
	assert_int_equal(after_restart(TABLE), 1);
	assert_int_equal(after_restart(SETTLED), STORE_CONTENT_EVENTS_MAX);
	assert_int_equal(ask("b", 0), 1);
}

static void
what_was_not_committed_is_not_known(void **state)
{
	struct putting failing = {
		.id = "f", .first = 10, .rule = STORE_CONTENT_IDS, .fail = -ENOSPC
	};

	(void)state;
	put_many("a", 0, 10);
	put(failing);
	assert_int_equal(ask("b", 3), 4);
	assert_int_equal(ask("b", 10), 0);
	/* Nor when the table was written in the transaction that failed. */
	failing.first = 100;
	failing.count = 2 * STORE_CONTENT_NOTES_MAX;
	put(failing);
	assert_int_equal(ask("c", 3), 4);
	assert_int_equal(ask("c", 100), 0);
	assert_int_equal(ask("c", 100 + STORE_CONTENT_NOTES_MAX), 0);
	assert_int_equal(after_restart(TABLE), 0);
}

/* A content that comes again after its window takes the note of before, and stands in
 * one more row: there are more rows than notes. */
static void
renewed_notes_push_no_other_out(void **state)
{
	struct putting many = { .count = 60,
		.rule = STORE_CONTENT_IDS,
		.sent_at = NOW - NOW % 600000 + 2000,
		.window_ms = 10000 };
	struct putting first = many;
	char id[16];

	(void)state;
	first.first = 100;
	first.count = 1;
	first.id = "first";
	assert_int_equal(put(first).duplicate_of, 0);
	for (unsigned i = 0; i < 20; i++, many.sent_at += 20000) {
		snprintf(id, sizeof(id), "%u.", i);
		many.id = id;
		assert_int_equal(put(many).duplicate_of, 0);
	}
	assert_int_equal(after_restart("SELECT count(content) FROM events"), 1201);
	assert_int_equal(after_restart(TABLE), 0);
	first.id = "again";
	assert_int_equal(put(first).duplicate_of, 1);
}

/* Retention. */

struct retention_job {
	struct store_job job;
	struct store_retention work;
};

static int
run_retention(struct store_job *job, struct db *db)
{
	return store_retention_events(db, &((struct retention_job *)job)->work);
}

static void
done_retention(struct store_job *job, int result)
{
	(void)job;
	assert_int_equal(result, 0);
}

static void
notes_outlive_their_events(void **state)
{
	struct retention_job retention = { .job = { .run = run_retention,
					       .done = done_retention },
		.work = { .limit = { .rows_max = 1 } } };

	(void)state;
	put_many("a", 0, 10);
	store_run_now(store, &retention.job);
	assert_int_equal(retention.work.deleted, 9);
	assert_int_equal(after_restart("SELECT count(*) FROM events"), 1);
	assert_int_equal(ask("b", 0), 1);
	assert_int_equal(ask("b", 9), 10);
}

/* A database whose table has all that its events are known by, as versions before wrote
 * it, is not read through, and goes on where it was. */
static void
a_table_of_before_counts(void **state)
{
	(void)state;
	put_many("a", 0, 3);
	close_store();
	(void)ask_file("INSERT INTO contents SELECT content, seq FROM events");
	(void)ask_file("UPDATE events SET content = NULL");
	(void)ask_file("UPDATE sequence SET contents_to = 3");
	open_store();
	assert_int_equal(ask("b", 2), 3);
	assert_int_equal(ask("b", 3), 0);
	assert_int_equal(ask("c", 3), 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_store, remove_folder)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(notes_are_found_whatever_their_hash),
		TEST(a_restart_forgets_no_note),
		TEST(the_table_gets_them_many_at_a_time),
		TEST(events_without_content_do_not_lie_in_the_way),
		TEST(what_was_not_committed_is_not_known),
		TEST(renewed_notes_push_no_other_out),
		TEST(notes_outlive_their_events),
		TEST(a_table_of_before_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
