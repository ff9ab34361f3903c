/*
 * Sealed values and what is remembered of the keystore. The bytes were sealed by the
 * vault; nothing here can read them.
 */
#include <string.h>

#include "broker/store/store_db.h"
#include "broker/store/store_secret.h"

#define META_BACKEND "keystore.backend"
#define META_CHECK "keystore.check"

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
count_sealed(struct db *db, int64_t now, uint64_t *ret_count)
{
	sqlite3_stmt *statement = db_statement(db,
	    "SELECT (SELECT count(*) FROM secrets) + (SELECT count(*) FROM logins "
	    "WHERE verifier_sealed IS NOT NULL AND expires_at > ?1)");
	int result;

	if (!statement)
		return db_result(db);
	db_bind_number(statement, 1, now);
	result = db_step(db, statement);
	if (result == 1)
		*ret_count = (uint64_t)db_column_number(statement, 0);
	db_finish(statement);
	return result < 0 ? result : 0;
}

int
store_keystore_load(struct store_job *job, struct db *db)
{
	struct store_keystore *keystore = (struct store_keystore *)job;
	bool found;
	int result;

	result = store_meta_get(db, META_BACKEND, &found, &keystore->backend);
	if (result == 0)
		result = store_meta_get(db, META_CHECK, &found, &keystore->check);
	if (result == 0)
		result = count_sealed(db, keystore->now, &keystore->sealed_count);
	return result;
}

int
store_keystore_save(struct store_job *job, struct db *db)
{
	struct store_keystore *keystore = (struct store_keystore *)job;
	int result;

	result = store_meta_put(db, META_BACKEND, buf_bytes(&keystore->backend),
	    buf_length(&keystore->backend));
	if (result == 0)
		result = store_meta_put(db, META_CHECK, buf_bytes(&keystore->check),
		    buf_length(&keystore->check));
	return result;
}

void
store_keystore_clear(struct store_keystore *keystore)
{
	buf_clear(&keystore->backend);
	buf_clear(&keystore->check);
}
