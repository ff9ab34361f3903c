/*
 * What differs between the platforms. Each has a file of its own with one struct
 * platform; nothing else in the broker knows their names.
 */
#ifndef BROKER_OAUTH_PLATFORM_H
#define BROKER_OAUTH_PLATFORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/oauth/device_reply.h"
#include "broker/oauth/identity.h"
#include "broker/oauth/token_error.h"
#include "broker/oauth/tokens.h"
#include "broker/outbound/fetch.h"
#include "common/config.h"

struct platform_pair {
	const char *name; /* NULL ends a list */
	const char *value;
};

/* A refusal of the token endpoint: the first row that fits counts. */
struct platform_refusal {
	unsigned status;  /* 0: any */
	const char *text; /* what `error` is, or see refuses_in_words; any case. NULL:
			   * any; "": the body has neither `error` nor description */
	enum refusal refusal;
};

/* What a question to a platform needs. All borrowed. */
struct platform_grant {
	const struct config_platform *config;
	const char *client_id;
	const struct secret *access;
};

/* A request and the memory of its address. */
#define PLATFORM_URL_SIZE (CONFIG_URL_MAX + 128)
struct platform_request {
	struct fetch_request fetch;
	char url[PLATFORM_URL_SIZE];
};

/* One way to find out who is behind a token. They are asked in order. */
struct platform_question {
	const char *name; /* for the log; NULL ends the list */
	/* Whether the answer is of use after what was heard before. */
	bool (*needed)(const struct identity *identity, bool life_known);
	/* Fills in the request; fetch_request_clear ends it. */
	void (*ask)(
	    const struct platform_grant *grant, struct platform_request *request);
	/* Reads the body of a reply with status 200. False when nothing is in it. */
	bool (*hear)(const struct platform_grant *grant, const struct secret *body,
	    struct identity *identity);
};

/* What a platform says of an access token that is kept. */
enum check_verdict {
	CHECK_never, /* it was not asked yet */
	CHECK_good,
	CHECK_refused,      /* it does not take the token any more */
	CHECK_other_client, /* the token is of another client id than ours */
	CHECK_other_user,   /* the token is of another user than it was */
	CHECK_unclear,      /* the answer says neither */
	CHECK_unreachable,
	CHECK_VERDICT_MAX
};

/* How a platform is asked whether a token is still good. */
struct platform_check {
	const char *name; /* for the log */
	/* How often every stored token is checked, and whether at start too. */
	unsigned interval_s;
	bool at_start;
	/* The answer names the account, so that the questions need not be asked to
	 * follow a rename. */
	bool tells_name;
	void (*ask)(
	    const struct platform_grant *grant, struct platform_request *request);
	/* Reads a reply; fills in what it tells of the account and of the life. */
	enum check_verdict (*hear)(const struct platform_grant *grant, unsigned status,
	    const struct secret *body, struct identity *identity);
};

/* What needs a scope. PART_none: nothing that the configuration switches on, only what
 * programs do with the token. */
enum platform_part {
	PART_none,
	PART_identity, /* looking up who is behind a token */
	PART_events,   /* events of the account that the configuration wants */
	PART_chat,     /* actions that write into the chat */
	PART_MAX
};

/* A row of the table of scopes (needs.h). */
struct platform_need {
	const char *scopes; /* each of them is enough; separated by spaces. NULL ends */
	enum platform_part part;
	/* What will not work without: a sentence in which '@' stands for the name of
	 * the account, and '*' for the wanted events. */
	const char *effect;
};

/* Tokens that are revoked one after the other, at most. */
#define PLATFORM_REVOCATIONS_MAX 2

struct platform {
	const char *name;  /* in addresses and in the database */
	const char *title; /* in sentences */
	enum config_platform_index index;
	bool pkce;
	/* What `iss` must be when the callback has one (RFC 9207). */
	const char *issuer;
	/* Life of an access token when nobody says. */
	int64_t assumed_life_s;
	/* Further parameters of the authorize address. */
	const struct platform_pair *authorize;
	const struct platform_refusal *refusals; /* ends with a zeroed row */
	/* It has no codes: the texts of the rows are parts of what it says. */
	bool refuses_in_words;
	const struct platform_question *questions;
	const struct platform_device *device; /* NULL: it has none */
	const struct platform_check *check;
	const struct platform_need *needs;
	/* What people call the events that can be wanted; NULL: there are none. */
	const struct platform_pair *event_words;
	/* Whether a client has tokens of its own (grant client_credentials). */
	bool app_tokens;
	/* Whether a refresh token that was replaced may be tried when the newer one is
	 * refused. */
	bool takes_previous;
	/* Whether a refresh token is not used up by a refresh, so that one whose answer
	 * was lost may be sent again as often as need be. */
	bool keeps_refresh;
	/* Whether revoking one token ends all that the same person has at this client.
	 */
	bool revokes_widely;
	/* Why logins end that nobody ended, and what to do; NULL: there is no such
	 * reason. */
	const char *end_hint;
	/* Makes the forms that revoke what is there, in the order in which they are to
	 * be sent. Returns how many; the caller clears them. */
	size_t (*revocations)(const struct tokens *tokens, const char *client_id,
	    struct secret forms[PLATFORM_REVOCATIONS_MAX]);
};

/* NULL when there is no such platform. */
const struct platform *platform_find(const char *name);
const struct platform *platform_at(enum config_platform_index index);

/* The contract's sentence for another name; static. */
const char *platform_names_sentence(void);

/* For the platforms' files: the address `base` + `path`, and a header line
 * "Authorization: <scheme> <token>". */
void platform_ask_get(struct platform_request *request, const char *base,
    const char *path, const char *scheme, const struct secret *token);

/* A form with the one field `name`. */
struct secret platform_form_of_one(const char *name, const struct secret *value);

extern const struct platform platform_kick;
extern const struct platform platform_twitch;
extern const struct platform platform_youtube;

#endif
