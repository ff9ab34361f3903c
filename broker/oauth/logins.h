/*
 * Logins in progress and those that ended a short while ago, in memory: how many are
 * pending, and who waits for the end of which. The truth about what may still be used
 * is in the database. Only for the files of this folder.
 */
#ifndef BROKER_OAUTH_LOGINS_H
#define BROKER_OAUTH_LOGINS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "broker/flow.h"
#include "common/crypto.h"
#include "proto/proto.h"

struct platform;

/* Pending logins at a time. */
#define LOGINS_MAX 1000
/* Ended logins that are remembered, and for how long. */
#define LOGINS_ENDED_MAX 1000
#define LOGINS_ENDED_MS (10 * 60 * 1000)

/* A request that waits for the end of a login. */
struct login_wait {
	struct flow flow;
	LIST_ENTRY(login_wait) entry;
};

struct login_entry {
	uint8_t hash[CRYPTO_SHA256_SIZE];
	const struct platform *platform;
	int64_t until; /* wall clock ms: expiry while pending, then of the memory */
	bool ended;
	enum proto_error error; /* ERR_none: it ended well */
	char *sentence;
	struct proto_login_finished finished; /* texts are owned */
	LIST_HEAD(login_waits, login_wait) waits;
	TAILQ_ENTRY(login_entry) entry;
};

struct logins {
	TAILQ_HEAD(login_entries, login_entry) entries; /* oldest first */
	size_t pending;
	size_t starting; /* on their way into the database */
	size_t ended;
};

void logins_init(struct logins *logins);

/* Frees; nobody may be waiting. */
void logins_clear(struct logins *logins);

/* SHA-256 of a state's text, under which it is stored. */
void logins_hash(const void *state, size_t length, uint8_t hash[CRYPTO_SHA256_SIZE]);

/* Name and generation of a login's verifier in the vault; the caller frees the name. */
#define LOGIN_VERIFIER_GENERATION 1
char *login_verifier_name(const uint8_t *hash);

/* Whether no further login may be started. */
bool logins_is_full(const struct logins *logins);

/* Remembers a login that was started. */
void logins_add(struct logins *logins, const uint8_t *hash,
    const struct platform *platform, int64_t expires_at);

/* NULL when it is not known. */
struct login_entry *logins_find(struct logins *logins, const uint8_t *hash);

/* Whether a login with this state is pending at this platform. */
bool logins_is_pending(
    struct logins *logins, const uint8_t *hash, const struct platform *platform);

/* Remembers how a login ended and answers everybody who waits for it. */
void logins_end(struct logins *logins, const uint8_t *hash,
    const struct proto_login_finished *finished);
void logins_end_failed(struct logins *logins, const uint8_t *hash,
    enum proto_error error, const char *sentence);

/* Answers a waiting request now, or adds it to those who wait. */
void logins_wait(struct login_entry *login, struct login_wait *wait);

/* Forgets what is over. Those who wait for an expired login get ERR_timed_out. */
void logins_purge(struct logins *logins, int64_t now);

#endif
