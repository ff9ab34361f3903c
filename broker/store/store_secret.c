/*
 * Sealed values and what is remembered of the keystore. The bytes were sealed by the
 * vault; nothing here can read them.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "broker/store/store_db.h"
#include "broker/store/store_secret.h"

#define META_BACKEND "keystore.backend"
#define META_CHECK "keystore.check"
#define META_CHECK_NEXT "keystore.check.next"
#define META_MOVE "keystore.move"
#define META_DATABASE "keystore.database"

int
store_secret_put(
    struct db *db, const char *name, uint64_t generation, const struct buf *sealed)
{
	sqlite3_stmt *statement = db_statement(db,
	    "INSERT INTO secrets (name, generation, sealed) VALUES (?1, ?2, ?3) "
	    "ON CONFLICT (name) DO UPDATE SET generation = ?2, sealed = ?3");

	if (!statement)
		return db_result(db);
	db_bind_text(statement, 1, name);
	db_bind_number(statement, 2, (int64_t)generation);
	db_bind_bytes(statement, 3, buf_bytes(sealed), buf_length(sealed));
	return db_run(db, statement);
}

int
store_secret_get(struct db *db, const char *name, bool *ret_found,
    uint64_t *ret_generation, struct buf *sealed)
{
	sqlite3_stmt *statement =
	    db_statement(db, "SELECT generation, sealed FROM secrets WHERE name = ?1");
	int result;

	if (!statement)
		return db_result(db);
	db_bind_text(statement, 1, name);
	result = db_step(db, statement);
	if (result >= 0)
		*ret_found = result == 1;
	if (result == 1) {
		*ret_generation = (uint64_t)db_column_number(statement, 0);
		db_column_bytes(statement, 1, sealed);
	}
	db_finish(statement);
	return result < 0 ? result : 0;
}

int
store_secret_delete(struct db *db, const char *name)
{
	sqlite3_stmt *statement =
	    db_statement(db, "DELETE FROM secrets WHERE name = ?1");

	if (!statement)
		return db_result(db);
	db_bind_text(statement, 1, name);
	return db_run(db, statement);
}

int
store_meta_get(struct db *db, const char *name, bool *ret_found, struct buf *value)
{
	sqlite3_stmt *statement =
	    db_statement(db, "SELECT value FROM meta WHERE name = ?1");
	int result;

	if (!statement)
		return db_result(db);
	db_bind_text(statement, 1, name);
	result = db_step(db, statement);
	if (result >= 0)
		*ret_found = result == 1;
	if (result == 1)
		db_column_bytes(statement, 0, value);
	db_finish(statement);
	return result < 0 ? result : 0;
}

int
store_meta_put(struct db *db, const char *name, const void *value, size_t length)
{
	sqlite3_stmt *statement = db_statement(db,
	    "INSERT INTO meta (name, value) VALUES (?1, ?2) "
	    "ON CONFLICT (name) DO UPDATE SET value = ?2");

	if (!statement)
		return db_result(db);
	db_bind_text(statement, 1, name);
	db_bind_bytes(statement, 2, value, length);
	return db_run(db, statement);
}

/* Verifiers of logins that have expired are of no use to anybody. */
static int
count_sealed(struct db *db, struct store_keystore *keystore)
{
	sqlite3_stmt *statement = db_statement(db,
	    "SELECT count(*), coalesce(sum(substr(sealed, 1, 1) = x'01'), 0) FROM "
	    "(SELECT sealed FROM secrets UNION ALL SELECT verifier_sealed FROM logins "
	    "WHERE verifier_sealed IS NOT NULL AND expires_at > ?1)");
	int result;

	if (!statement)
		return db_result(db);
	db_bind_number(statement, 1, keystore->now);
	result = db_step(db, statement);
	if (result == 1) {
		keystore->sealed_count = (uint64_t)db_column_number(statement, 0);
		keystore->file_count = (uint64_t)db_column_number(statement, 1);
	}
	db_finish(statement);
	return result < 0 ? result : 0;
}

/* Which text is under which name. */
static const struct {
	const char *name;
	size_t offset;
} remembered[] = {
	{ META_BACKEND, offsetof(struct store_keystore, backend) },
	{ META_CHECK, offsetof(struct store_keystore, check) },
	{ META_CHECK_NEXT, offsetof(struct store_keystore, check_next) },
	{ META_MOVE, offsetof(struct store_keystore, move) },
	{ META_DATABASE, offsetof(struct store_keystore, database) },
};

#define REMEMBERED_COUNT (sizeof(remembered) / sizeof(remembered[0]))

static struct buf *
remembered_at(struct store_keystore *keystore, size_t index)
{
	return (struct buf *)(void *)((char *)keystore + remembered[index].offset);
}

int
store_keystore_load(struct store_job *job, struct db *db)
{
	struct store_keystore *keystore = (struct store_keystore *)job;
	int result = 0;
	bool found;
	size_t i;

	for (i = 0; i < REMEMBERED_COUNT && result == 0; i++)
		result = store_meta_get(
		    db, remembered[i].name, &found, remembered_at(keystore, i));
	if (result == 0)
		result = count_sealed(db, keystore);
	return result;
}

