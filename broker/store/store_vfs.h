/*
 * How SQLite writes its files: as the system's own VFS does, but with neighbouring
 * writes gathered into one. Only store_open.c opens through it.
 *
 * SQLite writes every page of a commit to the WAL in two calls, and every page of a
 * checkpoint in one; here a commit is one write and one sync
 * (docs/decisions/0004-group-commit.md). What is gathered is written before anything
 * else is done with the file: before a sync, a read of the same bytes, a change of its
 * size, a lock. What a checkpoint writes begins to go to the disk by each MiB, and not
 * with the sync at its end. So a commit that was reported is on the disk as it would be
 * without this, and what is lost with the process was not committed.
 */
#ifndef BROKER_STORE_STORE_VFS_H
#define BROKER_STORE_STORE_VFS_H

/* Bytes gathered for one file at most. SQLite's own VFS takes less than 128 KiB in one
 * write: it masks the size with 0x1ffff. */
#define STORE_VFS_GATHER_MAX (120 * 1024)

/* Bytes of the database that are written before the disk is made to begin with them. */
#define STORE_VFS_START_BYTES (1024 * 1024)

/* Name of the VFS, for sqlite3_open_v2. */
extern const char store_vfs_name[];

/* Registers it; more than once does no harm. 0 or a negative errno. */
int store_vfs_register(void);

/* Why the last write of this thread that ended with SQLITE_FULL was refused: -ENOSPC,
 * or -EROFS of a file system that takes no writes at present. */
int store_vfs_refusal(void);

#endif
