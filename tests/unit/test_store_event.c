/*
 * Events in the database: each message id once, numbers that only grow, pages with
 * their filters and limits, and bytes that are not what they were.
 */
#include "broker/store/store_event.h"
#include "store_fixture.h"

#define PAGE_MAX 500

/* A job that is one call of a test's own on the database's thread. */
struct call_job {
	struct store_job job;
	void (*call)(struct db *db, void *arg);
	void *arg;
	unsigned done;
};

static int
run_call(struct store_job *job, struct db *db)
{
	struct call_job *call = (struct call_job *)job;

	call->call(db, call->arg);
	return 0;
}

static void
done_call(struct store_job *job, int result)
{
	((struct call_job *)job)->done++;
	assert_int_equal(result, 0);
}

/* Runs it in a transaction of its own and waits. cmocka's assertions may not be used
 * in it, for it runs on another thread. */
static void
on_database(void (*call)(struct db *db, void *arg), void *arg)
{
	struct call_job job = {
		.job = { .run = run_call, .done = done_call }, .call = call, .arg = arg
	};

	store_run_now(store, &job.job);
	assert_int_equal(job.done, 1);
}

static void
execute(struct db *db, void *arg)
{
	(void)db_run(db, db_statement(db, arg));
}

/* Putting. */

struct putting {
	struct store_delivery delivery;
	int result;
	uint64_t seq;
};

static void
put(struct db *db, void *arg)
{
	struct putting *putting = arg;

	putting->result = store_event_put(db, &putting->delivery, &putting->seq);
}

static struct store_delivery
delivery_of(const char *id)
{
	return (struct store_delivery){ .platform = "kick",
		.message_id = id,
		.type = "chat.message.sent",
		.version = 1,
		.received_at = 1750000000000,
		.occurred_at = 1749999999000,
		.broadcaster_id = "123",
		.broadcaster_name = "Name",
		.subscription_id = "01SUB",
		.timestamp = "2025-04-01T07:56:19Z",
		.signature = (const uint8_t *)"sig",
		.signature_length = 3,
		.content_type = "application/json",
		.user_agent = "Go-http-client/1.1",
		.body = (const uint8_t *)"{\"a\":1}",
		.body_length = 7 };
}

static uint64_t
put_delivery(const struct store_delivery *delivery)
{
	struct putting putting = { .delivery = *delivery };

	on_database(put, &putting);
	assert_int_equal(putting.result, 1);
	return putting.seq;
}

static uint64_t
put_id(const char *id)
{
	const struct store_delivery delivery = delivery_of(id);

	return put_delivery(&delivery);
}

static int
put_again(const char *id, const char *body)
{
	struct putting putting = { .delivery = delivery_of(id), .seq = 4711 };

	putting.delivery.body = (const uint8_t *)body;
	putting.delivery.body_length = strlen(body);
	on_database(put, &putting);
	assert_true(putting.result != 0 || putting.seq == 4711);
	return putting.result;
}

/* Getting. */

struct getting {
	uint64_t seq;
	const char *id;
	int result;
	struct store_event event;
};

static void
get(struct db *db, void *arg)
{
	struct getting *getting = arg;

	getting->result =
	    store_event_get(db, getting->seq, getting->id, &getting->event);
}

static struct getting
get_event(uint64_t seq, const char *id)
{
	struct getting getting = { .seq = seq, .id = id };

	on_database(get, &getting);
	return getting;
}

struct paging {
	struct store_event_query query;
	struct store_event events[PAGE_MAX];
	int result;
	uint64_t seen;
	bool end;
};

static void
page(struct db *db, void *arg)
{
	struct paging *paging = arg;

	paging->result = store_event_page(
	    db, &paging->query, paging->events, &paging->seen, &paging->end);
}

