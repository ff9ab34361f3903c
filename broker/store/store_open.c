/*
 * Opening the database: the file, the lock, the pragmas that the promises rest on, and
 * the schema. Called once by store.c before the thread starts.
 *
 * One connection in the whole system holds the file exclusively, which keeps a second
 * broker out and rules out SQLite's WAL-reset bug (reliability.md 0.2).
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "broker/store/store_check.h"
#include "broker/store/store_db.h"
#include "broker/store/store_event.h"
#include "broker/store/store_inner.h"
#include "broker/store/store_known.h"
#include "broker/store/store_schema.h"
#include "broker/store/store_vfs.h"
#include "common/alloc.h"

/* Magic numbers of statfs(2) for file systems whose locks cannot be trusted. */
static const long network_file_systems[] = { 0x6969 /* NFS */, 0xff534d42 /* CIFS */,
	0xfe534d42 /* SMB2 */, 0x517b /* SMB */, 0x01021997 /* 9p */ };

/* Where SQLite keeps its locks in the file (its format, section "Locking"), and behind
 * them our own. Of two that open the file at once SQLite lets both read its header and
 * then neither have it alone; with one lock taken in one step there is always one who
 * has it. */
#define LOCK_START 0x40000000
#define LOCK_LENGTH 512
#define LOCK_OURS (LOCK_START + LOCK_LENGTH)

static int
fail(int result, char *error, const char *path, const char *sentence)
{
	(void)snprintf(error, STORE_ERROR_SIZE, "database '%s': %s", path, sentence);
	return result;
}

static int
sync_folder(const char *path)
{
	char *copy = xstrdup(path);
	int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int result = 0;

	free(copy);
	if (fd < 0)
		return -errno;
	if (fsync(fd) < 0)
		result = -errno;
	(void)close(fd);
	return result;
}

/* Makes the file with its mode before SQLite sees it, and checks where it lies. */
static int
prepare_file(const char *path, char *error)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	struct statfs fs;
	struct stat info;
	size_t i;

	if (fd < 0)
		return fail(-errno, error, path, strerror(errno));
	if (fstat(fd, &info) == 0 && (info.st_mode & 077))
		(void)fchmod(fd, 0600);
	if (fstatfs(fd, &fs) < 0)
		fs.f_type = 0;
	(void)close(fd);
	for (i = 0; i < sizeof(network_file_systems) / sizeof(network_file_systems[0]);
	     i++)
		if ((long)fs.f_type == network_file_systems[i])
			return fail(-ENOTSUP, error, path,
			    "lies on a network file system, where a commit cannot be "
			    "trusted; "
			    "set paths.state_dir to a local folder");
	if (sync_folder(path) < 0)
		return fail(-EIO, error, path, "its folder cannot be synced");
	return 0;
}

/* Who holds the lock, from the kernel's table. */
static int
fail_locked(const char *path, char *error)
{
	struct flock lock = { .l_type = F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = LOCK_START,
		.l_len = LOCK_LENGTH + 1 };
	int fd = open(path, O_RDWR | O_CLOEXEC);
	char sentence[160];
	long holder = 0;

	if (fd >= 0 && fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK)
		holder = lock.l_pid;
	if (fd >= 0)
		(void)close(fd);
	if (holder > 0)
		(void)snprintf(sentence, sizeof(sentence),
		    "is in use by process %ld; stop that broker first", holder);
	else
		(void)snprintf(sentence, sizeof(sentence),
		    "is in use by another process; stop that broker first");
	return fail(-EBUSY, error, path, sentence);
}

/* The descriptor stays open as long as the connection: closing any of the file's would
 * let go of SQLite's locks too (fcntl(2)). */
