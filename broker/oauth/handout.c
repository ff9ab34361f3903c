/*
 * Handing access tokens out to programs that need one, over broker.sock only.
 *
 * token_get, from request to answer:
 *
 *   load    may this account's token be handed out?
 *   token   one that lives long enough, refreshed when it must be
 *   audit   who gets it, durable before the token leaves
 *   answer
 *
 * A request that is refused is audited too. token_allow switches it on and off;
 * audit_list shows what was asked.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/oauth/accounts.h"
#include "broker/oauth/oauth.h"
#include "broker/oauth/steps.h"
#include "broker/oauth/token_use.h"
#include "broker/store/store_handout.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/text.h"
#include "common/time.h"

struct token_get {
	struct flow flow;
	const struct platform *platform;
	char *username;
	const char *what; /* for the audit */
	uint32_t min_ttl_s;
	uid_t uid; /* who asked; the client may go meanwhile */
	pid_t pid;
	struct secret access;
	int64_t expires_at;
	enum proto_error error; /* how it ends; ERR_none: well */
	char sentence[STEPS_SENTENCE_SIZE];
};

struct load_job {
	struct steps_job steps;
	const struct platform *platform;
	char *username_key;
	bool allowed;
};

struct audit_job {
	struct steps_job steps;
	struct store_audit row;
};

static void load(struct token_get *);
static int run_load(struct store_job *, struct db *);
static void on_loaded(struct store_job *, int);
static void ask_token(struct token_get *);
static void cancel_use(void *);
static void on_token(void *, const struct token_grant *);
static void judge_life(struct token_get *);
static void audit(struct token_get *);
static int run_audit(struct store_job *, struct db *);
static void on_audited(struct store_job *, int);
static void answer(struct token_get *);
static void release(struct flow *);

void
on_token_get(struct client *client, struct proto_msg *msg)
{
	const struct proto_token_get *asked = &msg->token_get;
	const struct account *account =
	    steps_account(client, msg->rid, asked->platform, asked->username, NULL);
	struct token_get *get;

	if (!account)
		return;
	get = xcalloc(1, sizeof(*get));
	flow_init(&get->flow, client->broker, client, msg->rid, "token_get",
	    STEPS_LOGIN_DEADLINE_MS, release);
	get->platform = account->platform;
	get->username = xstrdup(account->row.username);
	get->what = asked->command ? "exec" : "token get";
	get->min_ttl_s = asked->min_ttl;
	get->uid = client->uid;
	get->pid = client->pid;
	load(get);
}

static void
load(struct token_get *get)
{
	struct load_job *job = xcalloc(1, sizeof(*job));

	flow_step(&get->flow, "load");
	job->platform = get->platform;
	job->username_key = text_fold(get->username);
	steps_submit(&get->flow, &job->steps, run_load, on_loaded);
}

static int
run_load(struct store_job *store_job, struct db *db)
{
	struct load_job *job = (struct load_job *)store_job;

	return store_handout_get(
	    db, job->platform->name, job->username_key, &job->allowed);
}

static void
on_loaded(struct store_job *store_job, int result)
{
	struct load_job *job = (struct load_job *)store_job;
	struct token_get *get = (struct token_get *)steps_done(&job->steps);

	if (get && result < 0) {
		steps_fail_store(&get->flow, result);
	} else if (get && !job->allowed) {
		get->error = ERR_handout_off;
		snprintf(get->sentence, sizeof(get->sentence),
		    "The access token of '%s' at %s is not handed out; that is off "
		    "until somebody allows it",
		    get->username, get->platform->title);
		audit(get);
	} else if (get) {
		ask_token(get);
	}
	free(job->username_key);
	free(job);
}

static void
ask_token(struct token_get *get)
{
	struct broker *broker = get->flow.broker;
	const struct account *account =
	    accounts_find(broker->accounts, get->platform, get->username);

	flow_step(&get->flow, "token");
	if (!account) {
		/* Erased since the request came. */
		get->error = ERR_no_token;
		steps_no_token(get->platform, get->username, get->sentence);
		audit(get);
		return;
	}
	flow_wait(&get->flow, cancel_use,
	    token_use(broker, account, (int64_t)get->min_ttl_s * 1000, on_token, get));
}

