/*
 * Signature check of Kick deliveries: pure but for the key's own contexts, which stay
 * between calls because making them costs as much as the check
 * (docs/decisions/0009-verify-in-the-broker.md).
 *
 * Called by ingest for every delivery; input is hostile.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "broker/events/kick_verify.h"
#include "broker/events/rsa_verify.h"
#include "common/alloc.h"
#include "common/crypto.h"
#include "common/text.h"

const char kick_public_key[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAq/+l1WnlRrGSolDMA+A8\n"
    "6rAhMbQGmQ2SapVcGM3zq8ANXjnhDWocMqfWcTd95btDydITa10kDvHzw9WQOqp2\n"
    "MZI7ZyrfzJuz5nhTPCiJwTwnEtWft7nV14BYRDHvlfqPUaZ+1KR4OCaO/wWIk/rQ\n"
    "L/TjY0M70gse8rlBkbo2a8rKhu69RQTRsoaf4DVhDPEeSeI5jVrRDGAMGL3cGuyY\n"
    "6CLKGdjVEM78g3JfYOvDU/RvfqD7L89TZ3iN94jrmWdGz34JNlEI5hqK8dd7C5EF\n"
    "BEbZ5jgB8s8ReQV8H+MkuffjdAj3ajDDX3DOJMIut1lBrUVD1AaSrGCKHooWoL2e\n"
    "twIDAQAB\n"
    "-----END PUBLIC KEY-----\n";

struct kick_key {
	struct rsa_verifier *verifier;
	EVP_MD *sha256;
	EVP_MD_CTX *digest;
	char id[2 * CRYPTO_SHA256_SIZE + 1];
};

/* Without this OpenSSL asks the terminal for the passphrase of a key that says it is
 * encrypted. */
static int
no_passphrase(char *text, int size, int writing, void *arg)
{
	(void)text;
	(void)size;
	(void)writing;
	(void)arg;
	return -1;
}

static EVP_PKEY *
read_pem(const char *pem, size_t length)
{
	BIO *bio = BIO_new_mem_buf(pem, (int)length);
	EVP_PKEY *key;

	if (!bio)
		return NULL;
	key = PEM_read_bio_PUBKEY(bio, NULL, no_passphrase, NULL);
	BIO_free(bio);
	return key;
}

/* With an exponent of 1 everybody can sign. Everybody uses 65537. */
static bool
has_good_exponent(EVP_PKEY *key)
{
	BIGNUM *exponent = NULL;
	bool good;

	if (EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &exponent) != 1)
		return false;
	good = BN_is_odd(exponent) && BN_num_bits(exponent) > 16 &&
	    BN_num_bits(exponent) <= 64;
	BN_free(exponent);
	return good;
}

static bool
is_acceptable(EVP_PKEY *key)
{
	int bits = EVP_PKEY_get_bits(key);

	return EVP_PKEY_is_a(key, "RSA") && bits >= KICK_KEY_BITS_MIN &&
	    bits <= KICK_KEY_BITS_MAX && has_good_exponent(key);
}

static bool
set_id(struct kick_key *key, const EVP_PKEY *from)
{
	unsigned char *der = NULL;
	uint8_t digest[CRYPTO_SHA256_SIZE];
	int length = i2d_PUBKEY(from, &der);

	if (length <= 0)
		return false;
	crypto_sha256(der, (size_t)length, digest);
	hex_encode(digest, sizeof(digest), key->id);
	OPENSSL_free(der);
	return true;
}

static bool
prepare(struct kick_key *key, const EVP_PKEY *from)
{
	key->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	key->digest = EVP_MD_CTX_new();
	key->verifier = rsa_verifier_new(from);
	return key->sha256 && key->digest && key->verifier && set_id(key, from);
}

int
kick_key_read(const char *pem, size_t length, struct kick_key **ret_key)
{
	struct kick_key *key;
	EVP_PKEY *read;
	bool good;

	if (length > 64 * 1024)
		return -EINVAL;
	read = read_pem(pem, length);
	if (!read)
		return -EINVAL;
	key = xcalloc(1, sizeof(*key));
	good = is_acceptable(read) && prepare(key, read);
	EVP_PKEY_free(read);
	if (!good) {
		kick_key_free(key);
		return -EINVAL;
	}
	*ret_key = key;
	return 0;
}

void
kick_key_free(struct kick_key *key)
{
	if (!key)
		return;
	rsa_verifier_free(key->verifier);
	EVP_MD_CTX_free(key->digest);
	EVP_MD_free(key->sha256);
	free(key);
}

const char *
kick_key_id(const struct kick_key *key)
{
	return key->id;
}

static bool
digest_delivery(struct kick_key *key, const char *id, const char *timestamp,
    const uint8_t *body, size_t body_length, uint8_t digest[static CRYPTO_SHA256_SIZE])
{
	return EVP_DigestInit_ex2(key->digest, key->sha256, NULL) == 1 &&
	    EVP_DigestUpdate(key->digest, id, strlen(id)) == 1 &&
	    EVP_DigestUpdate(key->digest, ".", 1) == 1 &&
	    EVP_DigestUpdate(key->digest, timestamp, strlen(timestamp)) == 1 &&
	    EVP_DigestUpdate(key->digest, ".", 1) == 1 &&
	    (body_length == 0 ||
		EVP_DigestUpdate(key->digest, body, body_length) == 1) &&
	    EVP_DigestFinal_ex(key->digest, digest, NULL) == 1;
}

enum kick_verdict
kick_verify(struct kick_key *key, const char *id, const char *timestamp,
    const uint8_t *body, size_t body_length, const uint8_t *signature,
    size_t signature_length)
{
	uint8_t digest[CRYPTO_SHA256_SIZE];

	if (signature_length != rsa_verifier_size(key->verifier))
		return KICK_MALFORMED;
	if (!digest_delivery(key, id, timestamp, body, body_length, digest))
		return KICK_WRONG;
	return rsa_verifier_check(key->verifier, signature, digest) ? KICK_GOOD
								    : KICK_WRONG;
}
