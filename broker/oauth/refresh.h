/*
 * Refreshing tokens: one refresh at a time for each account, ahead of expiry or when
 * somebody asks, with a result that everybody who asked meanwhile shares.
 *
 * What is decided where: facts/twitch-google-standards.md E, facts/kick.md 1.4 and 1.5,
 * reliability.md 3.3 ("Refresh state machine").
 */
#ifndef BROKER_OAUTH_REFRESH_H
#define BROKER_OAUTH_REFRESH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/oauth/accounts.h"
#include "proto/proto.h"

struct refresh_wait;
struct store_refresh;

/* Between two refreshes of an account that nobody asked for. */
#define REFRESH_FLOOR_MS 60000
/* A result that is younger is shared with whoever asks. */
#define REFRESH_SHARED_MS 2000
/* Refreshes ahead of expiry that run at the same time. */
#define REFRESH_RUNNING_MAX 4
/* Of a refresh token, after a send that got no usable answer: it may have been used up,
 * so it is sent so often again and then no more (reliability.md 3.3). */
#define REFRESH_RETRIES_MAX 1
/* Before the second try with a token that was refused for good. */
#define REFRESH_CONFIRM_MS 3000
/* Back-off after a failure: the first step, and the longest that is waited. */
#define REFRESH_BACKOFF_MS 4000
#define REFRESH_BACKOFF_MAX_MS (15 * 60 * 1000)
/* Refusals without a word, one after the other, that mean the end of a grant; and how
 * long after one that counts the next counts, however often somebody asks: an outage of
 * some seconds must not cost a login (facts/kick.md 1.5, rule (e)). */
#define REFRESH_DOUBTS_MAX 4
#define REFRESH_DOUBT_SPACING_MS 60000
/* Bytes that must be free on the database's file system: a token that cannot be stored
 * must not be asked for. */
#define REFRESH_ROOM_MIN (8 * 1024 * 1024)
/* Clocks that were set by more are looked at. */
#define REFRESH_JUMP_MS 60000

/* Why a refresh is wanted. */
enum refresh_cause {
	REFRESH_asked,    /* somebody asked for it by name */
	REFRESH_needed,   /* a call needs a token that lives longer */
	REFRESH_rejected, /* the platform did not take the token */
};

/* How it ended. ERR_none: the tokens are fresh, or the login is lost now; the account
 * tells. */
struct refresh_end {
	enum proto_error error;
	const char *sentence; /* of a failure */
	uint32_t retry_after; /* seconds, 0: not said */
};

typedef void refresh_done_fn(void *arg, const struct refresh_end *end);

/* Refreshes the tokens of an account or joins the refresh that runs. `done` is called
 * once from the loop, never before this has returned and not after refresh_leave. */
struct refresh_wait *refresh_join(struct broker *broker, const struct account *account,
    enum refresh_cause cause, refresh_done_fn *done, void *arg);

/* Stops waiting; the refresh goes on. */
void refresh_leave(struct refresh_wait *wait);

/* Takes up refreshing: `wall` and `boot` are the clocks' values in ms. Call it when
 * accounts and the rows of table `refreshes` (refresh_found) are loaded. */
void refresh_start(struct broker *broker);
void refresh_stop(struct broker *broker);

/* Before the broker ends: begins nothing any more and runs the loop until no refresh is
 * between its request and the stored tokens, for most_ms at most. */
void refresh_finish(struct broker *broker, int64_t most_ms);

/* The platform has taken the access token of this generation: the refresh token that
 * these tokens replaced is not needed any more and is erased. */
void refresh_proven(
    struct broker *broker, const struct account *account, uint64_t generation);

/* A row that was found at start: the refresh was cut off. */
void refresh_found(struct accounts *accounts, const struct store_refresh *found);

/* Something changed that the schedule depends on: a login, an account's end. */
void refresh_schedule(struct broker *broker);

/* The credentials of a platform were changed or removed: a pause is over. */
void
refresh_credentials_changed(struct broker *broker, const struct platform *platform);

/* Why nothing is refreshed at a platform; NULL: it is. */
const char *refresh_pause(const struct broker *broker, const struct platform *platform);

/* Refreshes that run. */
size_t refresh_count(const struct broker *broker);

/* Why an account is not refreshed: what its last refresh failed with, that its platform
 * is paused, or that credentials are missing. NULL: nothing is known against it. The
 * text is good until the next change of accounts or credentials. */
const char *refresh_trouble(const struct broker *broker, const struct account *account);

/* Texts that were made for a message about an account. */
struct account_texts {
	char *missing;
	char *unmet;
};

/* The state of a login as a message. The caller clears *ret_texts afterwards; all else
 * is borrowed from the account. */
struct proto_msg accounts_message(const struct broker *broker,
    const struct account *account, struct account_texts *ret_texts);

void account_texts_clear(struct account_texts *texts);

#endif
