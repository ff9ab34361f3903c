/*
 * What is known of logins and credentials, in memory: read at start, written through.
 * Also holds what else belongs to OAuth as a whole. For the files of this folder, and
 * for events/ours.c.
 */
#ifndef BROKER_OAUTH_ACCOUNTS_H
#define BROKER_OAUTH_ACCOUNTS_H

#include <stddef.h>
#include <stdint.h>

#include "broker/oauth/login_adopt.h"
#include "broker/oauth/logins.h"
#include "broker/oauth/platform.h"
#include "broker/oauth/refresh_plan.h"
#include "broker/oauth/refused.h"
#include "broker/store/store_account.h"
#include "broker/store/store_credential.h"

struct event;
struct validation;
struct app_tokens;
struct refresher;

struct account {
	struct store_account row;
	struct refresh_plan plan;
	const struct platform *platform;
	int64_t check_due;          /* boot-time ms of its next check, 0: not planned */
	int64_t check_tried;        /* boot-time ms of the last try of one, 0: none */
	unsigned check_failures;    /* tries in a row that did not reach the platform */
	int64_t checked_at;         /* wall clock ms since this start, 0: never */
	enum check_verdict verdict; /* of the last check */
	char *other_client;         /* the tokens are of another client id than the
				     * stored one: what to do; NULL: they are not */
	struct account *next;       /* in the bucket of its name */
	struct account *next_of_id; /* in the bucket of its user id */
};

struct accounts {
	struct account **by_name;
	struct account **by_id; /* those whose user id is known */
	size_t bucket_count;    /* of each, a power of two */
	size_t count;
	size_t platform_counts[CONFIG_PLATFORM_MAX];
	size_t lost_count; /* of STORE_ACCOUNT_LOST */
	struct store_credential credentials[CONFIG_PLATFORM_MAX]; /* platform NULL:
								   * none */
	struct logins logins;
	struct refused_logins refused;
	struct login_notes login_notes; /* found at start and not settled yet */
	struct event *adopt_timer;
	struct event *purge_timer;
	struct validation *validation;
	struct app_tokens *app_tokens;
	struct refresher *refresher;
	uint64_t generation; /* the last that was given out */
};

struct accounts *accounts_new(void);
void accounts_free(struct accounts *accounts);

/* NULL when there is none. The name is compared without ASCII case. */
struct account *accounts_find(const struct accounts *accounts,
    const struct platform *platform, const char *username);

/* Takes the row over, in the place of one with the same name. */
void accounts_put(struct accounts *accounts, const struct platform *platform,
    struct store_account *row);

/* Takes over what a platform said of an account (store_account_learn): user id, names,
 * identity and expiry. Nothing happens when the account has other tokens meanwhile. */
void accounts_learn(struct accounts *accounts, const struct platform *platform,
    const struct store_account *told);

/* The account may be absent. */
void accounts_remove(
    struct accounts *accounts, const struct platform *platform, const char *username);

/* How many accounts of a platform are stored. */
size_t accounts_platform_count(const struct accounts *accounts, const char *platform);

/* Whether a channel is that of an account: by user id, or where one side does not know
 * it by a name equal to that of the account without regard to ASCII case. Each may be
 * NULL. */
bool accounts_have_channel(const struct accounts *accounts, const char *platform,
    const char *user_id, const char *name, const char *slug);

/* All accounts, or those of one platform, by platform and name. The caller frees the
 * array. */
struct account **accounts_sorted(const struct accounts *accounts,
    const struct platform *platform, size_t *ret_count);

/* "valid", "expired" or "reauth_required". */
const char *accounts_status(const struct account *account);

/* NULL when none are stored. */
const struct store_credential *
accounts_credential(const struct accounts *accounts, const struct platform *platform);

/* The client id that the tokens of an account are of, as far as it is known, else the
 * stored one; "" when there is none. */
const char *
accounts_client_id(const struct accounts *accounts, const struct account *account);

/* Takes the row over. NULL removes. */
void accounts_set_credential(struct accounts *accounts, const struct platform *platform,
    struct store_credential *row);

/* A generation that is greater than all before, for a value about to be sealed. */
uint64_t accounts_next_generation(struct accounts *accounts);

/* Names in the vault; the caller frees. The user name is folded. */
char *accounts_token_name(const struct platform *platform, const char *username);
char *accounts_previous_name(const struct platform *platform, const char *username);
char *accounts_client_name(const struct platform *platform);
char *accounts_app_name(const struct platform *platform);

#endif