static int
take_lock(struct db *db, const char *path, char *error)
{
	struct flock lock = { .l_type = F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = LOCK_OURS,
		.l_len = 1 };

	db->lock_fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (db->lock_fd < 0)
		return fail(-errno, error, path, strerror(errno));
	if (fcntl(db->lock_fd, F_SETLK, &lock) == 0)
		return 0;
	return errno == EAGAIN || errno == EACCES
	    ? fail_locked(path, error)
	    : fail(-errno, error, path, "cannot be locked");
}

static int
fail_sqlite(struct db *db, const char *path, const char *doing, char *error)
{
	int result = db_result(db);
	char sentence[300];

	if (result == -EBUSY)
		return fail_locked(path, error);
	(void)snprintf(sentence, sizeof(sentence), "%s failed: %s%s", doing,
	    sqlite3_errmsg(db->handle),
	    result == -EBADMSG ? "; it is damaged: " STORE_DAMAGED_NEXT : "");
	return fail(result < 0 ? result : -EIO, error, path, sentence);
}

/* Runs a pragma and, where `wanted` is given, checks that this is what it answers. */
static bool
pragma(struct db *db, const char *sql, const char *wanted)
{
	sqlite3_stmt *statement;
	bool good = false;
	const char *answer;

	if (sqlite3_prepare_v2(db->handle, sql, -1, &statement, NULL) != SQLITE_OK)
		return false;
	switch (sqlite3_step(statement)) {
	case SQLITE_ROW:
		answer = (const char *)sqlite3_column_text(statement, 0);
		good = !wanted || (answer && strcmp(answer, wanted) == 0);
		break;
	case SQLITE_DONE:
		good = !wanted;
		break;
	default:
		break;
	}
	return sqlite3_finalize(statement) == SQLITE_OK && good;
}

static bool
configure(struct db *db)
{
	/* A page of this size holds five deliveries and one of the usual size two, so
	 * fewer pages are written. It counts only when the database is made. */
	return pragma(db, "PRAGMA page_size=8192", NULL) &&
	    pragma(db, "PRAGMA locking_mode=EXCLUSIVE", "exclusive") &&
	    pragma(db, "PRAGMA journal_mode=WAL", "wal") &&
	    pragma(db, "PRAGMA synchronous=FULL", NULL) &&
	    pragma(db, "PRAGMA synchronous", "2") &&
	    pragma(db, "PRAGMA journal_mode", "wal") &&
	    pragma(db, "PRAGMA journal_size_limit=16777216", NULL) &&
	    pragma(db, "PRAGMA secure_delete=ON", NULL) &&
	    pragma(db, "PRAGMA trusted_schema=OFF", NULL) &&
	    pragma(db, "PRAGMA cell_size_check=ON", NULL) &&
	    pragma(db, "PRAGMA mmap_size=0", NULL) &&
	    pragma(db, "PRAGMA temp_store=MEMORY", NULL) &&
	    pragma(db, "PRAGMA cache_size=-2048", NULL) &&
	    pragma(db, "PRAGMA foreign_keys=ON", NULL);
}

static int64_t
read_version(struct db *db)
{
	sqlite3_stmt *statement;
	int64_t version = -1;

	if (sqlite3_prepare_v2(
		db->handle, "PRAGMA user_version", -1, &statement, NULL) != SQLITE_OK)
		return -1;
	if (sqlite3_step(statement) == SQLITE_ROW)
		version = sqlite3_column_int64(statement, 0);
	(void)sqlite3_finalize(statement);
	return version;
}

/* Applies one step and its number in one transaction. */
static bool
migrate_step(struct db *db, size_t step)
{
	char *sql = xasprintf("BEGIN IMMEDIATE; %s PRAGMA user_version=%zu; COMMIT;",
	    store_schema_steps[step], step + 1);
	bool good = sqlite3_exec(db->handle, sql, NULL, NULL, NULL) == SQLITE_OK;

	free(sql);
	return good;
}

