/*
 * Refreshes, what the platform answered:
 *
 *   200         further in refresh_keep.c
 *   nothing     after something was sent: nobody knows; the note stays, and the token
 * is tried once more after a back-off. The answer to that counts. transient   the note
 * goes; back-off. The old token is served until it expires config      the note goes;
 * the platform is paused until its credentials change terminal    once more after
 * REFRESH_CONFIRM_MS (not when a use before is in doubt), then the token before it
 * where the platform takes that, then the login is lost: tokens erased, state and event
 * stored
 *
 * facts/twitch-google-standards.md E.2 and E.3, facts/kick.md 1.5.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/oauth/account_event.h"
#include "broker/oauth/refresh_run.h"
#include "broker/oauth/token_error.h"
#include "broker/store/store_refresh.h"
#include "broker/store/store_secret.h"
#include "broker/subscriptions/subs.h"
#include "broker/vault/vault.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/text.h"
#include "common/time.h"

/* Bytes of the column `reason`; messages.def allows 512. */
#define REASON_SIZE 512

/* Removes the note of a refresh that came to a certain end. */
struct clear_job {
	struct steps_job steps;
	char *username_key;
	const struct platform *platform;
	enum proto_error error;
	uint32_t retry_after;
	char *sentence;
};

struct lose_job {
	struct steps_job steps;
	struct store_account row;
	const struct platform *platform;
	char *secret_name;
	char *previous_name;
	struct account_event event;
	bool current;
};

static void end_doubts(const struct refresh *);
static void in_doubt(struct refresh *, const char *);
static void refused(struct refresh *, const struct fetch_reply *);
static void end_certainly(struct refresh *, enum proto_error, uint32_t, const char *);
static int run_clear(struct store_job *, struct db *);
static void on_cleared(struct store_job *, int);
static void pause_platform(struct refresh *, const char *);
static void terminal(struct refresh *, const char *);
static void confirm(struct refresh *);
static void lose(struct refresh *, const char *);
static int run_lose(struct store_job *, struct db *);
static void on_lost(struct store_job *, int);

void
refresh_on_reply(void *arg, struct fetch_reply *reply)
{
	struct refresh *refresh = arg;
	const char *what;

	flow_resume(&refresh->flow);
	refresh->unsettled = false;
	if (reply->result != FETCH_answered && !reply->sent) {
		end_certainly(
		    refresh, ERR_refresh_failed, reply->retry_after_s, reply->problem);
	} else if (reply->result != FETCH_answered) {
		in_doubt(refresh, reply->problem);
	} else if (reply->status != 200) {
		refused(refresh, reply);
	} else if (token_reply_read(&reply->body, &refresh->reply, &what) < 0) {
		/* Carried out, but what came of it is not to be had. */
		end_doubts(refresh);
		in_doubt(refresh, what);
	} else {
		end_doubts(refresh);
		refresh->asked_at = reply->started_at;
		refresh_keep(refresh);
	}
}

static void
in_doubt(struct refresh *refresh, const char *problem)
{
	struct account *account = refresh_account(refresh);

	if (account)
		refresh_doubt(refresh, account);
	refresh_fail(refresh, ERR_refresh_failed, 0,
	    "%s did not answer the refresh in a usable form: %s; it is tried again",
	    refresh->platform->title, problem);
}

/* ---- Refusals ---- */

/* An answer that is no refusal without a word ends the row of those. */
static void
end_doubts(const struct refresh *refresh)
{
	struct account *account = refresh_account(refresh);

	if (account)
		account->plan.doubts = 0;
}

static void
count_doubt(struct refresh_plan *plan)
{
	int64_t now = time_boot_ms();

	if (plan->doubts > 0 && now - plan->doubted < REFRESH_DOUBT_SPACING_MS)
		return;
	plan->doubts++;
	plan->doubted = now;
}

static void
doubtful(struct refresh *refresh, const char *sentence)
{
	struct account *account = refresh_account(refresh);

	if (account)
		count_doubt(&account->plan);
	if (account && account->plan.doubts >= REFRESH_DOUBTS_MAX)
		lose(refresh, sentence);
	else
		end_certainly(refresh, ERR_refresh_failed, 0, sentence);
}

