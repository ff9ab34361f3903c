/*
 * Signatures: nothing but a signature of exactly these bytes by this key is good.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "broker/events/kick_verify.h"
#include "common/alloc.h"
#include "common/crypto.h"
#include "common/text.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define MUTANTS 100000
#define SAMPLES 20
#define SIGNATURE_SIZE 256
#define SIGNATURE_TEXT 345 /* base64 of it, with NUL */

static EVP_PKEY *own;   /* who signs genuine deliveries here */
static EVP_PKEY *other; /* somebody else */
static struct kick_key *key;

static int
setup(void **state)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *pem;
	long length;

	(void)state;
	own = EVP_RSA_gen(2048);
	other = EVP_RSA_gen(2048);
	PEM_write_bio_PUBKEY(bio, own);
	length = BIO_get_mem_data(bio, &pem);
	if (kick_key_read(pem, (size_t)length, &key) != 0)
		return -1;
	BIO_free(bio);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	kick_key_free(key);
	EVP_PKEY_free(own);
	EVP_PKEY_free(other);
	return 0;
}

/* Deliveries. */

struct sample {
	char id[64];
	char timestamp[64];
	uint8_t body[2000];
	size_t length;
	char signature[4 * SIGNATURE_TEXT];
};

/* Signs with the padding and digest given; EM is what raw RSA takes. */
static void
sign(EVP_PKEY *pkey, const EVP_MD *digest, int padding, const void *bytes,
    size_t length, char *signature)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	EVP_PKEY_CTX *options;
	uint8_t raw[SIGNATURE_SIZE];
	size_t size = sizeof(raw);
	char *text;

	assert_int_equal(EVP_DigestSignInit(context, &options, digest, NULL, pkey), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(options, padding), 1);
	assert_int_equal(EVP_DigestSign(context, raw, &size, bytes, length), 1);
	assert_int_equal(size, SIGNATURE_SIZE);
	text = base64_encode(raw, size);
	memcpy(signature, text, strlen(text) + 1);
	free(text);
	EVP_MD_CTX_free(context);
}

static size_t
message_of(const struct sample *sample, uint8_t *message)
{
	int head = sprintf((char *)message, "%s.%s.", sample->id, sample->timestamp);

	memcpy(message + head, sample->body, sample->length);
	return (size_t)head + sample->length;
}

static void
sign_sample(struct sample *sample, EVP_PKEY *pkey, const EVP_MD *digest, int padding)
{
	uint8_t message[3000];
	size_t length = message_of(sample, message);

	sign(pkey, digest, padding, message, length, sample->signature);
}

static enum kick_verdict
verify(const struct sample *sample)
{
	/* Memory of exactly that size, so that reading on is seen. */
	uint8_t *body = xmemdup(sample->body, sample->length);
	uint8_t *signature = xmalloc(sizeof(sample->signature));
	enum kick_verdict verdict = KICK_MALFORMED;
	size_t size = 0;

	/* As the front does. */
	if (base64_decode(sample->signature, strlen(sample->signature), signature,
		sizeof(sample->signature), &size) == 0) {
		uint8_t *exact = xmemdup(signature, size);

		verdict = kick_verify(key, sample->id, sample->timestamp,
		    sample->length ? body : NULL, sample->length, exact, size);
		free(exact);
	}
	free(signature);
	free(body);
	return verdict;
}

static uint64_t random_state = 2685821657736338717ULL;

static size_t
next_random(size_t below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (size_t)(random_state % below);
}

static void
set_body(struct sample *sample, const void *body, size_t length)
{
	memcpy(sample->body, body, length);
	sample->length = length;
}

static struct sample
make_sample(size_t number)
{
	static const char json[] =
	    "{\"broadcaster\":{\"user_id\":123},\"content\":\"hi\"}";
	struct sample sample = { .length = 0 };
	size_t i;

	sprintf(sample.id, "01JQ%022zu", number);
	sprintf(sample.timestamp, "2025-04-01T07:%02zu:19Z", number % 60);
	if (number % 3 == 0) {
		set_body(&sample, json, sizeof(json) - 1);
	} else {
		sample.length = number % 3 == 1 ? number : 1500 + number;
		for (i = 0; i < sample.length; i++)
			sample.body[i] = (uint8_t)next_random(256);
	}
	sign_sample(&sample, own, EVP_sha256(), RSA_PKCS1_PADDING);
	return sample;
}

