/*
 * Deleting old events a little at a time: which go, which stay, what is told, and that
 * neither the file grows nor others wait.
 */
#include "broker/store/store_content.h"
#include "broker/store/store_event.h"
#include "broker/store/store_known.h"
#include "broker/store/store_retention.h"
#include "store_fixture.h"

#define NOW 1750000000000LL
#define DAY 86400000LL
#define FAR UINT64_MAX

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

static void
on_database(void (*call)(struct db *db, void *arg), void *arg)
{
	struct call_job job = {
		.job = { .run = run_call, .done = done_call }, .call = call, .arg = arg
	};

	store_run_now(store, &job.job);
	assert_int_equal(job.done, 1);
}

struct putting {
	unsigned count;
	unsigned first; /* of the numbers in ids */
	int64_t received_at;
	int64_t step; /* between two of them, ms */
	size_t size;  /* of each body */
	int result;
};

static void
put_events(struct db *db, void *arg)
{
	struct putting *putting = arg;
	uint8_t *body = xcalloc(1, putting->size + 1);
	char id[32];
	unsigned i;

	for (i = 0; i < putting->count; i++) {
		struct store_delivery delivery = { .platform = "kick",
			.message_id = id,
			.type = "chat.message.sent",
			.version = 1,
			.received_at = putting->received_at + i * putting->step,
			.timestamp = "",
			.body = body,
			.body_length = putting->size };
		uint64_t seq;

		snprintf(id, sizeof(id), "id%08u", putting->first + i);
		putting->result = store_event_put(db, &delivery, &seq);
		if (putting->result != 1)
			break;
	}
	free(body);
}

static void
put_from(unsigned first, unsigned count, int64_t received_at, size_t size)
{
	struct putting putting = {
		.count = count, .first = first, .received_at = received_at, .size = size
	};

	on_database(put_events, &putting);
	assert_int_equal(putting.result, 1);
}

static int step_result;

static void
step(struct db *db, void *arg)
{
	step_result = store_retention_events(db, arg);
}

/* Steps until there is nothing more; the sums. */
static struct store_retention
retain(struct store_retention wanted, unsigned *ret_steps)
{
	struct store_retention sum = wanted;
	unsigned steps = 0;

	do {
		struct store_retention one = wanted;

		on_database(step, &one);
		assert_int_equal(step_result, 0);
		assert_true(one.deleted <= STORE_RETENTION_EVENTS);
		sum.deleted += one.deleted;
		sum.lost += one.lost;
		sum.lost_to = one.lost ? one.lost_to : sum.lost_to;
		sum.oldest = one.oldest;
		sum.newest = one.newest;
		sum.held = one.held;
		sum.free_bytes = one.free_bytes;
		sum.more = one.more;
		assert_true(++steps < 10000);
	} while (sum.more);
	if (ret_steps)
		*ret_steps = steps;
	return sum;
}

static struct store_retention
by_rows(uint64_t rows)
{
	return (struct store_retention){ .now = NOW,
		.limit = { .before = INT64_MIN, .rows_max = rows },
		.needed_from = FAR,
		.needed_limit = { .before = INT64_MIN, .rows_max = 2 * rows } };
}

static struct store_retention
by_age(int64_t before)
{
	return (struct store_retention){ .now = NOW,
		.limit = { .before = before, .rows_max = FAR },
		.needed_from = FAR,
		.needed_limit = {
		    .before = before == INT64_MIN ? before : before - 30 * DAY,
		    .rows_max = FAR } };
}

static void
nothing_is_deleted_of_nothing(void **state)
{
	struct store_retention got = retain(by_rows(1), NULL);

	(void)state;
	assert_int_equal(got.deleted, 0);
	assert_int_equal(got.oldest, 0);
	assert_int_equal(got.newest, 0);
}

static void
the_newest_rows_stay(void **state)
{
	struct store_retention got;
	unsigned steps;

	(void)state;
	put_from(0, 1000, NOW, 100);
	assert_int_equal(retain(by_rows(1000), NULL).deleted, 0);
	got = retain(by_rows(300), &steps);
	assert_int_equal(got.deleted, 700);
	assert_int_equal(got.oldest, 701);
	assert_int_equal(got.newest, 1000);
	assert_in_range(steps, 700 / STORE_RETENTION_EVENTS, 24);
	assert_int_equal(retain(by_rows(300), NULL).deleted, 0);
	got = retain(by_rows(1), NULL);
	assert_int_equal(got.oldest, 1000);
}

