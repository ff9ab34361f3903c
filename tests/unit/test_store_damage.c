/*
 * A database that the disk gives back with other bytes than were written: every flipped
 * bit is found or does no harm, and a person is told where it is.
 */
#include <fcntl.h>

#include "broker/store/store_check.h"
#include "broker/store/store_event.h"
#include "common/event.h"
#include "store_fixture.h"

#define EVENTS 60
#define FLIPS 500
#define BODY_SIZE 1200

static uint8_t *sound; /* the file before any damage */
static size_t sound_size;

static void
fill_body(unsigned number, uint8_t body[static BODY_SIZE])
{
	for (size_t i = 0; i < BODY_SIZE; i++)
		body[i] = (uint8_t)('a' + (number * 7 + i) % 26);
}

struct call_job {
	struct store_job job;
	int (*call)(struct db *db);
	unsigned done;
	int result;
};

static int
run_call(struct store_job *job, struct db *db)
{
	return ((struct call_job *)job)->call(db);
}

static void
done_call(struct store_job *job, int result)
{
	struct call_job *call = (struct call_job *)job;

	call->done++;
	call->result = result;
}

static int
on_database(int (*call)(struct db *db))
{
	struct call_job job = { .job = { .run = run_call, .done = done_call },
		.call = call };

	store_run_now(store, &job.job);
	assert_int_equal(job.done, 1);
	return job.result;
}

static int
put_one(struct db *db, unsigned number, int64_t at)
{
	uint8_t body[BODY_SIZE];
	char id[40];
	const struct store_delivery delivery = { .platform = "kick",
		.message_id = id,
		.type = "chat.message.sent",
		.version = 1,
		.received_at = at,
		.broadcaster_id = "123",
		.broadcaster_name = "streamer",
		.timestamp = "2026-01-01T00:00:00Z",
		.signature = (const uint8_t *)"signature",
		.signature_length = 9,
		.body = body,
		.body_length = sizeof(body) };
	uint64_t seq;
	int result;

	snprintf(id, sizeof(id), "01DAMAGE%08u", number);
	fill_body(number, body);
	result = store_event_put(db, &delivery, &seq);
	return result < 0 ? result : 0;
}

static int
put_all(struct db *db)
{
	int result = 0;
	unsigned i;

	for (i = 1; i <= EVENTS && result == 0; i++)
		result = put_one(db, i, 1750000000000LL + i);
	return result;
}

static int
put_another(struct db *db)
{
	return put_one(db, EVENTS + 1000, 1750000001000LL);
}

static unsigned flagged;

/* What is handed on as sound has the body that was stored. */
static int
read_all(struct db *db)
{
	const struct store_event_query query = {
		.limit = 500, .bytes_max = SIZE_MAX, .include = UINT32_MAX
	};
	struct store_event events[500];
	uint8_t body[BODY_SIZE];
	uint64_t seen;
	bool end;
	int count = store_event_page(db, &query, events, &seen, &end);
	int i;

	for (i = 0; i < count; i++) {
		bool same = false;
		unsigned number;

		for (number = 1; number <= EVENTS && !same; number++) {
			fill_body(number, body);
			same = buf_length(&events[i].body) == BODY_SIZE &&
			    memcmp(buf_bytes(&events[i].body), body, BODY_SIZE) == 0;
		}
		flagged += (events[i].flags & EVENT_DAMAGED) != 0;
		assert_true(same || (events[i].flags & EVENT_DAMAGED));
		store_event_clear(&events[i]);
	}
	return count < 0 ? count : 0;
}

static int
make_sound(void **state)
{
	struct stat info;
	int fd;

	if (make_store(state) < 0 || on_database(put_all) < 0)
		return -1;
	close_store();
	fd = open(path, O_RDONLY);
	assert_int_equal(fstat(fd, &info), 0);
	sound_size = (size_t)info.st_size;
	sound = xcalloc(1, sound_size);
	assert_int_equal(read(fd, sound, sound_size), sound_size);
	(void)close(fd);
	return 0;
}

static int
drop_sound(void **state)
{
	free(sound);
	return remove_folder(state);
}

/* Writes the file anew with `count` bytes from `at` on combined with `mask`. */
static void
write_damaged(size_t at, size_t count, uint8_t mask)
{
	uint8_t *bytes = xcalloc(1, sound_size);
	int fd;
	size_t i;

	memcpy(bytes, sound, sound_size);
	for (i = at; i < at + count; i++)
		bytes[i] ^= mask;
	remove_file("-wal");
	fd = open(path, O_WRONLY | O_TRUNC);
	assert_int_equal(write(fd, bytes, sound_size), sound_size);
	(void)close(fd);
	free(bytes);
}

static size_t
find_bytes(const char *text, size_t from)
{
	size_t length = strlen(text);
	size_t i;

	for (i = from; i + length <= sound_size; i++)
		if (memcmp(sound + i, text, length) == 0)
			return i;
	return 0;
}

