/*
 * The power fails: everything that was answered is in the database afterwards, whatever
 * the disk has made of the writes that no sync had finished. SQLite and the VFS over it
 * write through the functions below, which know what a disk would have kept.
 *
 * At many instants of a run the files are put together as they might be found: what was
 * synced, and of all writes since then some, some not, and some in part.
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#include "broker/store/store_event.h"
#include "store_fixture.h"

#define SECTOR 512
#define EVENTS 11000
#define GROUP 8
/* Of so many calls one is an instant at which the power fails. */
#define INSTANT 8

/* The disk. */

struct write {
	struct write *next;
	off_t offset;
	size_t length; /* 0: the file was cut at the offset */
	uint8_t *bytes;
};

/* What a disk holds of a file, and what it may or may not hold. */
struct image {
	const char *suffix;
	uint8_t *bytes;
	size_t size;
	size_t capacity;
	unsigned syncs;
	struct write *first;
	struct write **last;
};

static struct image images[] = { { .suffix = ".db" }, { .suffix = ".db-wal" } };
#define IMAGES (sizeof(images) / sizeof(images[0]))

static pthread_mutex_t disk = PTHREAD_MUTEX_INITIALIZER;
static bool lies;                 /* syncs say that they are done, and are not */
static void (*power_fails)(void); /* NULL: it does not */

static uint64_t random_state;

static unsigned
next_random(unsigned below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (unsigned)(random_state % below);
}

static void
put_bytes(struct image *image, off_t offset, const uint8_t *bytes, size_t length)
{
	const size_t end = (size_t)offset + length;

	if (end > image->capacity) {
		image->capacity = 2 * end;
		image->bytes = xrealloc(image->bytes, image->capacity);
	}
	if (end > image->size) {
		memset(image->bytes + image->size, 0, end - image->size);
		image->size = end;
	}
	memcpy(image->bytes + offset, bytes, length);
}

/* What reaches the disk of one write: nothing, all, or some of its sectors. */
static void
put_write(struct image *image, const struct write *write, unsigned fate)
{
	size_t at;
	size_t length;

	if (fate == 0)
		return;
	if (write->length == 0) {
		if ((size_t)write->offset < image->size)
			image->size = (size_t)write->offset;
		return;
	}
	for (at = 0; at < write->length; at += length) {
		length = SECTOR - ((size_t)write->offset + at) % SECTOR;
		if (length > write->length - at)
			length = write->length - at;
		if (fate == 1 || next_random(2))
			put_bytes(image, write->offset + (off_t)at, write->bytes + at,
			    length);
	}
}

static void
forget_writes(struct image *image)
{
	struct write *write;

	while ((write = image->first)) {
		image->first = write->next;
		free(write->bytes);
		free(write);
	}
	image->last = &image->first;
}

/* The image of a file, NULL for others than those of the store. */
static struct image *
image_of(int fd)
{
	char link[32];
	char name[256];
	size_t start;
	ssize_t length;
	size_t i;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, name, sizeof(name) - 1);
	if (length < 0 || !*folder || strncmp(name, folder, strlen(folder)) != 0)
		return NULL;
	name[length] = '\0';
	start = strlen(path) - strlen(".db");
	for (i = 0; i < IMAGES; i++)
		if (strlen(name) > start && strcmp(name + start, images[i].suffix) == 0)
			return &images[i];
	return NULL;
}

/* Before a write or sync begins; with the lock. */
static void
perhaps_fail(void)
{
	if (power_fails && next_random(INSTANT) == 0)
		power_fails();
}

static void
note_write(int fd, const void *bytes, size_t length, off_t offset)
{
	struct image *image = image_of(fd);
	struct write *write;

	if (!image)
		return;
	(void)pthread_mutex_lock(&disk);
	perhaps_fail();
	write = xcalloc(1, sizeof(*write));
	write->offset = offset;
	write->length = length;
	write->bytes = length ? xmemdup(bytes, length) : NULL;
	if (!image->last)
		image->last = &image->first;
	*image->last = write;
	image->last = &write->next;
	(void)pthread_mutex_unlock(&disk);
}

