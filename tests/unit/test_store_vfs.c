/*
 * Writes that are gathered: what a reader of the file itself sees, and when. A second
 * descriptor stands for what would be there after the process was killed.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "broker/store/store_vfs.h"

#define PAGE 4096

static char folder[] = "/tmp/streamhold-vfs-XXXXXX";
static char path[128];
static sqlite3_file *file;
static sqlite3_vfs *vfs;

static unsigned syncs;
static bool broken;

/* Takes the place of libc's in SQLite as well. */
int
fdatasync(int fd)
{
	(void)fd;
	syncs++;
	errno = EIO;
	return broken ? -1 : 0;
}

static unsigned starts;

/* The same. */
int
sync_file_range(int fd, off64_t offset, off64_t length, unsigned how)
{
	struct stat info;
	struct stat wanted;

	assert_int_equal(how, SYNC_FILE_RANGE_WRITE);
	assert_int_equal(offset, 0);
	assert_int_equal(length, 0); /* up to its end */
	assert_int_equal(fstat(fd, &info), 0);
	assert_int_equal(stat(path, &wanted), 0);
	assert_int_equal(info.st_ino, wanted.st_ino);
	starts++;
	errno = EIO; /* which is nobody's concern */
	return -1;
}

static off_t
real_size(void)
{
	struct stat info;

	assert_int_equal(stat(path, &info), 0);
	return info.st_size;
}

static void
put(int page, int letter, int expected)
{
	char bytes[PAGE];

	memset(bytes, letter, sizeof(bytes));
	assert_int_equal(
	    file->pMethods->xWrite(file, bytes, PAGE, (sqlite3_int64)page * PAGE),
	    expected);
}

static int
letter_at(int page)
{
	char bytes[PAGE];

	assert_int_equal(
	    file->pMethods->xRead(file, bytes, PAGE, (sqlite3_int64)page * PAGE),
	    SQLITE_OK);
	assert_int_equal(bytes[0], bytes[PAGE - 1]);
	return bytes[0];
}

static void
test_neighbours_wait_for_the_sync(void **state)
{
	(void)state;
	put(0, 'a', SQLITE_OK);
	put(1, 'b', SQLITE_OK);
	assert_int_equal(real_size(), 0);
	assert_int_equal(file->pMethods->xSync(file, SQLITE_SYNC_NORMAL), SQLITE_OK);
	assert_int_equal(real_size(), 2 * PAGE);
	assert_int_equal(letter_at(0), 'a');
	assert_int_equal(letter_at(1), 'b');
}

static void
test_a_read_sees_what_waits(void **state)
{
	(void)state;
	put(0, 'a', SQLITE_OK);
	put(1, 'b', SQLITE_OK);
	assert_int_equal(letter_at(1), 'b');
	put(0, 'c', SQLITE_OK);
	assert_int_equal(letter_at(0), 'c');
	assert_int_equal(letter_at(1), 'b');
}

static void
test_a_gap_writes_what_waits(void **state)
{
	(void)state;
	put(0, 'a', SQLITE_OK);
	put(5, 'f', SQLITE_OK);
	assert_int_equal(real_size(), PAGE);
	put(5, 'g', SQLITE_OK); /* over the bytes that wait */
	assert_int_equal(letter_at(5), 'g');
	assert_int_equal(letter_at(0), 'a');
}

static void
test_size_truncation_and_close(void **state)
{
	sqlite3_int64 size = 0;

	(void)state;
	put(0, 'a', SQLITE_OK);
	put(1, 'b', SQLITE_OK);
	assert_int_equal(file->pMethods->xFileSize(file, &size), SQLITE_OK);
	assert_int_equal(size, 2 * PAGE);
	put(2, 'c', SQLITE_OK);
	assert_int_equal(file->pMethods->xTruncate(file, PAGE), SQLITE_OK);
	assert_int_equal(real_size(), PAGE);
	put(1, 'd', SQLITE_OK);
	assert_int_equal(file->pMethods->xClose(file), SQLITE_OK);
	file->pMethods = NULL;
	assert_int_equal(real_size(), 2 * PAGE);
}

static void
test_no_more_than_the_limit_waits(void **state)
{
	const int pages = STORE_VFS_GATHER_MAX / PAGE;
	int i;

	(void)state;
	for (i = 0; i < pages; i++)
		put(i, 'a' + i % 26, SQLITE_OK);
	assert_int_equal(real_size(), 0);
	put(pages, 'z', SQLITE_OK);
	assert_int_equal(real_size(), STORE_VFS_GATHER_MAX);
	for (i = 0; i < pages; i++)
		assert_int_equal(letter_at(i), 'a' + i % 26);
}

static void
expect_sync(int result, unsigned number)
{
	syncs = 0;
	assert_int_equal(file->pMethods->xSync(file, SQLITE_SYNC_NORMAL), result);
	assert_int_equal(syncs, number);
}