static unsigned findings;
static char finding[400];

static void
on_finding(void *arg, const char *text)
{
	(void)arg;
	if (findings++ == 0)
		snprintf(finding, sizeof(finding), "%s", text);
}

static int
check(uint64_t *ret_events)
{
	findings = 0;
	finding[0] = '\0';
	return store_check(path, on_finding, NULL, ret_events, error);
}

static void
a_flipped_bit_is_found_or_changes_no_body(void **state)
{
	unsigned refused = 0;
	unsigned broken = 0;
	unsigned i;

	(void)state;
	srandom(9);
	flagged = 0;
	for (i = 0; i < FLIPS; i++) {
		int result;

		write_damaged(
		    (size_t)random() % sound_size, 1, (uint8_t)(1 << random() % 8));
		result = store_open(base, path, &store, error);
		if (result < 0) {
			store = NULL;
			assert_true(result == -EBADMSG || result == -ENOTSUP);
			assert_non_null(strstr(error, path));
			refused++;
			continue;
		}
		result = on_database(read_all);
		if (result == 0)
			result = on_database(put_another);
		assert_true(result == 0 || result == -EBADMSG || result == -EINVAL);
		broken += result != 0;
		close_store();
	}
	print_message("of %u flips %u were refused at the start, %u ended a job, %u "
		      "events were flagged\n",
	    FLIPS, refused, broken, flagged);
	assert_true(flagged > FLIPS / 10);
	assert_true(refused + broken > 0);
}

static void
a_check_finds_nothing_in_a_sound_one(void **state)
{
	uint64_t events = 0;

	(void)state;
	write_damaged(0, 0, 0);
	assert_int_equal(check(&events), 0);
	assert_int_equal(events, EVENTS);
	open_store();
	assert_int_equal(on_database(read_all), 0);
}

static void
a_check_names_the_event_that_changed(void **state)
{
	/* The message id, and then others before the body. */
	size_t at = find_bytes("01DAMAGE00000033chat", 0);
	uint64_t events = 0;

	(void)state;
	assert_true(at > 0);
	write_damaged(at + BODY_SIZE, 1, 4);
	assert_int_equal(check(&events), 1);
	assert_int_equal(events, EVENTS);
	assert_string_equal(finding, "event 33 does not match its checksum");
}

static void
a_check_finds_a_broken_page(void **state)
{
	size_t page = find_bytes("01DAMAGE00000033", 0) / 8192 * 8192;
	uint64_t events = 0;

	(void)state;
	write_damaged(page, 8, 0xff);
	assert_true(check(&events) > 0);
	assert_true(findings > 0 && finding[0] != '\0');
}

static void
a_check_says_what_stands_in_its_way(void **state)
{
	uint64_t events;

	(void)state;
	write_damaged(0, 0, 0);
	open_store();
	assert_int_equal(check(&events), -EBUSY);
	assert_non_null(strstr(error, "in use by"));
	close_store();
	write_damaged(0, 100, 0xff);
	assert_true(check(&events) > 0);
	assert_non_null(strstr(finding, "not a database"));
	remove_file("");
	assert_int_equal(check(&events), -ENOENT);
	assert_int_not_equal(access(path, F_OK), 0);
}

/* The page on which a table begins, from the schema. */
static size_t
root_of(const char *table)
{
	char sql[120];
	int64_t page;

	snprintf(sql, sizeof(sql),
	    "SELECT rootpage FROM sqlite_schema WHERE name = '%s'", table);
	page = ask_file(sql);
	assert_true(page > 1);
	return (size_t)(page - 1) * 8192;
}

/* `audit` is read when somebody asks for it: nothing else of a start looks at it. */
static void
small_tables_are_looked_at_after_a_stop_that_was_none(void **state)
{
	size_t audit;
	int fd;

	(void)state;
	write_damaged(0, 0, 0);
	audit = root_of("audit");
	write_damaged(audit, 8, 0xff);
	open_store();
	close_store();
	write_damaged(audit, 8, 0xff);
	snprintf(finding, sizeof(finding), "%s-wal", path);
	fd = open(finding, O_WRONLY | O_CREAT, 0600);
	assert_int_equal(write(fd, "left", 4), 4);
	(void)close(fd);
	assert_int_equal(store_open(base, path, &store, error), -EBADMSG);
	store = NULL;
	assert_non_null(strstr(error, "table 'audit'"));
	assert_non_null(strstr(error, "streamhold database check"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_sound, drop_sound)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_flipped_bit_is_found_or_changes_no_body),
		TEST(a_check_finds_nothing_in_a_sound_one),
		TEST(a_check_names_the_event_that_changed),
		TEST(a_check_finds_a_broken_page),
		TEST(a_check_says_what_stands_in_its_way),
		TEST(small_tables_are_looked_at_after_a_stop_that_was_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