static void
note_sync(int fd)
{
	struct image *image = image_of(fd);
	struct write *write;

	if (!image)
		return;
	(void)pthread_mutex_lock(&disk);
	perhaps_fail();
	image->syncs++;
	if (!lies) {
		for (write = image->first; write; write = write->next)
			put_write(image, write, 1);
		forget_writes(image);
	}
	(void)pthread_mutex_unlock(&disk);
}

/* In the place of libc's, for the libraries as well. */

ssize_t
pwrite64(int fd, const void *bytes, size_t length, off64_t offset)
{
	note_write(fd, bytes, length, offset);
	return syscall(SYS_pwrite64, fd, bytes, length, offset);
}

ssize_t
pwrite(int fd, const void *bytes, size_t length, off_t offset)
{
	return pwrite64(fd, bytes, length, offset);
}

int
ftruncate64(int fd, off64_t length)
{
	note_write(fd, NULL, 0, length);
	return (int)syscall(SYS_ftruncate, fd, length);
}

int
ftruncate(int fd, off_t length)
{
	return ftruncate64(fd, length);
}

int
fdatasync(int fd)
{
	note_sync(fd);
	return 0;
}

int
fsync(int fd)
{
	note_sync(fd);
	return 0;
}

/* The run. */

static atomic_uint answered; /* events 1 to this one */
static unsigned failures;    /* of the power */
static unsigned losses;      /* failures after which something is missing */
static unsigned in_part;     /* files with unfinished writes that were found */

/* Writes a file as the disk might have it. */
static void
write_found(const struct image *image, const char *place)
{
	struct image found = { .size = image->size, .capacity = image->size + 1 };
	const struct write *write;
	char name[200];
	FILE *file;

	found.bytes = xmalloc(found.capacity);
	if (image->size)
		memcpy(found.bytes, image->bytes, image->size);
	for (write = image->first; write; write = write->next)
		put_write(&found, write, next_random(3));
	in_part += image->first != NULL;
	snprintf(name, sizeof(name), "%s/found%s", place, image->suffix);
	file = fopen(name, "w");
	if (!file || fwrite(found.bytes, 1, found.size, file) != found.size ||
	    fclose(file) != 0)
		abort();
	free(found.bytes);
}

static int64_t
ask(sqlite3 *handle, const char *sql)
{
	sqlite3_stmt *statement;
	int64_t number = -1;

	if (sqlite3_prepare_v2(handle, sql, -1, &statement, NULL) != SQLITE_OK)
		return -1;
	if (sqlite3_step(statement) == SQLITE_ROW)
		number = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	return number;
}

/* Whether all is well with what is found: the database is sound, its events are the
 * first so many without a gap, and the answered ones are among them. */
static bool
is_complete(const char *name, unsigned wanted)
{
	sqlite3 *handle = NULL;
	int64_t count = -1;
	bool good = false;

	if (sqlite3_open_v2(name, &handle, SQLITE_OPEN_READWRITE, "unix") ==
	    SQLITE_OK) {
		count = ask(handle, "SELECT count(*) FROM events");
		good = count >= (int64_t)wanted &&
		    ask(handle, "SELECT max(seq) FROM events") == (count ? count : 0) &&
		    ask(handle,
			"SELECT count(*) FROM events NATURAL JOIN message_ids") ==
			ask(handle, "SELECT known_to FROM sequence") &&
		    ask(handle, "SELECT count(*) FROM message_ids") ==
			ask(handle, "SELECT known_to FROM sequence") &&
		    ask(handle,
			"SELECT count(*) FROM pragma_integrity_check WHERE "
			"integrity_check = 'ok'") == 1;
	}
	sqlite3_close(handle);
	return good;
}