static void
what_is_old_goes_and_nothing_else(void **state)
{
	(void)state;
	put_from(0, 100, NOW - 40 * DAY, 10);
	put_from(100, 100, NOW - 31 * DAY, 10);
	put_from(200, 100, NOW - 29 * DAY, 10);
	assert_int_equal(retain(by_age(INT64_MIN), NULL).deleted, 0);
	assert_int_equal(retain(by_age(NOW - 30 * DAY), NULL).deleted, 200);
	assert_int_equal(retain(by_age(NOW - 30 * DAY), NULL).oldest, 201);
	assert_int_equal(retain(by_age(NOW), NULL).deleted, 100);
}

/* Stamped by a clock that was wrong for a while. */
static void
a_stamp_from_the_future_holds_nothing_up(void **state)
{
	(void)state;
	put_from(0, 10, NOW - 40 * DAY, 10);
	put_from(10, 10, NOW + 4000 * DAY, 10);
	put_from(20, 10, NOW - 39 * DAY, 10);
	put_from(30, 10, NOW + 4000 * DAY, 10);
	put_from(40, 10, NOW - DAY, 10);
	assert_int_equal(retain(by_age(NOW - 30 * DAY), NULL).deleted, 30);
	/* A clock that is itself wrong deletes nothing. */
	assert_int_equal(retain((struct store_retention){ .now = 0,
				    .limit = { .before = -30 * DAY, .rows_max = FAR },
				    .needed_from = FAR },
			     NULL)
			     .deleted,
	    0);
}

static void
what_is_needed_stays_up_to_a_limit(void **state)
{
	struct store_retention wanted = by_rows(100);
	struct store_retention got;

	(void)state;
	put_from(0, 180, NOW, 10);
	wanted.needed_from = 51;
	got = retain(wanted, NULL);
	assert_int_equal(got.deleted, 50);
	assert_int_equal(got.lost, 0);
	assert_true(got.held);
	/* 260 rows: those from 61 on are within twice the limit. */
	put_from(180, 80, NOW, 10);
	got = retain(wanted, NULL);
	assert_int_equal(got.deleted, 10);
	assert_int_equal(got.lost, 10);
	assert_int_equal(got.lost_to, 60);
	assert_int_equal(got.oldest, 61);
	assert_true(got.held);
	/* It has caught up. */
	wanted.needed_from = 255;
	got = retain(wanted, NULL);
	assert_int_equal(got.oldest, 161);
	assert_int_equal(got.lost, 0);
	assert_false(got.held);
}

static void
what_is_needed_goes_when_it_is_twice_as_old(void **state)
{
	struct store_retention wanted = by_age(NOW - 30 * DAY);
	struct store_retention got;

	(void)state;
	put_from(0, 5, NOW - 61 * DAY, 10);
	put_from(5, 5, NOW - 59 * DAY, 10);
	wanted.needed_from = 1;
	got = retain(wanted, NULL);
	assert_int_equal(got.deleted, 5);
	assert_int_equal(got.lost, 5);
	assert_int_equal(got.oldest, 6);
	assert_true(got.held);
}

static void
long_bodies_make_smaller_steps(void **state)
{
	unsigned steps;

	(void)state;
	put_from(0, 6, NOW - 40 * DAY, 2 * STORE_RETENTION_BYTES);
	assert_int_equal(retain(by_age(NOW), &steps).deleted, 6);
	assert_in_range(steps, 6, 7);
}

static void
numbers_are_not_used_again(void **state)
{
	struct store_retention got;

	(void)state;
	put_from(0, 100, NOW, 10);
	assert_int_equal(retain(by_age(NOW + 1), NULL).deleted, 100);
	close_store();
	open_store();
	put_from(100, 1, NOW, 10);
	got = retain(by_rows(10), NULL);
	assert_int_equal(got.oldest, 101);
}

/* Message ids. */

struct round_call {
	struct store_retention work;
	struct store_retention_round round;
	int result;
};

static void
round_step(struct db *db, void *arg)
{
	struct round_call *call = arg;

	call->result = store_retention_ids(db, &call->work, &call->round);
}

static uint64_t
go_round(int64_t before)
{
	struct round_call call = { .work = { .ids_before = before } };
	uint64_t deleted = 0;
	unsigned steps = 0;

	while (!call.round.over) {
		call.work.ids_deleted = 0;
		on_database(round_step, &call);
		assert_int_equal(call.result, 0);
		deleted += call.work.ids_deleted;
		assert_true(++steps < 1000);
	}
	return deleted;
}

