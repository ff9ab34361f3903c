/*
 * A key pair and what it signs, over EVP. Called by trigger_key.c (on its thread) and
 * trigger.c.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "broker/events/kick_sign.h"
#include "common/alloc.h"
#include "common/text.h"

struct kick_signer {
	EVP_PKEY *key;
	char *pem;
};

static char *
pem_of(EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *pem = NULL;
	char *data;
	long length;

	if (bio && PEM_write_bio_PUBKEY(bio, key) == 1) {
		length = BIO_get_mem_data(bio, &data);
		pem = xstrndup(data, (size_t)length);
	}
	BIO_free(bio);
	return pem;
}

struct kick_signer *
kick_signer_make(void)
{
	struct kick_signer *signer = xcalloc(1, sizeof(*signer));

	signer->key = EVP_RSA_gen(KICK_SIGN_BITS);
	if (signer->key)
		signer->pem = pem_of(signer->key);
	if (signer->pem)
		return signer;
	kick_signer_free(signer);
	return NULL;
}

void
kick_signer_free(struct kick_signer *signer)
{
	if (!signer)
		return;
	EVP_PKEY_free(signer->key);
	free(signer->pem);
	free(signer);
}

const char *
kick_signer_pem(const struct kick_signer *signer)
{
	return signer->pem;
}

char *
kick_signer_sign(struct kick_signer *signer, const char *id, const char *timestamp,
    const void *body, size_t body_length)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	uint8_t bytes[KICK_SIGN_BITS / 8];
	size_t length = sizeof(bytes);
	char *text = NULL;

	if (context &&
	    EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, signer->key) == 1 &&
	    EVP_DigestSignUpdate(context, id, strlen(id)) == 1 &&
	    EVP_DigestSignUpdate(context, ".", 1) == 1 &&
	    EVP_DigestSignUpdate(context, timestamp, strlen(timestamp)) == 1 &&
	    EVP_DigestSignUpdate(context, ".", 1) == 1 &&
	    EVP_DigestSignUpdate(context, body, body_length) == 1 &&
	    EVP_DigestSignFinal(context, bytes, &length) == 1)
		text = base64_encode(bytes, length);
	EVP_MD_CTX_free(context);
	return text;
}
