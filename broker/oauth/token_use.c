/*
 * Access tokens for calls:
 *
 *   refresh  when the token does not live long enough or was refused
 *   load     the sealed tokens
 *   unseal
 *   give
 *
 * Called by everything that calls a platform in an account's name.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/flow.h"
#include "broker/oauth/refresh.h"
#include "broker/oauth/sealed.h"
#include "broker/oauth/steps.h"
#include "broker/oauth/token_use.h"
#include "broker/oauth/tokens.h"
#include "broker/vault/vault.h"
#include "common/alloc.h"
#include "common/time.h"

/* Longer than a refresh takes. */
#define USE_DEADLINE_MS 120000

struct token_use {
	struct flow flow; /* without a client */
	const struct platform *platform;
	char *username;
	uint64_t refused; /* generation, 0: none */
	token_use_fn *done;
	void *arg;
	bool told;
};

static struct token_use *
use_new(struct broker *, const struct account *, token_use_fn *, void *);
static void refresh(struct token_use *, const struct account *, enum refresh_cause);
static void cancel_wait(void *);
static void on_refreshed(void *, const struct refresh_end *);
static void load(struct token_use *);
static void on_opened(struct flow *, const struct sealed *);
static void give(struct token_use *, const struct token_grant *);
static void fail(struct token_use *, enum proto_error, const char *);
static void release(struct flow *);

static int64_t
left_ms(const struct account *account)
{
	int64_t left = account->row.expires_at - time_now_ms();

	/* The clock may have been set since: what comes first counts. */
	if (account->plan.generation == account->row.generation &&
	    account->plan.expires - time_boot_ms() < left)
		left = account->plan.expires - time_boot_ms();
	return left;
}

static bool
is_lost(const struct account *account)
{
	return strcmp(account->row.status, STORE_ACCOUNT_LOST) == 0;
}

struct token_use *
token_use(struct broker *broker, const struct account *account, int64_t min_ttl_ms,
    token_use_fn *done, void *arg)
{
	struct token_use *use = use_new(broker, account, done, arg);
	int64_t margin = (int64_t)broker->config.oauth.refresh_margin_s * 1000;

	if (min_ttl_ms > margin)
		min_ttl_ms = margin;
	if (left_ms(account) > min_ttl_ms && !is_lost(account))
		load(use);
	else
		refresh(use, account, REFRESH_needed);
	return use;
}

struct token_use *
token_rejected(struct broker *broker, const struct account *account,
    uint64_t generation, token_use_fn *done, void *arg)
{
	struct token_use *use = use_new(broker, account, done, arg);

	if (account->row.generation != generation) {
		load(use);
		return use;
	}
	use->refused = generation;
	refresh(use, account, REFRESH_rejected);
	return use;
}

void
token_accepted(
    struct broker *broker, const struct account *account, uint64_t generation)
{
	refresh_proven(broker, account, generation);
}

static struct token_use *
use_new(
    struct broker *broker, const struct account *account, token_use_fn *done, void *arg)
{
	struct token_use *use = xcalloc(1, sizeof(*use));

	flow_init(&use->flow, broker, NULL, 0, "token_use", USE_DEADLINE_MS, release);
	use->platform = account->platform;
	use->username = xstrdup(account->row.username);
	use->done = done;
	use->arg = arg;
	return use;
}

static void
refresh(struct token_use *use, const struct account *account, enum refresh_cause cause)
{
	flow_step(&use->flow, "refresh");
	flow_wait(&use->flow, cancel_wait,
	    refresh_join(use->flow.broker, account, cause, on_refreshed, use));
}

static void
cancel_wait(void *arg)
{
	refresh_leave(arg);
}

static struct account *
account_of(const struct token_use *use)
{
	return accounts_find(use->flow.broker->accounts, use->platform, use->username);
}

static void
on_refreshed(void *arg, const struct refresh_end *end)
{
	struct token_use *use = arg;
	const struct account *account = account_of(use);
	char sentence[STEPS_SENTENCE_SIZE];

	flow_resume(&use->flow);
	if (!account) {
		steps_no_token(use->platform, use->username, sentence);
		fail(use, ERR_no_token, sentence);
	} else if (is_lost(account)) {
		fail(use, ERR_login_needed, account->row.reason);
	} else if (use->refused && account->row.generation == use->refused) {
		fail(use, end->error ? end->error : ERR_refresh_failed, end->sentence);
	} else if (end->error == ERR_none || left_ms(account) > 0) {
		load(use);
	} else {
		fail(use, end->error, end->sentence);
	}
}

static void
load(struct token_use *use)
{
	sealed_open(
	    &use->flow, accounts_token_name(use->platform, use->username), on_opened);
}

static void
fail_vault(struct token_use *use, int result)
{
	const char *sentence;
	enum proto_error error =
	    steps_vault_error(use->flow.broker->vault, result, &sentence);

	fail(use, error, sentence);
}

static void
give_opened(
    struct token_use *use, const struct sealed *sealed, const struct account *account)
{
	struct tokens tokens = { .access = SECRET_NONE };
	const struct token_grant grant = { .error = ERR_none,
		.access = &tokens.access,
		.generation = sealed->generation,
		.expires_at = account->row.expires_at };
	int result = tokens_unpack(sealed->plain, &tokens);

	if (result < 0)
		fail_vault(use, result);
	else
		give(use, &grant);
	tokens_clear(&tokens);
}

static void
on_opened(struct flow *flow, const struct sealed *sealed)
{
	struct token_use *use = (struct token_use *)flow;
	const struct account *account = account_of(use);
	char sentence[STEPS_SENTENCE_SIZE];

	if (sealed->end == SEALED_store) {
		fail(use, ERR_storage_failed, NULL);
	} else if (sealed->end == SEALED_absent || !account) {
		steps_no_token(use->platform, use->username, sentence);
		fail(use, ERR_no_token, sentence);
	} else if (sealed->end == SEALED_vault) {
		fail_vault(use, sealed->result);
	} else {
		give_opened(use, sealed, account);
	}
}

static void
give(struct token_use *use, const struct token_grant *grant)
{
	use->told = true;
	use->done(use->arg, grant);
	flow_answer(&use->flow, NULL);
}

static void
fail(struct token_use *use, enum proto_error error, const char *sentence)
{
	const struct token_grant grant = { .error = error,
		.sentence = sentence ? sentence : proto_error_info(error)->doc };

	give(use, &grant);
}

void
token_use_cancel(struct token_use *use)
{
	use->told = true;
	flow_answer(&use->flow, NULL);
}

/* Also where the broker ends or the deadline passes. */
static void
release(struct flow *flow)
{
	struct token_use *use = (struct token_use *)flow;
	const struct token_grant grant = { .error = ERR_timed_out,
		.sentence = proto_error_info(ERR_timed_out)->doc };

	if (!use->told)
		use->done(use->arg, &grant);
	free(use->username);
	free(use);
}
