/*
 * Is this delivery signed by the platform? facts/kick.md 2.2.
 */
#ifndef BROKER_EVENTS_KICK_VERIFY_H
#define BROKER_EVENTS_KICK_VERIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kick_key;

/* Smallest RSA key that is accepted, and the largest. */
#define KICK_KEY_BITS_MIN 2048
#define KICK_KEY_BITS_MAX 8192

/* The key that Kick publishes (facts/kick.md 2.1), PEM, static. */
extern const char kick_public_key[];

/* Reads a PEM public key; a last line without its end is fine. 0, or -EINVAL when it
 * is no RSA public key of a size (and with an exponent) that is accepted. The caller
 * ends it with kick_key_free. */
int kick_key_read(const char *pem, size_t length, struct kick_key **ret_key);

/* NULL is allowed. */
void kick_key_free(struct kick_key *key);

/* SHA-256 of the key's DER form (SubjectPublicKeyInfo) in hex; valid with the key. */
const char *kick_key_id(const struct kick_key *key);

enum kick_verdict {
	KICK_GOOD,
	KICK_MALFORMED, /* the signature has another length than the key */
	KICK_WRONG,     /* it is not the signature of these bytes */
};

/* Checks RSASSA-PKCS1-v1_5 with SHA-256 over `id`, ".", `timestamp`, "." and the body
 * byte for byte. The key keeps its context between calls, so one key serves one
 * thread. */
enum kick_verdict kick_verify(struct kick_key *key, const char *id,
    const char *timestamp, const uint8_t *body, size_t body_length,
    const uint8_t *signature, size_t signature_length);

#endif