static void
cancel_use(void *arg)
{
	token_use_cancel(arg);
}

static void
on_token(void *arg, const struct token_grant *grant)
{
	struct token_get *get = arg;

	flow_resume(&get->flow);
	if (grant->error == ERR_none) {
		get->access = secret_copy(grant->access->bytes, grant->access->length);
		get->expires_at = grant->expires_at;
		judge_life(get);
	} else {
		get->error = grant->error;
		snprintf(get->sentence, sizeof(get->sentence), "%s",
		    grant->sentence ? grant->sentence
				    : proto_error_info(grant->error)->doc);
	}
	audit(get);
}

/* A refresh may have failed, and nobody can make a token live longer than its platform
 * lets it. */
static void
judge_life(struct token_get *get)
{
	int64_t left_ms = get->expires_at - time_now_ms();
	long long left_s = left_ms > 0 ? (long long)(left_ms / 1000) : 0;

	if (left_ms > 0 && left_ms >= (int64_t)get->min_ttl_s * 1000)
		return;
	get->error = ERR_login_needed;
	if (left_ms > 0)
		snprintf(get->sentence, sizeof(get->sentence),
		    "The access token of '%s' at %s lives for %lld s, which is less "
		    "than the %u s asked for; log in again, or ask for less",
		    get->username, get->platform->title, left_s, get->min_ttl_s);
	else
		snprintf(get->sentence, sizeof(get->sentence),
		    "The access token of '%s' at %s has expired; log in again",
		    get->username, get->platform->title);
}

static struct store_audit
make_audit(const struct platform *platform, const char *username, const char *what,
    enum proto_error error)
{
	return (struct store_audit){
		.at = time_now_ms(),
		.what = xstrdup(what),
		.platform = xstrdup(platform->name),
		.username = xstrdup(username),
		.outcome =
		    xstrdup(error == ERR_none ? "done" : proto_error_info(error)->name),
	};
}

static void
audit(struct token_get *get)
{
	struct audit_job *job = xcalloc(1, sizeof(*job));

	flow_step(&get->flow, "audit");
	job->row = make_audit(get->platform, get->username, get->what, get->error);
	job->row.uid = get->uid;
	job->row.pid = get->pid;
	steps_submit(&get->flow, &job->steps, run_audit, on_audited);
}

static int
run_audit(struct store_job *store_job, struct db *db)
{
	return store_audit_put(db, &((struct audit_job *)store_job)->row);
}

static void
on_audited(struct store_job *store_job, int result)
{
	struct audit_job *job = (struct audit_job *)store_job;
	struct token_get *get = (struct token_get *)steps_done(&job->steps);

	if (result == 0)
		log_info("audit", "user %u (process %d): %s of '%s' at %s: %s",
		    (unsigned)job->row.uid, (int)job->row.pid, job->row.what,
		    log_quote(job->row.username), job->row.platform, job->row.outcome);
	if (get && result < 0)
		steps_fail_store(&get->flow, result);
	else if (get)
		answer(get);
	store_audit_clear(&job->row);
	free(job);
}

static void
answer(struct token_get *get)
{
	if (get->error != ERR_none) {
		flow_fail(&get->flow, get->error, get->sentence);
		return;
	}
	broker_count(get->flow.broker, "tokens_handed_out", 1);
	flow_answer(&get->flow,
	    &(const struct proto_msg){
		.type = MSG_token_given,
		.token_given = {
			.platform = get->platform->name,
			.username = get->username,
			.access_token = get->access,
			.expires_at = (uint64_t)get->expires_at,
		},
	    });
}

static void
release(struct flow *flow)
{
	struct token_get *get = (struct token_get *)flow;

	secret_clear(&get->access);
	free(get->username);
	free(get);
}

/* ---- Allowing ---- */

struct allow_job {
	struct steps_job steps;
	char *username_key;
	bool allowed;
	struct store_audit row;
};

static void
release_plain(struct flow *flow)
{
	free(flow);
}

static int
run_allow(struct store_job *store_job, struct db *db)
{
	const struct allow_job *job = (const struct allow_job *)store_job;
	int result = store_handout_set(
	    db, job->row.platform, job->username_key, job->allowed, job->row.at);

	return result < 0 ? result : store_audit_put(db, &job->row);
}

