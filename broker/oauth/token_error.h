/*
 * How platforms say no, and what it means (facts/kick.md 1.5,
 * facts/twitch-google-standards.md A.11, C.8, E.3).
 */
#ifndef BROKER_OAUTH_TOKEN_ERROR_H
#define BROKER_OAUTH_TOKEN_ERROR_H

#include "broker/oauth/foreign.h"
#include "common/secret.h"

struct platform;

/* What a refusal means for a token. The order is that of the names below. */
enum refusal {
	REFUSAL_transient, /* try again later; nothing is lost */
	REFUSAL_terminal,  /* the grant is dead: a new login is needed */
	REFUSAL_doubtful,  /* the same when it is said again and again, else try later */
	REFUSAL_restart,   /* the code is of no use: start the login again */
	REFUSAL_config,    /* client id, secret or redirect address are wrong */
	REFUSAL_flow,      /* not yet (device flow) */
	REFUSAL_defect,    /* the request was ill-formed: a defect of ours */
	REFUSAL_MAX
};

const char *refusal_name(enum refusal refusal);

/* The standard members of an error body, made fit for a sentence. Empty when absent. */
struct token_error {
	char error[FOREIGN_SIZE];       /* `error`, RFC 6749 5.2 */
	char description[FOREIGN_SIZE]; /* `error_description`, or `message` */
};

/* Reads a body in any form: that of RFC 6749, Twitch's, an envelope, HTML, nothing. */
void token_error_read(const struct secret *body, struct token_error *ret_error);

/* What a reply of the token endpoint with this status (not 200) and error means. */
enum refusal token_error_judge(
    const struct platform *platform, unsigned status, const struct token_error *error);

/* "invalid_grant: Bad Request", or "status 502" when nothing was said. `out` takes
 * TOKEN_ERROR_SENTENCE_SIZE bytes. */
#define TOKEN_ERROR_SENTENCE_SIZE (2 * FOREIGN_SIZE + 32)
void token_error_sentence(unsigned status, const struct token_error *error, char *out);

#endif
