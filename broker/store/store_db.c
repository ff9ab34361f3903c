/*
 * Statements and values over SQLite, for the store_*.c files. Owns the cache of
 * prepared statements; runs on the database's thread only.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "broker/store/store_db.h"
#include "broker/store/store_inner.h"
#include "broker/store/store_vfs.h"
#include "common/alloc.h"

int
db_result(struct db *db)
{
	int code = sqlite3_errcode(db->handle);

	switch (code) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return 0;
	/* A write that found no space or a read-only file system. A sync that found no
	 * space is an I/O error like any other, for what it should have written is
	 * gone. */
	case SQLITE_FULL:
		return store_vfs_refusal();
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return -EBADMSG;
	case SQLITE_CONSTRAINT: /* the statement is at fault, not the disk */
	case SQLITE_MISMATCH:
	case SQLITE_TOOBIG:
		return -EINVAL;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_CANTOPEN:
	case SQLITE_PERM:
		return -EACCES;
	default:
		return -EIO;
	}
}

sqlite3_stmt *
db_statement(struct db *db, const char *sql)
{
	struct db_cached *cached;
	size_t i;

	for (i = 0; i < db->cached_count; i++) {
		if (db->cached[i].sql != sql)
			continue;
		/* What is bound may be gone since; it is not looked at before this. */
		(void)sqlite3_reset(db->cached[i].statement);
		(void)sqlite3_clear_bindings(db->cached[i].statement);
		return db->cached[i].statement;
	}
	assert(db->cached_count < DB_STATEMENTS_MAX);
	cached = &db->cached[db->cached_count];
	if (sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT,
		&cached->statement, NULL) != SQLITE_OK)
		return NULL;
	cached->sql = sql;
	db->cached_count++;
	return cached->statement;
}

void
db_bind_text(sqlite3_stmt *statement, int index, const char *text)
{
	if (text)
		(void)sqlite3_bind_text(statement, index, text, -1, SQLITE_STATIC);
	else
		(void)sqlite3_bind_null(statement, index);
}

void
db_bind_bytes(sqlite3_stmt *statement, int index, const void *bytes, size_t length)
{
	/* A NULL pointer would bind NULL; an empty value is a value. */
	(void)sqlite3_bind_blob64(statement, index, bytes ? bytes : "",
	    (sqlite3_uint64)length, SQLITE_STATIC);
}

void
db_bind_number(sqlite3_stmt *statement, int index, int64_t number)
{
	(void)sqlite3_bind_int64(statement, index, number);
}

int
db_step(struct db *db, sqlite3_stmt *statement)
{
	int code = sqlite3_step(statement);
	int result;

	if (code == SQLITE_ROW)
		return 1;
	if (code == SQLITE_DONE)
		return 0;
	result = db_result(db);
	return result < 0 ? result : -EIO;
}

void
db_finish(sqlite3_stmt *statement)
{
	if (!statement) /* it could not be prepared; the step has said so */
		return;
	(void)sqlite3_reset(statement);
}

int
db_run(struct db *db, sqlite3_stmt *statement)
{
	int result = db_step(db, statement);

	db_finish(statement);
	assert(result <= 0);
	return result;
}

int
db_changes(struct db *db)
{
	return sqlite3_changes(db->handle);
}

int64_t
db_last_row(struct db *db)
{
	return sqlite3_last_insert_rowid(db->handle);
}

char *
db_column_text(sqlite3_stmt *statement, int column)
{
	const unsigned char *text = sqlite3_column_text(statement, column);

	return text ? xstrdup((const char *)text) : NULL;
}

int64_t
db_column_number(sqlite3_stmt *statement, int column)
{
	return sqlite3_column_int64(statement, column);
}

void
db_column_bytes(sqlite3_stmt *statement, int column, struct buf *out)
{
	const void *bytes = sqlite3_column_blob(statement, column);

	buf_add(out, bytes, (size_t)sqlite3_column_bytes(statement, column));
}

const char *
store_library_version(void)
{
	return sqlite3_libversion();
}