static void
test_what_is_synced_is_not_synced_again(void **state)
{
	sqlite3_int64 hint = PAGE;

	(void)state;
	expect_sync(SQLITE_OK, 1); /* who had the file before may have written */
	expect_sync(SQLITE_OK, 0);
	put(0, 'a', SQLITE_OK);
	expect_sync(SQLITE_OK, 1);
	assert_int_equal(letter_at(0), 'a');
	expect_sync(SQLITE_OK, 0);
	put(0, 'b', SQLITE_OK);
	assert_int_equal(letter_at(0), 'b'); /* is written for the reader */
	expect_sync(SQLITE_OK, 1);
	assert_int_equal(file->pMethods->xTruncate(file, 0), SQLITE_OK);
	expect_sync(SQLITE_OK, 1);
	assert_int_equal(
	    file->pMethods->xFileControl(file, SQLITE_FCNTL_SIZE_HINT, &hint),
	    SQLITE_OK);
	expect_sync(SQLITE_OK, 1);
}

static void
test_a_sync_that_failed_is_tried_again(void **state)
{
	(void)state;
	put(0, 'a', SQLITE_OK);
	broken = true;
	expect_sync(SQLITE_IOERR_FSYNC, 1);
	expect_sync(SQLITE_IOERR_FSYNC, 1);
	broken = false;
	expect_sync(SQLITE_OK, 1);
	expect_sync(SQLITE_OK, 0);
}

/* Writes so many bytes; what is gathered of them may still wait. */
static void
put_many(int bytes)
{
	for (int page = 0; page < bytes / PAGE; page++)
		put(page, 'a', SQLITE_OK);
}

static void
test_the_disk_begins_before_the_sync(void **state)
{
	(void)state;
	starts = 0;
	put_many(STORE_VFS_START_BYTES);
	assert_int_equal(starts, 0); /* the last of them only wait */
	put_many(STORE_VFS_GATHER_MAX);
	assert_int_equal(starts, 1);
	put_many(4 * STORE_VFS_START_BYTES);
	assert_in_range(starts, 4, 5); /* with whole gatherings only */
	assert_int_equal(file->pMethods->xSync(file, SQLITE_SYNC_NORMAL), SQLITE_OK);
	assert_int_equal(letter_at(3), 'a');
}

/* A commit is synced at once, so there is no use in telling the disk twice. */
static void
test_a_wal_is_left_to_its_sync(void **state)
{
	(void)state;
	starts = 0;
	put_many(4 * STORE_VFS_START_BYTES);
	assert_int_equal(file->pMethods->xSync(file, SQLITE_SYNC_NORMAL), SQLITE_OK);
	assert_int_equal(letter_at(3), 'a');
	assert_int_equal(starts, 0);
}

/* Where the disk has no room the next write or sync says so, and what did not fit is
 * gone. */
static void
test_a_late_failure_is_told(void **state)
{
	const struct rlimit small = { .rlim_cur = PAGE, .rlim_max = RLIM_INFINITY };
	const struct rlimit none = { .rlim_cur = RLIM_INFINITY,
		.rlim_max = RLIM_INFINITY };
	sqlite3_int64 size = 0;
	int result;

	(void)state;
	(void)signal(SIGXFSZ, SIG_IGN);
	put(4, 'a', SQLITE_OK);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	/* A call whose result nobody may look at does not swallow it. */
	assert_int_not_equal(file->pMethods->xFileSize(file, &size), SQLITE_OK);
	put(1, 'c', SQLITE_IOERR_WRITE);
	/* It is told once: what comes next is tried anew. */
	put(4, 'd', SQLITE_OK);
	result = file->pMethods->xSync(file, SQLITE_SYNC_NORMAL);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	assert_int_not_equal(result, SQLITE_OK);
	assert_int_equal(real_size(), 0);
	assert_int_equal(file->pMethods->xSync(file, SQLITE_SYNC_NORMAL), SQLITE_OK);
	put(0, 'b', SQLITE_OK);
	assert_int_equal(file->pMethods->xSync(file, SQLITE_SYNC_NORMAL), SQLITE_OK);
	assert_int_equal(letter_at(0), 'b');
}

static int
set_up_as(int what)
{
	int flags = 0;

	free(file); /* of a test that did not get as far */
	file = calloc(1, (size_t)vfs->szOsFile);
	return vfs->xOpen(vfs, path, file,
		   what | SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
		   &flags) == SQLITE_OK
	    ? 0
	    : -1;
}

static int
set_up(void **state)
{
	(void)state;
	return set_up_as(SQLITE_OPEN_MAIN_DB);
}

static int
set_up_wal(void **state)
{
	(void)state;
	return set_up_as(SQLITE_OPEN_WAL);
}

static int
tear_down(void **state)
{
	(void)state;
	if (file->pMethods)
		(void)file->pMethods->xClose(file);
	free(file);
	file = NULL;
	return unlink(path);
}

static int
set_up_all(void **state)
{
	(void)state;
	if (!mkdtemp(folder) || store_vfs_register() < 0 || store_vfs_register() < 0)
		return -1;
	(void)snprintf(path, sizeof(path), "%s/file.db", folder);
	vfs = sqlite3_vfs_find(store_vfs_name);
	return vfs ? 0 : -1;
}

static int
tear_down_all(void **state)
{
	(void)state;
	return rmdir(folder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_what_is_synced_is_not_synced_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_a_sync_that_failed_is_tried_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_neighbours_wait_for_the_sync, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_a_read_sees_what_waits, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_a_gap_writes_what_waits, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_size_truncation_and_close, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_no_more_than_the_limit_waits, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_the_disk_begins_before_the_sync, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_a_wal_is_left_to_its_sync, set_up_wal, tear_down),
		cmocka_unit_test_setup_teardown(
		    test_a_late_failure_is_told, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, set_up_all, tear_down_all);
}
