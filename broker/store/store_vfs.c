/*
 * A VFS over SQLite's default one that gathers neighbouring writes. Owns the buffer of
 * every file that is opened through it. Used on the database's thread, and by the loop
 * before that thread runs.
 *
 * A write that fails late, when the gathered bytes are written before something else is
 * done with the file, fails every call after it until a sync has told of it. SQLite
 * does not look at the results of all calls, but nothing counts as stored before a
 * sync.
 *
 * The disk is made to begin with what a checkpoint writes to the database. Otherwise it
 * would be idle while the pages are copied, and the sync would wait for all of them.
 *
 * A file system that became read-only takes nothing, like one that is full, and like
 * that one it may be mended while we run: a write that it refuses is told as
 * SQLITE_FULL, and store_vfs_refusal tells the two apart.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sqlite3.h>

#include "broker/store/store_vfs.h"
#include "common/alloc.h"

const char store_vfs_name[] = "streamhold";

struct file {
	sqlite3_file base;   /* must be first */
	sqlite3_int64 start; /* where the gathered bytes belong */
	int length;
	int failed;  /* a late failure that has not been told, else 0 */
	bool synced; /* nothing was done to it since a sync that succeeded */
	char *bytes;
	int starter; /* of the database: a descriptor to start writing with, else -1 */
	int unstarted;       /* bytes that the disk has not been told of */
	sqlite3_file real[]; /* of the default VFS, as large as that wants */
};

/* Each connection is used by one thread at a time, which asks at once. */
static _Thread_local int refusal;

static sqlite3_vfs *
real_vfs(sqlite3_vfs *vfs)
{
	return vfs->pAppData;
}

static struct file *
of(sqlite3_file *base)
{
	return (struct file *)base;
}

/* Has the disk begin with what was written, which the sync at the end of the checkpoint
 * waits for. Nothing depends on it, so its failures do not count; those of the disk are
 * told by the sync, which goes by another descriptor. */
static void
start_writing(struct file *file, int length)
{
	file->unstarted += length;
	if (file->unstarted < STORE_VFS_START_BYTES)
		return;
	file->unstarted = 0;
	(void)sync_file_range(file->starter, 0, 0, SYNC_FILE_RANGE_WRITE);
}

static int
real_write(struct file *file, const void *bytes, int length, sqlite3_int64 offset)
{
	int result;

	errno = 0;
	file->synced = false;
	result = file->real->pMethods->xWrite(file->real, bytes, length, offset);
	if (result == SQLITE_IOERR_WRITE && errno == EROFS) {
		refusal = EROFS;
		return SQLITE_FULL;
	}
	if (result == SQLITE_FULL)
		refusal = ENOSPC;
	if (result == SQLITE_OK && file->starter >= 0)
		start_writing(file, length);
	return result;
}

int
store_vfs_refusal(void)
{
	return refusal ? -refusal : -ENOSPC;
}

/* Writes what was gathered; it is forgotten even when that fails. */
static int
flush(struct file *file)
{
	int length = file->length;

	file->length = 0;
	if (length > 0 && file->failed == SQLITE_OK)
		file->failed = real_write(file, file->bytes, length, file->start);
	return file->failed;
}

static int
file_close(sqlite3_file *base)
{
	struct file *file = of(base);
	int flushed = flush(file);
	int closed = file->real->pMethods->xClose(file->real);

	/* After the file itself: closing any descriptor of it gives its locks up. */
	if (file->starter >= 0)
		(void)close(file->starter);
	file->starter = -1;
	free(file->bytes);
	file->bytes = NULL;
	return flushed != SQLITE_OK ? flushed : closed;
}

static int
file_read(sqlite3_file *base, void *bytes, int length, sqlite3_int64 offset)
{
	struct file *file = of(base);
	int result = file->failed;

	if (file->length > 0 && offset < file->start + file->length &&
	    offset + length > file->start)
		result = flush(file);
	if (result != SQLITE_OK)
		return result;
	return file->real->pMethods->xRead(file->real, bytes, length, offset);
}

/* What failed, told to a caller that acts on it. */
static int
tell(struct file *file)
{
	int failed = file->failed;

	file->failed = SQLITE_OK;
	return failed;
}

static int
file_write(sqlite3_file *base, const void *bytes, int length, sqlite3_int64 offset)
{
	struct file *file = of(base);

	if (file->length > 0 &&
	    (offset != file->start + file->length ||
		length > STORE_VFS_GATHER_MAX - file->length))
		(void)flush(file);
	if (file->failed != SQLITE_OK)
		return tell(file);
	if (length > STORE_VFS_GATHER_MAX)
		return real_write(file, bytes, length, offset);
	if (!file->bytes)
		file->bytes = xmalloc(STORE_VFS_GATHER_MAX);
	if (file->length == 0)
		file->start = offset;
	memcpy(file->bytes + file->length, bytes, (size_t)length);
	file->length += length;
	return SQLITE_OK;
}

static int
file_truncate(sqlite3_file *base, sqlite3_int64 size)
{
	struct file *file = of(base);
	int result = flush(file);

	if (result != SQLITE_OK)
		return result;
	file->synced = false;
	return file->real->pMethods->xTruncate(file->real, size);
}

