/*
 * The verification says what OpenSSL's own says, for keys of other sizes and exponents
 * too; and of all numbers that stand for a message it takes the one below the modulus.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/params.h>
#include <openssl/rsa.h>

#include "broker/events/rsa_verify.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define SIZE_MAX_BYTES 512
#define ROUNDS 20
#define MUTANTS 200

static uint64_t random_state = 88172645463325252ULL;

static size_t
next_random(size_t below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (size_t)(random_state % below);
}

static void
fill(uint8_t *bytes, size_t length)
{
	while (length > 0)
		bytes[--length] = (uint8_t)next_random(256);
}

static EVP_PKEY *
make_key(unsigned bits, unsigned long exponent)
{
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	BIGNUM *number = BN_new();
	EVP_PKEY *key = NULL;

	BN_set_word(number, exponent);
	assert_int_equal(EVP_PKEY_keygen_init(context), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_keygen_bits(context, (int)bits), 1);
	assert_int_equal(EVP_PKEY_CTX_set1_rsa_keygen_pubexp(context, number), 1);
	assert_int_equal(EVP_PKEY_generate(context, &key), 1);
	BN_free(number);
	EVP_PKEY_CTX_free(context);
	return key;
}

static EVP_PKEY_CTX *
context_of(EVP_PKEY *key, int (*init)(EVP_PKEY_CTX *))
{
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);

	assert_int_equal(init(context), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING), 1);
	assert_int_equal(EVP_PKEY_CTX_set_signature_md(context, EVP_sha256()), 1);
	return context;
}

static void
sign(EVP_PKEY *key, const uint8_t *digest, uint8_t *signature)
{
	EVP_PKEY_CTX *context = context_of(key, EVP_PKEY_sign_init);
	size_t length = SIZE_MAX_BYTES;

	assert_int_equal(
	    EVP_PKEY_sign(context, signature, &length, digest, CRYPTO_SHA256_SIZE), 1);
	assert_int_equal(length, EVP_PKEY_get_size(key));
	EVP_PKEY_CTX_free(context);
}

/* Compares the two verdicts, and tells them. */
static bool
both(EVP_PKEY_CTX *theirs, struct rsa_verifier *ours, const uint8_t *signature,
    const uint8_t *digest)
{
	bool expected = EVP_PKEY_verify(theirs, signature, rsa_verifier_size(ours),
			    digest, CRYPTO_SHA256_SIZE) == 1;

	assert_int_equal(rsa_verifier_check(ours, signature, digest), expected);
	return expected;
}

static void
try_mutants(EVP_PKEY_CTX *theirs, struct rsa_verifier *ours, uint8_t *signature,
    uint8_t *digest)
{
	size_t size = rsa_verifier_size(ours);
	unsigned i;

	for (i = 0; i < MUTANTS; i++) {
		size_t bit = next_random(8 * (size + CRYPTO_SHA256_SIZE));
		uint8_t *byte =
		    bit / 8 < size ? &signature[bit / 8] : &digest[bit / 8 - size];

		*byte ^= (uint8_t)(1U << bit % 8);
		assert_false(both(theirs, ours, signature, digest));
		*byte ^= (uint8_t)(1U << bit % 8);
	}
	assert_true(both(theirs, ours, signature, digest));
}

static void
it_agrees_with_openssl(void **state)
{
	static const struct {
		unsigned bits;
		unsigned long exponent;
	} kinds[] = { { 2048, 65537 }, { 2048, 3 }, { 2048, 17 }, { 2048, 0x100000001 },
		{ 2049, 65537 }, { 2055, 65539 }, { 2304, 65537 }, { 3072, 65537 },
		{ 4096, 65537 } };
	uint8_t digest[CRYPTO_SHA256_SIZE];
	uint8_t signature[SIZE_MAX_BYTES];
	size_t i;
	unsigned round;

	(void)state;
	for (i = 0; i < COUNT(kinds); i++) {
		EVP_PKEY *key = make_key(kinds[i].bits, kinds[i].exponent);
		EVP_PKEY_CTX *theirs = context_of(key, EVP_PKEY_verify_init);
		struct rsa_verifier *ours = rsa_verifier_new(key);

		assert_non_null(ours);
		assert_int_equal(rsa_verifier_size(ours), EVP_PKEY_get_size(key));
		for (round = 0; round < ROUNDS; round++) {
			fill(digest, sizeof(digest));
			sign(key, digest, signature);
			assert_true(both(theirs, ours, signature, digest));
		}
		try_mutants(theirs, ours, signature, digest);
		fill(signature, sizeof(signature));
		assert_false(both(theirs, ours, signature, digest));
		rsa_verifier_free(ours);
		EVP_PKEY_CTX_free(theirs);
		EVP_PKEY_free(key);
	}
}

