/*
 * Kick's API of event subscriptions (facts/kick.md 4 and 5.2): requests, and what the
 * replies say. Pure but for making the requests' header lines.
 */
#ifndef BROKER_SUBSCRIPTIONS_KICK_SUBS_H
#define BROKER_SUBSCRIPTIONS_KICK_SUBS_H

#include "broker/outbound/fetch.h"
#include "broker/subscriptions/sub_plan.h"
#include "common/buf.h"
#include "common/config.h"

/* Ids removed by one call, which keeps addresses short (4.3). */
#define KICK_SUBS_REMOVE_MAX 50
/* Bytes of a broadcaster's id in digits, with its NUL. */
#define KICK_SUBS_USER_SIZE 21
/* Bytes of what the platform said, cut, with its NUL. */
#define KICK_SUBS_SAID_SIZE 161

/* A request and the memory of its address. */
struct kick_subs_request {
	struct fetch_request fetch;
	struct buf url;
};

/* Every request is ended with this, after fetch_start too. */
void kick_subs_request_clear(struct kick_subs_request *request);

/* Who is `username`? Channels by their slug; a name with '_' is asked for in both of
 * its forms. Needs an app token. */
void kick_subs_ask_channel(const struct config_platform *config, const char *username,
    const struct secret *token, struct kick_subs_request *request);

/* What is there? `user_id` may be NULL with a user's own token. */
void kick_subs_ask_list(const struct config_platform *config, const char *user_id,
    const struct secret *token, struct kick_subs_request *request);

/* All events in one call. */
void kick_subs_ask_create(const struct config_platform *config, const char *user_id,
    const char *const *events, size_t count, const struct secret *token,
    struct kick_subs_request *request);

/* At most KICK_SUBS_REMOVE_MAX ids. */
void kick_subs_ask_remove(const struct config_platform *config, const char *const *ids,
    size_t count, const struct secret *token, struct kick_subs_request *request);

/* What a reply means as a whole. */
enum kick_subs_verdict {
	KICK_SUBS_good,
	KICK_SUBS_token,    /* 401: the token is not taken */
	KICK_SUBS_scope,    /* 403: the token may not */
	KICK_SUBS_limit,    /* 400 with a text about a limit: no more subscriptions */
	KICK_SUBS_webhooks, /* a text about webhooks: they are off at the platform */
	KICK_SUBS_refused,  /* another 4xx: asking again as it is will not help */
	KICK_SUBS_busy,     /* 429 */
	KICK_SUBS_away,     /* no usable answer: network, 5xx, an edge server */
	KICK_SUBS_VERDICT_MAX
};

/* Judges status and body. `said` takes KICK_SUBS_SAID_SIZE bytes: what the platform
 * said of a failure, printable and cut, or what went wrong on the way. */
enum kick_subs_verdict kick_subs_judge(const struct fetch_reply *reply, char *said);

/* What a text of the platform about one event means: KICK_SUBS_limit,
 * KICK_SUBS_webhooks, KICK_SUBS_scope or KICK_SUBS_refused. */
enum kick_subs_verdict kick_subs_judge_text(const char *text);

/* Reads the channel's id out of a good reply. 0; -ENOENT when it names no such channel;
 * -EBADMSG when the reply cannot be read. `ret_id` takes KICK_SUBS_USER_SIZE bytes. */
int
kick_subs_read_channel(const struct secret *body, const char *username, char *ret_id);

/* Reads a list; entries of other broadcasters than `user_id` (NULL: any) and unreadable
 * ones are left out. 0 and an array that the caller frees, or -EBADMSG: an answer that
 * is no list must not be taken for an empty one. With user_id NULL, `ret_user_id`
 * (KICK_SUBS_USER_SIZE bytes) gets that of the first entry, "" when there is none. */
int kick_subs_read_list(const struct secret *body, const char *user_id,
    struct sub_listed **ret_listed, size_t *ret_count, char *ret_user_id);

/* What became of one event of a creation. */
struct kick_subs_created {
	enum kick_subs_verdict verdict; /* KICK_SUBS_good: `id`; KICK_SUBS_away: the
					 * reply does not say */
	char id[SUB_ID_SIZE];
	char said[KICK_SUBS_SAID_SIZE];
};

/* Reads the reply of a creation, one result for each event in its order. 0, or -EBADMSG
 * when it cannot be read; nobody knows what was created then. */
int kick_subs_read_created(const struct secret *body, const char *const *events,
    size_t count, struct kick_subs_created *ret_created);

#endif
