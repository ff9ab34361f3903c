/*
 * Refreshes, fresh tokens:
 *
 *   seal    the new pair, and by itself the refresh token that it replaces
 *   store   sealed tokens, the account's row and the end of the note in one transaction
 *   hold    when one of the two fails the tokens stay in memory and are tried again;
 *           who waits is told of the failure
 *   life    asked of the platform when the reply did not tell how long they live
 *   answer
 *
 * Nobody is given a token before it is durable.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "broker/health.h"
#include "broker/oauth/account_event.h"
#include "broker/oauth/refresh_run.h"
#include "broker/oauth/revocation.h"
#include "broker/oauth/scopes.h"
#include "broker/store/store_refresh.h"
#include "broker/store/store_secret.h"
#include "broker/subscriptions/subs.h"
#include "broker/vault/vault.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/time.h"

#define REVOKE_MS 5000
/* The wait doubles so often until it is REFRESH_HOLD_MAX_MS. */
#define HOLD_DOUBLINGS_MAX 5

struct keep_job {
	struct steps_job steps;
	const struct platform *platform;
	struct store_account row;
	char *secret_name; /* NULL: the row alone */
	struct buf sealed;
	char *previous_name;
	struct buf previous_sealed; /* empty: there is none any more */
	uint64_t before;            /* generation that is replaced */
	uint64_t adopted;           /* generation of an item found, 0: none */
	struct account_event event; /* of a login that was lost; type NULL: none */
	bool current;
	bool last; /* nobody tries again */
};

static void seal(struct refresh *);
static void on_sealed(void *, int, const struct buf *);
static void seal_replaced(struct refresh *);
static void on_replaced_sealed(void *, int, const struct buf *);
static void store(struct refresh *);
static struct keep_job *make_job(const struct refresh *);
static int run_keep(struct store_job *, struct db *);
static void on_kept(struct store_job *, int);
static void hold(struct refresh *, enum proto_error, const char *);
static void hold_vault(struct refresh *, int);
static void tell_loss(const struct keep_job *);
static void publish(struct keep_job *);
static void superseded(struct refresh *);
static void cancel_revocation(void *);
static void on_revoked(void *, enum revocation_result);
static void ask_life(struct refresh *);
static void on_life(void *, struct fetch_reply *);
static void store_life(struct refresh *);
static void on_life_kept(struct store_job *, int);

void
refresh_keep(struct refresh *refresh)
{
	struct token_reply *reply = &refresh->reply;
	struct secret *used =
	    refresh->previous ? &refresh->previous_token : &refresh->tokens.refresh;
	struct secret proven = secret_move(used);

	/* The one that was used has proven to be good. It is kept beside a new one
	 * until that has proven the same, and goes on where none or the same came. */
	secret_clear(&refresh->tokens.refresh);
	if (reply->refresh.length && !secret_equal(&reply->refresh, &proven)) {
		refresh->tokens.refresh = secret_move(&reply->refresh);
		refresh->replaced = proven;
	} else {
		refresh->tokens.refresh = proven;
	}
	secret_clear(&refresh->tokens.access);
	refresh->tokens.access = secret_move(&reply->access);
	secret_clear(&refresh->client_secret);
	/* A life of 0 says nothing that can be used (facts E.4). */
	if (reply->expires_in_s == 0)
		reply->expires_known = false;
	refresh->expires_at = token_reply_expires_at(
	    reply, refresh->asked_at, refresh->platform->assumed_life_s);
	refresh->unsettled = true;
	if (reply->expires_odd)
		log_warning("oauth",
		    "%s told the life of a token in a form that cannot be believed",
		    refresh->platform->title);
	seal(refresh);
}