/* Called while a write or sync has not begun. */
static void
look_at_the_disk(void)
{
	const unsigned wanted = atomic_load(&answered);
	char place[] = "/tmp/streamhold-found-XXXXXX";
	char name[200];
	size_t i;

	if (!mkdtemp(place))
		abort();
	for (i = 0; i < IMAGES; i++)
		write_found(&images[i], place);
	power_fails = NULL; /* what is found is on no disk of ours */
	snprintf(name, sizeof(name), "%s/found.db", place);
	failures++;
	losses += !is_complete(name, wanted);
	power_fails = look_at_the_disk;
	for (i = 0; i < IMAGES; i++) {
		snprintf(name, sizeof(name), "%s/found%s", place, images[i].suffix);
		(void)unlink(name);
	}
	snprintf(name, sizeof(name), "%s/found.db-shm", place);
	(void)unlink(name);
	(void)rmdir(place);
}

struct event_job {
	struct store_job job;
	struct store_delivery delivery;
	char id[27];
	uint8_t body[1200];
	unsigned done;
};

static int
run_event(struct store_job *job, struct db *db)
{
	struct event_job *put = (struct event_job *)job;
	uint64_t seq;
	int result = store_event_put(db, &put->delivery, &seq);

	return result < 0 ? result : 0;
}

static void
done_event(struct store_job *job, int result)
{
	assert_int_equal(result, 0);
	((struct event_job *)job)->done++;
	atomic_fetch_add(&answered, 1);
}

static void
submit(struct event_job *put, unsigned number)
{
	size_t i;

	snprintf(put->id, sizeof(put->id), "01%024u", number);
	for (i = 0; i < sizeof(put->body); i++)
		put->body[i] = (uint8_t)('a' + (number + i) % 26);
	put->delivery = (struct store_delivery){ .platform = "kick",
		.message_id = put->id,
		.type = "chat.message.sent",
		.version = 1,
		.received_at = 1750000000000 + number,
		.timestamp = "2025-06-15T15:06:40Z",
		.signature = (const uint8_t *)"sig",
		.signature_length = 3,
		.body = put->body,
		.body_length = 200 + number % 1000,
		.content = { .rule = STORE_CONTENT_BODY, .window_ms = 10000 } };
	put->job = (struct store_job){ .run = run_event, .done = done_event };
	put->done = 0;
	store_submit(store, &put->job);
}

static void
run_events(void)
{
	static struct event_job jobs[GROUP];
	unsigned number = 0;
	size_t i;

	power_fails = look_at_the_disk;
	while (number < EVENTS) {
		size_t count = 1 + number % GROUP;

		for (i = 0; i < count; i++)
			submit(&jobs[i], ++number);
		for (i = 0; i < count; i++)
			RUN_UNTIL(jobs[i].done);
	}
	(void)pthread_mutex_lock(&disk);
	power_fails = NULL;
	(void)pthread_mutex_unlock(&disk);
}

static int
begin(void **state)
{
	random_state = 88172645463325252ULL;
	atomic_store(&answered, 0);
	failures = losses = in_part = 0;
	return make_store(state);
}

static int
finish(void **state)
{
	size_t i;

	lies = false;
	if (remove_folder(state) != 0)
		return -1;
	for (i = 0; i < IMAGES; i++) {
		forget_writes(&images[i]);
		free(images[i].bytes);
		images[i] = (struct image){ .suffix = images[i].suffix };
	}
	return 0;
}

static void
what_was_answered_is_there_after_the_power_failed(void **state)
{
	const unsigned before = images[0].syncs;
	struct store_stats stats;

	(void)state;
	run_events();
	store_stats(store, &stats);
	printf("%u failures of the power in %u commits and %u checkpoints, %u files "
	       "with unfinished writes\n",
	    failures, (unsigned)stats.commits, images[0].syncs - before, in_part);
	assert_true(failures > 100 && in_part > 50 && images[0].syncs - before >= 2);
	assert_int_equal(losses, 0);
}

/* What the test above would say of a store that does not sync. */
static void
a_disk_that_lies_loses(void **state)
{
	(void)state;
	lies = true;
	run_events();
	assert_true(failures > 100);
	assert_true(losses > failures / 2);
}

#define WITH_DISK(name) cmocka_unit_test_setup_teardown(name, begin, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_DISK(what_was_answered_is_there_after_the_power_failed),
		WITH_DISK(a_disk_that_lies_loses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