static void
ids_outlive_their_events_and_go_later(void **state)
{
	struct putting again = { .count = 1, .first = 7, .received_at = NOW };

	(void)state;
	assert_int_equal(go_round(NOW), 0);
	put_from(0, 1500, NOW - 400 * DAY, 10);
	put_from(1500, 1500, NOW - 10 * DAY, 10);
	assert_int_equal(retain(by_rows(1), NULL).deleted, 2999);
	assert_int_equal(go_round(NOW - 500 * DAY), 0);
	on_database(put_events, &again);
	assert_int_equal(again.result, 0); /* it is known, though its event is gone */
	assert_int_equal(go_round(NOW - 365 * DAY), 1500);
	assert_int_equal(go_round(NOW - 365 * DAY), 0);
	on_database(put_events, &again);
	assert_int_equal(again.result, 1);
	assert_int_equal(go_round(NOW - DAY), 1500);
	/* What is noted only does not go before its event. */
	assert_int_equal(go_round(NOW + DAY), 0);
	assert_true(retain(by_rows(0), NULL).deleted > 0);
	assert_int_equal(go_round(NOW + DAY), 1);
}

/* Contents, by which doubled events are known again. */

struct content_call {
	unsigned first;
	unsigned count;
	int64_t born;
	const char *id; /* before the number: a repeat has another one */
	uint64_t duplicate_of;
	int result;
};

static void
put_contents(struct db *db, void *arg)
{
	struct content_call *call = arg;
	char id[32];
	unsigned i;

	for (i = call->first; i < call->first + call->count; i++) {
		struct store_delivery delivery = { .platform = "kick",
			.message_id = id,
			.type = "chat.message.sent",
			.version = 1,
			.received_at = NOW,
			.timestamp = "",
			.body = (const uint8_t *)"{}",
			.body_length = 2,
			.content = { .rule = STORE_CONTENT_IDS, .born = call->born },
			.ret_duplicate_of = &call->duplicate_of };
		uint64_t seq;

		snprintf(id, sizeof(id), "%s%08u", call->id, i);
		memcpy(delivery.content.digest, &i, sizeof(i));
		call->result = store_event_put(db, &delivery, &seq);
		if (call->result != 1)
			break;
	}
}

static uint64_t
put_content(const char *id, unsigned first, unsigned count, int64_t born)
{
	struct content_call call = {
		.first = first, .count = count, .born = born, .id = id
	};

	on_database(put_contents, &call);
	assert_int_equal(call.result, 1);
	return call.duplicate_of;
}

/* Those that are notes become rows first. */
static void
count_contents(struct db *db, void *arg)
{
	sqlite3_stmt *statement = db_statement(db, "SELECT count(*) FROM contents");

	assert_int_equal(store_known_outlive(db, UINT64_MAX), 0);
	assert_int_equal(db_step(db, statement), 1);
	*(int64_t *)arg = db_column_number(statement, 0);
	db_finish(statement);
}

static int64_t
contents(void)
{
	int64_t count = -1;

	on_database(count_contents, &count);
	return count;
}

static void
contents_outlive_their_events_and_go_with_their_ids(void **state)
{
	(void)state;
	put_content("old", 0, 1000, NOW - 400 * DAY);
	put_content("new", 1000, 500, NOW - 10 * DAY);
	assert_int_equal(contents(), 1500);
	assert_int_equal(retain(by_rows(1), NULL).deleted, 1499);
	assert_int_equal(contents(), 1500);
	/* Its event is gone, and yet a doubled one is known. */
	assert_int_equal(put_content("again", 7, 1, NOW - 400 * DAY), 8);
	go_round(NOW - 365 * DAY);
	assert_int_equal(contents(), 500);
	assert_int_equal(put_content("more", 1007, 1, NOW - 10 * DAY), 1008);
	assert_int_equal(put_content("late", 7, 1, NOW - 400 * DAY), 0);
	assert_int_equal(contents(), 501);
	go_round(NOW + DAY);
	assert_int_equal(contents(), 0);
}

