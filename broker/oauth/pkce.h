/*
 * Proof Key for Code Exchange, RFC 7636, method S256.
 */
#ifndef BROKER_OAUTH_PKCE_H
#define BROKER_OAUTH_PKCE_H

#include "common/secret.h"
#include "common/text.h"

/* Random bytes in a verifier; its 43 characters are the shortest that RFC 7636 4.1
 * allows. */
#define PKCE_RANDOM_SIZE 32
#define PKCE_CHALLENGE_SIZE BASE64URL_SIZE(32)

/* A fresh code_verifier. The caller clears it. */
struct secret pkce_verifier(void);

/* code_challenge = BASE64URL(SHA256(ASCII(code_verifier))). `challenge` takes
 * PKCE_CHALLENGE_SIZE bytes. */
void pkce_challenge(const struct secret *verifier, char *challenge);

#endif
