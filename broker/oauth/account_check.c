/*
 * A check of one account's access token:
 *
 *   load      the sealed tokens
 *   unseal
 *   check     the platform's own question (validate, introspect, tokeninfo)
 *   identify  who is it, when the check has not told or the name has changed
 *   store     what is new: user id, names, expiry
 *
 * Started by validate.c on its timer and by on_account_check. The name under which an
 * account is stored stays as it was asked for; a rename changes what is shown.
 */
#include <stdlib.h>
#include <string.h>

#include "broker/oauth/account_check.h"
#include "broker/oauth/oauth.h"
#include "broker/oauth/refresh.h"
#include "broker/oauth/sealed.h"
#include "broker/oauth/steps.h"
#include "broker/oauth/validate.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/text.h"
#include "common/time.h"

/* For all steps; below what a client waits. */
#define CHECK_DEADLINE_MS 4500
#define CHECK_CALL_MS 3000
/* An expiry that differs by less is left alone. */
#define EXPIRY_TOLERANCE_MS 10000

struct account_check {
	struct flow flow;
	const struct platform *platform;
	char *username;
	uint64_t generation; /* of the tokens that are looked at */
	struct secret access;
	struct identity identity; /* what the check told, then what is known of it */
	struct identity named;    /* what the questions told */
	const struct platform_question *question;
	int64_t expires_at; /* 0: not told */
	struct account_check_end end;
	account_check_done_fn *done;
	void *arg;
};

struct learn_job {
	struct steps_job steps;
	const struct platform *platform;
	struct store_account row; /* only what is learnt, and its key */
	bool changed;
};

static void on_opened(struct flow *, const struct sealed *);
static struct platform_grant grant_of(const struct account_check *);
static void send_to(struct account_check *, struct platform_request *, fetch_done_fn *);
static void check(struct account_check *);
static void on_checked(void *, struct fetch_reply *);
static void judge(struct account_check *, struct fetch_reply *);
static const struct account *account_of(const struct account_check *);
static void identify(struct account_check *);
static void on_identified(void *, struct fetch_reply *);
static void take_names(struct account_check *);
static void learn(struct account_check *);
static int run_learn(struct store_job *, struct db *);
static void on_learnt(struct store_job *, int);
static void answer(struct account_check *);
static void release(struct flow *);

const char *
check_verdict_name(enum check_verdict verdict)
{
	static const char *const names[CHECK_VERDICT_MAX] = {
		[CHECK_good] = "good",
		[CHECK_refused] = "refused",
		[CHECK_other_client] = "other_client",
		[CHECK_other_user] = "other_user",
		[CHECK_unclear] = "unclear",
		[CHECK_unreachable] = "unreachable",
	};

	return names[verdict];
}

void
on_account_check(struct client *client, struct proto_msg *msg)
{
	const struct proto_account_check *asked = &msg->account_check;
	const struct account *account =
	    steps_account(client, msg->rid, asked->platform, asked->username, NULL);

	if (!account)
		return;
	if (strcmp(account->row.status, STORE_ACCOUNT_LOST) == 0) {
		client_fail(client, msg->rid, ERR_no_token,
		    "The login is lost and has no tokens: log in again");
	} else {
		account_check_start(
		    client->broker, client, msg->rid, account, NULL, NULL);
	}
}

void
account_check_start(struct broker *broker, struct client *client, uint32_t rid,
    const struct account *account, account_check_done_fn *done, void *arg)
{
	struct account_check *asked = xcalloc(1, sizeof(*asked));

	flow_init(&asked->flow, broker, client, rid, "account_check", CHECK_DEADLINE_MS,
	    release);
	asked->platform = account->platform;
	asked->username = xstrdup(account->row.username);
	asked->end = (struct account_check_end){ .platform = account->platform,
		.username = asked->username };
	asked->done = done;
	asked->arg = arg;
	sealed_open(&asked->flow, accounts_token_name(asked->platform, asked->username),
	    on_opened);
}

