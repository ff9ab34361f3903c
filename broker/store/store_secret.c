/*
 * Sealed values and what is remembered of the keystore. The bytes were sealed by the
 * vault; nothing here can read them.
 */
#include <stddef.h>
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
