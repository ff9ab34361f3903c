/*
 * The flow of login_finish, shared by the files that tell its story: login_finish.c
 * (from the browser to the tokens), login_identify.c (who is it), login_store.c and
 * login_drop.c (tokens that nothing comes of); and by login_adopt.c, which begins after
 * a crash where it was cut off.
 */
#ifndef BROKER_OAUTH_LOGIN_FINISH_H
#define BROKER_OAUTH_LOGIN_FINISH_H

#include "broker/flow.h"
#include "broker/oauth/platform.h"
#include "broker/oauth/steps.h"
#include "broker/oauth/token_reply.h"
#include "broker/store/store_login.h"

/* How the deadline of the flow is shared out, in ms since its start. */
#define LOGIN_EXCHANGE_UNTIL_MS 11000
#define LOGIN_IDENTIFY_UNTIL_MS 15000
#define LOGIN_REVOKE_UNTIL_MS 18000
/* A step that is late gets at least so much. */
#define LOGIN_CALL_LEAST_MS 500

struct device;

struct login_finish {
	struct flow flow;
	struct proto_msg msg; /* what the browser brought; owned */
	const struct platform *platform;
	int64_t began; /* boot-time ms */
	bool taken;    /* the state has been consumed, and is this flow's to end */
	bool told;     /* those who wait for this login know how it ended */

	struct store_login login; /* what was stored when it was started */
	struct buf client_sealed; /* the client secret; empty: none */
	uint64_t client_generation;
	struct secret verifier;
	struct secret client_secret;

	struct token_reply reply;
	int64_t asked_at;           /* wall clock ms before the exchange was sent */
	int64_t expires_at;         /* wall clock ms */
	int64_t refresh_expires_at; /* of the refresh token, 0: not told */
	int64_t skew_ms;            /* of the platform's clock */

	struct identity identity;
	const struct platform_question *question;
	bool verified;
	char *username;      /* to store it under */
	uint64_t generation; /* of the tokens in the vault */
	bool adopting;       /* it was cut off by a crash, and goes on from its note */
	uint64_t adopted;    /* generation of the item that was found then */

	/* Of tokens that are being dropped (login_drop.c). */
	int keep_result; /* why the account could not be stored */
	enum proto_error drop_error;
	char drop_sentence[STEPS_SENTENCE_SIZE];

	struct device *device; /* of a login by a code (device.c), else NULL */
};

/* A flow that has only its platform yet. Ended by its answer, by login_fail, or like
 * every flow. */
struct login_finish *
login_new(struct broker *broker, struct client *client, uint32_t rid, const char *kind,
    unsigned deadline_ms, const struct platform *platform);

/* Time left until `until` (LOGIN_..._UNTIL_MS), at least LOGIN_CALL_LEAST_MS. */
unsigned login_time_left(const struct login_finish *login, int64_t until);

/* Ends the flow and the login with a failure. */
__attribute__((format(printf, 3, 4))) void
login_fail(struct login_finish *login, enum proto_error error, const char *format, ...);

/* Finds out who is behind login->reply, and goes on with login_store. */
void login_identify(struct login_finish *login);

/* Revokes login->reply, and then ends the flow and the login with a failure. The
 * sentence is copied. */
void
login_drop(struct login_finish *login, enum proto_error error, const char *sentence);

/* Notes, seals and stores the tokens, and answers. */
void login_store(struct login_finish *login);

#endif