/* A page in memory of the test's own; page_free when it has been looked at. */
static struct paging *
get_page(const struct store_event_query *query)
{
	struct paging *paging = xcalloc(1, sizeof(*paging));

	paging->query = *query;
	if (!paging->query.limit)
		paging->query.limit = 100;
	if (!paging->query.bytes_max)
		paging->query.bytes_max = 1 << 20;
	on_database(page, paging);
	assert_true(paging->result >= 0);
	return paging;
}

static void
page_free(struct paging *paging)
{
	int i;

	for (i = 0; i < paging->result; i++)
		store_event_clear(&paging->events[i]);
	free(paging);
}

struct counting {
	uint64_t count;
	uint64_t last;
	int result;
};

static void
count(struct db *db, void *arg)
{
	struct counting *counting = arg;

	counting->result = store_event_count(db, &counting->count, &counting->last);
}

static struct counting
get_count(void)
{
	struct counting counting = { .count = 4711, .last = 4711 };

	on_database(count, &counting);
	assert_int_equal(counting.result, 0);
	return counting;
}

/* Claims. */

static void
an_event_comes_back_as_it_was(void **state)
{
	uint64_t seq = put_id("01A");
	struct getting by_seq = get_event(seq, NULL);
	struct getting by_id = get_event(0, "01A");
	const struct store_event *event = &by_seq.event;

	(void)state;
	assert_int_equal(seq, 1);
	assert_int_equal(by_seq.result, 1);
	assert_int_equal(event->seq, 1);
	assert_string_equal(event->platform, "kick");
	assert_string_equal(event->message_id, "01A");
	assert_string_equal(event->type, "chat.message.sent");
	assert_int_equal(event->version, 1);
	assert_int_equal(event->received_at, 1750000000000);
	assert_int_equal(event->occurred_at, 1749999999000);
	assert_string_equal(event->broadcaster_id, "123");
	assert_string_equal(event->broadcaster_name, "Name");
	assert_int_equal(event->flags, 0);
	assert_int_equal(buf_length(&event->body), 7);
	assert_memory_equal(buf_bytes(&event->body), "{\"a\":1}", 7);
	assert_int_equal(by_id.result, 1);
	assert_int_equal(by_id.event.seq, 1);
	store_event_clear(&by_seq.event);
	store_event_clear(&by_id.event);
	store_event_clear(&by_id.event);
}

static void
what_is_absent_comes_back_absent(void **state)
{
	struct store_delivery delivery = delivery_of("01A");
	struct getting getting;

	(void)state;
	delivery.broadcaster_id = NULL;
	delivery.broadcaster_name = NULL;
	delivery.subscription_id = NULL;
	delivery.content_type = NULL;
	delivery.user_agent = NULL;
	delivery.occurred_at = 0;
	delivery.version = UINT32_MAX;
	delivery.flags = EVENT_FOREIGN | EVENT_UNKNOWN | EVENT_NOT_JSON;
	delivery.body = NULL;
	delivery.body_length = 0;
	getting = get_event(put_delivery(&delivery), NULL);
	assert_int_equal(getting.result, 1);
	assert_null(getting.event.broadcaster_id);
	assert_null(getting.event.broadcaster_name);
	assert_int_equal(getting.event.occurred_at, 0);
	assert_int_equal(getting.event.version, UINT32_MAX);
	assert_int_equal(
	    getting.event.flags, EVENT_FOREIGN | EVENT_UNKNOWN | EVENT_NOT_JSON);
	assert_int_equal(buf_length(&getting.event.body), 0);
	store_event_clear(&getting.event);
}

static void
bytes_are_kept_whatever_they_are(void **state)
{
	size_t size = 1 << 20;
	uint8_t *body = xmalloc(size);
	struct store_delivery delivery =
	    delivery_of("\xff\xc0'; DROP TABLE events; --");
	struct getting getting;
	size_t i;

	(void)state;
	for (i = 0; i < size; i++)
		body[i] = (uint8_t)(i * 31 + i / 256);
	delivery.body = body;
	delivery.body_length = size;
	delivery.type = "\xfe\xff";
	getting = get_event(put_delivery(&delivery), NULL);
	assert_int_equal(buf_length(&getting.event.body), size);
	assert_memory_equal(buf_bytes(&getting.event.body), body, size);
	assert_string_equal(getting.event.message_id, delivery.message_id);
	assert_string_equal(getting.event.type, delivery.type);
	assert_int_equal(getting.event.flags, 0);
	store_event_clear(&getting.event);
	free(body);
}

