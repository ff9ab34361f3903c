/*
 * Sealing under a key file, and the care that a key is never replaced while something
 * is sealed with it. Called by vault.c.
 *
 * Sealed bytes: one byte VAULT_FILE_FORMAT, then what crypto_seal made. Its additional
 * data is the name, a NUL and the generation in 8 bytes, most significant first.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/vault/vault.h"
#include "broker/vault/vault_file.h"
#include "broker/vault/vault_key.h"
#include "common/alloc.h"
#include "common/crypto.h"
#include "common/paths.h"

#define VAULT_FILE_FORMAT 1
#define CHECK_NAME "keystore.check"
#define CHECK_TEXT "streamhold"

struct vault_file {
	struct vault_key *key;
};

static int read_key(const struct vault_file_options *, struct vault_key **, char *);
static int create_key(const struct vault_file_options *, struct vault_key **, char *);
static bool check_opens(const struct vault_file *, const struct buf *);
static size_t make_context(const char *, uint64_t, uint8_t *);

int
vault_file_open(const struct vault_file_options *options, struct vault_file **ret_file,
    bool *ret_fresh, char *error)
{
	struct vault_file *file = xcalloc(1, sizeof(*file));
	int result = read_key(options, &file->key, error);

	if (result == -ENOENT)
		result = create_key(options, &file->key, error);
	if (result < 0)
		goto failed;
	*ret_fresh = !check_opens(file, options->check);
	if (*ret_fresh && options->sealed_count > 0) {
		snprintf(error, VAULT_ERROR_SIZE,
		    "the key in '%s' is not the one that the secrets in '%s' were "
		    "sealed with; put the right key file back, or move the database "
		    "away to start anew",
		    options->paths->key_file, options->paths->database);
		result = -EKEYREJECTED;
		goto failed;
	}
	*ret_file = file;
	return 0;
failed:
	vault_file_close(file);
	return result;
}

static int
read_key(
    const struct vault_file_options *options, struct vault_key **ret_key, char *error)
{
	const char *path = options->paths->key_file;
	int result = vault_key_read(path, options->credential, ret_key);

	if (result == -EPERM)
		snprintf(error, VAULT_ERROR_SIZE,
		    "the key file '%s' belongs to another user or others may read it; "
		    "chown it to the user of the broker and chmod it to 600",
		    path);
	else if (result == -EBADMSG)
		snprintf(error, VAULT_ERROR_SIZE,
		    "'%s' is no key file: it must hold exactly %d bytes; put the right "
		    "file back, or make a new key with 'head -c %d /dev/urandom' if "
		    "nothing is stored yet",
		    path, VAULT_KEY_FILE_SIZE, VAULT_KEY_FILE_SIZE);
	else if (result < 0 && result != -ENOENT)
		snprintf(error, VAULT_ERROR_SIZE, "cannot read the key file '%s': %s",
		    path, strerror(-result));
	return result;
}

static int
create_key(
    const struct vault_file_options *options, struct vault_key **ret_key, char *error)
{
	const char *path = options->paths->key_file;
	int result;

	if (options->sealed_count > 0) {
		snprintf(error, VAULT_ERROR_SIZE,
		    "the key file '%s' is missing, but '%s' holds %" PRIu64
		    " secrets sealed with it; put the key file back, or move the "
		    "database away to start anew",
		    path, options->paths->database, options->sealed_count);
		return -ENOKEY;
	}
	if (!options->paths->key_file_is_own) {
		snprintf(error, VAULT_ERROR_SIZE,
		    "the configured key file '%s' does not exist; make it with "
		    "'head -c %d /dev/urandom' (mode 600), or unset keystore.key_file",
		    path, VAULT_KEY_FILE_SIZE);
		return -ENOKEY;
	}
	result = vault_key_create(path, ret_key);
	if (result < 0)
		snprintf(error, VAULT_ERROR_SIZE,
		    "cannot make the key file '%s': %s; see that its folder can be "
		    "written by the user of the broker",
		    path, strerror(-result));
	return result;
}

struct vault_file *
vault_memory_open(void)
{
	struct vault_file *file = xcalloc(1, sizeof(*file));

	file->key = vault_key_random();
	return file;
}

void
vault_file_close(struct vault_file *file)
{
	if (!file)
		return;
	vault_key_free(file->key);
	free(file);
}

bool
vault_file_is_locked(const struct vault_file *file)
{
	return vault_key_is_locked(file->key);
}

void
vault_file_check(const struct vault_file *file, struct buf *check)
{
	struct secret text = secret_copy(CHECK_TEXT, strlen(CHECK_TEXT));

	vault_file_seal(file, CHECK_NAME, 0, &text, check);
	secret_clear(&text);
}

static bool
check_opens(const struct vault_file *file, const struct buf *check)
{
	struct secret text;

	if (vault_file_unseal(
		file, CHECK_NAME, 0, buf_bytes(check), buf_length(check), &text) < 0)
		return false;
	secret_clear(&text);
	return true;
}

void
vault_file_seal(const struct vault_file *file, const char *name, uint64_t generation,
    const struct secret *plain, struct buf *sealed)
{
	uint8_t context[VAULT_NAME_MAX + 1 + sizeof(generation)];
	size_t length = make_context(name, generation, context);
	uint8_t format = VAULT_FILE_FORMAT;

	buf_add(sealed, &format, 1);
	crypto_seal(vault_key_bytes(file->key), context, length, plain, sealed);
}

int
vault_file_unseal(const struct vault_file *file, const char *name, uint64_t generation,
    const void *sealed, size_t length, struct secret *ret_plain)
{
	uint8_t context[VAULT_NAME_MAX + 1 + sizeof(generation)];
	size_t context_length = make_context(name, generation, context);
	const uint8_t *bytes = sealed;

	if (length < 1 || bytes[0] != VAULT_FILE_FORMAT)
		return -EBADMSG;
	return crypto_open(vault_key_bytes(file->key), context, context_length,
	    bytes + 1, length - 1, ret_plain);
}

/* The name is not longer than VAULT_NAME_MAX: vault.c looks. */
static size_t
make_context(const char *name, uint64_t generation, uint8_t *context)
{
	size_t length = strlen(name);
	size_t i;

	memcpy(context, name, length + 1);
	for (i = 0; i < sizeof(generation); i++)
		context[length + 1 + i] =
		    (uint8_t)(generation >> (8 * (sizeof(generation) - 1 - i)));
	return length + 1 + sizeof(generation);
}
