/*
 * PKCE verifiers and challenges (RFC 7636). Pure but for the random bytes; called by
 * login_start.c.
 */
#include <string.h>

#include "broker/oauth/pkce.h"
#include "common/alloc.h"
#include "common/crypto.h"

struct secret
pkce_verifier(void)
{
	unsigned char bytes[PKCE_RANDOM_SIZE];
	char text[BASE64URL_SIZE(PKCE_RANDOM_SIZE)];
	struct secret verifier;

	crypto_random(bytes, sizeof(bytes));
	base64url_encode(bytes, sizeof(bytes), text);
	verifier = secret_copy(text, strlen(text));
	wipe(bytes, sizeof(bytes));
	wipe(text, sizeof(text));
	return verifier;
}

void
pkce_challenge(const struct secret *verifier, char *challenge)
{
	uint8_t digest[CRYPTO_SHA256_SIZE];

	crypto_sha256(verifier->bytes, verifier->length, digest);
	base64url_encode(digest, sizeof(digest), challenge);
}