static void
seal(struct refresh *refresh)
{
	struct broker *broker = refresh->flow.broker;
	struct secret packed;

	if (!refresh_account(refresh)) {
		superseded(refresh);
		return;
	}
	buf_clear(&refresh->fresh_sealed);
	buf_clear(&refresh->replaced_sealed);
	packed = tokens_pack(&refresh->tokens);
	flow_step(&refresh->flow, "seal");
	refresh->fresh_generation = accounts_next_generation(broker->accounts);
	steps_wait_vault(&refresh->flow,
	    vault_seal(broker->vault, refresh->secret_name, refresh->fresh_generation,
		&packed, on_sealed, refresh));
	secret_clear(&packed);
}

static void
on_sealed(void *arg, int result, const struct buf *sealed)
{
	struct refresh *refresh = arg;

	flow_resume(&refresh->flow);
	if (result < 0) {
		hold_vault(refresh, result);
		return;
	}
	buf_add(&refresh->fresh_sealed, buf_bytes(sealed), buf_length(sealed));
	if (refresh->replaced.length)
		seal_replaced(refresh);
	else
		store(refresh);
}

static void
seal_replaced(struct refresh *refresh)
{
	flow_step(&refresh->flow, "seal previous");
	steps_wait_vault(&refresh->flow,
	    vault_seal(refresh->flow.broker->vault, refresh->previous_name,
		refresh->fresh_generation, &refresh->replaced, on_replaced_sealed,
		refresh));
}

static void
on_replaced_sealed(void *arg, int result, const struct buf *sealed)
{
	struct refresh *refresh = arg;

	flow_resume(&refresh->flow);
	if (result < 0) {
		hold_vault(refresh, result);
		return;
	}
	buf_add(&refresh->replaced_sealed, buf_bytes(sealed), buf_length(sealed));
	store(refresh);
}

static char *
copy_of(const char *text)
{
	return text ? xstrdup(text) : NULL;
}

/* Until when the refresh token lives: told, or that of the one that stays. */
static int64_t
refresh_expires_at(const struct refresh *refresh, const struct store_account *from)
{
	const struct token_reply *reply = &refresh->reply;

	if (reply->refresh_expires_known)
		return refresh->asked_at + reply->refresh_expires_in_s * 1000;
	return refresh->replaced.length ? 0 : from->refresh_expires_at;
}

/* The row with what the reply said; scopes that it did not tell are unchanged. That the
 * platform took the client id for these tokens says that it is theirs. */
static void
make_row(const struct refresh *refresh, struct store_account *row)
{
	const struct store_account *from = &refresh_account(refresh)->row;
	const struct token_reply *reply = &refresh->reply;

	*row = (struct store_account){
		.platform = xstrdup(from->platform),
		.username_key = xstrdup(from->username_key),
		.username = xstrdup(from->username),
		.user_id = copy_of(from->user_id),
		.login = copy_of(from->login),
		.display_name = copy_of(from->display_name),
		.identity = xstrdup(from->identity),
		.scopes = xstrdup(reply->scopes_known ? reply->scopes : from->scopes),
		.scopes_asked = xstrdup(from->scopes_asked),
		.obtained_at = refresh->asked_at,
		.expires_at = refresh->expires_at,
		.refreshable = refresh->tokens.refresh.length > 0,
		.generation = refresh->fresh_generation,
		.status = xstrdup(STORE_ACCOUNT_OK),
		.client_id = refresh->adopted ? copy_of(from->client_id)
					      : xstrdup(refresh->client_id),
		.refresh_expires_at = refresh_expires_at(refresh, from),
	};
}

static void
store(struct refresh *refresh)
{
	struct keep_job *job;

	if (!refresh_account(refresh)) {
		superseded(refresh);
		return;
	}
	flow_step(&refresh->flow, "store");
	job = make_job(refresh);
	steps_submit(&refresh->flow, &job->steps, run_keep, on_kept);
}

