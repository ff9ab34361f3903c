/*
 * The platform's public key, kept up to date: the shipped one, those that were adopted,
 * and the endpoint that tells of changes (facts/kick.md 2.1).
 *
 * A new key is stored, then used. The one before it stays good for KICK_KEY_OVERLAP_MS.
 * With platforms.kick.public_key_file nothing is asked and nothing changes.
 */
#ifndef BROKER_EVENTS_KICK_UPKEEP_H
#define BROKER_EVENTS_KICK_UPKEEP_H

#include "broker/dispatch.h"

/* How long a key stays good after another has followed it; as long as a delivery may
 * be old by default (webhooks.timestamp_tolerance_s). */
#define KICK_KEY_OVERLAP_MS (24LL * 60 * 60 * 1000)
/* Bytes of an answer with a key, and the longest wait for one. */
#define KICK_KEY_REPLY_MAX 16384
#define KICK_KEY_ASK_MS 8000
#define KICK_KEY_TROUBLE_SIZE 160

struct kick_upkeep;

/* Takes the stored keys into the ring of ingest and plans the first question. Call
 * before the loop runs, after ingest_new and with store and fetcher. 0, or a negative
 * errno when the database cannot be read. */
int kick_upkeep_start(struct broker *broker);

/* Call when database and fetcher are closed. Nothing started is allowed. */
void kick_upkeep_stop(struct broker *broker);

/* A delivery has a signature of the right form that no key verifies. True: it was taken
 * over (*msg is empty) and comes to on_delivery again when the platform has answered,
 * or soon anyway. False: refuse it. */
bool kick_upkeep_hold(struct client *client, struct proto_msg *msg);

/* Forgets what a front waits for. */
void kick_upkeep_client_gone(struct broker *broker, const struct client *client);

/* What was counted since the start. */
struct kick_upkeep_stats {
	bool off;            /* a key file is configured */
	uint64_t same;       /* answers with the key in use */
	uint64_t changed;    /* with another, which was adopted */
	uint64_t refused;    /* with something that is no good key */
	uint64_t failed;     /* no answer, or one that is no 200 */
	uint64_t suspicions; /* questions that deliveries caused */
	uint64_t held;       /* deliveries that waited for an answer */
	int64_t answered_at; /* wall clock ms of the last good answer, 0: none */
	int64_t changed_at;  /* of the last change, 0: none since the start */
	int64_t old_until; /* until when a key before the newest is good, 0: none is */
	char trouble[KICK_KEY_TROUBLE_SIZE]; /* of the last question; "" when none */
};
void kick_upkeep_stats(struct broker *broker, struct kick_upkeep_stats *ret_stats);

#endif
