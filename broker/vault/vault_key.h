/*
 * The key of the file keystore: read or made, held in locked memory.
 */
#ifndef BROKER_VAULT_VAULT_KEY_H
#define BROKER_VAULT_VAULT_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vault_key; /* CRYPTO_KEY_SIZE bytes */

/* A key file: so many bytes of key and nothing else. */
#define VAULT_KEY_FILE_SIZE 32

/*
 * Reads a key file. 0 and *ret_key; -ENOENT when it does not exist; -EPERM when others
 * may read it or it is not ours (unless `lax`, for files that systemd hands over);
 * -EBADMSG when it is no regular file of VAULT_KEY_FILE_SIZE bytes; else the errno of
 * opening or reading.
 */
int vault_key_read(const char *path, bool lax, struct vault_key **ret_key);

/*
 * Makes a random key and a file of mode 0600 with it, durable before this returns. A
 * file that exists is never replaced (-EEXIST), and none is left half-written.
 */
int vault_key_create(const char *path, struct vault_key **ret_key);

/* Puts one key file in the place of another, durable before this returns. 0 or a
 * negative errno. */
int vault_key_rename(const char *from, const char *to);

/* A random key without a file. */
struct vault_key *vault_key_random(void);

/* Wipes and frees. NULL is allowed. */
void vault_key_free(struct vault_key *key);

/* The bytes, good until vault_key_free. */
const uint8_t *vault_key_bytes(const struct vault_key *key);

#endif