static struct keep_job *
make_job(const struct refresh *refresh)
{
	struct keep_job *job = xcalloc(1, sizeof(*job));
	const struct buf *sealed = &refresh->fresh_sealed;
	const struct buf *replaced = &refresh->replaced_sealed;

	job->platform = refresh->platform;
	job->secret_name = xstrdup(refresh->secret_name);
	job->previous_name = xstrdup(refresh->previous_name);
	job->before = refresh->generation;
	job->adopted = refresh->adopted;
	make_row(refresh, &job->row);
	buf_add(&job->sealed, buf_bytes(sealed), buf_length(sealed));
	if (buf_length(replaced))
		buf_add(
		    &job->previous_sealed, buf_bytes(replaced), buf_length(replaced));
	if (refresh_is_lost(refresh_account(refresh)))
		account_event_make(&job->event, ACCOUNT_EVENT_RECOVERED, &job->row);
	return job;
}

static int
put_secrets(const struct keep_job *job, struct db *db)
{
	uint64_t generation = job->row.generation;
	int result = store_secret_put(db, job->secret_name, generation, &job->sealed);

	if (result < 0)
		return result;
	if (buf_length(&job->previous_sealed))
		return store_secret_put(
		    db, job->previous_name, generation, &job->previous_sealed);
	return store_secret_delete(db, job->previous_name);
}

static int
run_keep(struct store_job *store_job, struct db *db)
{
	struct keep_job *job = (struct keep_job *)store_job;
	int result = store_refresh_is_current(
	    db, job->row.platform, job->row.username_key, job->before, &job->current);

	if (result < 0 || !job->current)
		return result;
	result = store_account_put(db, &job->row);
	if (result == 0 && job->secret_name)
		result = put_secrets(job, db);
	if (result == 0)
		result =
		    store_refresh_delete(db, job->row.platform, job->row.username_key);
	if (result == 0)
		result = account_event_put(db, &job->event);
	return result;
}

static void
free_job(struct keep_job *job)
{
	store_account_clear(&job->row);
	account_event_clear(&job->event);
	free(job->secret_name);
	buf_clear(&job->sealed);
	free(job->previous_name);
	buf_clear(&job->previous_sealed);
	free(job);
}

static void
on_kept(struct store_job *store_job, int result)
{
	struct keep_job *job = (struct keep_job *)store_job;
	struct refresh *refresh = (struct refresh *)steps_done(&job->steps);

	health_storage(job->steps.broker, result);
	if (result == 0 && job->current)
		publish(job);
	else if (result < 0 && job->last)
		tell_loss(job);
	if (refresh && result < 0) {
		hold(refresh, ERR_storage_failed, strerror(-result));
	} else if (refresh && !job->current) {
		superseded(refresh);
	} else if (refresh) {
		refresh->unsettled = false;
		refresh->generation = refresh->fresh_generation;
		refresh->question = refresh->platform->questions;
		/* refresh_end_well tells those who wait when the life is known. */
		ask_life(refresh);
	}
	free_job(job);
}

/* ---- Tokens that cannot be stored ---- */

/* The old token is served until it expires; what is seen of the account meanwhile is
 * the trouble. */
static void
hold(struct refresh *refresh, enum proto_error error, const char *why)
{
	struct account *account = refresh_account(refresh);
	char sentence[STEPS_SENTENCE_SIZE];
	const struct refresh_end end = { .error = error, .sentence = sentence };
	int64_t wait = REFRESH_HOLD_MAX_MS;

	snprintf(sentence, sizeof(sentence),
	    "fresh tokens came and cannot be stored (%s); they are held in memory and "
	    "storing is tried again. Do not stop Streamhold before that is mended",
	    why);
	log_error("oauth", "'%s' at %s: %s", log_quote(refresh->username),
	    refresh->platform->name, log_quote(sentence));
	if (account)
		refresh_note_trouble(account, error, sentence);
	if (refresh->holds < HOLD_DOUBLINGS_MAX)
		wait = (int64_t)REFRESH_HOLD_MS << refresh->holds;
	refresh->holds++;
	refresh->unsettled = false;
	/* No deadline: what is held here is nowhere else. */
	(void)event_del(refresh->flow.deadline);
	flow_step(&refresh->flow, "hold");
	refresh_pause_for(refresh, wait, seal);
	refresh_tell(refresh, &end);
}

