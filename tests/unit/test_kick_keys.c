/*
 * Sets of keys: what a checker takes by which key, until when, and what a thread that
 * holds an old set sees.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "broker/events/kick_keys.h"
#include "common/alloc.h"
#include "common/text.h"

#define NOW 1700000000000
#define SIGNERS 3
#define ID "01M7Y7N4P3D5RJD9J3Y3NTTE49"
#define SYNTHETIC KICK_SYNTHETIC_PREFIX "01M7Y7N4P3D5RJD9J3Y3NTTE49"
#define STAMP "2025-04-01T07:56:19Z"
#define BODY "{}"

/* Bytes of one by a key of 2048 bits. */
#define SIGNATURE_SIZE 256

static EVP_PKEY *signers[SIGNERS];
static char *pems[SIGNERS];
static char ids[SIGNERS][KICK_KEY_ID_SIZE];

static char *
pem_of(EVP_PKEY *pkey)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *data;
	char *pem;
	long length;

	PEM_write_bio_PUBKEY(bio, pkey);
	length = BIO_get_mem_data(bio, &data);
	pem = xstrndup(data, (size_t)length);
	BIO_free(bio);
	return pem;
}

static int
make_signers(void **state)
{
	struct kick_key *key;
	int i;

	(void)state;
	for (i = 0; i < SIGNERS; i++) {
		signers[i] = EVP_RSA_gen(2048);
		pems[i] = pem_of(signers[i]);
		assert_int_equal(kick_key_read(pems[i], strlen(pems[i]), &key), 0);
		memcpy(ids[i], kick_key_id(key), KICK_KEY_ID_SIZE);
		kick_key_free(key);
	}
	return 0;
}

static int
free_signers(void **state)
{
	int i;

	(void)state;
	for (i = 0; i < SIGNERS; i++) {
		EVP_PKEY_free(signers[i]);
		free(pems[i]);
	}
	return 0;
}

/* The caller frees. */
static uint8_t *
sign(int signer, const char *id)
{
	char *message = xasprintf("%s.%s.%s", id, STAMP, BODY);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	uint8_t bytes[SIGNATURE_SIZE];
	size_t length = sizeof(bytes);

	assert_int_equal(
	    EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, signers[signer]), 1);
	assert_int_equal(EVP_DigestSign(context, bytes, &length,
			     (const uint8_t *)message, strlen(message)),
	    1);
	EVP_MD_CTX_free(context);
	free(message);
	assert_int_equal(length, SIGNATURE_SIZE);
	return xmemdup(bytes, length);
}

static enum kick_verdict
check_at(struct kick_checker *checker, int signer, const char *id, int64_t now)
{
	enum kick_key_use use = (enum kick_key_use)99;
	uint8_t *signature = sign(signer, id);
	enum kick_verdict verdict = kick_checker_verify(checker, now, id, STAMP,
	    (const uint8_t *)BODY, strlen(BODY), signature, SIGNATURE_SIZE, &use);

	free(signature);
	if (verdict == KICK_GOOD)
		assert_int_equal(
		    use, strcmp(id, ID) == 0 ? KICK_KEY_platform : KICK_KEY_synthetic);
	else
		assert_int_equal(use, 99);
	return verdict;
}

static void
put(struct kick_ring *ring, int signer, enum kick_key_use use, int64_t until)
{
	assert_int_equal(
	    kick_ring_put(ring, pems[signer], strlen(pems[signer]), use, until), 0);
}

static struct kick_checker *
checker_of(struct kick_ring *ring)
{
	struct kick_checker *checker = kick_checker_new();

	kick_checker_use(checker, kick_ring_keys(ring));
	return checker;
}

static void
old_and_new_are_good_until_the_old_one_ends(void **state)
{
	struct kick_ring *ring = kick_ring_new();
	struct kick_checker *checker;

	(void)state;
	put(ring, 0, KICK_KEY_platform, 0);
	checker = checker_of(ring);
	assert_int_equal(check_at(checker, 0, ID, NOW), KICK_GOOD);
	assert_int_equal(check_at(checker, 1, ID, NOW), KICK_WRONG);

	put(ring, 0, KICK_KEY_platform, NOW + 1000);
	put(ring, 1, KICK_KEY_platform, 0);
	assert_int_equal(kick_ring_keys(ring)->count, 2);
	assert_string_equal(kick_ring_keys(ring)->entries[0].id, ids[1]);
	kick_checker_use(checker, kick_ring_keys(ring));
	assert_int_equal(check_at(checker, 0, ID, NOW + 999), KICK_GOOD);
	assert_int_equal(check_at(checker, 1, ID, NOW + 999), KICK_GOOD);
	assert_int_equal(check_at(checker, 2, ID, NOW + 999), KICK_WRONG);

	/* Whether or not anybody tidied up. */
	assert_int_equal(check_at(checker, 0, ID, NOW + 1000), KICK_WRONG);
	assert_int_equal(check_at(checker, 1, ID, NOW + 1000), KICK_GOOD);
	assert_false(kick_ring_expire(ring, NOW + 999));
	assert_true(kick_ring_expire(ring, NOW + 1000));
	assert_int_equal(kick_ring_keys(ring)->count, 1);
	kick_checker_use(checker, kick_ring_keys(ring));
	assert_int_equal(check_at(checker, 0, ID, NOW), KICK_WRONG);
	kick_checker_free(checker);
	kick_ring_free(ring);
}

/* What marks a delivery as synthetic is the key, so neither key may do the other's
 * work. */
