/*
 * What an event is known by is written into its tables in batches: until then it is a
 * note, and neither a restart nor a failed transaction makes a difference.
 */
#include "store_fixture.h"

#include "broker/store/store_content.h"
#include "broker/store/store_event.h"
#include "broker/store/store_known.h"
#include "broker/store/store_notes.h"
#include "broker/store/store_retention.h"

#define NOW INT64_C(1768730400000)
#define TABLE "SELECT count(*) FROM contents"
#define SETTLED "SELECT known_to FROM sequence"

/* Notes. */

static void
a_note_is_found_until_all_are_forgotten(void **state)
{
	struct store_notes *notes = calloc(1, sizeof(*notes));
	struct store_note_key key;
	unsigned i;

	(void)state;
	assert_non_null(notes);
	for (i = 0; i < STORE_NOTES_MAX; i++) {
		key = store_note_key(&i, sizeof(i));
		assert_null(store_notes_find(notes, &key));
		assert_true(store_notes_put(notes, &key, i + 1, i));
	}
	key = store_note_key(&i, sizeof(i));
	assert_false(store_notes_put(notes, &key, 1, 0));
	assert_null(store_notes_find(notes, &key));
	for (i = 0; i < STORE_NOTES_MAX; i++) {
		key = store_note_key(&i, sizeof(i));
		assert_int_equal(store_notes_find(notes, &key)->seq, i + 1);
		assert_int_equal(store_notes_find(notes, &key)->at, i);
		assert_true(store_notes_put(notes, &key, i + 7, 3));
		assert_int_equal(store_notes_find(notes, &key)->seq, i + 7);
		assert_int_equal(store_notes_find(notes, &key)->at, 3);
	}
	assert_int_equal(notes->count, STORE_NOTES_MAX);
	store_notes_clear(notes);
	assert_null(store_notes_find(notes, &key));
	assert_int_equal(notes->count, 0);
	free(notes);
}