static void
on_allow_stored(struct store_job *store_job, int result)
{
	struct allow_job *job = (struct allow_job *)store_job;
	struct flow *flow = steps_done(&job->steps);

	if (result == 0)
		log_info("audit", "user %u (process %d): %s of '%s' at %s",
		    (unsigned)job->row.uid, (int)job->row.pid, job->row.what,
		    log_quote(job->row.username), job->row.platform);
	if (flow && result < 0)
		steps_fail_store(flow, result);
	else if (flow)
		flow_answer(flow,
		    &(const struct proto_msg){
			.type = MSG_token_allowed,
			.token_allowed = {
				.platform = job->row.platform,
				.username = job->row.username,
				.allowed = job->allowed,
			},
		    });
	free(job->username_key);
	store_audit_clear(&job->row);
	free(job);
}

void
on_token_allow(struct client *client, struct proto_msg *msg)
{
	const struct proto_token_allow *asked = &msg->token_allow;
	const struct account *account =
	    steps_account(client, msg->rid, asked->platform, asked->username, NULL);
	struct allow_job *job;
	struct flow *flow;

	if (!account)
		return;
	flow = xcalloc(1, sizeof(*flow));
	flow_init(flow, client->broker, client, msg->rid, "token_allow",
	    STEPS_DEADLINE_MS, release_plain);
	flow_step(flow, "store");
	job = xcalloc(1, sizeof(*job));
	job->username_key = text_fold(account->row.username);
	job->allowed = asked->allowed;
	job->row = make_audit(account->platform, account->row.username,
	    asked->allowed ? "token allow" : "token deny", ERR_none);
	job->row.uid = client->uid;
	job->row.pid = client->pid;
	steps_submit(flow, &job->steps, run_allow, on_allow_stored);
}

/* ---- Looking ---- */

struct list_job {
	struct steps_job steps;
	uint32_t limit;
	struct store_audit *rows;
	uint32_t count;
};

static void
take_row(void *arg, struct store_audit *audit_row)
{
	struct list_job *job = arg;

	if (job->count == job->limit)
		return;
	job->rows[job->count++] = *audit_row;
	*audit_row = (struct store_audit){ .number = 0 };
}

static int
run_list(struct store_job *store_job, struct db *db)
{
	struct list_job *job = (struct list_job *)store_job;

	return store_audit_load(db, job->limit, take_row, job);
}

static void
send_row(struct flow *flow, const struct store_audit *row)
{
	flow_row(flow,
	    &(const struct proto_msg){
		.type = MSG_audit,
		.audit = {
			.number = (uint64_t)row->number,
			.at = (uint64_t)row->at,
			.uid = (uint32_t)row->uid,
			.pid = (uint32_t)row->pid,
			.what = row->what,
			.platform = row->platform,
			.username = row->username,
			.outcome = row->outcome,
		},
	    });
}

static void
on_listed(struct store_job *store_job, int result)
{
	struct list_job *job = (struct list_job *)store_job;
	struct flow *flow = steps_done(&job->steps);
	uint32_t i;

	if (flow && result < 0) {
		steps_fail_store(flow, result);
	} else if (flow) {
		for (i = 0; i < job->count; i++)
			send_row(flow, &job->rows[i]);
		flow_answer(flow, &(const struct proto_msg){ .type = MSG_list_end });
	}
	for (i = 0; i < job->count; i++)
		store_audit_clear(&job->rows[i]);
	free(job->rows);
	free(job);
}

void
on_audit_list(struct client *client, struct proto_msg *msg)
{
	struct list_job *job = xcalloc(1, sizeof(*job));
	struct flow *flow = xcalloc(1, sizeof(*flow));

	flow_init(flow, client->broker, client, msg->rid, "audit_list",
	    STEPS_DEADLINE_MS, release_plain);
	flow_step(flow, "load");
	job->limit = msg->audit_list.limit;
	job->rows = xcalloc(job->limit, sizeof(*job->rows));
	steps_submit(flow, &job->steps, run_list, on_listed);
}
