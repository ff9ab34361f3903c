/*
 * Random bytes, SHA-256, HMAC and AES-256-GCM. A failure of these primitives is a
 * broken invariant and ends the process; only opening can fail, for it judges its
 * input.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "common/alloc.h"
#include "common/crypto.h"
#include "common/locked_memory.h"

static void
must(int result)
{
	if (result != 1)
		abort();
}

/* OpenSSL tells each function where in its sources it is called. */
static void *
openssl_malloc(size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	return locked_malloc(size);
}

static void *
openssl_realloc(void *memory, size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	return locked_realloc(memory, size);
}

static void
openssl_free(void *memory, const char *file, int line)
{
	(void)file;
	(void)line;
	locked_free(memory);
}

int
crypto_wipe_memory(void)
{
	if (CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free) !=
	    1)
		return -EALREADY;
	return 0;
}

void
crypto_random(void *bytes, size_t length)
{
	must(RAND_bytes(bytes, (int)length));
}

static pthread_once_t sha256_once = PTHREAD_ONCE_INIT;
static EVP_MD *sha256;

/* Once for all threads: fetching it costs as much as a kilobyte's digest. */
static void
fetch_sha256(void)
{
	sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	if (!sha256)
		abort();
}

void
crypto_sha256(
    const void *bytes, size_t length, uint8_t digest[static CRYPTO_SHA256_SIZE])
{
	(void)pthread_once(&sha256_once, fetch_sha256);
	must(EVP_Digest(bytes, length, digest, NULL, sha256, NULL));
}

struct crypto_hasher {
	EVP_MD_CTX *context;
};

struct crypto_hasher *
crypto_hasher_new(void)
{
	struct crypto_hasher *hasher = xcalloc(1, sizeof(*hasher));

	(void)pthread_once(&sha256_once, fetch_sha256);
	hasher->context = EVP_MD_CTX_new();
	must(hasher->context != NULL);
	return hasher;
}

void
crypto_hasher_sha256(struct crypto_hasher *hasher, const void *bytes, size_t length,
    uint8_t digest[static CRYPTO_SHA256_SIZE])
{
	must(EVP_DigestInit_ex2(hasher->context, sha256, NULL));
	must(EVP_DigestUpdate(hasher->context, bytes, length));
	must(EVP_DigestFinal_ex(hasher->context, digest, NULL));
}

void
crypto_hasher_free(struct crypto_hasher *hasher)
{
	if (!hasher)
		return;
	EVP_MD_CTX_free(hasher->context);
	free(hasher);
}

void
crypto_hmac_sha256(const void *key, size_t key_length, const void *bytes, size_t length,
    uint8_t digest[static CRYPTO_SHA256_SIZE])
{
	unsigned size = CRYPTO_SHA256_SIZE;

	must(HMAC(EVP_sha256(), key, (int)key_length, bytes, length, digest, &size) !=
	    NULL);
}

void
crypto_seal(const uint8_t key[static CRYPTO_KEY_SIZE], const void *context,
    size_t context_length, const struct secret *plain, struct buf *sealed)
{
	EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
	uint8_t *out = buf_reserve(sealed, plain->length + CRYPTO_SEAL_EXTRA);
	uint8_t *text = out + CRYPTO_NONCE_SIZE;
	int length = 0;

	if (!cipher)
		abort();
	crypto_random(out, CRYPTO_NONCE_SIZE);
	must(EVP_EncryptInit_ex2(cipher, EVP_aes_256_gcm(), key, out, NULL));
	must(EVP_EncryptUpdate(cipher, NULL, &length, context, (int)context_length));
	must(
	    EVP_EncryptUpdate(cipher, text, &length, plain->bytes, (int)plain->length));
	must(EVP_EncryptFinal_ex(cipher, text + plain->length, &length));
	must(EVP_CIPHER_CTX_ctrl(
	    cipher, EVP_CTRL_GCM_GET_TAG, CRYPTO_TAG_SIZE, text + plain->length));
	EVP_CIPHER_CTX_free(cipher);
	buf_added(sealed, plain->length + CRYPTO_SEAL_EXTRA);
}

int
crypto_open(const uint8_t key[static CRYPTO_KEY_SIZE], const void *context,
    size_t context_length, const void *sealed, size_t sealed_length,
    struct secret *ret_plain)
{
	EVP_CIPHER_CTX *cipher;
	const uint8_t *bytes = sealed;
	uint8_t tag[CRYPTO_TAG_SIZE];
	struct secret plain;
	size_t size;
	int length = 0;
	int good;

	if (sealed_length < CRYPTO_SEAL_EXTRA)
		return -EBADMSG;
	size = sealed_length - CRYPTO_SEAL_EXTRA;
	cipher = EVP_CIPHER_CTX_new();
	if (!cipher)
		abort();
	plain = secret_new(size);
	memcpy(tag, bytes + CRYPTO_NONCE_SIZE + size, sizeof(tag));
	must(EVP_DecryptInit_ex2(cipher, EVP_aes_256_gcm(), key, bytes, NULL));
	must(EVP_DecryptUpdate(cipher, NULL, &length, context, (int)context_length));
	must(EVP_DecryptUpdate(
	    cipher, plain.bytes, &length, bytes + CRYPTO_NONCE_SIZE, (int)size));
	must(EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_SET_TAG, sizeof(tag), tag));
	good = EVP_DecryptFinal_ex(cipher, plain.bytes + size, &length) == 1;
	EVP_CIPHER_CTX_free(cipher);
	if (!good) {
		secret_clear(&plain);
		return -EBADMSG;
	}
	*ret_plain = plain;
	return 0;
}

const char *
crypto_library_version(void)
{
	return OpenSSL_version(OPENSSL_VERSION_STRING);
}
