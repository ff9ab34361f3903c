/*
 * RSA verification by encoding and comparing: the message that the signature should
 * stand for is put together, and the one that it does stand for must be the same in
 * every byte. Nothing of the signature is parsed, so there is no form that could be
 * taken for another.
 *
 * All of this is public, so its time may depend on it. Called by kick_verify.c only.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>

#include "broker/events/rsa_verify.h"
#include "common/alloc.h"

struct rsa_verifier {
	size_t size; /* bytes of the modulus */
	BIGNUM *modulus;
	BIGNUM *exponent;
	BN_MONT_CTX *montgomery;
	BN_CTX *scratch;
	BIGNUM *signature;
	BIGNUM *power;
	BIGNUM *factor;  /* what raising multiplies every power by */
	BIGNUM *encoded; /* the encoded message with a digest of zeros, times that */
	BIGNUM *digest;
	BIGNUM *expected;
};

/* DigestInfo of SHA-256 without the digest (RFC 8017, 9.2, note 1). */
static const uint8_t digest_info[] = { 0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86,
	0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20 };

/* What follows the padding and its zero. */
#define TAIL (sizeof(digest_info) + CRYPTO_SHA256_SIZE)
/* 00 01, at least eight bytes of padding, 00. */
#define SIZE_MIN (TAIL + 11)

/* EMSA-PKCS1-v1_5 (RFC 8017, 9.2): 00 01 ff.. 00 DigestInfo. The digest is the last
 * part, so that it can be added as a number. */
static bool
encode(struct rsa_verifier *verifier)
{
	uint8_t *message = xmalloc(verifier->size);
	uint8_t *tail = message + verifier->size - TAIL;
	bool good;

	memset(message, 0xff, verifier->size);
	message[0] = 0;
	message[1] = 1;
	tail[-1] = 0;
	memcpy(tail, digest_info, sizeof(digest_info));
	memset(tail + sizeof(digest_info), 0, CRYPTO_SHA256_SIZE);
	good = BN_bin2bn(message, (int)verifier->size, verifier->encoded) != NULL;
	free(message);
	return good;
}

static bool
read_key(struct rsa_verifier *verifier, const EVP_PKEY *key)
{
	return EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &verifier->modulus) ==
	    1 &&
	    EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &verifier->exponent) ==
	    1 &&
	    BN_is_odd(verifier->modulus) && BN_is_odd(verifier->exponent) &&
	    BN_num_bits(verifier->exponent) > 1;
}

/* Montgomery's multiplication: power = power * by / R modulo the modulus. */
static bool
multiply(struct rsa_verifier *verifier, const BIGNUM *by)
{
	return BN_mod_mul_montgomery(verifier->power, verifier->power, by,
		   verifier->montgomery, verifier->scratch) == 1;
}

/* RSAVP1 (RFC 8017, 5.2.2) but for a factor: power = signature ^ exponent * factor
 * modulo the modulus, from the exponent's highest bit down. Each multiplication divides
 * by R, and how often that happens depends on the exponent alone. So the factor is the
 * same for every signature, and is what the signature 1 is raised to. */
static bool
raise(struct rsa_verifier *verifier)
{
	int bit = BN_num_bits(verifier->exponent) - 1;

	if (!BN_copy(verifier->power, verifier->signature))
		return false;
	while (bit-- > 0)
		if (!multiply(verifier, verifier->power) ||
		    (BN_is_bit_set(verifier->exponent, bit) &&
			!multiply(verifier, verifier->signature)))
			return false;
	return true;
}

static bool
find_factor(struct rsa_verifier *verifier)
{
	return BN_one(verifier->signature) == 1 && raise(verifier) &&
	    BN_copy(verifier->factor, verifier->power) &&
	    BN_mod_mul(verifier->encoded, verifier->encoded, verifier->factor,
		verifier->modulus, verifier->scratch) == 1;
}

static bool
prepare(struct rsa_verifier *verifier)
{
	verifier->montgomery = BN_MONT_CTX_new();
	verifier->scratch = BN_CTX_new();
	verifier->signature = BN_new();
	verifier->power = BN_new();
	verifier->factor = BN_new();
	verifier->encoded = BN_new();
	verifier->digest = BN_new();
	verifier->expected = BN_new();
	verifier->size = (size_t)BN_num_bytes(verifier->modulus);
	return verifier->montgomery && verifier->scratch && verifier->signature &&
	    verifier->power && verifier->factor && verifier->encoded &&
	    verifier->digest && verifier->expected && verifier->size >= SIZE_MIN &&
	    BN_MONT_CTX_set(
		verifier->montgomery, verifier->modulus, verifier->scratch) == 1 &&
	    encode(verifier) && find_factor(verifier);
}

struct rsa_verifier *
rsa_verifier_new(const EVP_PKEY *key)
{
	struct rsa_verifier *verifier = xcalloc(1, sizeof(*verifier));

	if (!read_key(verifier, key) || !prepare(verifier)) {
		rsa_verifier_free(verifier);
		return NULL;
	}
	return verifier;
}

void
rsa_verifier_free(struct rsa_verifier *verifier)
{
	if (!verifier)
		return;
	BN_free(verifier->modulus);
	BN_free(verifier->exponent);
	BN_MONT_CTX_free(verifier->montgomery);
	BN_CTX_free(verifier->scratch);
	BN_free(verifier->signature);
	BN_free(verifier->power);
	BN_free(verifier->factor);
	BN_free(verifier->encoded);
	BN_free(verifier->digest);
	BN_free(verifier->expected);
	free(verifier);
}

size_t
rsa_verifier_size(const struct rsa_verifier *verifier)
{
	return verifier->size;
}

/* The power of a good signature is the encoded message times the factor. The factor has
 * an inverse, so the power of no other is. */
static bool
is_expected(struct rsa_verifier *verifier, const uint8_t *digest)
{
	return BN_bin2bn(digest, CRYPTO_SHA256_SIZE, verifier->digest) &&
	    BN_mul(verifier->expected, verifier->digest, verifier->factor,
		verifier->scratch) == 1 &&
	    BN_uadd(verifier->expected, verifier->expected, verifier->encoded) == 1 &&
	    BN_nnmod(verifier->expected, verifier->expected, verifier->modulus,
		verifier->scratch) == 1 &&
	    BN_ucmp(verifier->power, verifier->expected) == 0;
}

bool
rsa_verifier_check(struct rsa_verifier *verifier, const uint8_t *signature,
    const uint8_t digest[static CRYPTO_SHA256_SIZE])
{
	/* A representative is less than the modulus, so that there is one for each. */
	return BN_bin2bn(signature, (int)verifier->size, verifier->signature) &&
	    BN_ucmp(verifier->signature, verifier->modulus) < 0 && raise(verifier) &&
	    is_expected(verifier, digest);
}