static int
meta_delete(struct db *db, const char *name)
{
	sqlite3_stmt *statement = db_statement(db, "DELETE FROM meta WHERE name = ?1");

	if (!statement)
		return db_result(db);
	db_bind_text(statement, 1, name);
	return db_run(db, statement);
}

int
store_keystore_save(struct store_job *job, struct db *db)
{
	struct store_keystore *keystore = (struct store_keystore *)job;
	int result = 0;
	size_t i;

	for (i = 0; i < REMEMBERED_COUNT && result == 0; i++) {
		const struct buf *text = remembered_at(keystore, i);

		if (buf_length(text) == 0)
			result = meta_delete(db, remembered[i].name);
		else
			result = store_meta_put(
			    db, remembered[i].name, buf_bytes(text), buf_length(text));
	}
	return result;
}

void
store_keystore_clear(struct store_keystore *keystore)
{
	size_t i;

	for (i = 0; i < REMEMBERED_COUNT; i++)
		buf_clear(remembered_at(keystore, i));
}

/* ---- Every sealed value, wherever it stands ---- */

/* Verifiers have generation 1 (LOGIN_VERIFIER_GENERATION). */
#define EVERY_SEALED \
	"(SELECT name, generation, sealed FROM secrets UNION ALL SELECT 'login/' || " \
	"lower(hex(state_hash)), 1, verifier_sealed FROM logins WHERE " \
	"verifier_sealed " \
	"IS NOT NULL)"

void
store_sealed_clear(struct store_sealed *row)
{
	free(row->name);
	buf_clear(&row->sealed);
	*row = (struct store_sealed){ .name = NULL };
}

int
store_sealed_next(struct db *db, struct store_sealed *row, bool *ret_found)
{
	sqlite3_stmt *statement = db_statement(db,
	    "SELECT name, generation, sealed FROM " EVERY_SEALED
	    " WHERE name > ?1 OR (name = ?1 AND NOT ?2) ORDER BY name LIMIT 1");
	int result;

	if (!statement)
		return db_result(db);
	db_bind_text(statement, 1, row->name);
	db_bind_number(statement, 2, row->passed);
	result = db_step(db, statement);
	if (result >= 0)
		*ret_found = result == 1;
	if (result == 1) {
		char *name = db_column_text(statement, 0);

		store_sealed_clear(row);
		row->name = name;
		row->generation = (uint64_t)db_column_number(statement, 1);
		db_column_bytes(statement, 2, &row->sealed);
	}
	db_finish(statement);
	return result < 0 ? result : 0;
}

static int
swap(struct db *db, sqlite3_stmt *statement, const struct store_sealed *row,
    const struct buf *fresh, bool *changed)
{
	int result;

	if (!statement)
		return db_result(db);
	db_bind_bytes(statement, 1, buf_bytes(fresh), buf_length(fresh));
	db_bind_text(statement, 2, row->name);
	db_bind_number(statement, 3, (int64_t)row->generation);
	db_bind_bytes(statement, 4, buf_bytes(&row->sealed), buf_length(&row->sealed));
	result = db_run(db, statement);
	*changed = *changed || (result == 0 && db_changes(db) > 0);
	return result;
}

int
store_sealed_swap(struct db *db, const struct store_sealed *row,
    const struct buf *fresh, bool *ret_changed)
{
	int result;

	*ret_changed = false;
	result = swap(db,
	    db_statement(db,
		"UPDATE secrets SET sealed = ?1 WHERE name = ?2 AND generation = ?3 "
		"AND sealed = ?4"),
	    row, fresh, ret_changed);
	if (result == 0)
		result = swap(db,
		    db_statement(db,
			"UPDATE logins SET verifier_sealed = ?1 WHERE 'login/' || "
			"lower(hex(state_hash)) = ?2 AND ?3 = 1 AND verifier_sealed = "
			"?4"),
		    row, fresh, ret_changed);
	return result;
}

int
store_sealed_refers(
    struct db *db, const char *name, uint64_t generation, bool *ret_refers)
{
	sqlite3_stmt *statement = db_statement(db,
	    "SELECT 1 FROM " EVERY_SEALED
	    " WHERE name = ?1 AND generation = ?2 AND substr(sealed, 1, 1) = x'02' "
	    "UNION ALL SELECT 1 FROM refreshes WHERE ?1 = 'token/' || platform || '/' "
	    "|| username_key AND ?2 > generation "
	    "UNION ALL SELECT 1 FROM login_notes WHERE ?1 = 'token/' || platform || "
	    "'/' || username_key AND ?2 >= generation");
	int result;

	if (!statement)
		return db_result(db);
	db_bind_text(statement, 1, name);
	db_bind_number(statement, 2, (int64_t)generation);
	result = db_step(db, statement);
	if (result >= 0)
		*ret_refers = result == 1;
	db_finish(statement);
	return result < 0 ? result : 0;
}
