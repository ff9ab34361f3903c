/*
 * The database when things go wrong: disks that fail or are full, and a process that is
 * killed. Failures come from a VFS of this test over SQLite's own; a full disk also
 * from a small file system in memory where that may be mounted.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "store_fixture.h"

/* The VFS. */

/* Syncs by what they are part of. The database's own file is written and synced by
 * checkpoints alone. That a checkpoint first syncs the WAL, in which nothing is new, is
 * left out. */
enum sync_kind {
	SYNC_any,
	SYNC_commit,
	SYNC_wal_again, /* the one that is left out */
	SYNC_database,  /* the sync of a checkpoint */
	SYNC_begin_wal, /* a WAL that begins anew after it: the header, the first commit
			 */
	SYNC_KIND_MAX
};
#define SYNCS_OF_NEW_WAL 2

/* Which call fails, counted from 1; 0: none. From then on all, or that one only. */
struct fault {
	unsigned at;
	bool lasting;
	enum sync_kind kind; /* of a sync: only those of this kind are counted */
	int code;            /* of SQLite */
	int error;           /* errno */
};

static struct fault sync_fault;
static struct fault write_fault;
static unsigned syncs;
static unsigned kind_syncs[SYNC_KIND_MAX];
static unsigned new_wal; /* how many syncs of a WAL that begins anew are to come */
static unsigned writes;

struct shim_file {
	sqlite3_file file;
	bool database;      /* not the WAL */
	bool written;       /* since its last sync */
	sqlite3_file *real; /* right behind this struct */
};

static sqlite3_file *
real_of(sqlite3_file *file)
{
	return ((struct shim_file *)file)->real;
}

static bool
strikes(const struct fault *fault, unsigned number)
{
	if (!fault->at || number < fault->at || (number > fault->at && !fault->lasting))
		return false;
	errno = fault->error;
	return true;
}

static int
shim_close(sqlite3_file *file)
{
	return real_of(file)->pMethods->xClose(real_of(file));
}

static int
shim_read(sqlite3_file *file, void *bytes, int count, sqlite3_int64 offset)
{
	return real_of(file)->pMethods->xRead(real_of(file), bytes, count, offset);
}

static int
shim_write(sqlite3_file *file, const void *bytes, int count, sqlite3_int64 offset)
{
	((struct shim_file *)file)->written = true;
	if (strikes(&write_fault, ++writes))
		return write_fault.code;
	return real_of(file)->pMethods->xWrite(real_of(file), bytes, count, offset);
}

static int
shim_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	return real_of(file)->pMethods->xTruncate(real_of(file), size);
}

static enum sync_kind
kind_of_sync(const struct shim_file *own)
{
	if (own->database) {
		new_wal = SYNCS_OF_NEW_WAL;
		return SYNC_database;
	}
	if (!own->written)
		return SYNC_wal_again;
	if (!new_wal)
		return SYNC_commit;
	new_wal--;
	return SYNC_begin_wal;
}

static int
shim_sync(sqlite3_file *file, int flags)
{
	struct shim_file *own = (struct shim_file *)file;
	enum sync_kind kind = kind_of_sync(own);

	own->written = false;
	syncs++;
	kind_syncs[SYNC_any]++;
	kind_syncs[kind]++;
	if ((sync_fault.kind == SYNC_any || sync_fault.kind == kind) &&
	    strikes(&sync_fault, kind_syncs[sync_fault.kind]))
		return sync_fault.code;
	return real_of(file)->pMethods->xSync(real_of(file), flags);
}

static int
shim_size(sqlite3_file *file, sqlite3_int64 *ret_size)
{
	return real_of(file)->pMethods->xFileSize(real_of(file), ret_size);
}

static int
shim_lock(sqlite3_file *file, int level)
{
	return real_of(file)->pMethods->xLock(real_of(file), level);
}

