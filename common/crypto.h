/*
 * The few cryptographic operations that Streamhold needs, over OpenSSL's EVP. Linked
 * by the broker and the tests, not by httpd.
 */
#ifndef COMMON_CRYPTO_H
#define COMMON_CRYPTO_H

#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/secret.h"

#define CRYPTO_SHA256_SIZE 32
#define CRYPTO_KEY_SIZE 32
#define CRYPTO_NONCE_SIZE 12
#define CRYPTO_TAG_SIZE 16

/* What sealing adds to a plaintext: nonce and tag. */
#define CRYPTO_SEAL_EXTRA (CRYPTO_NONCE_SIZE + CRYPTO_TAG_SIZE)

/* Version of OpenSSL; static. */
const char *crypto_library_version(void);

/* Makes OpenSSL wipe what it frees. Call before its first use: 0, or -EALREADY when it
 * has taken memory before. */
int crypto_wipe_memory(void);

/* Fills with random bytes; ends the process when the system has none to give. */
void crypto_random(void *bytes, size_t length);

void crypto_sha256(
    const void *bytes, size_t length, uint8_t digest[static CRYPTO_SHA256_SIZE]);

/* The same with memory that is kept between calls, for one thread. The caller frees. */
struct crypto_hasher *crypto_hasher_new(void);
void crypto_hasher_sha256(struct crypto_hasher *hasher, const void *bytes,
    size_t length, uint8_t digest[static CRYPTO_SHA256_SIZE]);
/* NULL is allowed. */
void crypto_hasher_free(struct crypto_hasher *hasher);

/* HMAC-SHA256 (RFC 2104) of `bytes` under a key of any length. */
void crypto_hmac_sha256(const void *key, size_t key_length, const void *bytes,
    size_t length, uint8_t digest[static CRYPTO_SHA256_SIZE]);

/* AES-256-GCM: nonce, ciphertext and tag are appended to *sealed. `context` is bound as
 * additional data, so that a sealed value opens only under the name it was made for. */
void crypto_seal(const uint8_t key[static CRYPTO_KEY_SIZE], const void *context,
    size_t context_length, const struct secret *plain, struct buf *sealed);

/* Opens what crypto_seal made. 0, or -EBADMSG when key, context or bytes are not those
 * of the sealing. *ret_plain is the caller's to clear. */
int crypto_open(const uint8_t key[static CRYPTO_KEY_SIZE], const void *context,
    size_t context_length, const void *sealed, size_t sealed_length,
    struct secret *ret_plain);

#endif