static void
on_opened(struct flow *flow, const struct sealed *sealed)
{
	struct account_check *asked = (struct account_check *)flow;
	struct tokens tokens = { .access = SECRET_NONE };
	int result = sealed->result;

	if (sealed->end == SEALED_absent) {
		flow_fail(flow, ERR_no_token, NULL);
		return;
	}
	if (sealed->end == SEALED_opened)
		result = tokens_unpack(sealed->plain, &tokens);
	if (sealed->end == SEALED_store || result < 0) {
		sealed_fail(flow,
		    &(const struct sealed){ .end = sealed->end, .result = result });
		return;
	}
	asked->generation = sealed->generation;
	asked->access = secret_move(&tokens.access);
	tokens_clear(&tokens);
	check(asked);
}

/* ---- Asking ---- */

/* Without a client id there is none to compare with, and nothing fits "". */
static struct platform_grant
grant_of(const struct account_check *asked)
{
	const struct broker *broker = asked->flow.broker;
	const struct account *account = account_of(asked);

	return (struct platform_grant){
		.config = &broker->config.platform[asked->platform->index],
		.client_id =
		    account ? accounts_client_id(broker->accounts, account) : "",
		.access = &asked->access,
	};
}

static void
send_to(
    struct account_check *asked, struct platform_request *request, fetch_done_fn *done)
{
	struct broker *broker = asked->flow.broker;

	request->fetch.ca_file =
	    broker->config.platform[asked->platform->index].ca_file;
	request->fetch.timeout_ms = CHECK_CALL_MS;
	steps_wait_fetch(
	    &asked->flow, fetch_start(broker->fetcher, &request->fetch, done, asked));
}

static void
check(struct account_check *asked)
{
	struct platform_grant grant = grant_of(asked);
	struct platform_request request = { .url = "" };

	flow_step(&asked->flow, "check");
	asked->platform->check->ask(&grant, &request);
	send_to(asked, &request, on_checked);
}

static void
on_checked(void *arg, struct fetch_reply *reply)
{
	struct account_check *asked = arg;
	const struct platform_check *how = asked->platform->check;
	struct platform_grant grant = grant_of(asked);

	flow_resume(&asked->flow);
	asked->end.retry_after_s = reply->retry_after_s;
	if (reply->result != FETCH_answered) {
		asked->end.verdict = CHECK_unreachable;
		log_warning("oauth", "%s: '%s' failed: %s; the login is kept",
		    asked->platform->title, how->name, reply->problem);
		answer(asked);
		return;
	}
	asked->end.verdict =
	    how->hear(&grant, reply->status, &reply->body, &asked->identity);
	judge(asked, reply);
}

static void
judge(struct account_check *asked, struct fetch_reply *reply)
{
	const struct account *account = account_of(asked);
	const char *known = account ? account->row.user_id : NULL;
	const char *told = asked->identity.user_id;

	if (account && asked->end.verdict == CHECK_good && known && told &&
	    strcmp(known, told) != 0)
		asked->end.verdict = CHECK_other_user;
	if (asked->end.verdict != CHECK_good)
		log_warning("oauth",
		    "'%s' at %s: '%s' with status %u says '%s' of the token",
		    log_quote(asked->username), asked->platform->name,
		    asked->platform->check->name, reply->status,
		    check_verdict_name(asked->end.verdict));
	if (account && asked->end.verdict == CHECK_good)
		refresh_proven(asked->flow.broker, account, asked->generation);
	if (!account || asked->end.verdict == CHECK_refused) {
		if (account)
			validate_rejected(
			    asked->flow.broker, account, asked->generation);
		answer(asked);
		return;
	}
	if (asked->end.verdict != CHECK_good) {
		answer(asked);
		return;
	}
	/* A clock that is behind the moment at which the tokens came is wrong, and an
	 * expiry by it would be over as soon as the clock is right again. */
	if (asked->identity.life_known && reply->started_at >= account->row.obtained_at)
		asked->expires_at = reply->started_at + asked->identity.life_s * 1000;
	if (asked->platform->check->tells_name && account->row.display_name &&
	    asked->identity.login && account->row.login &&
	    strcmp(asked->identity.login, account->row.login) == 0) {
		learn(asked);
		return;
	}
	asked->question = asked->platform->questions;
	identify(asked);
}