static void
refused(struct refresh *refresh, const struct fetch_reply *reply)
{
	struct token_error error;
	char said[TOKEN_ERROR_SENTENCE_SIZE];
	char sentence[STEPS_SENTENCE_SIZE];
	enum refusal refusal;

	token_error_read(&reply->body, &error);
	token_error_sentence(reply->status, &error, said);
	refusal = token_error_judge(refresh->platform, reply->status, &error);
	snprintf(sentence, sizeof(sentence), "%s refused the refresh: %s",
	    refresh->platform->title, said);
	if (refusal != REFUSAL_doubtful)
		end_doubts(refresh);
	switch (refusal) {
	case REFUSAL_terminal:
		terminal(refresh, sentence);
		break;
	case REFUSAL_doubtful:
		doubtful(refresh, sentence);
		break;
	case REFUSAL_config:
		pause_platform(refresh, sentence);
		break;
	case REFUSAL_defect:
		log_error("oauth", "%s: the request was taken for ill-formed",
		    log_quote(sentence));
		end_certainly(
		    refresh, ERR_refresh_failed, reply->retry_after_s, sentence);
		break;
	default: /* REFUSAL_restart too: it is said of a code, and none was sent */
		end_certainly(
		    refresh, ERR_refresh_failed, reply->retry_after_s, sentence);
		break;
	}
}

/* This use of the token was not carried out. The note goes, unless it tells of a use
 * before. */
static void
end_certainly(struct refresh *refresh, enum proto_error error, uint32_t retry_after,
    const char *sentence)
{
	struct clear_job *job;

	if (refresh->in_doubt) {
		refresh_fail(refresh, error, retry_after, "%s", sentence);
		return;
	}
	flow_step(&refresh->flow, "clear");
	job = xcalloc(1, sizeof(*job));
	job->platform = refresh->platform;
	job->username_key = xstrdup(refresh->username_key);
	job->error = error;
	job->retry_after = retry_after;
	job->sentence = xstrdup(sentence);
	steps_submit(&refresh->flow, &job->steps, run_clear, on_cleared);
}

static int
run_clear(struct store_job *store_job, struct db *db)
{
	struct clear_job *job = (struct clear_job *)store_job;

	return store_refresh_delete(db, job->platform->name, job->username_key);
}

/* A note that stays leads to one more try after a crash, no more. */
static void
on_cleared(struct store_job *store_job, int result)
{
	struct clear_job *job = (struct clear_job *)store_job;
	struct refresh *refresh = (struct refresh *)steps_done(&job->steps);

	(void)result;
	if (refresh)
		refresh_fail(
		    refresh, job->error, job->retry_after, "%s", job->sentence);
	free(job->username_key);
	free(job->sentence);
	free(job);
}

/* ---- Configuration ---- */

static void
pause_platform(struct refresh *refresh, const char *sentence)
{
	/* What to do comes first: whoever shows it may cut the end. */
	char *text = xasprintf("nothing is refreshed at %s until its client id and "
			       "secret are stored anew (streamhold app add %s): %s",
	    refresh->platform->title, refresh->platform->name, sentence);

	text_cut(text, STEPS_SENTENCE_SIZE - 1);
	refresh_pause_begin(refresh->flow.broker, refresh->platform, text);
	end_certainly(refresh, ERR_refresh_failed, 0, text);
	free(text);
}

/* ---- The end of a grant ---- */

static void
terminal(struct refresh *refresh, const char *sentence)
{
	if (!refresh->previous && !refresh->in_doubt && refresh->refusals++ == 0) {
		log_warning("oauth", "'%s': %s; asking once more",
		    log_quote(refresh->username), log_quote(sentence));
		flow_step(&refresh->flow, "confirm");
		refresh_pause_for(refresh, REFRESH_CONFIRM_MS, confirm);
	} else if (!refresh->previous && refresh_send_previous(refresh)) {
		log_warning("oauth", "'%s': %s; trying the refresh token before it",
		    log_quote(refresh->username), log_quote(sentence));
	} else {
		lose(refresh, sentence);
	}
}