static void
a_message_id_is_stored_once(void **state)
{
	struct getting getting;
	unsigned i;

	(void)state;
	assert_int_equal(put_again("01A", "first"), 1);
	for (i = 0; i < 100; i++)
		assert_int_equal(put_again("01A", "second"), 0);
	assert_int_equal(put_again("01a", "another"), 1); /* ids have case */
	assert_int_equal(get_count().count, 2);
	getting = get_event(0, "01A");
	assert_int_equal(getting.event.seq, 1);
	assert_memory_equal(buf_bytes(&getting.event.body), "first", 5);
	store_event_clear(&getting.event);
}

static void
put_many(struct db *db, void *arg)
{
	int *results = arg;
	struct store_delivery delivery = delivery_of("01SAME");
	uint64_t seq;
	unsigned i;

	for (i = 0; i < 50; i++)
		results[i] = store_event_put(db, &delivery, &seq);
}

static void
a_message_id_is_stored_once_in_one_batch(void **state)
{
	int results[50];
	unsigned i;

	(void)state;
	on_database(put_many, results);
	assert_int_equal(results[0], 1);
	for (i = 1; i < 50; i++)
		assert_int_equal(results[i], 0);
	assert_int_equal(get_count().count, 1);
}

static void
a_message_id_is_known_after_its_event_is_gone(void **state)
{
	static const char sql[] = "DELETE FROM events";
	union {
		const char *text;
		void *arg;
	} delete = { .text = sql };
	struct getting getting;

	(void)state;
	assert_int_equal(put_again("01A", "x"), 1);
	on_database(execute, delete.arg);
	assert_int_equal(put_again("01A", "x"), 0);
	getting = get_event(0, "01A");
	assert_int_equal(getting.result, 0);
	assert_int_equal(get_count().count, 0);
	assert_int_equal(get_count().last, 0);
}

static void
numbers_only_grow(void **state)
{
	static const char events_sql[] = "DELETE FROM events";
	static const char ids_sql[] = "DELETE FROM message_ids";
	union {
		const char *text;
		void *arg;
	} events = { .text = events_sql }, ids = { .text = ids_sql };
	uint64_t last = 0;
	char id[16];
	unsigned i;

	(void)state;
	for (i = 0; i < 30; i++) {
		uint64_t seq;

		snprintf(id, sizeof(id), "id%u", i);
		seq = put_id(id);
		assert_true(seq > last);
		last = seq;
		assert_int_equal(put_again(id, "again"), 0); /* may leave a gap */
		if (i % 10 == 9) {
			on_database(execute, events.arg);
			on_database(execute, ids.arg);
			close_store();
			open_store();
		}
	}
	assert_int_equal(get_count().last, 0);
}

static void
what_is_not_there_is_not_found(void **state)
{
	static const uint64_t numbers[] = { 2, INT64_MAX, (uint64_t)INT64_MAX + 1,
		UINT64_MAX };
	size_t i;

	(void)state;
	put_id("01A");
	for (i = 0; i < 4; i++)
		assert_int_equal(get_event(numbers[i], NULL).result, 0);
	assert_int_equal(get_event(0, "01B").result, 0);
	assert_int_equal(get_event(0, "").result, 0);
}

/* How the signature stands in the row with the highest number. */
struct stored_signature {
	char text[32];
	uint8_t bytes[32];
	int length; /* of the bytes; -1: there are none */
};

