/*
 * Standard Webhooks 1.0 (facts D.11): secrets, ids and signatures of what is pushed.
 * Pure but for random bytes.
 */
#ifndef BROKER_CONSUMERS_PUSH_SIGN_H
#define BROKER_CONSUMERS_PUSH_SIGN_H

#include <stddef.h>
#include <stdint.h>

#include "common/secret.h"

/* Key bytes behind "whsec_" + base64. */
#define PUSH_KEY_MIN 24
#define PUSH_KEY_MAX 64
#define PUSH_KEY_MADE 32

/* "v1," + base64 of a SHA-256 and a NUL. */
#define PUSH_SIGNATURE_SIZE 48

/* Makes a new secret; the caller calls secret_clear. */
struct secret push_secret_make(void);

/* Whether a secret is "whsec_" and base64 of PUSH_KEY_MIN to PUSH_KEY_MAX bytes: 0 or
 * -EINVAL. */
int push_secret_check(const struct secret *secret);

/* Signs "<id>.<timestamp>.<body>" under a secret that push_secret_check has passed.
 * `timestamp` is in seconds since 1970. */
void push_sign(const struct secret *secret, const char *id, int64_t timestamp,
    const void *body, size_t length, char signature[static PUSH_SIGNATURE_SIZE]);

/* The webhook-id of an event: the same for every attempt, for every consumer, and
 * after a restore of the database; without dots. `id` takes PUSH_ID_SIZE bytes. */
#define PUSH_ID_SIZE 48
void
push_id(const char *platform, const char *message_id, char id[static PUSH_ID_SIZE]);

#endif