/* A checkpoint begins by syncing the WAL, which the last commit has done. The first
 * sync is always one: who had the file before may have left something. */
static int
file_sync(sqlite3_file *base, int flags)
{
	struct file *file = of(base);
	int result;

	if (flush(file) != SQLITE_OK)
		return tell(file);
	if (file->synced)
		return SQLITE_OK;
	result = file->real->pMethods->xSync(file->real, flags);
	file->synced = result == SQLITE_OK;
	return result;
}

static int
file_size(sqlite3_file *base, sqlite3_int64 *ret_size)
{
	struct file *file = of(base);
	int result = flush(file);

	if (result != SQLITE_OK)
		return result;
	return file->real->pMethods->xFileSize(file->real, ret_size);
}

static int
file_lock(sqlite3_file *base, int lock)
{
	struct file *file = of(base);

	return file->real->pMethods->xLock(file->real, lock);
}

static int
file_unlock(sqlite3_file *base, int lock)
{
	struct file *file = of(base);
	int result = flush(file);

	if (result != SQLITE_OK)
		return result;
	return file->real->pMethods->xUnlock(file->real, lock);
}

static int
file_reserved(sqlite3_file *base, int *ret_reserved)
{
	struct file *file = of(base);

	return file->real->pMethods->xCheckReservedLock(file->real, ret_reserved);
}

static int
file_control(sqlite3_file *base, int operation, void *arg)
{
	struct file *file = of(base);

	file->synced = false; /* some change the file */
	return file->real->pMethods->xFileControl(file->real, operation, arg);
}

static int
file_sector(sqlite3_file *base)
{
	return of(base)->real->pMethods->xSectorSize(of(base)->real);
}

static int
file_traits(sqlite3_file *base)
{
	return of(base)->real->pMethods->xDeviceCharacteristics(of(base)->real);
}

/* The WAL's index is shared memory until the connection has the file to itself. */

static int
file_shm_map(
    sqlite3_file *base, int region, int size, int extend, void volatile **ret_at)
{
	sqlite3_file *real = of(base)->real;

	return real->pMethods->xShmMap(real, region, size, extend, ret_at);
}

static int
file_shm_lock(sqlite3_file *base, int offset, int count, int flags)
{
	sqlite3_file *real = of(base)->real;

	return real->pMethods->xShmLock(real, offset, count, flags);
}

static void
file_shm_barrier(sqlite3_file *base)
{
	sqlite3_file *real = of(base)->real;

	real->pMethods->xShmBarrier(real);
}

static int
file_shm_unmap(sqlite3_file *base, int remove)
{
	sqlite3_file *real = of(base)->real;

	return real->pMethods->xShmUnmap(real, remove);
}

/* Version 2: the file is not mapped. */
static const sqlite3_io_methods methods = {
	.iVersion = 2,
	.xClose = file_close,
	.xRead = file_read,
	.xWrite = file_write,
	.xTruncate = file_truncate,
	.xSync = file_sync,
	.xFileSize = file_size,
	.xLock = file_lock,
	.xUnlock = file_unlock,
	.xCheckReservedLock = file_reserved,
	.xFileControl = file_control,
	.xSectorSize = file_sector,
	.xDeviceCharacteristics = file_traits,
	.xShmMap = file_shm_map,
	.xShmLock = file_shm_lock,
	.xShmBarrier = file_shm_barrier,
	.xShmUnmap = file_shm_unmap,
};

static int
vfs_open(
    sqlite3_vfs *vfs, const char *name, sqlite3_file *base, int flags, int *ret_flags)
{
	struct file *file = of(base);
	sqlite3_vfs *real = real_vfs(vfs);
	int result;

	memset(file, 0, sizeof(*file));
	file->starter = -1;
	result = real->xOpen(real, name, file->real, flags, ret_flags);
	if (result == SQLITE_OK || file->real->pMethods)
		file->base.pMethods = &methods;
	if (result == SQLITE_OK && (flags & SQLITE_OPEN_MAIN_DB))
		file->starter = open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	return result;
}

static int
vfs_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
	return real_vfs(vfs)->xDelete(real_vfs(vfs), name, sync);
}

static int
vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *ret_result)
{
	return real_vfs(vfs)->xAccess(real_vfs(vfs), name, flags, ret_result);
}

static int
vfs_full_name(sqlite3_vfs *vfs, const char *name, int size, char *ret_name)
{
	return real_vfs(vfs)->xFullPathname(real_vfs(vfs), name, size, ret_name);
}

int
store_vfs_register(void)
{
	static sqlite3_vfs vfs;
	sqlite3_vfs *real;

	if (vfs.zName)
		return 0;
	real = sqlite3_vfs_find(NULL);
	if (!real)
		return -ENOSYS;
	/* What is not about files stays the default's. */
	vfs = *real;
	vfs.pNext = NULL;
	vfs.zName = store_vfs_name;
	vfs.pAppData = real;
	vfs.szOsFile = (int)sizeof(struct file) + real->szOsFile;
	vfs.xOpen = vfs_open;
	vfs.xDelete = vfs_delete;
	vfs.xAccess = vfs_access;
	vfs.xFullPathname = vfs_full_name;
	return sqlite3_vfs_register(&vfs, 0) == SQLITE_OK ? 0 : -ENOMEM;
}