static void
own_signatures_are_good(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < SAMPLES; i++) {
		const struct sample sample = make_sample(i);

		assert_int_equal(strlen(sample.signature), SIGNATURE_TEXT - 1);
		assert_int_equal(verify(&sample), KICK_GOOD);
	}
}

/* Every byte counts: spacing, marks of order, bytes that are no text, none at all. */
static void
the_signature_is_over_the_exact_bytes(void **state)
{
	static const struct {
		const char *body;
		size_t length;
	} bodies[] = {
		{ "", 0 },
		{ "\0", 1 },
		{ "{}", 2 },
		{ "{ }", 3 },
		{ "{}\n", 3 },
		{ "{}\r\n", 4 },
		{ "\xef\xbb\xbf{}", 5 },
		{ "{\"a\":1,\"a\":2}", 13 },
		{ "{\"a\":1.0}", 9 },
		{ "{\"a\":1}", 7 },
		{ "\"\\u00fc\"", 8 },
		{ "\"\xc3\xbc\"", 4 },
		{ "\"\xff\"", 3 },
		{ "\"\0\"", 3 },
	};
	size_t i;
	size_t j;

	(void)state;
	for (i = 0; i < COUNT(bodies); i++) {
		struct sample sample = make_sample(0);

		set_body(&sample, bodies[i].body, bodies[i].length);
		sign_sample(&sample, own, EVP_sha256(), RSA_PKCS1_PADDING);
		for (j = 0; j < COUNT(bodies); j++) {
			set_body(&sample, bodies[j].body, bodies[j].length);
			assert_int_equal(
			    verify(&sample), i == j ? KICK_GOOD : KICK_WRONG);
		}
	}
}

static void
a_good_signature_after_many_bad_ones_is_good(void **state)
{
	const struct sample good = make_sample(0);
	struct sample bad = good;
	unsigned i;

	(void)state;
	bad.id[0] = '9';
	for (i = 0; i < 200; i++) {
		assert_int_equal(verify(&bad), KICK_WRONG);
		assert_int_equal(verify(&good), KICK_GOOD);
	}
}

static void
every_flipped_bit_of_a_signature_is_refused(void **state)
{
	const struct sample good = make_sample(3);
	uint8_t raw[SIGNATURE_SIZE];
	size_t length;
	size_t bit;

	(void)state;
	assert_int_equal(base64_decode(good.signature, strlen(good.signature), raw,
			     sizeof(raw), &length),
	    0);
	for (bit = 0; bit < 8 * sizeof(raw); bit++) {
		struct sample mutant = good;
		char *text;

		raw[bit / 8] ^= (uint8_t)(1U << bit % 8);
		text = base64_encode(raw, sizeof(raw));
		memcpy(mutant.signature, text, strlen(text) + 1);
		assert_int_equal(verify(&mutant), KICK_WRONG);
		free(text);
		raw[bit / 8] ^= (uint8_t)(1U << bit % 8);
	}
}

/* Signatures by the right key over something else, or in another way. */

static void
recipe_body_only(struct sample *sample)
{
	sign(own, EVP_sha256(), RSA_PKCS1_PADDING, sample->body, sample->length,
	    sample->signature);
}

static void
recipe_without_dots(struct sample *sample)
{
	uint8_t message[3000];
	int head = sprintf((char *)message, "%s%s", sample->id, sample->timestamp);

	memcpy(message + head, sample->body, sample->length);
	sign(own, EVP_sha256(), RSA_PKCS1_PADDING, message,
	    (size_t)head + sample->length, sample->signature);
}