static void
read_signature(struct db *db, void *arg)
{
	struct stored_signature *stored = arg;
	sqlite3_stmt *statement = db_statement(db,
	    "SELECT signature, signature_bytes FROM events ORDER BY seq DESC LIMIT 1");
	size_t size;

	if (db_step(db, statement) == 1) {
		snprintf(stored->text, sizeof(stored->text), "%s",
		    (const char *)sqlite3_column_text(statement, 0));
		stored->length = sqlite3_column_type(statement, 1) == SQLITE_NULL
		    ? -1
		    : sqlite3_column_bytes(statement, 1);
		size = stored->length > 0 ? (size_t)stored->length : 0;
		if (size > 0 && size <= sizeof(stored->bytes))
			memcpy(stored->bytes, sqlite3_column_blob(statement, 1), size);
	}
	db_finish(statement);
}

static void
a_signature_is_stored_as_bytes(void **state)
{
	struct stored_signature stored = { .text = "not read", .length = -2 };
	struct store_delivery delivery = delivery_of("01A");

	(void)state;
	delivery.signature = (const uint8_t *)"\0\xff\xfesi";
	delivery.signature_length = 5;
	put_delivery(&delivery);
	on_database(read_signature, &stored);
	assert_string_equal(stored.text, "");
	assert_int_equal(stored.length, 5);
	assert_memory_equal(stored.bytes, "\0\xff\xfesi", 5);
}

/* As of events of our own. */
static void
no_signature_is_none(void **state)
{
	struct stored_signature stored = { .text = "not read", .length = -2 };
	struct store_delivery delivery = delivery_of("01A");

	(void)state;
	delivery.signature = NULL;
	delivery.signature_length = 0;
	put_delivery(&delivery);
	on_database(read_signature, &stored);
	assert_string_equal(stored.text, "");
	assert_int_equal(stored.length, -1);
}

/* Pages. */

static void
fill_events(struct db *db, void *arg)
{
	unsigned number = *(unsigned *)arg;
	char id[16];
	uint64_t seq;
	unsigned i;

	for (i = 1; i <= number; i++) {
		struct store_delivery delivery = delivery_of(id);

		snprintf(id, sizeof(id), "id%u", i);
		if (i % 3 == 0)
			delivery.type = "channel.followed";
		if (i % 5 == 0)
			delivery.platform = "twitch";
		if (i % 7 == 0)
			delivery.flags = EVENT_FOREIGN;
		(void)store_event_put(db, &delivery, &seq);
	}
}

static void
pages_go_on_after_one_another(void **state)
{
	unsigned number = 230;
	struct store_event_query query = { .limit = 50, .include = EVENT_FOREIGN };
	uint64_t next = 1;
	int i;

	(void)state;
	on_database(fill_events, &number);
	while (next <= number) {
		struct paging *got = get_page(&query);

		assert_int_equal(got->result, next + 50 <= number ? 50 : 30);
		for (i = 0; i < got->result; i++)
			assert_int_equal(got->events[i].seq, next++);
		assert_int_equal(got->seen, next - 1);
		assert_int_equal(got->end, next > number);
		query.after = next - 1;
		page_free(got);
	}
}

static void
check_filter(struct store_event_query query, unsigned number, unsigned three,
    unsigned five, bool foreign)
{
	struct paging *got;
	unsigned i;
	int at = 0;

	query.include = foreign ? EVENT_FOREIGN : 0;
	query.limit = PAGE_MAX;
	got = get_page(&query);
	for (i = 1; i <= number; i++) {
		if ((three && (i % 3 == 0) != (three == 1)) ||
		    (five && (i % 5 == 0) != (five == 1)) || (!foreign && i % 7 == 0))
			continue;
		assert_true(at < got->result);
		assert_int_equal(got->events[at++].seq, i);
	}
	assert_int_equal(got->result, at);
	assert_true(got->end);
	assert_int_equal(got->seen, number);
	page_free(got);
}