static int
migrate(struct db *db, const char *path, char *error)
{
	int64_t version = read_version(db);
	char sentence[200];
	size_t step;

	if (version < 0)
		return fail_sqlite(db, path, "reading its version", error);
	if ((uint64_t)version > store_schema_count) {
		(void)snprintf(sentence, sizeof(sentence),
		    "was written by a newer version (schema %lld, this program knows "
		    "%zu); "
		    "install that version again",
		    (long long)version, store_schema_count);
		return fail(-ENOTSUP, error, path, sentence);
	}
	for (step = (size_t)version; step < store_schema_count; step++)
		if (!migrate_step(db, step))
			return fail_sqlite(db, path, "changing its schema", error);
	return 0;
}

/* Opens the file that is there and takes the locks; SQLite's is taken by the first
 * write, for good. On failure the caller closes. */
static int
open_file(struct db *db, const char *path, char *error)
{
	int result = take_lock(db, path, error);

	if (result < 0)
		return result;
	if (store_vfs_register() < 0)
		return fail(-EIO, error, path, "SQLite has no file system");
	if (sqlite3_open_v2(path, &db->handle,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW,
		store_vfs_name) != SQLITE_OK)
		return fail_sqlite(db, path, "opening", error);
	(void)sqlite3_extended_result_codes(db->handle, 0);
	(void)sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	(void)sqlite3_limit(db->handle, SQLITE_LIMIT_LENGTH, 8 * 1024 * 1024);
	if (!configure(db))
		return fail_sqlite(db, path, "configuring", error);
	if (sqlite3_exec(db->handle, "BEGIN IMMEDIATE; COMMIT;", NULL, NULL, NULL) !=
	    SQLITE_OK)
		return fail_sqlite(db, path, "locking", error);
	return 0;
}

/* Whether the last to have it open did not close it: closing takes the WAL away. */
static bool
was_left_open(const char *path)
{
	char *wal = xasprintf("%s-wal", path);
	struct stat info;
	bool left = stat(wal, &info) == 0 && info.st_size > 0;

	free(wal);
	return left;
}

/* What secrets and settings are read from must be whole before anything is done by
 * them. The events are left to their checksums, since reading them all takes long. */
static int
check_small(struct db *db, const char *path, char *error)
{
	char finding[200] = "";
	char *sentence;
	int result = store_check_small(db, finding, sizeof(finding));

	if (result == 0)
		return 0;
	sentence = xasprintf("it is damaged (%s): " STORE_DAMAGED_NEXT, finding);
	result = fail(result, error, path, sentence);
	free(sentence);
	return result;
}

int
db_open_for_check(struct db *db, const char *path, char *error)
{
	int result = open_file(db, path, error);

	if (result < 0)
		db_close(db);
	return result;
}

int
db_open(struct db *db, const char *path, char *error)
{
	bool left = was_left_open(path);
	int result = prepare_file(path, error);

	if (result < 0)
		return result;
	result = open_file(db, path, error);
	if (result == 0 && left)
		result = check_small(db, path, error);
	if (result == 0)
		result = migrate(db, path, error);
	if (result == 0 && store_event_load_seq(db) < 0)
		result = fail_sqlite(db, path, "reading the sequence", error);
	if (result == 0) {
		db->hasher = crypto_hasher_new();
		db->known = store_known_new();
		if (store_known_load(db) < 0)
			result =
			    fail_sqlite(db, path, "reading the last events", error);
	}
	if (result == 0)
		result = sync_folder(path) < 0
		    ? fail(-EIO, error, path, "cannot be synced")
		    : 0;
	if (result < 0)
		db_close(db);
	return result;
}

void
db_close(struct db *db)
{
	size_t i;

	for (i = 0; i < db->cached_count; i++)
		(void)sqlite3_finalize(db->cached[i].statement);
	db->cached_count = 0;
	store_known_free(db->known);
	db->known = NULL;
	crypto_hasher_free(db->hasher);
	db->hasher = NULL;
	(void)sqlite3_close(db->handle);
	db->handle = NULL;
	if (db->lock_fd >= 0)
		(void)close(db->lock_fd);
	db->lock_fd = -1;
}
