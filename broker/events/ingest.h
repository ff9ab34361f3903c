/*
 * Deliveries: checked on threads, committed on the database's thread, answered after
 * the commit.
 */
#ifndef BROKER_EVENTS_INGEST_H
#define BROKER_EVENTS_INGEST_H

#include "broker/dispatch.h"

struct ingest;

#define INGEST_ERROR_SIZE 512

/* Deliveries between arrival and answer; beyond it they fail with ERR_busy. */
#define INGEST_PENDING_MAX 8192

/* Reads the platform's public key (shipped, or platforms.kick.public_key_file). 0, or a
 * negative errno and a sentence in `error` (INGEST_ERROR_SIZE bytes). */
int ingest_new(struct broker *broker, struct ingest **ret_ingest, char *error);

/* Has what is being checked checked and given to the database. Call before that is
 * closed; no delivery may come afterwards. */
void ingest_stop(struct ingest *ingest);

/* NULL is allowed. No delivery may be pending; ingest_stop was called. */
void ingest_free(struct ingest *ingest);

/* Forgets who is to be answered: what is in progress is stored all the same. */
void ingest_client_gone(struct ingest *ingest, const struct client *client);

/* Message `delivery`. */
dispatch_fn on_delivery;

/* What a delivery that is not refused is answered: the first that fits. */
enum ingest_verdict {
	INGEST_duplicate, /* its message id is known; nothing was stored */
	INGEST_foreign,
	INGEST_quarantined,
	INGEST_unknown,
	INGEST_stored,
	INGEST_VERDICT_MAX,
};

/* Static text. */
const char *ingest_verdict_name(enum ingest_verdict verdict);

/* What was counted since the start, for report and health. */
struct ingest_stats {
	uint64_t verdicts[INGEST_VERDICT_MAX];
	uint64_t stored;
	uint64_t duplicates;
	uint64_t foreign;
	uint64_t unknown;
	uint64_t repeated;  /* stored, the same event as one before under another id */
	uint64_t alien;     /* stored, the body is not of the type it came under */
	uint64_t ill_typed; /* stored, a member is of another type than documented */
	uint64_t late;
	uint64_t synthetic;
	uint64_t masked;    /* stored, an anonymous person had a name in it */
	uint64_t strangers; /* stored, came by a subscription that is not ours */
	uint64_t refused_signature;
	uint64_t refused_malformed; /* of them, those of another length */
	uint64_t refused_stale;     /* the sum of the next three */
	uint64_t refused_time;      /* the timestamp is none */
	uint64_t refused_old;
	uint64_t refused_future;
	uint64_t failed;
	int64_t last_at; /* wall clock ms of the last stored one that is not synthetic,
			  * 0: none */
	size_t pending;
};
const struct ingest_stats *ingest_stats(const struct ingest *ingest);

/* The keys by which deliveries are checked; a change counts from the next one on. */
struct kick_ring;
struct kick_ring *ingest_ring(const struct ingest *ingest);

/* Hex SHA-256 of the newest key of the platform. */
const char *ingest_key_id(const struct ingest *ingest);

#endif