static int
shim_unlock(sqlite3_file *file, int level)
{
	return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int
shim_reserved(sqlite3_file *file, int *ret_reserved)
{
	return real_of(file)->pMethods->xCheckReservedLock(real_of(file), ret_reserved);
}

static int
shim_control(sqlite3_file *file, int what, void *arg)
{
	return real_of(file)->pMethods->xFileControl(real_of(file), what, arg);
}

static int
shim_sector(sqlite3_file *file)
{
	return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int
shim_traits(sqlite3_file *file)
{
	return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

/* Version 1: no shared memory, which an exclusive connection does not need. */
static const sqlite3_io_methods shim_methods = { .iVersion = 1,
	.xClose = shim_close,
	.xRead = shim_read,
	.xWrite = shim_write,
	.xTruncate = shim_truncate,
	.xSync = shim_sync,
	.xFileSize = shim_size,
	.xLock = shim_lock,
	.xUnlock = shim_unlock,
	.xCheckReservedLock = shim_reserved,
	.xFileControl = shim_control,
	.xSectorSize = shim_sector,
	.xDeviceCharacteristics = shim_traits };

static sqlite3_vfs shim;
static sqlite3_vfs *real_vfs;

static int
shim_open(
    sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
	struct shim_file *own = (struct shim_file *)file;
	int result;

	(void)vfs;
	own->real = (sqlite3_file *)(own + 1);
	own->database = flags & SQLITE_OPEN_MAIN_DB;
	own->written = false;
	result = real_vfs->xOpen(real_vfs, name, own->real, flags, ret_flags);
	own->file.pMethods = result == SQLITE_OK ? &shim_methods : NULL;
	return result;
}

static int
install_shim(void **state)
{
	(void)state;
	real_vfs = sqlite3_vfs_find(NULL);
	shim = *real_vfs;
	shim.zName = "failing";
	shim.pNext = NULL;
	shim.szOsFile = real_vfs->szOsFile + (int)sizeof(struct shim_file);
	shim.xOpen = shim_open;
	return sqlite3_vfs_register(&shim, 1);
}

/* What on_broken was told. */
static unsigned broken_calls;
static int broken_result;

static void
on_broken(void *arg, int result)
{
	assert_ptr_equal(arg, &broken_calls);
	broken_calls++;
	broken_result = result;
}

static int
setup(void **state)
{
	sync_fault = (struct fault){ .at = 0 };
	write_fault = (struct fault){ .at = 0 };
	broken_calls = 0;
	if (make_store(state) < 0)
		return -1;
	store_on_broken(store, on_broken, &broken_calls);
	return 0;
}

static void
heal_and_reopen(void)
{
	close_store();
	sync_fault.at = 0;
	write_fault.at = 0;
	open_store();
}

static void
count_syncs_anew(void)
{
	syncs = 0;
	new_wal = 0;
	memset(kind_syncs, 0, sizeof(kind_syncs));
}

/* Stores rows one commit each until `count` were tried; acked[i] says which were
 * promised. After the first failure nothing may succeed. */
static unsigned
store_rows_from(bool *acked, unsigned first, unsigned count, size_t size, int failure)
{
	unsigned failures = 0;
	unsigned i;

	for (i = first; i < first + count; i++) {
		int result = put_now("r", i, size);

		acked[i] = result == 0;
		assert_true(result == 0 || result == failure);
		assert_false(failures && result == 0);
		failures += result != 0;
	}
	return failures;
}

static unsigned
store_rows(bool *acked, unsigned count, size_t size, int failure)
{
	return store_rows_from(acked, 0, count, size, failure);
}

static void
check_acked(const bool *acked, unsigned count)
{
	char sql[80];
	unsigned i;

	close_store();
	assert_int_equal(ask_file("SELECT count(*) FROM pragma_integrity_check "
				  "WHERE integrity_check <> 'ok'"),
	    0);
	for (i = 0; i < count; i++) {
		snprintf(sql, sizeof(sql),
		    "SELECT count(*) FROM meta WHERE name = 'r%u'", i);
		if (acked[i])
			assert_int_equal(ask_file(sql), 1);
	}
}

static void
a_failed_sync_is_final(void **state)
{
	unsigned at;

	(void)state;
	for (at = 1; at <= 8; at++) {
		bool acked[12];
		unsigned failures;

		broken_calls = 0;
		store_on_broken(store, on_broken, &broken_calls);
		count_syncs_anew();
		sync_fault = (struct fault){
			.at = at, .code = SQLITE_IOERR_FSYNC, .error = EIO
		};
		failures = store_rows(acked, 12, 100, -EIO);
		assert_true(failures > 0);
		assert_int_equal(broken_calls, failures);
		assert_int_equal(broken_result, -EIO);
		/* Nothing is tried again, although the disk would sync. */
		assert_int_equal(syncs, at);
		sync_fault.at = 0;
		check_acked(acked, 12);
		remove_file("");
		remove_file("-wal");
		open_store();
	}
}

/* Rows until one fails, and some more; how many were tried. When a checkpoint comes
 * depends on how fast the disk commits, so their number is not known beforehand. */
static unsigned
store_rows_until_broken(bool *acked, unsigned most, size_t size)
{
	unsigned count = 0;

	while (count < most && store_rows_from(acked, count, 1, size, -EIO) == 0)
		count++;
	assert_true(broken_calls > 0);
	acked[count++] = false; /* the one that failed */
	assert_int_equal(store_rows_from(acked, count, 3, size, -EIO), 3);
	return count + 3;
}

/* Each sync of the first two checkpoints, and of the WAL after them. */
static void
a_failed_sync_of_a_checkpoint_is_final(void **state)
{
	/* Two checkpoints come within MOST rows on the slowest of disks too. */
	enum { MOST = 250, SIZE = 200000 };
	static const struct fault faults[] = {
		{ .kind = SYNC_database, .at = 1 },
		{ .kind = SYNC_begin_wal, .at = 1 },
		{ .kind = SYNC_begin_wal, .at = 2 },
		{ .kind = SYNC_database, .at = 2 },
		{ .kind = SYNC_begin_wal, .at = 3 },
	};
	bool acked[MOST + 4];
	unsigned tried;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		unsigned all;

		close_store();
		remove_file("");
		remove_file("-wal");
		open_store();
		broken_calls = 0;
		store_on_broken(store, on_broken, &broken_calls);
		count_syncs_anew();
		sync_fault = faults[i];
		sync_fault.code = SQLITE_IOERR_FSYNC;
		sync_fault.error = EIO;
		tried = store_rows_until_broken(acked, MOST, SIZE);
		all = syncs;
		assert_int_equal(kind_syncs[faults[i].kind], faults[i].at);
		assert_int_equal(kind_syncs[SYNC_wal_again], 0);
		/* Nothing is tried again. */
		assert_int_equal(put_now("s", i, SIZE), -EIO);
		assert_int_equal(syncs, all);
		sync_fault.at = 0;
		check_acked(acked, tried);
	}
}

/* A full disk may show only when the kernel writes out what it had taken; what was
 * taken is gone then, so this is no full disk that one recovers from. */
static void
a_sync_that_fails_for_want_of_space_is_final(void **state)
{
	bool acked[6];

	(void)state;
	count_syncs_anew();
	sync_fault =
	    (struct fault){ .at = 3, .code = SQLITE_IOERR_FSYNC, .error = ENOSPC };
	assert_int_equal(store_rows(acked, 6, 100, -EIO), 4);
	assert_true(broken_calls > 0);
	sync_fault.at = 0;
	check_acked(acked, 6);
}

static void
a_failed_write_is_final(void **state)
{
	bool acked[6];
	unsigned failures;

	(void)state;
	writes = 0;
	write_fault =
	    (struct fault){ .at = 3, .code = SQLITE_IOERR_WRITE, .error = EIO };
	failures = store_rows(acked, 6, 100, -EIO);
	assert_true(failures > 0);
	assert_true(broken_calls > 0);
	write_fault.at = 0;
	check_acked(acked, 6);
}

static void
every_job_of_a_failed_commit_fails(void **state)
{
	struct put_job jobs[20];
	size_t i;

	(void)state;
	count_syncs_anew();
	sync_fault =
	    (struct fault){ .at = 1, .code = SQLITE_IOERR_FSYNC, .error = EIO };
	pthread_mutex_lock(&gate);
	for (i = 0; i < 20; i++) {
		put_init(&jobs[i], "j", i);
		jobs[i].wait = i == 0;
		store_submit(store, &jobs[i].job);
	}
	pthread_mutex_unlock(&gate);
	RUN_UNTIL(jobs[19].done);
	for (i = 0; i < 20; i++)
		assert_int_equal(jobs[i].result, -EIO);
}

static void
a_broken_store_closes_and_opens_again(void **state)
{
	(void)state;
	assert_int_equal(put_now("before", 1, 16), 0);
	count_syncs_anew();
	sync_fault = (struct fault){
		.at = 1, .lasting = true, .code = SQLITE_IOERR_FSYNC, .error = EIO
	};
	assert_int_equal(put_now("during", 1, 16), -EIO);
	heal_and_reopen();
	assert_int_equal(count_rows("before"), 1);
	assert_int_equal(put_now("after", 1, 16), 0);
}

/* Full disks. */

static void
a_full_disk_fails_and_recovers(void **state)
{
	unsigned round;

	(void)state;
	for (round = 0; round < 20; round++) {
		writes = 0;
		write_fault = (struct fault){ .at = 1, /* a commit is one write */
			.lasting = true,
			.code = SQLITE_FULL,
			.error = ENOSPC };
		assert_int_equal(put_now("full", round, 20000), -ENOSPC);
		assert_int_equal(put_now("full", round, 20000), -ENOSPC);
		write_fault.at = 0;
		assert_int_equal(put_now("free", round, 20000), 0);
	}
	assert_int_equal(broken_calls, 0);
	assert_int_equal(count_rows("full"), 0);
	assert_int_equal(count_rows("free"), 20);
}

/* A file system that the kernel made read-only, and that is mended while we run. */
static void
a_read_only_file_system_fails_and_recovers(void **state)
{
	unsigned round;

	(void)state;
	for (round = 0; round < 20; round++) {
		writes = 0;
		write_fault = (struct fault){ .at = 1,
			.lasting = true,
			.code = SQLITE_IOERR_WRITE,
			.error = EROFS };
		assert_int_equal(put_now("read-only", round, 20000), -EROFS);
		assert_int_equal(put_now("read-only", round, 20000), -EROFS);
		writes = 0;
		write_fault.code = SQLITE_FULL;
		write_fault.error = ENOSPC;
		assert_int_equal(put_now("full", round, 20000), -ENOSPC);
		write_fault.at = 0;
		assert_int_equal(put_now("free", round, 20000), 0);
	}
	assert_int_equal(broken_calls, 0);
	assert_int_equal(count_rows("read-only"), 0);
	assert_int_equal(count_rows("full"), 0);
	assert_int_equal(count_rows("free"), 20);
}

static void
fill(const char *name, size_t size)
{
	char *bytes = xcalloc(1, size);
	int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_int_equal(write(fd, bytes, size), size);
	close(fd);
	free(bytes);
}

/* Stores until the disk is full; how many rows were promised. */
static unsigned
store_until_full(unsigned from)
{
	unsigned i;
	int result = 0;

	for (i = from; i < from + 200; i++) {
		result = put_now("t", i, 8000);
		if (result < 0)
			break;
	}
	assert_int_equal(result, -ENOSPC);
	return i - from;
}

static void
a_full_file_system_fails_and_recovers(void **state)
{
	char filler[128];
	unsigned stored;
	unsigned more;
	unsigned i;

	(void)state;
	close_store();
	/* In a mount namespace of its own, which ends with this process. */
	if (unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", folder, "tmpfs", 0, "size=1m") < 0) {
		open_store();
		skip();
	}
	snprintf(filler, sizeof(filler), "%s/filler", folder);
	fill(filler, 500000);
	open_store();
	store_on_broken(store, on_broken, &broken_calls);
	stored = store_until_full(0);
	assert_true(stored > 0);
	for (i = 0; i < 20; i++)
		assert_int_equal(put_now("t", 1000 + i, 8000), -ENOSPC);
	assert_int_equal(count_rows("t"), stored);
	assert_int_equal(unlink(filler), 0);
	more = store_until_full(stored);
	assert_true(more > 0);
	assert_int_equal(count_rows("t"), stored + more);
	assert_int_equal(broken_calls, 0);
	close_store();
	open_store();
	assert_int_equal(count_rows("t"), stored + more);
	close_store();
	assert_int_equal(umount(folder), 0);
}

/* Killed. */

#define ROUNDS 30
#define FLIGHT 40

struct child_job {
	struct put_job put;
	uint32_t id;
};

static uint32_t child_next;
static int child_pipe;

static void child_done(struct store_job *base_job, int result);

static void
child_submit(struct child_job *job)
{
	job->id = child_next++;
	put_init(&job->put, "k", job->id);
	job->put.size = 200 + job->id % 700;
	job->put.job.done = child_done;
	store_submit(store, &job->put.job);
}

static void
child_done(struct store_job *base_job, int result)
{
	struct child_job *job = (struct child_job *)base_job;

	if (result != 0)
		_exit(3);
	if (write(child_pipe, &job->id, sizeof(job->id)) != sizeof(job->id))
		_exit(4);
	child_submit(job);
}

static void
child_main(uint32_t first)
{
	static struct child_job jobs[FLIGHT];
	size_t i;

	base = event_base_new();
	if (store_open(base, path, &store, error) != 0)
		_exit(2);
	child_next = first;
	for (i = 0; i < FLIGHT; i++)
		child_submit(&jobs[i]);
	event_base_dispatch(base);
	_exit(5);
}

/* Starts a child that stores, kills it after a while; the ids that it reported done. */
static uint32_t *
kill_in_the_middle(uint32_t first, unsigned after_us, size_t *ret_count)
{
	size_t size = 1 << 20;
	uint8_t *ids = xmalloc(size);
	size_t length = 0;
	ssize_t got;
	pid_t child;
	int status;
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	child = fork();
	if (child == 0) {
		child_pipe = ends[1];
		child_main(first);
	}
	close(ends[1]);
	/* From its first promise on, so that it is in the middle of its work. */
	got = read(ends[0], ids, size);
	assert_true(got > 0);
	length = (size_t)got;
	usleep(after_us);
	assert_int_equal(kill(child, SIGKILL), 0);
	while ((got = read(ends[0], ids + length, size - length)) > 0)
		length += (size_t)got;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	close(ends[0]);
	*ret_count = length / sizeof(uint32_t);
	return (uint32_t *)(void *)ids;
}

static void
check_ids(const uint32_t *ids, size_t count)
{
	sqlite3 *handle;
	sqlite3_stmt *statement;
	char name[32];
	size_t i;

	assert_int_equal(
	    sqlite3_open_v2(path, &handle, SQLITE_OPEN_READWRITE, "unix"), SQLITE_OK);
	assert_int_equal(
	    sqlite3_prepare_v2(handle, "SELECT length(value) FROM meta WHERE name = ?1",
		-1, &statement, NULL),
	    SQLITE_OK);
	for (i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "k%u", ids[i]);
		sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
		if (sqlite3_step(statement) != SQLITE_ROW)
			fail_msg("'%s' was reported done and is lost", name);
		assert_int_equal(
		    sqlite3_column_int64(statement, 0), 200 + ids[i] % 700);
		sqlite3_reset(statement);
	}
	sqlite3_finalize(statement);
	sqlite3_close(handle);
}

static void
a_killed_broker_loses_nothing_that_was_done(void **state)
{
	size_t total = 0;
	unsigned round;

	(void)state;
	for (round = 0; round < ROUNDS; round++) {
		size_t count;
		uint32_t *ids =
		    kill_in_the_middle(round * 1000000, (round * 7919) % 60000, &count);

		check_ids(ids, count);
		total += count;
		free(ids);
	}
	assert_int_equal(ask_file("SELECT count(*) FROM pragma_integrity_check "
				  "WHERE integrity_check <> 'ok'"),
	    0);
	print_message("%zu commits promised in %d rounds\n", total, ROUNDS);
	assert_true(total > ROUNDS * FLIGHT);
}

#define WITH_STORE(name) cmocka_unit_test_setup_teardown(name, setup, remove_folder)
#define WITH_FOLDER(name) \
	cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FOLDER(a_killed_broker_loses_nothing_that_was_done),
		WITH_STORE(a_failed_sync_is_final),
		WITH_STORE(a_failed_sync_of_a_checkpoint_is_final),
		WITH_STORE(a_sync_that_fails_for_want_of_space_is_final),
		WITH_STORE(a_failed_write_is_final),
		WITH_STORE(every_job_of_a_failed_commit_fails),
		WITH_STORE(a_broken_store_closes_and_opens_again),
		WITH_STORE(a_full_disk_fails_and_recovers),
		WITH_STORE(a_read_only_file_system_fails_and_recovers),
		WITH_STORE(a_full_file_system_fails_and_recovers),
	};

	return cmocka_run_group_tests(tests, install_shim, NULL);
}
