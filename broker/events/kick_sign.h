/*
 * Signing as the platform does (facts/kick.md 2.2), with a key made here: for synthetic
 * deliveries only. The private key cannot be read from a signer.
 */
#ifndef BROKER_EVENTS_KICK_SIGN_H
#define BROKER_EVENTS_KICK_SIGN_H

#include <stddef.h>
#include <stdint.h>

#define KICK_SIGN_BITS 2048

struct kick_signer;

/* Makes a key, which takes a good part of a second; on any thread. NULL when OpenSSL
 * cannot. */
struct kick_signer *kick_signer_make(void);

/* Wipes the key. NULL is allowed. */
void kick_signer_free(struct kick_signer *signer);

/* The public key in PEM form, as kick_ring_put takes it; valid with the signer. */
const char *kick_signer_pem(const struct kick_signer *signer);

/* The signature header of a delivery, in base64. The caller frees. NULL when OpenSSL
 * cannot. */
char *kick_signer_sign(struct kick_signer *signer, const char *id,
    const char *timestamp, const void *body, size_t body_length);

#endif