/* The account, as long as it has the tokens that are looked at. */
static const struct account *
account_of(const struct account_check *asked)
{
	const struct account *account = accounts_find(
	    asked->flow.broker->accounts, asked->platform, asked->username);

	return account && account->row.generation == asked->generation ? account : NULL;
}

/* Questions that are about the life alone are not asked. */
static void
identify(struct account_check *asked)
{
	struct platform_grant grant = grant_of(asked);
	struct platform_request request = { .url = "" };
	const struct platform_question *question = asked->question;

	flow_step(&asked->flow, "identify");
	while (question->name && !question->needed(&asked->named, true))
		question++;
	asked->question = question;
	if (!question->name) {
		take_names(asked);
		learn(asked);
		return;
	}
	question->ask(&grant, &request);
	send_to(asked, &request, on_identified);
}

static void
on_identified(void *arg, struct fetch_reply *reply)
{
	struct account_check *asked = arg;
	struct platform_grant grant = grant_of(asked);
	const struct platform_question *question = asked->question++;

	flow_resume(&asked->flow);
	if (reply->result != FETCH_answered || reply->status != 200 ||
	    !question->hear(&grant, &reply->body, &asked->named))
		log_debug("oauth", "%s: '%s' told nothing (status %u)",
		    asked->platform->title, question->name, reply->status);
	identify(asked);
}

/* The questions know more names than the check; where they know none, its word
 * counts. */
static void
take_names(struct account_check *asked)
{
	if (!identity_is_known(&asked->named))
		return;
	identity_clear(&asked->identity);
	asked->identity = asked->named;
	asked->named = (struct identity){ .user_id = NULL };
}

/* ---- Taking over ---- */

static char *
newer(const char *told, const char *known)
{
	if (told)
		return xstrdup(told);
	return known ? xstrdup(known) : NULL;
}

static bool
differs(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) != 0 : a != b;
}

/* What the account is after the check. */
static void
make_row(const struct account_check *asked, const struct store_account *known,
    struct store_account *row)
{
	const struct identity *told = &asked->identity;
	bool same_name = identity_has_name(told, known->username);
	int64_t off = asked->expires_at - known->expires_at;
	bool expiry_off = off > EXPIRY_TOLERANCE_MS || off < -EXPIRY_TOLERANCE_MS;

	*row = (struct store_account){
		.platform = xstrdup(known->platform),
		.username_key = xstrdup(known->username_key),
		.username = xstrdup(known->username),
		.user_id = newer(told->user_id, known->user_id),
		.login = newer(told->login, known->login),
		.display_name = newer(told->display_name, known->display_name),
		.identity = xstrdup(same_name ? "verified" : known->identity),
		.expires_at = asked->expires_at && expiry_off ? asked->expires_at
							      : known->expires_at,
		.generation = asked->generation,
	};
}

static void
tell_changes(const struct account_check *asked, const struct store_account *known,
    const struct store_account *row)
{
	char until[TIME_TEXT_SIZE];

	if (row->expires_at != known->expires_at) {
		time_format(row->expires_at, until);
		log_info("oauth", "the token of '%s' at %s is good until %s",
		    log_quote(known->username), asked->platform->name, until);
	}
	if (differs(row->login, known->login) ||
	    differs(row->display_name, known->display_name))
		log_info("oauth", "'%s' at %s is called '%s' ('%s') there, id '%s'",
		    log_quote(known->username), asked->platform->name,
		    log_quote(row->login), log_quote(row->display_name),
		    log_quote(row->user_id));
}