static void
recipe_swapped(struct sample *sample)
{
	struct sample swapped = *sample;

	memcpy(swapped.id, sample->timestamp, sizeof(swapped.id));
	memcpy(swapped.timestamp, sample->id, sizeof(swapped.timestamp));
	sign_sample(&swapped, own, EVP_sha256(), RSA_PKCS1_PADDING);
	memcpy(sample->signature, swapped.signature, SIGNATURE_TEXT);
}

static void
recipe_other_key(struct sample *sample)
{
	sign_sample(sample, other, EVP_sha256(), RSA_PKCS1_PADDING);
}

static void
recipe_sha1(struct sample *sample)
{
	sign_sample(sample, own, EVP_sha1(), RSA_PKCS1_PADDING);
}

static void
recipe_sha512(struct sample *sample)
{
	sign_sample(sample, own, EVP_sha512(), RSA_PKCS1_PADDING);
}

static void
recipe_pss(struct sample *sample)
{
	sign_sample(sample, own, EVP_sha256(), RSA_PKCS1_PSS_PADDING);
}

static void
recipe_of_another_body(struct sample *sample)
{
	struct sample another = make_sample(7);

	memcpy(sample->signature, another.signature, SIGNATURE_TEXT);
}

/* Raw RSA by the right key over a block that is put together by hand. */
static void
sign_block(struct sample *sample, const uint8_t block[SIGNATURE_SIZE])
{
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(own, NULL);
	uint8_t raw[SIGNATURE_SIZE];
	size_t size = sizeof(raw);
	char *text;

	assert_int_equal(EVP_PKEY_sign_init(context), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(context, RSA_NO_PADDING), 1);
	assert_int_equal(EVP_PKEY_sign(context, raw, &size, block, SIGNATURE_SIZE), 1);
	text = base64_encode(raw, size);
	memcpy(sample->signature, text, strlen(text) + 1);
	free(text);
	EVP_PKEY_CTX_free(context);
}

/* DigestInfo of SHA-256 (RFC 8017, 9.2, note 1), and the same without its NULL. */
static const uint8_t info[] = { 0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48,
	0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20 };
static const uint8_t info_without_null[] = { 0x30, 0x2f, 0x30, 0x0b, 0x06, 0x09, 0x60,
	0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x04, 0x20 };

/* 00 01 ff.. 00 DigestInfo digest, then `after` bytes of garbage. */
static void
make_block(const struct sample *sample, const uint8_t *head, size_t head_size,
    size_t after, uint8_t block[SIGNATURE_SIZE])
{
	size_t digest_at = SIGNATURE_SIZE - after - CRYPTO_SHA256_SIZE;
	uint8_t message[3000];
	size_t length = message_of(sample, message);

	memset(block, 0xff, SIGNATURE_SIZE);
	block[0] = 0;
	block[1] = 1;
	block[digest_at - head_size - 1] = 0;
	memcpy(block + digest_at - head_size, head, head_size);
	crypto_sha256(message, length, block + digest_at);
	memset(block + digest_at + CRYPTO_SHA256_SIZE, 0x42, after);
}

static void
blocks_that_are_not_padded_exactly_are_refused(void **state)
{
	struct sample sample = make_sample(4);
	uint8_t block[SIGNATURE_SIZE];
	size_t after;
	size_t i;

	(void)state;
	make_block(&sample, info, sizeof(info), 0, block);
	sign_block(&sample, block);
	assert_int_equal(verify(&sample), KICK_GOOD); /* the tool itself works */
	for (after = 1; after < 200; after++) {
		make_block(&sample, info, sizeof(info), after, block);
		sign_block(&sample, block);
		assert_int_equal(verify(&sample), KICK_WRONG);
	}
	make_block(&sample, info_without_null, sizeof(info_without_null), 0, block);
	sign_block(&sample, block);
	assert_int_equal(verify(&sample), KICK_WRONG);
	make_block(&sample, info, 0, 0, block); /* the digest alone */
	sign_block(&sample, block);
	assert_int_equal(verify(&sample), KICK_WRONG);
	for (i = 1; i < SIGNATURE_SIZE; i++) {
		make_block(&sample, info, sizeof(info), 0, block);
		block[i] ^= (uint8_t)(1U << i % 8);
		sign_block(&sample, block);
		assert_int_equal(verify(&sample), KICK_WRONG);
	}
}

