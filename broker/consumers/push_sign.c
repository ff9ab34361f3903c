/*
 * Signatures of pushed events. Called by push_send.c, and when a target is entered.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/consumers/push_sign.h"
#include "common/alloc.h"
#include "common/buf.h"
#include "common/crypto.h"
#include "common/text.h"

static const char prefix[] = "whsec_";

/* Bytes of the digest in an id; 128 bits cannot meet by chance. */
#define ID_BYTES 16

struct secret
push_secret_make(void)
{
	uint8_t key[PUSH_KEY_MADE];
	struct secret secret;
	char encoded[BASE64_SIZE(PUSH_KEY_MADE)];

	crypto_random(key, sizeof(key));
	base64_encode_to(key, sizeof(key), encoded);
	secret = secret_join(prefix, encoded, NULL);
	wipe(key, sizeof(key));
	wipe(encoded, sizeof(encoded));
	return secret;
}

/* The key behind the prefix: 0 or -EINVAL. The caller wipes it. */
static int
read_key(
    const struct secret *secret, uint8_t key[static PUSH_KEY_MAX], size_t *ret_size)
{
	const char *text = secret_text(secret);
	size_t start = strlen(prefix);
	size_t size;

	if (!secret_is_text(secret) || strncmp(text, prefix, start) != 0 ||
	    base64_decode(
		text + start, secret->length - start, key, PUSH_KEY_MAX, &size) < 0 ||
	    size < PUSH_KEY_MIN)
		return -EINVAL;
	*ret_size = size;
	return 0;
}

int
push_secret_check(const struct secret *secret)
{
	uint8_t key[PUSH_KEY_MAX];
	size_t size;
	int result = read_key(secret, key, &size);

	wipe(key, sizeof(key));
	return result;
}

void
push_sign(const struct secret *secret, const char *id, int64_t timestamp,
    const void *body, size_t length, char signature[static PUSH_SIGNATURE_SIZE])
{
	uint8_t digest[CRYPTO_SHA256_SIZE];
	uint8_t key[PUSH_KEY_MAX];
	struct buf content = BUF_EMPTY;
	size_t size = 0;
	char *encoded;

	if (read_key(secret, key, &size) < 0)
		abort();
	buf_printf(&content, "%s.%lld.", id, (long long)timestamp);
	buf_add(&content, body, length);
	crypto_hmac_sha256(
	    key, size, buf_bytes(&content), buf_length(&content), digest);
	wipe(key, sizeof(key));
	buf_clear(&content);
	encoded = base64_encode(digest, sizeof(digest));
	(void)snprintf(signature, PUSH_SIGNATURE_SIZE, "v1,%s", encoded);
	free(encoded);
}

void
push_id(const char *platform, const char *message_id, char id[static PUSH_ID_SIZE])
{
	uint8_t digest[CRYPTO_SHA256_SIZE];
	char *text = xasprintf("%s/%s", platform, message_id);

	crypto_sha256(text, strlen(text), digest);
	free(text);
	memcpy(id, "evt_", 4);
	hex_encode(digest, ID_BYTES, id + 4);
}
