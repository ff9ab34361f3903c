/*
 * Sealing and hashing: a sealed value opens with its key and its context only, and
 * with every bit in place.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/crypto.h"
#include "common/text.h"

static const uint8_t key[CRYPTO_KEY_SIZE] = "0123456789abcdef0123456789abcde";
static const char context[] = "token/kick/streamer\0"
			      "7";

static struct buf
seal(const void *plain, size_t length)
{
	struct secret secret = secret_copy(plain, length);
	struct buf sealed = BUF_EMPTY;

	crypto_seal(key, context, sizeof(context), &secret, &sealed);
	secret_clear(&secret);
	assert_int_equal(buf_length(&sealed), length + CRYPTO_SEAL_EXTRA);
	return sealed;
}

static int
try_open(const struct buf *sealed, size_t length)
{
	struct secret plain = SECRET_NONE;
	int result = crypto_open(
	    key, context, sizeof(context), buf_bytes(sealed), length, &plain);

	assert_true(result == 0 || (!plain.bytes && plain.length == 0));
	secret_clear(&plain);
	return result;
}

static void
what_is_sealed_opens(void **state)
{
	uint8_t plain[5000];
	size_t length;

	(void)state;
	crypto_random(plain, sizeof(plain));
	for (length = 0; length <= sizeof(plain); length += length < 70 ? 1 : 493) {
		struct buf sealed = seal(plain, length);
		struct secret opened;

		assert_int_equal(crypto_open(key, context, sizeof(context),
				     buf_bytes(&sealed), buf_length(&sealed), &opened),
		    0);
		assert_int_equal(opened.length, length);
		assert_memory_equal(opened.bytes, plain, length);
		assert_int_equal(opened.bytes[length], 0);
		secret_clear(&opened);
		buf_clear(&sealed);
	}
}

static void
an_absent_secret_and_an_empty_context_are_allowed(void **state)
{
	const struct secret none = SECRET_NONE;
	struct buf sealed = BUF_EMPTY;
	struct secret opened;

	(void)state;
	crypto_seal(key, NULL, 0, &none, &sealed);
	assert_int_equal(
	    crypto_open(key, NULL, 0, buf_bytes(&sealed), buf_length(&sealed), &opened),
	    0);
	assert_int_equal(opened.length, 0);
	secret_clear(&opened);
	assert_int_equal(
	    crypto_open(key, "x", 1, buf_bytes(&sealed), buf_length(&sealed), &opened),
	    -EBADMSG);
	buf_clear(&sealed);
}

static void
sealing_appends_and_never_repeats(void **state)
{
	struct secret secret = secret_copy("same", 4);
	struct buf sealed = BUF_EMPTY;

	(void)state;
	buf_add_text(&sealed, "before");
	crypto_seal(key, context, sizeof(context), &secret, &sealed);
	crypto_seal(key, context, sizeof(context), &secret, &sealed);
	assert_int_equal(buf_length(&sealed), 6 + 2 * (4 + CRYPTO_SEAL_EXTRA));
	assert_memory_equal(buf_bytes(&sealed), "before", 6);
	assert_memory_not_equal(buf_bytes(&sealed) + 6,
	    buf_bytes(&sealed) + 6 + 4 + CRYPTO_SEAL_EXTRA, CRYPTO_NONCE_SIZE);
	assert_null(memmem(buf_bytes(&sealed), buf_length(&sealed), "same", 4));
	secret_clear(&secret);
	buf_clear(&sealed);
}

static void
every_flipped_bit_is_refused(void **state)
{
	struct buf sealed = seal("a refresh token of some length", 30);
	size_t bit;

	(void)state;
	for (bit = 0; bit < 8 * buf_length(&sealed); bit++) {
		buf_bytes(&sealed)[bit / 8] ^= (uint8_t)(1U << bit % 8);
		assert_int_equal(try_open(&sealed, buf_length(&sealed)), -EBADMSG);
		buf_bytes(&sealed)[bit / 8] ^= (uint8_t)(1U << bit % 8);
	}
	assert_int_equal(try_open(&sealed, buf_length(&sealed)), 0);
	buf_clear(&sealed);
}

static void
another_key_or_context_does_not_open(void **state)
{
	struct buf sealed = seal("secret", 6);
	size_t bit;

	(void)state;
	for (bit = 0; bit < 8 * sizeof(key); bit++) {
		uint8_t other[sizeof(key)];
		struct secret plain;

		memcpy(other, key, sizeof(key));
		other[bit / 8] ^= (uint8_t)(1U << bit % 8);
		assert_int_equal(crypto_open(other, context, sizeof(context),
				     buf_bytes(&sealed), buf_length(&sealed), &plain),
		    -EBADMSG);
	}
	for (bit = 0; bit < 8 * sizeof(context); bit++) {
		char other[sizeof(context)];
		struct secret plain;

		memcpy(other, context, sizeof(context));
		other[bit / 8] = (char)(other[bit / 8] ^ 1 << bit % 8);
		assert_int_equal(crypto_open(key, other, sizeof(other),
				     buf_bytes(&sealed), buf_length(&sealed), &plain),
		    -EBADMSG);
		assert_int_equal(crypto_open(key, context, bit / 8, buf_bytes(&sealed),
				     buf_length(&sealed), &plain),
		    -EBADMSG);
	}
	buf_clear(&sealed);
}

static void
a_sealed_value_that_was_cut_or_grew_is_refused(void **state)
{
	struct buf sealed = seal("secret", 6);
	size_t whole = buf_length(&sealed);
	size_t length;

	(void)state;
	for (length = 0; length < whole; length++)
		assert_int_equal(try_open(&sealed, length), -EBADMSG);
	buf_add(&sealed, "\0", 1);
	assert_int_equal(try_open(&sealed, whole + 1), -EBADMSG);
	buf_clear(&sealed);
}

/* FIPS 180-2, appendix B. */
static void
sha256_is_that_of_the_standard(void **state)
{
	static const char *const vectors[][2] = {
		{ "",
		    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b85"
		    "5" },
		{ "abc",
		    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015a"
		    "d" },
		{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		    "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c"
		    "1" },
	};
	struct crypto_hasher *hasher = crypto_hasher_new();
	uint8_t digest[CRYPTO_SHA256_SIZE];
	char text[2 * CRYPTO_SHA256_SIZE + 1];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		crypto_sha256(vectors[i][0], strlen(vectors[i][0]), digest);
		hex_encode(digest, sizeof(digest), text);
		assert_string_equal(text, vectors[i][1]);
		crypto_hasher_sha256(
		    hasher, vectors[i][0], strlen(vectors[i][0]), digest);
		hex_encode(digest, sizeof(digest), text);
		assert_string_equal(text, vectors[i][1]);
	}
	crypto_sha256(NULL, 0, digest);
	hex_encode(digest, sizeof(digest), text);
	assert_string_equal(text, vectors[0][1]);
	crypto_hasher_sha256(hasher, NULL, 0, digest);
	hex_encode(digest, sizeof(digest), text);
	assert_string_equal(text, vectors[0][1]);
	crypto_hasher_free(hasher);
	crypto_hasher_free(NULL);
}

static void
random_bytes_differ(void **state)
{
	uint8_t a[32] = { 0 };
	uint8_t b[32] = { 0 };

	(void)state;
	crypto_random(a, sizeof(a));
	crypto_random(b, sizeof(b));
	assert_memory_not_equal(a, b, sizeof(a));
	crypto_random(a, 0);
	assert_true(strlen(crypto_library_version()) > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_sealed_opens),
		cmocka_unit_test(an_absent_secret_and_an_empty_context_are_allowed),
		cmocka_unit_test(sealing_appends_and_never_repeats),
		cmocka_unit_test(every_flipped_bit_is_refused),
		cmocka_unit_test(another_key_or_context_does_not_open),
		cmocka_unit_test(a_sealed_value_that_was_cut_or_grew_is_refused),
		cmocka_unit_test(sha256_is_that_of_the_standard),
		cmocka_unit_test(random_bytes_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
