/*
 * The connection as the files of this folder see it: statements prepared once, values
 * bound and read by small helpers. Only on the database's thread.
 */
#ifndef BROKER_STORE_STORE_DB_H
#define BROKER_STORE_STORE_DB_H

#include <stdint.h>

#include <sqlite3.h>

#include "broker/store/store.h"
#include "common/buf.h"

/* Prepares `sql` the first time and keeps it; `sql` must be a static text and is the
 * key (by address). The statement comes back reset and without bindings. NULL only
 * when preparing fails, which db_result then reports. */
sqlite3_stmt *db_statement(struct db *db, const char *sql);

/* Bind by 1-based index. Texts and bytes must live until the statement is stepped and
 * reset; NULL text binds NULL. */
void db_bind_text(sqlite3_stmt *statement, int index, const char *text);
void
db_bind_bytes(sqlite3_stmt *statement, int index, const void *bytes, size_t length);
void db_bind_number(sqlite3_stmt *statement, int index, int64_t number);

/* Steps once. 1: a row is there; 0: done; negative errno: failed. db_finish resets. */
int db_step(struct db *db, sqlite3_stmt *statement);
void db_finish(sqlite3_stmt *statement);

/* Steps a statement without rows and resets it. 0 or a negative errno. */
int db_run(struct db *db, sqlite3_stmt *statement);

/* Rows that the last db_run changed. */
int db_changes(struct db *db);
int64_t db_last_row(struct db *db);

/* Reads a column by 0-based index. The text is copied (the caller frees); SQL NULL
 * gives NULL. db_column_bytes appends to *out. */
char *db_column_text(sqlite3_stmt *statement, int column);
int64_t db_column_number(sqlite3_stmt *statement, int column);
void db_column_bytes(sqlite3_stmt *statement, int column, struct buf *out);

/* The negative errno for the last failure of this connection. */
int db_result(struct db *db);

#endif