/* However many there are: each step deletes a few. */
static void
contents_go_a_few_at_a_time(void **state)
{
	struct round_call call = { .work = { .ids_before = NOW } };
	int64_t before;

	(void)state;
	put_content("many", 0, 5 * STORE_RETENTION_IDS + 1, NOW - DAY);
	assert_int_equal(contents(), 5 * STORE_RETENTION_IDS + 1);
	for (before = contents(); before > 0; before = contents()) {
		on_database(round_step, &call);
		assert_int_equal(call.result, 0);
		assert_true(before - contents() <= STORE_RETENTION_IDS);
		assert_true(before - contents() > 0);
		assert_true(!call.round.over || contents() == 0);
	}
}

/* Room. */

static int64_t
file_size(void)
{
	struct stat info;

	assert_int_equal(stat(path, &info), 0);
	return info.st_size;
}

static void
freed_room_is_used_again(void **state)
{
	struct store_retention got;
	int64_t full;
	unsigned i;

	(void)state;
	put_from(0, 2000, NOW, 1500);
	(void)retain(by_rows(2000), NULL);
	close_store();
	full = file_size();
	open_store();
	for (i = 1; i < 10; i++) {
		put_from(i * 500 + 2000, 500, NOW, 1500);
		got = retain(by_rows(2000), NULL);
		assert_int_equal(got.newest - got.oldest + 1, 2000);
	}
	assert_true(got.free_bytes > 0);
	close_store();
	/* The ids stay; without reuse the bodies alone were 4500 * 1500 more. */
	assert_in_range(file_size(), 1, full + 2500 * 1500);
	open_store();
}

/* Time: one event is stored with a step in the same transaction, and without, by
 * turns, so that both meet the same load of the machine. */

#define TIMED 300
#define STEP_CPU_US 2000
#define STEP_WAIT_US 5000

struct timed_call {
	struct store_retention work;
	bool with;
	struct putting putting;
	int64_t cpu_us;
};

static int64_t
thread_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void
store_one(struct db *db, void *arg)
{
	struct timed_call *call = arg;
	int64_t start = thread_us();

	if (call->with)
		step(db, &call->work);
	call->cpu_us = thread_us() - start;
	put_events(db, &call->putting);
}

static int
compare_times(const void *a, const void *b)
{
	const int64_t *one = a;
	const int64_t *other = b;

	return *one < *other ? -1 : *one > *other;
}

static int64_t
median(int64_t *times)
{
	qsort(times, TIMED, sizeof(*times), compare_times);
	return times[TIMED / 2];
}

static void
a_step_delays_others_by_milliseconds_only(void **state)
{
	static int64_t waits[2][TIMED];
	static int64_t cpu[TIMED];
	uint64_t deleted = 0;
	unsigned i;

	(void)state;
	put_from(0, TIMED * STORE_RETENTION_EVENTS, NOW, 1200);
	for (i = 0; i < 2 * TIMED; i++) {
		struct timed_call call = { .work = by_rows(100), .with = i % 2 };
		int64_t start = time_boot_us();

		call.putting = (struct putting){ .count = 1,
			.first = 1000000 + i,
			.received_at = NOW,
			.size = 1200 };
		on_database(store_one, &call);
		waits[i % 2][i / 2] = time_boot_us() - start;
		deleted += call.work.deleted;
		if (call.with)
			cpu[i / 2] = call.cpu_us;
	}
	assert_true(deleted > TIMED * STORE_RETENTION_EVENTS / 2);
	print_message("to store one takes %lld us, with a step %lld us, of which its "
		      "own work is %lld us\n",
	    (long long)median(waits[0]), (long long)median(waits[1]),
	    (long long)median(cpu));
	assert_true(median(cpu) < STEP_CPU_US);
	assert_true(median(waits[1]) < median(waits[0]) + STEP_WAIT_US);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_store, remove_folder)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing_is_deleted_of_nothing),
		TEST(the_newest_rows_stay),
		TEST(what_is_old_goes_and_nothing_else),
		TEST(a_stamp_from_the_future_holds_nothing_up),
		TEST(what_is_needed_stays_up_to_a_limit),
		TEST(what_is_needed_goes_when_it_is_twice_as_old),
		TEST(long_bodies_make_smaller_steps),
		TEST(numbers_are_not_used_again),
		TEST(ids_outlive_their_events_and_go_later),
		TEST(contents_outlive_their_events_and_go_with_their_ids),
		TEST(contents_go_a_few_at_a_time),
		TEST(freed_room_is_used_again),
		TEST(a_step_delays_others_by_milliseconds_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
