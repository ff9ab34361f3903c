/*
 * RSASSA-PKCS1-v1_5 verification with SHA-256 (RFC 8017, 8.2.2), for the one place
 * where its time counts: the check of deliveries. The arithmetic is OpenSSL's; why it
 * is not called through EVP is in docs/decisions/0009-verify-in-the-broker.md.
 */
#ifndef BROKER_EVENTS_RSA_VERIFY_H
#define BROKER_EVENTS_RSA_VERIFY_H

#include <stdbool.h>
#include <stdint.h>

#include <openssl/evp.h>

#include "common/crypto.h"

struct rsa_verifier;

/* Takes what it needs of an RSA public key with an odd exponent greater than 1; the key
 * may be freed afterwards. NULL when it is no such key. One verifier serves one thread.
 * The caller ends it with rsa_verifier_free. */
struct rsa_verifier *rsa_verifier_new(const EVP_PKEY *key);

/* NULL is allowed. */
void rsa_verifier_free(struct rsa_verifier *verifier);

/* Bytes of a signature: those of the modulus. */
size_t rsa_verifier_size(const struct rsa_verifier *verifier);

/* Whether `signature` (rsa_verifier_size bytes) is that of a message with this digest.
 */
bool rsa_verifier_check(struct rsa_verifier *verifier, const uint8_t *signature,
    const uint8_t digest[static CRYPTO_SHA256_SIZE]);

#endif