static void
filters_pick_type_platform_and_ours(void **state)
{
	unsigned number = 300;
	unsigned foreign;

	(void)state;
	on_database(fill_events, &number);
	for (foreign = 0; foreign < 2; foreign++) {
		check_filter(
		    (struct store_event_query){ .limit = 0 }, number, 0, 0, foreign);
		check_filter((struct store_event_query){ .type = "channel.followed" },
		    number, 1, 0, foreign);
		check_filter((struct store_event_query){ .type = "chat.message.sent" },
		    number, 2, 0, foreign);
		check_filter((struct store_event_query){ .platform = "twitch" }, number,
		    0, 1, foreign);
		check_filter((struct store_event_query){ .type = "channel.followed",
				 .platform = "kick" },
		    number, 1, 2, foreign);
	}
}

static void
nothing_is_an_empty_page(void **state)
{
	unsigned number = 10;
	const uint64_t afters[] = { 0, 5, 10, 11, INT64_MAX, UINT64_MAX };
	size_t i;

	(void)state;
	for (i = 0; i < 6; i++) {
		struct paging *got =
		    get_page(&(struct store_event_query){ .after = afters[i] });

		assert_int_equal(got->result, 0);
		assert_true(got->end);
		assert_int_equal(got->seen, 0); /* none was given out */
		page_free(got);
	}
	on_database(fill_events, &number);
	for (i = 0; i < 6; i++) {
		struct paging *got = get_page(&(struct store_event_query){
		    .after = afters[i], .type = "no.such.type" });

		assert_int_equal(got->result, 0);
		assert_true(got->end);
		page_free(got);
	}
}

static void
the_limit_is_kept_to_the_row(void **state)
{
	unsigned number = 20;
	uint32_t limit;

	(void)state;
	on_database(fill_events, &number);
	for (limit = 1; limit <= 25; limit++) {
		struct paging *got = get_page(&(struct store_event_query){
		    .limit = limit, .include = EVENT_FOREIGN });

		assert_int_equal(got->result, limit < 20 ? limit : 20);
		assert_int_equal(got->end, limit >= 20);
		assert_int_equal(got->seen, limit < 20 ? limit : 20);
		page_free(got);
	}
}

static void
fill_bodies(struct db *db, void *arg)
{
	static uint8_t body[1000];
	struct store_delivery delivery;
	char id[16];
	uint64_t seq;
	unsigned i;

	(void)arg;
	for (i = 0; i < 20; i++) {
		snprintf(id, sizeof(id), "b%u", i);
		delivery = delivery_of(id);
		delivery.body = body;
		delivery.body_length = sizeof(body);
		(void)store_event_put(db, &delivery, &seq);
	}
}

static void
a_page_ends_at_its_bytes_but_has_one_event(void **state)
{
	static const struct {
		size_t bytes;
		int events;
	} cases[] = { { 1, 1 }, { 999, 1 }, { 1000, 1 }, { 1001, 2 }, { 5000, 5 },
		{ 19000, 19 }, { 19001, 20 }, { 100000, 20 } };
	size_t i;

	(void)state;
	on_database(fill_bodies, NULL);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct paging *got = get_page(
		    &(struct store_event_query){ .bytes_max = cases[i].bytes });

		assert_int_equal(got->result, cases[i].events);
		assert_int_equal(got->seen, cases[i].events);
		assert_int_equal(got->end, cases[i].events == 20);
		page_free(got);
	}
}

static void
fill_foreign(struct db *db, void *arg)
{
	unsigned number = *(unsigned *)arg;
	char id[16];
	uint64_t seq;
	unsigned i;

	for (i = 1; i <= number; i++) {
		struct store_delivery delivery = delivery_of(id);

		snprintf(id, sizeof(id), "f%u", i);
		delivery.flags = i < number ? EVENT_FOREIGN : 0;
		(void)store_event_put(db, &delivery, &seq);
	}
}