static void
hold_vault(struct refresh *refresh, int result)
{
	const char *sentence;
	enum proto_error error =
	    steps_vault_error(refresh->flow.broker->vault, result, &sentence);

	hold(refresh, error, sentence);
}

/* The note tells the next start, which tries the token that was used once more. */
static void
log_loss(const char *username, const struct platform *platform)
{
	log_error("oauth",
	    "fresh tokens of '%s' at %s could not be stored and are gone with this "
	    "stop; the refresh is tried again at the next start",
	    log_quote(username), platform->name);
}

static void
tell_loss(const struct keep_job *job)
{
	log_loss(job->row.username, job->platform);
}

void
refresh_keep_last(struct refresh *refresh)
{
	struct keep_job *job;

	if (!buf_length(&refresh->fresh_sealed)) {
		log_loss(refresh->username, refresh->platform);
		return;
	}
	job = make_job(refresh);
	job->last = true;
	job->steps.broker = refresh->flow.broker;
	job->steps.job = (struct store_job){ .run = run_keep, .done = on_kept };
	store_submit(refresh->flow.broker->store, &job->steps.job);
}

/* ---- Known to others ---- */

static void
warn_scopes(const struct store_account *before, const struct store_account *row)
{
	char *gone = scopes_missing(before->scopes, row->scopes);

	if (*gone)
		log_warning("oauth", "'%s' at %s has lost scopes: %s",
		    log_quote(row->username), row->platform, log_quote(gone));
	free(gone);
}

static void
publish(struct keep_job *job)
{
	struct broker *broker = job->steps.broker;
	struct account *account =
	    accounts_find(broker->accounts, job->platform, job->row.username);
	uint64_t generation = job->row.generation;
	int64_t now = time_boot_ms();
	bool was_lost;

	vault_forget(broker->vault, job->secret_name, job->before);
	vault_forget(broker->vault, job->previous_name, job->before);
	if (job->adopted) {
		vault_forget(broker->vault, job->secret_name, job->adopted);
		vault_forget(broker->vault, job->previous_name, job->adopted);
	}
	if (!account || account->row.generation != job->before)
		return;
	was_lost = refresh_is_lost(account);
	if (account->plan.trouble || was_lost)
		log_info("oauth", "refreshing '%s' at %s works again",
		    log_quote(account->row.username), job->platform->name);
	log_info("oauth", "tokens of '%s' at %s refreshed",
	    log_quote(account->row.username), job->platform->name);
	warn_scopes(&account->row, &job->row);
	broker_count(broker, "refresh_done", 1);
	accounts_put(broker->accounts, job->platform, &job->row);
	refresh_plan_make(&account->plan, &account->row,
	    (int64_t)broker->config.oauth.refresh_margin_s * 1000, time_now_ms(), now);
	account->plan.generation = generation;
	account->plan.refreshed = now;
	account->plan.ended = now;
	if (was_lost)
		subscriptions_account_changed(
		    broker, job->platform->name, account->row.username);
}

/* The account went or has another login. */
static void
superseded(struct refresh *refresh)
{
	struct broker *broker = refresh->flow.broker;
	struct revocation *revocation = NULL;

	/* What was sealed in vain must not be found by anybody. */
	if (buf_length(&refresh->fresh_sealed))
		vault_forget(
		    broker->vault, refresh->secret_name, refresh->fresh_generation);
	if (buf_length(&refresh->replaced_sealed))
		vault_forget(
		    broker->vault, refresh->previous_name, refresh->fresh_generation);
	if (refresh->adopted)
		vault_forget(broker->vault, refresh->secret_name, refresh->adopted);
	/* A deletion that could only revoke the old tokens. */
	if (!accounts_find(broker->accounts, refresh->platform, refresh->username)) {
		flow_step(&refresh->flow, "revoke");
		revocation =
		    revocation_start(broker, refresh->platform, &refresh->tokens,
			refresh->client_id, REVOKE_MS, on_revoked, refresh);
	}
	if (revocation)
		flow_wait(&refresh->flow, cancel_revocation, revocation);
	else
		refresh_end_well(refresh);
}

