/*
 * Checks of the database file. The whole one is for a person, by the broker's option
 * --check-database; the small one is part of opening after a stop that was not in
 * order (store_open.c).
 *
 * SQLite finds what breaks its structure; a bit that changed inside a body is found by
 * the checksum that is stored beside it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/store/store_check.h"
#include "broker/store/store_db.h"
#include "broker/store/store_inner.h"
#include "common/alloc.h"
#include "common/crypto.h"

#define FINDING_SIZE 300

struct check {
	struct db db;
	store_check_fn *found;
	void *arg;
	int findings;
	uint64_t events;
};

/* Tables that grow with the events. */
static const char select_small[] =
    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT IN "
    "('events', 'message_ids', 'contents', 'dead_letters')";

static const char select_bodies[] = "SELECT seq, sha256, body FROM events";

static void
find(struct check *check, const char *finding)
{
	if (check->findings < STORE_CHECK_MAX)
		check->found(check->arg, finding);
	check->findings++;
}

/* One row of an integrity check: "ok" or what is wrong. */
static bool
is_ok(sqlite3_stmt *statement)
{
	const char *text = (const char *)sqlite3_column_text(statement, 0);

	return text && strcmp(text, "ok") == 0;
}

/* The whole file. */

static int
check_structure(struct check *check)
{
	char *sql = xasprintf("PRAGMA integrity_check(%d)", STORE_CHECK_MAX);
	sqlite3_stmt *statement = NULL;
	int code = sqlite3_prepare_v2(check->db.handle, sql, -1, &statement, NULL);

	free(sql);
	while (code == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
		code = SQLITE_OK;
		if (!is_ok(statement))
			find(check, (const char *)sqlite3_column_text(statement, 0));
	}
	(void)sqlite3_finalize(statement);
	return code == SQLITE_DONE ? 0 : db_result(&check->db);
}

static void
check_body(struct check *check, sqlite3_stmt *row)
{
	const void *stored = sqlite3_column_blob(row, 1);
	uint8_t digest[CRYPTO_SHA256_SIZE];
	char finding[FINDING_SIZE];

	check->events++;
	crypto_sha256(
	    sqlite3_column_blob(row, 2), (size_t)sqlite3_column_bytes(row, 2), digest);
	if (stored && sqlite3_column_bytes(row, 1) == CRYPTO_SHA256_SIZE &&
	    memcmp(stored, digest, sizeof(digest)) == 0)
		return;
	(void)snprintf(finding, sizeof(finding),
	    "event %" PRId64 " does not match its checksum",
	    (int64_t)sqlite3_column_int64(row, 0));
	find(check, finding);
}

static int
check_bodies(struct check *check)
{
	sqlite3_stmt *statement = db_statement(&check->db, select_bodies);
	int result = statement ? 1 : db_result(&check->db);

	while (result > 0 && (result = db_step(&check->db, statement)) > 0)
		check_body(check, statement);
	db_finish(statement);
	return result;
}

/* Damage is what a check is for, so a step that meets it has found something. */
static int
take(struct check *check, int result, const char *doing)
{
	char finding[FINDING_SIZE];

	if (result >= 0)
		return 0;
	(void)snprintf(finding, sizeof(finding), "%s ended: %s", doing,
	    sqlite3_errmsg(check->db.handle));
	find(check, finding);
	return result == -EBADMSG ? 0 : result;
}

int
store_check(const char *path, store_check_fn *found, void *arg, uint64_t *ret_events,
    char *error)
{
	struct check check = { .found = found, .arg = arg };
	int result = 0;

	if (access(path, F_OK) < 0) {
		result = -errno;
		(void)snprintf(error, STORE_ERROR_SIZE, "database '%s': %s", path,
		    strerror(errno));
		return result;
	}
	result = db_open_for_check(&check.db, path, error);
	if (result == -EBADMSG) {
		find(&check, error);
		return check.findings;
	}
	if (result < 0)
		return result;
	result = take(&check, check_structure(&check), "reading its structure");
	if (result == 0)
		result = take(&check, check_bodies(&check), "reading the events");
	db_close(&check.db);
	*ret_events = check.events;
	return check.findings;
}

/* The small tables. */

static int
check_table(struct db *db, const char *name, char *finding, size_t size)
{
	char *sql = xasprintf("PRAGMA quick_check(\"%s\")", name);
	sqlite3_stmt *statement = NULL;
	int code = sqlite3_prepare_v2(db->handle, sql, -1, &statement, NULL);
	int result = 0;

	free(sql);
	if (code == SQLITE_OK)
		code = sqlite3_step(statement);
	if (code == SQLITE_ROW && is_ok(statement)) {
		(void)sqlite3_finalize(statement);
		return 0;
	}
	result = code == SQLITE_ROW ? -EBADMSG : db_result(db);
	(void)snprintf(finding, size, "table '%s': %s", name,
	    code == SQLITE_ROW ? (const char *)sqlite3_column_text(statement, 0)
			       : sqlite3_errmsg(db->handle));
	(void)sqlite3_finalize(statement);
	return result < 0 ? result : -EIO;
}

int
store_check_small(struct db *db, char *finding, size_t size)
{
	sqlite3_stmt *statement = db_statement(db, select_small);
	int result = statement ? 1 : db_result(db);

	if (!statement)
		(void)snprintf(finding, size, "%s", sqlite3_errmsg(db->handle));
	while (result > 0 && (result = db_step(db, statement)) > 0) {
		const char *name = (const char *)sqlite3_column_text(statement, 0);
		int bad = check_table(db, name, finding, size);

		if (bad < 0)
			result = bad;
	}
	db_finish(statement);
	return result;
}