/* One call looks at so many rows; the next goes on where it stopped. */
static void
many_rows_that_do_not_match_are_looked_at_in_slices(void **state)
{
	unsigned number = 2 * STORE_EVENT_SCAN_MAX + 100;
	struct store_event_query query = { .limit = 10 };
	unsigned slices = 0;

	(void)state;
	on_database(fill_foreign, &number);
	for (;;) {
		struct paging *got = get_page(&query);

		slices++;
		assert_true(got->seen > query.after);
		assert_true(got->seen - query.after <= STORE_EVENT_SCAN_MAX);
		query.after = got->seen;
		if (got->result > 0) {
			assert_int_equal(got->result, 1);
			assert_int_equal(got->events[0].seq, number);
			assert_true(got->end);
			page_free(got);
			break;
		}
		assert_false(got->end);
		page_free(got);
	}
	assert_int_equal(slices, 3);
}

/* A slice that ends exactly with the last row does not know it yet. */
static void
a_slice_that_ends_with_the_last_row_is_followed_by_an_empty_one(void **state)
{
	unsigned number = STORE_EVENT_SCAN_MAX;
	struct paging *got;

	(void)state;
	on_database(fill_foreign, &number);
	got = get_page(&(struct store_event_query){ .type = "no.such.type" });
	assert_int_equal(got->result, 0);
	assert_int_equal(got->seen, number);
	assert_false(got->end);
	page_free(got);
	got = get_page(
	    &(struct store_event_query){ .after = number, .type = "no.such.type" });
	assert_int_equal(got->result, 0);
	assert_true(got->end);
	page_free(got);
}

/* Damage. */

static void
a_body_that_is_not_what_it_was_is_marked(void **state)
{
	static const char *const damages[] = {
		"UPDATE events SET body = x'7b2261223a327d' WHERE seq = 2",
		"UPDATE events SET body = x'' WHERE seq = 2",
		"UPDATE events SET sha256 = x'' WHERE seq = 2",
		"UPDATE events SET sha256 = zeroblob(32) WHERE seq = 2",
		"UPDATE events SET sha256 = zeroblob(33) WHERE seq = 2",
	};
	size_t i;

	(void)state;
	put_id("01A");
	put_id("01B");
	for (i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
		struct getting getting;
		struct paging *got;

		close_store();
		assert_int_equal(ask_file(damages[i]), -1);
		open_store();
		getting = get_event(2, NULL);
		assert_int_equal(getting.result, 1);
		assert_int_equal(getting.event.flags, EVENT_DAMAGED | EVENT_NOT_JSON);
		store_event_clear(&getting.event);
		got = get_page(&(struct store_event_query){ .limit = 0 });
		assert_int_equal(got->result, 2);
		assert_int_equal(got->events[0].flags, 0);
		assert_int_equal(got->events[1].flags, EVENT_DAMAGED | EVENT_NOT_JSON);
		page_free(got);
	}
}

#define WITH_STORE(name) \
	cmocka_unit_test_setup_teardown(name, make_store, remove_folder)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_STORE(an_event_comes_back_as_it_was),
		WITH_STORE(what_is_absent_comes_back_absent),
		WITH_STORE(bytes_are_kept_whatever_they_are),
		WITH_STORE(a_message_id_is_stored_once),
		WITH_STORE(a_message_id_is_stored_once_in_one_batch),
		WITH_STORE(a_message_id_is_known_after_its_event_is_gone),
		WITH_STORE(numbers_only_grow),
		WITH_STORE(what_is_not_there_is_not_found),
		WITH_STORE(a_signature_is_stored_as_bytes),
		WITH_STORE(no_signature_is_none),
		WITH_STORE(pages_go_on_after_one_another),
		WITH_STORE(filters_pick_type_platform_and_ours),
		WITH_STORE(nothing_is_an_empty_page),
		WITH_STORE(the_limit_is_kept_to_the_row),
		WITH_STORE(a_page_ends_at_its_bytes_but_has_one_event),
		WITH_STORE(many_rows_that_do_not_match_are_looked_at_in_slices),
		WITH_STORE(
		    a_slice_that_ends_with_the_last_row_is_followed_by_an_empty_one),
		WITH_STORE(a_body_that_is_not_what_it_was_is_marked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