/* A signature and the modulus added to it stand for the same, if there is room. */
static void
a_representative_beyond_the_modulus_is_refused(void **state)
{
	EVP_PKEY *key = make_key(2048, 65537);
	EVP_PKEY_CTX *theirs = context_of(key, EVP_PKEY_verify_init);
	struct rsa_verifier *ours = rsa_verifier_new(key);
	int size = EVP_PKEY_get_size(key);
	BIGNUM *modulus = NULL;
	BIGNUM *sum = BN_new();
	uint8_t digest[CRYPTO_SHA256_SIZE];
	uint8_t signature[SIZE_MAX_BYTES];
	unsigned found = 0;

	(void)state;
	assert_int_equal(
	    EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &modulus), 1);
	for (unsigned i = 0; i < 20000 && found < 5; i++) {
		fill(digest, sizeof(digest));
		sign(key, digest, signature);
		assert_true(both(theirs, ours, signature, digest));
		BN_bin2bn(signature, size, sum);
		BN_add(sum, sum, modulus);
		if (BN_bn2binpad(sum, signature, size) != size)
			continue;
		found++;
		assert_false(both(theirs, ours, signature, digest));
	}
	assert_int_equal(found, 5);
	BN_free(sum);
	BN_free(modulus);
	rsa_verifier_free(ours);
	EVP_PKEY_CTX_free(theirs);
	EVP_PKEY_free(key);
}

static void
numbers_at_the_ends_are_refused(void **state)
{
	EVP_PKEY *key = make_key(2048, 65537);
	struct rsa_verifier *ours = rsa_verifier_new(key);
	int size = EVP_PKEY_get_size(key);
	BIGNUM *number = NULL;
	const uint8_t digest[CRYPTO_SHA256_SIZE] = { 0 };
	uint8_t signature[SIZE_MAX_BYTES] = { 0 };
	int i;

	(void)state;
	assert_int_equal(EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &number), 1);
	assert_false(rsa_verifier_check(ours, signature, digest)); /* 0 */
	signature[size - 1] = 1;
	assert_false(rsa_verifier_check(ours, signature, digest)); /* 1 */
	memset(signature, 0xff, sizeof(signature));
	assert_false(rsa_verifier_check(ours, signature, digest));
	BN_add_word(number, 1);
	for (i = 0; i < 3; i++) { /* the modulus and its neighbours */
		assert_int_equal(BN_bn2binpad(number, signature, size), size);
		assert_false(rsa_verifier_check(ours, signature, digest));
		BN_sub_word(number, 1);
	}
	BN_free(number);
	rsa_verifier_free(ours);
	EVP_PKEY_free(key);
}

/* A public key of any numbers. */
static EVP_PKEY *
key_of(const char *modulus, const char *exponent)
{
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	OSSL_PARAM_BLD *parts = OSSL_PARAM_BLD_new();
	BIGNUM *n = NULL;
	BIGNUM *e = NULL;
	EVP_PKEY *key = NULL;
	OSSL_PARAM *all;

	BN_hex2bn(&n, modulus);
	BN_hex2bn(&e, exponent);
	OSSL_PARAM_BLD_push_BN(parts, OSSL_PKEY_PARAM_RSA_N, n);
	OSSL_PARAM_BLD_push_BN(parts, OSSL_PKEY_PARAM_RSA_E, e);
	all = OSSL_PARAM_BLD_to_param(parts);
	assert_int_equal(EVP_PKEY_fromdata_init(context), 1);
	assert_int_equal(EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, all), 1);
	OSSL_PARAM_free(all);
	OSSL_PARAM_BLD_free(parts);
	BN_free(n);
	BN_free(e);
	EVP_PKEY_CTX_free(context);
	return key;
}

static bool
is_taken(const char *modulus, const char *exponent)
{
	EVP_PKEY *key = key_of(modulus, exponent);
	struct rsa_verifier *verifier = rsa_verifier_new(key);
	bool taken = verifier != NULL;

	rsa_verifier_free(verifier);
	EVP_PKEY_free(key);
	return taken;
}

static void
other_keys_are_not_taken(void **state)
{
	EVP_PKEY *curve = EVP_EC_gen("P-256");
	char modulus[2 * 62 + 1];

	(void)state;
	assert_null(rsa_verifier_new(curve));
	EVP_PKEY_free(curve);
	memset(modulus, 'F', sizeof(modulus) - 1);
	modulus[sizeof(modulus) - 1] = '\0';
	assert_true(is_taken(modulus, "010001"));
	assert_false(is_taken(modulus + 2, "010001")); /* no room for the padding */
	assert_false(is_taken(modulus, "010000"));
	assert_false(is_taken(modulus, "01"));
	modulus[sizeof(modulus) - 2] = 'E';
	assert_false(is_taken(modulus, "010001"));
	rsa_verifier_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_agrees_with_openssl),
		cmocka_unit_test(a_representative_beyond_the_modulus_is_refused),
		cmocka_unit_test(numbers_at_the_ends_are_refused),
		cmocka_unit_test(other_keys_are_not_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
