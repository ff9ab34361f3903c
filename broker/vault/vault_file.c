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
#include <unistd.h>

#include "broker/vault/vault.h"
#include "broker/vault/vault_file.h"
#include "broker/vault/vault_key.h"
#include "common/alloc.h"
#include "common/crypto.h"
#include "common/paths.h"

#define VAULT_FILE_FORMAT 1
#define CHECK_NAME "keystore.check"
#define CHECK_TEXT "streamhold"

#define NEXT_SUFFIX ".next"

struct vault_file {
	struct vault_key *key;
	struct vault_key *next; /* of a rotation, or NULL */
	bool use_next;
};

static int read_key(const struct vault_file_options *, struct vault_key **, char *);
static int create_key(const struct vault_file_options *, struct vault_key **, char *);
static bool check_opens(const struct vault_file *, const struct buf *);
static bool take_over_next(struct vault_file *, const struct vault_file_options *);
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
	if (*ret_fresh && take_over_next(file, options))
		*ret_fresh = false;
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
	vault_key_free(file->next);
	free(file);
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

/* ---- Rotation ---- */

/* A crash may have come between noting that a rotation is over and putting the new key
 * file in the place of the old one. */
static bool
take_over_next(struct vault_file *file, const struct vault_file_options *options)
{
	struct vault_file other = { .key = NULL };
	char *path = xasprintf("%s" NEXT_SUFFIX, options->paths->key_file);
	bool taken = vault_key_read(path, false, &other.key) == 0 &&
	    check_opens(&other, options->check) &&
	    vault_key_rename(path, options->paths->key_file) == 0;

	free(path);
	if (taken) {
		vault_key_free(file->key);
		file->key = other.key;
	} else {
		vault_key_free(other.key);
	}
	return taken;
}

int
vault_file_make_next(struct vault_file *file, const struct paths *paths, char *error)
{
	char *path = xasprintf("%s" NEXT_SUFFIX, paths->key_file);
	int result;

	/* One that is there was made for a rotation that did not begin. */
	vault_key_free(file->next);
	file->next = NULL;
	result = unlink(path) < 0 && errno != ENOENT ? -errno : 0;
	if (result == 0)
		result = vault_key_create(path, &file->next);
	if (result < 0)
		snprintf(error, VAULT_ERROR_SIZE, "cannot make the key file '%s': %s",
		    path, strerror(-result));
	free(path);
	return result;
}

int
vault_file_open_next(struct vault_file *file, const struct paths *paths,
    const struct buf *check, char *error)
{
	char *path = xasprintf("%s" NEXT_SUFFIX, paths->key_file);
	struct vault_file other = { .key = NULL };
	int result = vault_key_read(path, false, &other.key);

	if (result == 0 && !check_opens(&other, check))
		result = -EKEYREJECTED;
	if (result < 0) {
		vault_key_free(other.key);
		snprintf(error, VAULT_ERROR_SIZE,
		    "secrets were being sealed under the new key in '%s', which is "
		    "missing or another one (%s); put the file back",
		    path, strerror(-result));
	} else {
		file->next = other.key;
		file->use_next = true;
	}
	free(path);
	return result;
}

void
vault_file_check_next(const struct vault_file *file, struct buf *check)
{
	const struct vault_file other = { .key = file->next };

	vault_file_check(&other, check);
}

void
vault_file_use_next(struct vault_file *file)
{
	file->use_next = true;
}

int
vault_file_end_rotation(struct vault_file *file, const struct paths *paths)
{
	char *path = xasprintf("%s" NEXT_SUFFIX, paths->key_file);
	int result = vault_key_rename(path, paths->key_file);

	free(path);
	vault_key_free(file->key);
	file->key = file->next;
	file->next = NULL;
	file->use_next = false;
	return result;
}

static const struct vault_key *
newest(const struct vault_file *file)
{
	return file->use_next ? file->next : file->key;
}

/* ---- Sealing ---- */

void
vault_file_seal(const struct vault_file *file, const char *name, uint64_t generation,
    const struct secret *plain, struct buf *sealed)
{
	uint8_t context[VAULT_NAME_MAX + 1 + sizeof(generation)];
	size_t length = make_context(name, generation, context);
	uint8_t format = VAULT_FILE_FORMAT;

	buf_add(sealed, &format, 1);
	crypto_seal(vault_key_bytes(newest(file)), context, length, plain, sealed);
}

static int
open_with(const struct vault_key *key, const char *name, uint64_t generation,
    const void *sealed, size_t length, struct secret *ret_plain)
{
	uint8_t context[VAULT_NAME_MAX + 1 + sizeof(generation)];
	size_t context_length = make_context(name, generation, context);
	const uint8_t *bytes = sealed;

	if (length < 1 || bytes[0] != VAULT_FILE_FORMAT)
		return -EBADMSG;
	return crypto_open(vault_key_bytes(key), context, context_length, bytes + 1,
	    length - 1, ret_plain);
}

int
vault_file_unseal(const struct vault_file *file, const char *name, uint64_t generation,
    const void *sealed, size_t length, struct secret *ret_plain)
{
	int result =
	    open_with(newest(file), name, generation, sealed, length, ret_plain);

	if (result < 0 && file->use_next)
		result =
		    open_with(file->key, name, generation, sealed, length, ret_plain);
	return result;
}

bool
vault_file_is_newest(const struct vault_file *file, const char *name,
    uint64_t generation, const void *sealed, size_t length)
{
	struct secret plain;

	if (open_with(newest(file), name, generation, sealed, length, &plain) < 0)
		return false;
	secret_clear(&plain);
	return true;
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
