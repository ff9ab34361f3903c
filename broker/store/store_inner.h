/*
 * The connection's insides, shared by files of this folder.
 */
#ifndef BROKER_STORE_STORE_INNER_H
#define BROKER_STORE_STORE_INNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sqlite3.h>

/* Different statements in the whole broker. */
#define DB_STATEMENTS_MAX 192

struct crypto_hasher;
struct store_known;

struct db_cached {
	const char *sql;
	sqlite3_stmt *statement;
};

struct db {
	sqlite3 *handle;
	int lock_fd; /* holds the lock that keeps other brokers out */
	struct db_cached cached[DB_STATEMENTS_MAX];
	size_t cached_count;
	int broken;        /* after an I/O error nothing is tried again */
	uint64_t last_seq; /* of events; ahead of the database in a transaction */
	int wal_pages;     /* after the last commit */
	struct store_known *known;
	struct crypto_hasher *hasher;
};

/* Opens, configures and migrates; see store_open. On failure nothing stays open. */
int db_open(struct db *db, const char *path, char *error);

/* The same for looking only: the file must be there, and neither it nor its schema is
 * changed. */
int db_open_for_check(struct db *db, const char *path, char *error);

/* Finalises the statements and closes. */
void db_close(struct db *db);

#endif