typedef void recipe_fn(struct sample *sample);

static recipe_fn *const recipes[] = { recipe_body_only, recipe_without_dots,
	recipe_swapped, recipe_other_key, recipe_sha1, recipe_sha512, recipe_pss,
	recipe_of_another_body };

static void
other_recipes_are_refused(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(recipes); i++) {
		struct sample sample = make_sample(i * 3);

		recipes[i](&sample);
		if (verify(&sample) != KICK_WRONG)
			fail_msg("recipe %zu", i);
	}
}

/* Texts that hold the right signature but not in its one form. */

static void
form_url_alphabet(char *text)
{
	char *at;

	for (at = text; *at; at++)
		*at = *at == '+' ? '-' : *at == '/' ? '_' : *at;
	text[strlen(text) - 2] = '\0';
}

static void
form_without_padding(char *text)
{
	text[strlen(text) - 2] = '\0';
}

static void
form_cut_padding(char *text)
{
	text[strlen(text) - 1] = '\0';
}

static void
form_more_padding(char *text)
{
	strcat(text, "==");
}

static void
form_newline_at_the_end(char *text)
{
	strcat(text, "\n");
}

static void
form_space_in_front(char *text)
{
	memmove(text + 1, text, strlen(text) + 1);
	text[0] = ' ';
}

static void
form_lines(char *text)
{
	memmove(text + 78, text + 76, strlen(text + 76) + 1);
	memcpy(text + 76, "\r\n", 2);
}

static void
form_unused_bits(char *text)
{
	text[strlen(text) - 3]++;
}

static void
form_twice(char *text)
{
	memcpy(text + SIGNATURE_TEXT - 1, text, SIGNATURE_TEXT - 1);
	text[2 * (SIGNATURE_TEXT - 1)] = '\0';
}

static void
form_comma(char *text)
{
	strcat(text, ",");
	memmove(text + SIGNATURE_TEXT, text, SIGNATURE_TEXT - 1);
	text[2 * SIGNATURE_TEXT - 1] = '\0';
}

static void
form_percent(char *text)
{
	memcpy(text + strlen(text) - 2, "%3D%3D", 7);
}

static void
form_quotes(char *text)
{
	form_space_in_front(text);
	text[0] = '"';
	strcat(text, "\"");
}

static void
form_empty(char *text)
{
	text[0] = '\0';
}

static void
form_hex(char *text)
{
	memset(text, 'a', 2 * SIGNATURE_SIZE);
	text[2 * SIGNATURE_SIZE] = '\0';
}

typedef void form_fn(char *text);

static form_fn *const forms[] = { form_url_alphabet, form_without_padding,
	form_cut_padding, form_more_padding, form_newline_at_the_end,
	form_space_in_front, form_lines, form_unused_bits, form_twice, form_comma,
	form_percent, form_quotes, form_empty, form_hex };

static void
other_forms_of_a_signature_are_malformed(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(forms); i++) {
		struct sample sample = make_sample(3);

		forms[i](sample.signature);
		if (verify(&sample) != KICK_MALFORMED)
			fail_msg("form %zu", i);
	}
}

/* Mutants. */

static void
flip_text(char *text)
{
	size_t bit;
	size_t length = strlen(text);

	do {
		bit = next_random(8 * length);
	} while ((text[bit / 8] ^ (1 << bit % 8)) == 0);
	text[bit / 8] = (char)(text[bit / 8] ^ 1 << bit % 8);
}

static void
flip_signature(struct sample *sample)
{
	uint8_t raw[SIGNATURE_SIZE];
	size_t length = 0;
	size_t bit = next_random(8 * sizeof(raw));
	char *text;

	assert_int_equal(base64_decode(sample->signature, strlen(sample->signature),
			     raw, sizeof(raw), &length),
	    0);
	raw[bit / 8] ^= (uint8_t)(1U << bit % 8);
	text = base64_encode(raw, sizeof(raw));
	memcpy(sample->signature, text, strlen(text) + 1);
	free(text);
}

