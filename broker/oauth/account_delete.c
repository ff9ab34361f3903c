/*
 * account_delete, from request to answer:
 *
 *   load    the sealed tokens; a lost login that has none goes on with `erase`
 *   unseal
 *   revoke  at the platform, within REVOKE_MS
 *   erase   here, whatever the platform said
 *   answer  with what it said
 *
 * The flow outlives its client, so that a platform that has revoked the tokens and a
 * database that still has them do not stay apart.
 */
#include <stdlib.h>
#include <string.h>

#include "broker/oauth/accounts.h"
#include "broker/oauth/oauth.h"
#include "broker/oauth/revocation.h"
#include "broker/oauth/sealed.h"
#include "broker/oauth/steps.h"
#include "broker/store/store_handout.h"
#include "broker/store/store_refresh.h"
#include "broker/store/store_secret.h"
#include "broker/subscriptions/subs.h"
#include "broker/vault/vault.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/text.h"

#define REVOKE_MS 5000

struct account_delete {
	struct flow flow;
	const struct platform *platform;
	char *username;
	enum revocation_result result;
};

struct erase_job {
	struct steps_job steps;
	const struct platform *platform;
	char *username;
	char *username_key;
	char *secret_name;
	char *previous_name;
	uint64_t generation;
	enum revocation_result result;
};

static void on_opened(struct flow *, const struct sealed *);
static void revoke(struct account_delete *, const struct tokens *);
static void cancel_revocation(void *);
static void on_revoked(void *, enum revocation_result);
static void erase(struct account_delete *);
static int run_erase(struct store_job *, struct db *);
static void on_erased(struct store_job *, int);
static void release(struct flow *);

void
on_account_delete(struct client *client, struct proto_msg *msg)
{
	const struct proto_account_delete *asked = &msg->account_delete;
	const struct platform *platform =
	    steps_platform(client, msg->rid, asked->platform);
	const struct account *account;
	struct account_delete *gone;
	char sentence[STEPS_SENTENCE_SIZE];

	if (!platform)
		return;
	account = accounts_find(client->broker->accounts, platform, asked->username);
	if (!account) {
		refused_drop(client->broker, platform, asked->username);
		login_note_drop(client->broker, platform, asked->username);
		steps_no_token(platform, asked->username, sentence);
		client_fail(client, msg->rid, ERR_no_token, sentence);
		return;
	}
	gone = xcalloc(1, sizeof(*gone));
	flow_init(&gone->flow, client->broker, client, msg->rid, "account_delete",
	    STEPS_DELETE_DEADLINE_MS, release);
	gone->flow.outlives_client = true;
	gone->platform = platform;
	gone->username = xstrdup(account->row.username);
	if (strcmp(account->row.status, STORE_ACCOUNT_LOST) == 0 &&
	    !account->row.refreshable)
		erase(gone);
	else
		sealed_open(&gone->flow,
		    accounts_token_name(gone->platform, gone->username), on_opened);
}

/* Tokens that cannot be opened cannot be revoked, but they are erased all the same. */
static void
on_opened(struct flow *flow, const struct sealed *sealed)
{
	struct account_delete *gone = (struct account_delete *)flow;
	struct tokens tokens = { .access = SECRET_NONE };
	int result = sealed->result;

	if (sealed->end == SEALED_store) {
		sealed_fail(flow, sealed);
		return;
	}
	if (sealed->end == SEALED_absent) {
		erase(gone);
		return;
	}
	if (result == 0)
		result = tokens_unpack(sealed->plain, &tokens);
	if (result == 0) {
		revoke(gone, &tokens);
	} else {
		log_error("oauth",
		    "the tokens of '%s' at %s cannot be opened (%s); they are erased "
		    "without having been revoked",
		    log_quote(gone->username), gone->platform->name, strerror(-result));
		gone->result = REVOCATION_unreachable;
		erase(gone);
	}
	tokens_clear(&tokens);
}

static void
revoke(struct account_delete *gone, const struct tokens *tokens)
{
	struct broker *broker = gone->flow.broker;
	const struct account *account =
	    accounts_find(broker->accounts, gone->platform, gone->username);
	struct revocation *revocation;

	flow_step(&gone->flow, "revoke");
	revocation = revocation_start(broker, gone->platform, tokens,
	    account ? accounts_client_id(broker->accounts, account) : "", REVOKE_MS,
	    on_revoked, gone);
	if (revocation)
		flow_wait(&gone->flow, cancel_revocation, revocation);
	else
		erase(gone);
}

static void
cancel_revocation(void *arg)
{
	revocation_cancel(arg);
}

static void
on_revoked(void *arg, enum revocation_result result)
{
	struct account_delete *gone = arg;

	flow_resume(&gone->flow);
	gone->result = result;
	erase(gone);
}

static void
erase(struct account_delete *gone)
{
	struct erase_job *job = xcalloc(1, sizeof(*job));
	const struct account *account =
	    accounts_find(gone->flow.broker->accounts, gone->platform, gone->username);

	flow_step(&gone->flow, "erase");
	job->platform = gone->platform;
	job->username = xstrdup(gone->username);
	job->username_key = text_fold(gone->username);
	job->secret_name = accounts_token_name(gone->platform, gone->username);
	job->previous_name = accounts_previous_name(gone->platform, gone->username);
	job->generation = account ? account->row.generation : 0;
	job->result = gone->result;
	steps_submit(&gone->flow, &job->steps, run_erase, on_erased);
}

static int
run_erase(struct store_job *store_job, struct db *db)
{
	struct erase_job *job = (struct erase_job *)store_job;
	int result = store_account_delete(db, job->platform->name, job->username_key);

	if (result == 0)
		result = store_secret_delete(db, job->secret_name);
	if (result == 0)
		result = store_secret_delete(db, job->previous_name);
	if (result == 0)
		result = store_handout_set(
		    db, job->platform->name, job->username_key, false, 0);
	if (result == 0)
		result =
		    store_refresh_delete(db, job->platform->name, job->username_key);
	if (result == 0)
		result =
		    store_refused_delete(db, job->platform->name, job->username_key);
	if (result == 0)
		result = store_account_note_delete(
		    db, job->platform->name, job->username_key);
	return result;
}

static void
on_erased(struct store_job *store_job, int result)
{
	struct erase_job *job = (struct erase_job *)store_job;
	struct flow *flow = steps_done(&job->steps);
	struct broker *broker = job->steps.broker;
	const struct proto_msg answer = {
		.type = MSG_account_deleted,
		.account_deleted = {
			.platform = job->platform->name,
			.username = job->username,
			.revocation = revocation_name(job->result),
		},
	};

	if (result == 0) {
		accounts_remove(broker->accounts, job->platform, job->username);
		refused_forget(broker, job->platform, job->username);
		login_note_forget(broker, job->platform, job->username);
		subscriptions_account_changed(
		    broker, job->platform->name, job->username);
		vault_forget(broker->vault, job->secret_name, job->generation);
		vault_forget(broker->vault, job->previous_name, job->generation);
		log_info("oauth", "login of '%s' at %s erased, revocation: %s",
		    log_quote(job->username), job->platform->name,
		    revocation_name(job->result));
	}
	if (flow && result == 0)
		flow_answer(flow, &answer);
	else if (flow)
		steps_fail_store(flow, result);
	free(job->username);
	free(job->username_key);
	free(job->secret_name);
	free(job->previous_name);
	free(job);
}

static void
release(struct flow *flow)
{
	struct account_delete *gone = (struct account_delete *)flow;

	free(gone->username);
	free(gone);
}
