/*
 * What platforms answer in a device flow (RFC 8628; facts/twitch-google-standards.md
 * A.7, C.10, D.7), read by the platform's table.
 */
#ifndef BROKER_OAUTH_DEVICE_REPLY_H
#define BROKER_OAUTH_DEVICE_REPLY_H

#include <stdint.h>

#include "broker/oauth/token_error.h"
#include "common/secret.h"

/* What a refusal means, to the first request or to a poll. */
enum device_answer {
	DEVICE_pending,     /* the person has not decided yet */
	DEVICE_slow_down,   /* the same, and polls come too often */
	DEVICE_denied,      /* the person said no */
	DEVICE_expired,     /* the code is too old or was used */
	DEVICE_unknown,     /* the same, said by platforms that also say it in error */
	DEVICE_unsupported, /* this client cannot do it */
	DEVICE_refused,     /* anything else: a mistake of ours or of the settings */
	DEVICE_transient,   /* ask again later */
};

/* What a platform says beside the codes of RFC 8628 3.5, which mean the same at all of
 * them. A member that is NULL is not looked at; both are compared without case. */
struct device_row {
	const char *code;  /* what `error` is */
	const char *words; /* a part of the description; both NULL: ends the list */
	enum device_answer answer;
};

/* The device flow as a platform has it. */
struct platform_device {
	const char *scope_field; /* of both requests */
	const char *uri_member;  /* of the first answer */
	bool scope_in_poll;
	bool secret_in_poll;
	/* The only scopes that can be asked for, as a set; NULL: all. */
	const char *scopes;
	const struct device_row *rows;
	/* What kind of client it takes, for a sentence. */
	const char *client_kind;
};

#define DEVICE_CODE_MAX 2048
#define DEVICE_USER_CODE_MAX 64
#define DEVICE_URI_MAX 2048
/* Life of a code: assumed when nobody says, and the longest that is waited. */
#define DEVICE_LIFE_S 900
#define DEVICE_LIFE_MAX_S 1800
/* Seconds between two polls: when nobody says, and the bounds. */
#define DEVICE_INTERVAL_S 5
#define DEVICE_INTERVAL_LEAST_S 1
#define DEVICE_INTERVAL_MAX_S 60
#define DEVICE_SLOWER_S 5 /* RFC 8628 3.5 */

/* What the platform gave out. */
struct device_start {
	struct secret code;
	char *user_code;
	char *uri; /* https, or http to a loopback address */
	int64_t life_s;
	unsigned interval_s;
};

/* Reads the body of the first answer. NULL, or a static text that says what is wrong;
 * *ret_start is the caller's to clear after NULL. */
const char *device_start_read(const struct secret *body,
    const struct platform_device *device, struct device_start *ret_start);
void device_start_clear(struct device_start *start);

/* What an answer with this status (not 200) and error means. */
enum device_answer device_judge(const struct platform_device *device, unsigned status,
    const struct token_error *error);

/* Seconds to wait before the next poll, after `failures` in a row that were transient;
 * asked_s is what the platform asked for (Retry-After), 0: nothing. */
unsigned device_pause_s(unsigned interval_s, unsigned failures, unsigned asked_s);

#endif