static void
learn(struct account_check *asked)
{
	const struct account *account = account_of(asked);
	const struct store_account *known;
	struct store_account row;
	struct learn_job *job;

	if (!account) {
		answer(asked);
		return;
	}
	known = &account->row;
	if (known->user_id && asked->identity.user_id &&
	    strcmp(known->user_id, asked->identity.user_id) != 0) {
		asked->end.verdict = CHECK_other_user;
		log_error("oauth",
		    "the token of '%s' at %s is that of id '%s', not '%s'; log in "
		    "again",
		    log_quote(known->username), asked->platform->name,
		    log_quote(asked->identity.user_id), log_quote(known->user_id));
		answer(asked);
		return;
	}
	make_row(asked, known, &row);
	if (row.expires_at == known->expires_at &&
	    !differs(row.user_id, known->user_id) &&
	    !differs(row.login, known->login) &&
	    !differs(row.display_name, known->display_name) &&
	    !differs(row.identity, known->identity)) {
		store_account_clear(&row);
		answer(asked);
		return;
	}
	flow_step(&asked->flow, "store");
	tell_changes(asked, known, &row);
	job = xcalloc(1, sizeof(*job));
	job->platform = asked->platform;
	job->row = row;
	steps_submit(&asked->flow, &job->steps, run_learn, on_learnt);
}

/* The time of the next refresh follows the expiry. */
static void
plan_anew(struct broker *broker, const struct platform *platform, const char *username)
{
	struct account *account = accounts_find(broker->accounts, platform, username);

	if (account)
		refresh_plan_correct(&account->plan, &account->row,
		    (int64_t)broker->config.oauth.refresh_margin_s * 1000,
		    time_now_ms(), time_boot_ms());
	refresh_schedule(broker);
}

static int
run_learn(struct store_job *store_job, struct db *db)
{
	struct learn_job *job = (struct learn_job *)store_job;

	return store_account_learn(db, &job->row, &job->changed);
}

static void
on_learnt(struct store_job *store_job, int result)
{
	struct learn_job *job = (struct learn_job *)store_job;
	struct account_check *asked = (struct account_check *)steps_done(&job->steps);

	if (result == 0 && job->changed) {
		accounts_learn(job->steps.broker->accounts, job->platform, &job->row);
		plan_anew(job->steps.broker, job->platform, job->row.username);
	}
	if (asked && result < 0)
		steps_fail_store(&asked->flow, result);
	else if (asked)
		answer(asked);
	store_account_clear(&job->row);
	free(job);
}

static void
answer(struct account_check *asked)
{
	struct broker *broker = asked->flow.broker;
	const struct account *account =
	    accounts_find(broker->accounts, asked->platform, asked->username);
	char sentence[STEPS_SENTENCE_SIZE];

	if (!account) {
		steps_no_token(asked->platform, asked->username, sentence);
		flow_fail(&asked->flow, ERR_no_token, sentence);
		return;
	}
	validate_note(broker, &asked->end);
	flow_answer(&asked->flow,
	    &(const struct proto_msg){
		.type = MSG_account_checked,
		.account_checked = {
			.platform = account->platform->name,
			.username = account->row.username,
			.verdict = check_verdict_name(asked->end.verdict),
			.expires_at = account->row.expires_at > 0
			    ? (uint64_t)account->row.expires_at
			    : 0,
			.user_id = account->row.user_id,
			.login = account->row.login,
			.display_name = account->row.display_name,
		},
	    });
}

static void
release(struct flow *flow)
{
	struct account_check *asked = (struct account_check *)flow;

	if (asked->done)
		asked->done(asked->arg, &asked->end);
	secret_clear(&asked->access);
	identity_clear(&asked->identity);
	identity_clear(&asked->named);
	free(asked->username);
	free(asked);
}