/* Texts are put into the order that SQLite has them in, whatever their lengths. */
static void
notes_are_sorted_as_texts(void **state)
{
	static const char *const texts[] = { "", "0", "01", "01A", "01B",
		"01B0000000000000000000000000000000000", "01Ba", "1", "\xc3\xa4" };
	const size_t count = sizeof(texts) / sizeof(texts[0]);
	struct store_notes *notes = calloc(1, sizeof(*notes));
	struct store_note_key key;
	size_t i;

	(void)state;
	assert_non_null(notes);
	for (i = count; i-- > 0;) {
		key = store_note_key(texts[i], strlen(texts[i]));
		assert_true(store_notes_put(notes, &key, i, 0));
	}
	store_notes_sort(notes);
	for (i = 0; i < count; i++)
		assert_string_equal((const char *)notes->list[i].key.words, texts[i]);
	free(notes);
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

static struct store_delivery
delivery_of(const char *id, int64_t received_at)
{
	return (struct store_delivery){ .platform = "kick",
		.message_id = id,
		.type = "chat.message.sent",
		.version = 1,
		.received_at = received_at,
		.timestamp = "",
		.body = (const uint8_t *)"{}",
		.body_length = 2 };
}

static int
run_putting(struct store_job *job, struct db *db)
{
	struct putting *putting = (struct putting *)job;
	char id[80];
	unsigned i;

	for (i = putting->first; i < putting->first + putting->count; i++) {
		struct store_delivery delivery =
		    delivery_of(id, putting->sent_at ? putting->sent_at : NOW);
		uint64_t seq;

		snprintf(id, sizeof(id), "%s%u", putting->id, i);
		delivery.content = (struct store_content){ .rule = putting->rule,
			.born = putting->sent_at ? 0 : NOW,
			.window_ms = putting->window_ms };
		delivery.ret_duplicate_of = &putting->duplicate_of;
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

static int64_t
count_events(void)
{
	return after_restart("SELECT count(*) FROM events");
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
	put_many("a", 0, STORE_NOTES_MAX);
	assert_int_equal(after_restart(TABLE), 0);
	assert_int_equal(after_restart(SETTLED), 0);
	/* There is no room for another one. */
	assert_int_equal(ask("b", 5), 6);
	assert_int_equal(after_restart(TABLE), STORE_NOTES_MAX);
	assert_int_equal(after_restart(SETTLED), STORE_NOTES_MAX);
	put_many("a", STORE_NOTES_MAX, 1);
	assert_int_equal(ask("c", 5), 6);
	assert_int_equal(ask("c", STORE_NOTES_MAX), STORE_NOTES_MAX + 2);
	assert_int_equal(after_restart(TABLE), STORE_NOTES_MAX);
}

/* However few have a content, a start does not have to read far. */
static void
events_without_content_do_not_lie_in_the_way(void **state)
{
	struct putting none = { .id = "n", .count = STORE_KNOWN_EVENTS_MAX };

	(void)state;
	put_many("a", 0, 1);
	put(none);
	assert_int_equal(after_restart(TABLE), 1);
	assert_int_equal(after_restart(SETTLED), STORE_KNOWN_EVENTS_MAX);
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
	failing.count = 2 * STORE_NOTES_MAX;
	put(failing);
	assert_int_equal(ask("c", 3), 4);
	assert_int_equal(ask("c", 100), 0);
	assert_int_equal(ask("c", 100 + STORE_NOTES_MAX), 0);
	assert_int_equal(after_restart(TABLE), 0);
}

/* A content that comes again after its window takes the note of before, and stands in
 * one more row: there are more rows than notes. Their ids are too long to be noted. */
static void
renewed_notes_push_no_other_out(void **state)
{
	struct putting many = { .count = 60,
		.rule = STORE_CONTENT_IDS,
		.sent_at = NOW - NOW % 600000 + 2000,
		.window_ms = 10000 };
	struct putting first = many;
	char id[64];

	(void)state;
	first.first = 100;
	first.count = 1;
	first.id = "first";
	assert_int_equal(put(first).duplicate_of, 0);
	for (unsigned i = 0; i < 20; i++, many.sent_at += 20000) {
		snprintf(id, sizeof(id), "%040u.", i);
		many.id = id;
		assert_int_equal(put(many).duplicate_of, 0);
	}
	assert_int_equal(after_restart("SELECT count(content) FROM events"), 1201);
	assert_int_equal(after_restart(TABLE), 0);
	first.id = "again";
	assert_int_equal(put(first).duplicate_of, 1);
}

/* Message ids. */

#define IDS "SELECT count(*) FROM message_ids"

struct storing {
	struct store_job job;
	const char *id;
	int stored; /* 1: stored, 0: its id is known */
	int fail;
	int result;
};

static int
run_storing(struct store_job *job, struct db *db)
{
	struct storing *storing = (struct storing *)job;
	const struct store_delivery delivery = delivery_of(storing->id, NOW);
	uint64_t seq;

	storing->stored = store_event_put(db, &delivery, &seq);
	return storing->stored < 0 ? storing->stored : storing->fail;
}

static void
done_storing(struct store_job *job, int result)
{
	((struct storing *)job)->result = result;
}

static bool
store_and_fail(const char *id, int code)
{
	struct storing storing = { .job = { .run = run_storing, .done = done_storing },
		.id = id,
		.fail = code };

	store_run_now(store, &storing.job);
	assert_int_equal(storing.result, code);
	return storing.stored == 1;
}

static bool
stores(const char *id)
{
	return store_and_fail(id, 0);
}

struct getting {
	struct store_job job;
	const char *id;
	uint64_t seq;
};

static int
run_getting(struct store_job *job, struct db *db)
{
	struct getting *getting = (struct getting *)job;
	struct store_event event = { .seq = 0 };
	int result = store_event_get(db, 0, getting->id, &event);

	getting->seq = event.seq;
	store_event_clear(&event);
	return result < 0 ? result : 0;
}

static void
done_getting(struct store_job *job, int result)
{
	(void)job;
	assert_int_equal(result, 0);
}

/* The seq of the event that is found by an id, 0: none. */
static uint64_t
get(const char *id)
{
	struct getting getting = { .job = { .run = run_getting, .done = done_getting },
		.id = id };

	store_run_now(store, &getting.job);
	return getting.seq;
}

static void
put_ids(const char *id, unsigned count)
{
	const struct putting putting = { .id = id, .count = count };

	(void)put(putting);
}

static void
an_id_is_known_as_a_note_and_as_a_row(void **state)
{
	char id[16];

	(void)state;
	put_many("a", 0, 10);
	assert_false(stores("a3"));
	assert_int_equal(get("a3"), 4);
	assert_int_equal(after_restart(IDS), 0);
	assert_false(stores("a3"));
	assert_false(stores("a9"));
	assert_int_equal(get("a9"), 10);
	assert_int_equal(get("a10"), 0);
	put_many("a", 10, STORE_NOTES_MAX);
	assert_int_equal(after_restart(IDS), STORE_NOTES_MAX);
	assert_int_equal(after_restart(SETTLED), STORE_NOTES_MAX);
	assert_false(stores("a3"));
	assert_int_equal(get("a3"), 4);
	snprintf(id, sizeof(id), "a%d", STORE_NOTES_MAX + 6);
	assert_false(stores(id));
	assert_int_equal(get(id), STORE_NOTES_MAX + 7);
	snprintf(id, sizeof(id), "a%d", STORE_NOTES_MAX + 10);
	assert_true(stores(id));
	assert_false(stores(id));
	assert_int_equal(count_events(), STORE_NOTES_MAX + 11);
}

/* What is greater than all in the table is not looked for there, all else is. */
static void
ids_are_known_in_any_order(void **state)
{
	(void)state;
	put_ids("01K", STORE_NOTES_MAX);
	assert_true(stores("01L")); /* the table gets the others */
	assert_int_equal(after_restart(IDS), STORE_NOTES_MAX);
	assert_false(stores("01K0"));
	assert_false(stores("01K999"));
	assert_false(stores("01K99"));
	assert_false(stores("01L"));
	/* Older than some in the table, and not in it. */
	assert_true(stores("01A"));
	assert_true(stores("01K9990"));
	assert_false(stores("01A"));
	/* The table gets greater ones, and they are known without a restart. */
	put_ids("02K", 2 * STORE_NOTES_MAX);
	assert_false(stores("01L"));
	assert_false(stores("01A"));
	assert_false(stores("02K1500"));
	assert_false(stores("02K4095"));
	assert_false(stores("02K0"));
}

/* They do not hide ULIDs, nor are they hidden. */
static void
ids_of_other_kinds_are_known_too(void **state)
{
	char longest[129];

	(void)state;
	memset(longest, '0', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_true(stores(longest));
	assert_false(stores(longest));
	assert_int_equal(get(longest), 1);
	longest[STORE_NOTE_KEY_MAX] = '\0'; /* the shortest that is not noted */
	assert_true(stores(longest));
	assert_false(stores(longest));
	longest[STORE_NOTE_KEY_MAX - 1] = '\0'; /* the longest that is */
	assert_true(stores(longest));
	assert_false(stores(longest));
	assert_int_equal(after_restart(IDS), 2);
	assert_false(stores(longest));
	put_ids("synthetic.", STORE_NOTES_MAX);
	put_ids("01K", STORE_NOTES_MAX);
	put_ids("z", STORE_NOTES_MAX);
	assert_false(stores("synthetic.7"));
	assert_false(stores("01K7"));
	assert_false(stores("01K2047"));
	assert_false(stores("z7"));
	assert_true(stores("80"));
	assert_true(stores("7z"));
	assert_false(stores("80"));
	longest[STORE_NOTE_KEY_MAX - 1] = '0';
	assert_false(stores(longest));
}

static void
an_id_that_was_not_committed_is_not_known(void **state)
{
	struct putting failing = {
		.id = "01F", .count = 2 * STORE_NOTES_MAX, .fail = -ENOSPC
	};

	(void)state;
	assert_true(stores("01A"));
	assert_true(store_and_fail("01B", -ENOSPC));
	assert_false(stores("01A"));
	assert_true(stores("01B"));
	/* Nor when the table was written in the transaction that failed. */
	put(failing);
	assert_false(stores("01B"));
	assert_true(stores("01F0"));
	assert_true(stores("01F4095"));
	assert_int_equal(after_restart(IDS), 0);
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

/* Deletes all events but the last; how many. */
static uint64_t
keep_the_last(void)
{
	struct retention_job retention = { .job = { .run = run_retention,
					       .done = done_retention },
		.work = { .limit = { .rows_max = 1 } } };

	store_run_now(store, &retention.job);
	return retention.work.deleted;
}

static void
notes_outlive_their_events(void **state)
{
	(void)state;
	put_many("a", 0, 10);
	assert_int_equal(keep_the_last(), 9);
	assert_int_equal(count_events(), 1);
	assert_false(stores("a0"));
	assert_false(stores("a9"));
	assert_int_equal(ask("b", 0), 1);
	assert_int_equal(ask("b", 9), 10);
}

/* Numbers that a failed transaction used up are settled with the others. Events after a
 * restart do not get them, else the next start would not look at those. */
static void
what_comes_after_used_up_numbers_is_known(void **state)
{
	struct putting failing = {
		.id = "f", .first = 10, .count = 5, .fail = -ENOSPC
	};

	(void)state;
	put_many("a", 0, 3);
	put(failing);
	assert_int_equal(keep_the_last(), 2);
	assert_int_equal(after_restart(SETTLED), 8);
	assert_true(stores("b"));
	assert_int_equal(get("b"), 9);
	assert_int_equal(count_events(), 2);
	assert_false(stores("b"));
	assert_false(stores("a0"));
	assert_int_equal(get("b"), 9);
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
	(void)ask_file("UPDATE sequence SET known_to = 3");
	open_store();
	assert_int_equal(ask("b", 2), 3);
	assert_int_equal(ask("b", 3), 0);
	assert_int_equal(ask("c", 3), 5);
}

/* Versions before wrote every id at once, whatever was noted of contents. */
static void
ids_that_are_rows_already_become_no_others(void **state)
{
	(void)state;
	put_ids("01A", 3);
	close_store();
	(void)ask_file(
	    "INSERT INTO message_ids SELECT message_id, seq, received_at FROM events");
	open_store();
	assert_false(stores("01A2"));
	put_ids("01B", STORE_NOTES_MAX);
	assert_int_equal(after_restart(IDS), STORE_NOTES_MAX);
	assert_int_equal(get("01A2"), 3);
	assert_false(stores("01A2"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_store, remove_folder)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_note_is_found_until_all_are_forgotten),
		cmocka_unit_test(notes_are_sorted_as_texts),
		TEST(a_restart_forgets_no_note),
		TEST(the_table_gets_them_many_at_a_time),
		TEST(events_without_content_do_not_lie_in_the_way),
		TEST(what_was_not_committed_is_not_known),
		TEST(renewed_notes_push_no_other_out),
		TEST(an_id_is_known_as_a_note_and_as_a_row),
		TEST(ids_are_known_in_any_order),
		TEST(ids_of_other_kinds_are_known_too),
		TEST(an_id_that_was_not_committed_is_not_known),
		TEST(notes_outlive_their_events),
		TEST(what_comes_after_used_up_numbers_is_known),
		TEST(a_table_of_before_counts),
		TEST(ids_that_are_rows_already_become_no_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