static void
confirm(struct refresh *refresh)
{
	refresh_note(refresh);
}

static char *
copy_of(const char *text)
{
	return text ? xstrdup(text) : NULL;
}

static void
make_lost_row(
    const struct store_account *from, const char *reason, struct store_account *row)
{
	*row = (struct store_account){
		.platform = xstrdup(from->platform),
		.username_key = xstrdup(from->username_key),
		.username = xstrdup(from->username),
		.user_id = copy_of(from->user_id),
		.login = copy_of(from->login),
		.display_name = copy_of(from->display_name),
		.identity = xstrdup(from->identity),
		.scopes = xstrdup(from->scopes),
		.scopes_asked = xstrdup(from->scopes_asked),
		.obtained_at = from->obtained_at,
		.expires_at = from->expires_at,
		.refreshable = false,
		.generation = from->generation,
		.status = xstrdup(STORE_ACCOUNT_LOST),
		.reason = xstrdup(reason),
		.since = time_now_ms(),
	};
	text_cut(row->reason, REASON_SIZE - 1);
}

static void
lose(struct refresh *refresh, const char *sentence)
{
	const struct account *account = refresh_account(refresh);
	struct lose_job *job;

	if (!account) {
		refresh_end_well(refresh);
		return;
	}
	flow_step(&refresh->flow, "lose");
	job = xcalloc(1, sizeof(*job));
	job->platform = refresh->platform;
	job->secret_name = xstrdup(refresh->secret_name);
	job->previous_name = xstrdup(refresh->previous_name);
	make_lost_row(&account->row, sentence, &job->row);
	account_event_make(&job->event, ACCOUNT_EVENT_LOST, &job->row);
	steps_submit(&refresh->flow, &job->steps, run_lose, on_lost);
}

static int
run_lose(struct store_job *store_job, struct db *db)
{
	struct lose_job *job = (struct lose_job *)store_job;
	int result = store_refresh_is_current(db, job->row.platform,
	    job->row.username_key, job->row.generation, &job->current);

	if (result < 0 || !job->current)
		return result;
	result = store_account_put(db, &job->row);
	if (result == 0)
		result = store_secret_delete(db, job->secret_name);
	if (result == 0)
		result = store_secret_delete(db, job->previous_name);
	if (result == 0)
		result =
		    store_refresh_delete(db, job->row.platform, job->row.username_key);
	if (result == 0)
		result = account_event_put(db, &job->event);
	return result;
}

static void
publish_loss(struct lose_job *job)
{
	struct broker *broker = job->steps.broker;
	struct account *account =
	    accounts_find(broker->accounts, job->platform, job->row.username);
	uint64_t generation = job->row.generation;

	log_error("oauth",
	    "the login of '%s' at %s is lost, its tokens are erased: %s. Log in again: "
	    "streamhold login %s '%s'",
	    log_quote(job->row.username), job->platform->name,
	    log_quote(job->row.reason), job->platform->name,
	    log_quote(job->row.username));
	broker_count(broker, "logins_lost", 1);
	vault_forget(broker->vault, job->secret_name, generation);
	vault_forget(broker->vault, job->previous_name, generation);
	if (!account || account->row.generation != generation)
		return;
	refresh_plan_clear(&account->plan);
	accounts_put(broker->accounts, job->platform, &job->row);
	subscriptions_account_changed(
	    broker, job->platform->name, account->row.username);
}

static void
on_lost(struct store_job *store_job, int result)
{
	struct lose_job *job = (struct lose_job *)store_job;
	struct refresh *refresh = (struct refresh *)steps_done(&job->steps);

	if (result == 0 && job->current)
		publish_loss(job);
	if (refresh && result == 0)
		refresh_end_well(refresh);
	else if (refresh)
		refresh_fail(refresh, ERR_storage_failed, 0,
		    "the loss of the login could not be stored: %s", strerror(-result));
	store_account_clear(&job->row);
	account_event_clear(&job->event);
	free(job->secret_name);
	free(job->previous_name);
	free(job);
}
