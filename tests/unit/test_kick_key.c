/*
 * Keys: the one that Kick publishes, and which others are taken.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "broker/events/kick_verify.h"
#include "common/alloc.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static char *
pem_of(EVP_PKEY *pkey, bool private)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *data;
	char *pem;
	long length;

	if (private)
		PEM_write_bio_PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL);
	else
		PEM_write_bio_PUBKEY(bio, pkey);
	length = BIO_get_mem_data(bio, &data);
	pem = xstrndup(data, (size_t)length);
	BIO_free(bio);
	return pem;
}

static int
try_read(const char *pem)
{
	struct kick_key *read = NULL;
	int result = kick_key_read(pem, strlen(pem), &read);

	assert_true((result == 0) == (read != NULL));
	kick_key_free(read);
	return result;
}

/* facts/kick.md 2.1 */
static void
the_shipped_key_is_kicks(void **state)
{
	struct kick_key *shipped;

	(void)state;
	assert_int_equal(
	    kick_key_read(kick_public_key, strlen(kick_public_key), &shipped), 0);
	assert_string_equal(kick_key_id(shipped),
	    "407899e1bb8e86c10ecc032cd8c5d02f1180e8b3c58686ddfe1fb541d8a646aa");
	kick_key_free(shipped);
	kick_key_free(NULL);
}

static void
a_last_line_needs_no_end(void **state)
{
	struct kick_key *shipped;
	size_t length = strlen(kick_public_key);

	(void)state;
	assert_int_equal(kick_public_key[length - 1], '\n');
	/* What the endpoint sends: 450 characters. */
	assert_int_equal(length - 1, 450);
	assert_int_equal(kick_key_read(kick_public_key, length - 1, &shipped), 0);
	assert_string_equal(kick_key_id(shipped),
	    "407899e1bb8e86c10ecc032cd8c5d02f1180e8b3c58686ddfe1fb541d8a646aa");
	kick_key_free(shipped);
	assert_int_equal(kick_key_read(kick_public_key, length - 2, &shipped), -EINVAL);
}

static void
a_cut_key_is_refused_everywhere(void **state)
{
	struct kick_key *read;
	size_t length;

	(void)state;
	for (length = 0; length < strlen(kick_public_key) - 1; length++) {
		char *copy = xmemdup(kick_public_key, length);

		assert_int_equal(kick_key_read(copy, length, &read), -EINVAL);
		free(copy);
	}
}

static void
keys_that_will_not_do_are_refused(void **state)
{
	EVP_PKEY *keys[] = { EVP_RSA_gen(1024), EVP_RSA_gen(2040), EVP_EC_gen("P-256"),
		EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"),
		EVP_PKEY_Q_keygen(NULL, NULL, "X25519") };
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(keys); i++) {
		char *pem = pem_of(keys[i], false);

		assert_non_null(strstr(pem, "PUBLIC KEY"));
		assert_int_equal(try_read(pem), -EINVAL);
		free(pem);
		EVP_PKEY_free(keys[i]);
	}
}

static void
an_rsa_key_for_pss_only_is_refused(void **state)
{
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA-PSS", NULL);
	EVP_PKEY *pss = NULL;
	char *pem;

	(void)state;
	assert_int_equal(EVP_PKEY_keygen_init(context), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_keygen_bits(context, 2048), 1);
	assert_int_equal(EVP_PKEY_generate(context, &pss), 1);
	pem = pem_of(pss, false);
	assert_int_equal(try_read(pem), -EINVAL);
	free(pem);
	EVP_PKEY_free(pss);
	EVP_PKEY_CTX_free(context);
}

static void
what_is_no_public_key_is_refused(void **state)
{
	static const char *const texts[] = { "", "\n", "key",
		"-----BEGIN PUBLIC KEY-----",
		"-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n",
		"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
		"-----BEGIN PUBLIC KEY-----\n!!!!\n-----END PUBLIC KEY-----\n",
		"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
		"{\"data\":{\"public_key\":\"\"}}" };
	EVP_PKEY *pair = EVP_RSA_gen(2048);
	char *private = pem_of(pair, true);
	char *big = xmalloc(70000);
	struct kick_key *read;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(texts); i++)
		assert_int_equal(try_read(texts[i]), -EINVAL);
	assert_int_equal(try_read(private), -EINVAL);
	memset(big, '\n', 70000);
	memcpy(big, kick_public_key, strlen(kick_public_key));
	assert_int_equal(kick_key_read(big, 70000, &read), -EINVAL);
	free(big);
	free(private);
	EVP_PKEY_free(pair);
}

/* OpenSSL would ask at the terminal, or read standard input, for the passphrase of a
 * key that says it is encrypted. */
static void
nobody_is_asked_for_a_passphrase(void **state)
{
	static const char encrypted[] = "-----BEGIN PUBLIC KEY-----\n"
					"Proc-Type: 4,ENCRYPTED\n"
					"DEK-Info: AES-128-CBC,"
					"00112233445566778899AABBCCDDEEFF\n"
					"\n"
					"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
					"-----END PUBLIC KEY-----\n";
	int saved = dup(STDIN_FILENO);
	char text[16];
	int ends[2];

	(void)state;
	assert_int_equal(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
	assert_int_equal(write(ends[1], "secret\n", 7), 7);
	dup2(ends[0], STDIN_FILENO);
	assert_int_equal(try_read(encrypted), -EINVAL);
	assert_int_equal(read(ends[0], text, sizeof(text)), 7);
	dup2(saved, STDIN_FILENO);
	close(saved);
	close(ends[0]);
	close(ends[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_shipped_key_is_kicks),
		cmocka_unit_test(a_last_line_needs_no_end),
		cmocka_unit_test(a_cut_key_is_refused_everywhere),
		cmocka_unit_test(keys_that_will_not_do_are_refused),
		cmocka_unit_test(an_rsa_key_for_pss_only_is_refused),
		cmocka_unit_test(what_is_no_public_key_is_refused),
		cmocka_unit_test(nobody_is_asked_for_a_passphrase),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