static void
each_key_is_good_for_its_own_ids_only(void **state)
{
	struct kick_ring *ring = kick_ring_new();
	struct kick_checker *checker;

	(void)state;
	put(ring, 0, KICK_KEY_platform, 0);
	put(ring, 1, KICK_KEY_synthetic, NOW + 1000);
	checker = checker_of(ring);
	assert_int_equal(check_at(checker, 0, ID, NOW), KICK_GOOD);
	assert_int_equal(check_at(checker, 1, SYNTHETIC, NOW), KICK_GOOD);
	assert_int_equal(check_at(checker, 1, ID, NOW), KICK_WRONG);
	assert_int_equal(check_at(checker, 0, SYNTHETIC, NOW), KICK_WRONG);
	assert_int_equal(check_at(checker, 1, SYNTHETIC, NOW + 1000), KICK_MALFORMED);
	kick_ring_drop(ring, ids[1]);
	kick_checker_use(checker, kick_ring_keys(ring));
	assert_int_equal(check_at(checker, 1, SYNTHETIC, NOW), KICK_MALFORMED);
	kick_checker_free(checker);
	kick_ring_free(ring);
}

static void
what_is_no_key_changes_nothing(void **state)
{
	struct kick_ring *ring = kick_ring_new();
	char long_pem[KICK_KEY_PEM_MAX + 2];
	uint64_t generation;

	(void)state;
	put(ring, 0, KICK_KEY_platform, 0);
	generation = kick_ring_keys(ring)->generation;
	memset(long_pem, '\n', sizeof(long_pem));
	memcpy(long_pem, pems[1], strlen(pems[1]));
	assert_int_equal(kick_ring_put(ring, "x", 1, KICK_KEY_platform, 0), -EINVAL);
	assert_int_equal(kick_ring_put(ring, "", 0, KICK_KEY_platform, 0), -EINVAL);
	assert_int_equal(
	    kick_ring_put(ring, long_pem, KICK_KEY_PEM_MAX + 1, KICK_KEY_platform, 0),
	    -EINVAL);
	long_pem[KICK_KEY_PEM_MAX - 1] = '\0';
	assert_int_equal(
	    kick_ring_put(ring, long_pem, KICK_KEY_PEM_MAX, KICK_KEY_platform, 0),
	    -EINVAL);
	assert_int_equal(kick_ring_keys(ring)->generation, generation);
	assert_int_equal(kick_ring_keys(ring)->count, 1);
	long_pem[KICK_KEY_PEM_MAX - 1] = '\n';
	assert_int_equal(
	    kick_ring_put(ring, long_pem, KICK_KEY_PEM_MAX, KICK_KEY_platform, 0), 0);
	kick_ring_free(ring);
}

/* Keys of the platform never push out ours, nor ours theirs. */
static void
a_full_ring_drops_the_oldest_of_the_same_use(void **state)
{
	struct kick_ring *ring = kick_ring_new();
	char *first = NULL;
	int i;

	(void)state;
	put(ring, 0, KICK_KEY_synthetic, 0);
	for (i = 0; i < KICK_KEYS_MAX + 1; i++) {
		EVP_PKEY *key = EVP_RSA_gen(2048);
		char *pem = pem_of(key);

		assert_int_equal(
		    kick_ring_put(ring, pem, strlen(pem), KICK_KEY_platform, 0), 0);
		if (i == 0)
			first = xstrdup(kick_ring_keys(ring)->entries[0].id);
		EVP_PKEY_free(key);
		free(pem);
	}
	assert_int_equal(kick_ring_keys(ring)->count, KICK_KEYS_MAX);
	assert_string_equal(
	    kick_ring_keys(ring)->entries[KICK_KEYS_MAX - 1].id, ids[0]);
	for (i = 0; i < KICK_KEYS_MAX; i++)
		assert_string_not_equal(kick_ring_keys(ring)->entries[i].id, first);
	free(first);
	kick_ring_free(ring);
}

struct reader {
	struct kick_keys *keys;
	int good;
};

static void *
read_in_a_thread(void *arg)
{
	struct reader *reader = arg;
	struct kick_checker *checker = kick_checker_new();
	uint8_t *signature = sign(0, ID);
	int i;

	for (i = 0; i < 200; i++) {
		enum kick_key_use use;

		kick_checker_use(checker, reader->keys);
		if (kick_checker_verify(checker, NOW, ID, STAMP, (const uint8_t *)BODY,
			strlen(BODY), signature, SIGNATURE_SIZE, &use) == KICK_GOOD)
			reader->good++;
	}
	kick_keys_unref(reader->keys);
	kick_checker_free(checker);
	free(signature);
	return NULL;
}

static void
a_thread_keeps_the_set_that_it_has(void **state)
{
	struct kick_ring *ring = kick_ring_new();
	struct reader readers[4];
	pthread_t threads[4];
	int i;

	(void)state;
	put(ring, 0, KICK_KEY_platform, 0);
	for (i = 0; i < 4; i++) {
		readers[i] =
		    (struct reader){ .keys = kick_keys_ref(kick_ring_keys(ring)) };
		assert_int_equal(
		    pthread_create(&threads[i], NULL, read_in_a_thread, &readers[i]),
		    0);
	}
	for (i = 0; i < 100; i++)
		put(ring, 1 + i % 2, KICK_KEY_platform, 0);
	kick_ring_drop(ring, ids[0]);
	kick_ring_free(ring);
	for (i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(readers[i].good, 200);
	}
	kick_keys_unref(NULL);
	kick_checker_free(NULL);
	kick_ring_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(old_and_new_are_good_until_the_old_one_ends),
		cmocka_unit_test(each_key_is_good_for_its_own_ids_only),
		cmocka_unit_test(what_is_no_key_changes_nothing),
		cmocka_unit_test(a_full_ring_drops_the_oldest_of_the_same_use),
		cmocka_unit_test(a_thread_keeps_the_set_that_it_has),
	};

	return cmocka_run_group_tests(tests, make_signers, free_signers);
}