/* Bytes are lost or come in addition, at one end. */
static void
resize_signature(struct sample *sample)
{
	uint8_t raw[SIGNATURE_SIZE + 40] = { 0 };
	size_t length = 0;
	size_t shift = next_random(40);
	size_t size = next_random(sizeof(raw) - shift);
	char *text;

	assert_int_equal(base64_decode(sample->signature, strlen(sample->signature),
			     raw + shift, SIGNATURE_SIZE, &length),
	    0);
	if (shift == 0 && size == SIGNATURE_SIZE)
		size--;
	text = base64_encode(raw, size);
	memcpy(sample->signature, text, strlen(text) + 1);
	free(text);
}

static void
change_body(struct sample *sample)
{
	size_t bit;

	switch (sample->length ? next_random(4) : 3) {
	case 0:
		sample->length--;
		break;
	case 1:
		memmove(sample->body, sample->body + 1, --sample->length);
		sample->body[sample->length] = 0;
		break;
	case 2:
		bit = next_random(8 * sample->length);
		sample->body[bit / 8] ^= (uint8_t)(1U << bit % 8);
		break;
	default:
		sample->body[sample->length++] = (uint8_t)next_random(256);
		break;
	}
}

static void
mutate(struct sample *sample, const struct sample *others)
{
	switch (next_random(8)) {
	case 0:
		change_body(sample);
		break;
	case 1:
		flip_text(sample->id);
		break;
	case 2:
		flip_text(sample->timestamp);
		break;
	case 3:
		flip_text(sample->signature);
		break;
	case 4:
		flip_signature(sample);
		break;
	case 5:
		resize_signature(sample);
		break;
	case 6:
		forms[next_random(COUNT(forms))](sample->signature);
		break;
	default:
		memcpy(sample->signature, others[next_random(SAMPLES)].signature,
		    SIGNATURE_TEXT);
		break;
	}
}

static bool
is_same(const struct sample *a, const struct sample *b)
{
	return strcmp(a->id, b->id) == 0 && strcmp(a->timestamp, b->timestamp) == 0 &&
	    a->length == b->length && memcmp(a->body, b->body, a->length) == 0 &&
	    strcmp(a->signature, b->signature) == 0;
}

static void
no_mutant_is_accepted(void **state)
{
	static struct sample samples[SAMPLES];
	static struct sample wrong[SAMPLES];
	clock_t start = clock();
	unsigned malformed = 0;
	unsigned i;

	(void)state;
	for (i = 0; i < SAMPLES; i++) {
		samples[i] = make_sample(i);
		wrong[i] = make_sample(i + 100);
		if (i % 2)
			recipes[i / 2 % COUNT(recipes)](&wrong[i]);
	}
	for (i = 0; i < MUTANTS;) {
		const struct sample *good = &samples[next_random(SAMPLES)];
		struct sample mutant = *good;
		enum kick_verdict verdict;

		mutate(&mutant, wrong);
		if (is_same(&mutant, good))
			continue;
		verdict = verify(&mutant);
		if (verdict == KICK_GOOD)
			fail_msg("mutant %u was accepted", i);
		malformed += verdict == KICK_MALFORMED;
		i++;
	}
	/* Enough of them reach the arithmetic. */
	assert_in_range(malformed, MUTANTS / 10, MUTANTS / 2);
	print_message("%u mutants in %.1f s\n", MUTANTS,
	    (double)(clock() - start) / CLOCKS_PER_SEC);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(own_signatures_are_good),
		cmocka_unit_test(the_signature_is_over_the_exact_bytes),
		cmocka_unit_test(a_good_signature_after_many_bad_ones_is_good),
		cmocka_unit_test(every_flipped_bit_of_a_signature_is_refused),
		cmocka_unit_test(blocks_that_are_not_padded_exactly_are_refused),
		cmocka_unit_test(other_recipes_are_refused),
		cmocka_unit_test(other_forms_of_a_signature_are_malformed),
		cmocka_unit_test(no_mutant_is_accepted),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