static void
cancel_revocation(void *arg)
{
	revocation_cancel(arg);
}

static void
on_revoked(void *arg, enum revocation_result result)
{
	struct refresh *refresh = arg;

	(void)result; /* revocation.c has logged what went wrong */
	flow_resume(&refresh->flow);
	refresh_end_well(refresh);
}

/* ---- A life that was not told ---- */

static struct platform_grant
grant_of(const struct refresh *refresh)
{
	return (struct platform_grant){
		.config =
		    &refresh->flow.broker->config.platform[refresh->platform->index],
		.client_id = refresh->client_id,
		.access = &refresh->tokens.access,
	};
}

/* Of the questions to a platform the one that is of use when all but the life is
 * known. */
static void
ask_life(struct refresh *refresh)
{
	struct platform_grant grant = grant_of(refresh);
	struct platform_request request = { .url = "" };
	const struct platform_question *question = refresh->question;

	identity_set(&refresh->identity.login, "known");
	identity_add_name(&refresh->identity, "known");
	while (question->name &&
	    (refresh->reply.expires_known ||
		!question->needed(&refresh->identity, false)))
		question++;
	refresh->question = question;
	if (!question->name || !refresh_account(refresh)) {
		refresh_end_well(refresh);
		return;
	}
	flow_step(&refresh->flow, "life");
	question->ask(&grant, &request);
	request.fetch.ca_file = grant.config->ca_file;
	request.fetch.timeout_ms = REFRESH_LIFE_MS;
	steps_wait_fetch(&refresh->flow,
	    fetch_start(
		refresh->flow.broker->fetcher, &request.fetch, on_life, refresh));
}

static void
on_life(void *arg, struct fetch_reply *reply)
{
	struct refresh *refresh = arg;
	struct platform_grant grant = grant_of(refresh);
	struct identity heard = { .user_id = NULL };

	flow_resume(&refresh->flow);
	if (reply->result == FETCH_answered && reply->status == 200 &&
	    refresh->question->hear(&grant, &reply->body, &heard) &&
	    refresh_account(refresh))
		refresh_proven(refresh->flow.broker, refresh_account(refresh),
		    refresh->generation);
	if (heard.life_known && heard.life_s > 0 && refresh_account(refresh)) {
		refresh->expires_at = reply->started_at + heard.life_s * 1000;
		store_life(refresh);
	} else {
		log_info("oauth",
		    "%s does not tell how long the token lives; %" PRId64
		    " s are assumed",
		    refresh->platform->title, refresh->platform->assumed_life_s);
		refresh_end_well(refresh);
	}
	identity_clear(&heard);
}

static void
store_life(struct refresh *refresh)
{
	struct keep_job *job = xcalloc(1, sizeof(*job));

	job->platform = refresh->platform;
	job->before = refresh->generation;
	make_row(refresh, &job->row);
	steps_submit(&refresh->flow, &job->steps, run_keep, on_life_kept);
}

static void
on_life_kept(struct store_job *store_job, int result)
{
	struct keep_job *job = (struct keep_job *)store_job;
	struct refresh *refresh = (struct refresh *)steps_done(&job->steps);
	struct broker *broker = job->steps.broker;
	struct account *account =
	    accounts_find(broker->accounts, job->platform, job->row.username);

	if (result == 0 && job->current && account &&
	    account->row.generation == job->before) {
		accounts_put(broker->accounts, job->platform, &job->row);
		refresh_plan_make(&account->plan, &account->row,
		    (int64_t)broker->config.oauth.refresh_margin_s * 1000,
		    time_now_ms(), time_boot_ms());
	}
	if (refresh)
		refresh_end_well(refresh);
	free_job(job);
}
