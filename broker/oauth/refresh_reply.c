/*
 * Refreshes, what the platform answered:
 *
 *   200        further in refresh_keep.c
 *   nothing    after something was sent: nobody knows; the note stays, and the token
 *              is sent once more after a back-off. When that gets no usable answer
 *              either, nothing is sent any more: the old token is served until it
 *              expires, and then the login is lost, with its tokens kept for whoever
 *              asks for one more try. A platform that keeps refresh tokens is asked
 *              again as after a transient refusal
 *   transient  this send does not count; back-off. The old token is served until it
 *              expires
 *   config     this send does not count; the platform is paused until its credentials
 *              change
 *   terminal   once more after REFRESH_CONFIRM_MS (not when a send before is in
 *              doubt), then the token before it where the platform takes that, then
 *              the login is lost and its tokens are erased
 *
 * facts/twitch-google-standards.md E.2 and E.3, facts/kick.md 1.5.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/oauth/refresh_run.h"
#include "broker/oauth/token_error.h"
#include "broker/store/store_refresh.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/text.h"
#include "common/time.h"

/* Sets the note right after a send that was not carried out. */
struct clear_job {
	struct steps_job steps;
	char *username_key;
	struct store_refresh row; /* borrows from the members; attempt 0: it goes */
	const struct platform *platform;
	enum proto_error error;
	uint32_t retry_after;
	char *sentence;
};

static void end_doubts(const struct refresh *);
static void in_doubt(struct refresh *, const char *);
static void refused(struct refresh *, const struct fetch_reply *);
static void end_certainly(struct refresh *, enum proto_error, uint32_t, const char *);
static int run_clear(struct store_job *, struct db *);
static void on_cleared(struct store_job *, int);
static void pause_platform(struct refresh *, const char *);
static void terminal(struct refresh *, const char *);
static void lose(struct refresh *, const char *);
static void confirm(struct refresh *);

void
refresh_on_reply(void *arg, struct fetch_reply *reply)
{
	struct refresh *refresh = arg;
	const char *what;

	flow_resume(&refresh->flow);
	refresh->unsettled = false;
	/* A send that was refused, or that never left, was not carried out. */
	if (reply->result == FETCH_answered ? reply->status != 200 : !reply->sent)
		refresh->sends--;
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

void
refresh_undecided_sentence(const struct platform *platform, const char *username,
    char sentence[STEPS_SENTENCE_SIZE])
{
	snprintf(sentence, STEPS_SENTENCE_SIZE,
	    "%s gave no usable answer to the refresh, nor to the one retry, so the "
	    "refresh token may be used up, and it is not sent again by itself: "
	    "'streamhold refresh %s/%s' tries it, else log in again",
	    platform->title, platform->name, username);
}

/* One retry, no more: each send of a token that works once may end the grant. */
static void
in_doubt(struct refresh *refresh, const char *problem)
{
	struct account *account = refresh_account(refresh);
	char sentence[STEPS_SENTENCE_SIZE];

	snprintf(sentence, sizeof(sentence),
	    "%s did not answer the refresh in a usable form: %s",
	    refresh->platform->title, problem);
	/* There is nothing to find out where the token is as good as before, and
	 * nothing is tried by itself where the login is lost already. */
	if (refresh->platform->keeps_refresh || (account && refresh_is_lost(account))) {
		refresh->sends = 0;
		end_certainly(refresh, ERR_refresh_failed, 0, sentence);
		return;
	}
	if (account)
		refresh_doubt(refresh, account);
	if (!account || !refresh_plan_is_undecided(&account->plan)) {
		refresh_fail(refresh, ERR_refresh_failed, 0,
		    "%s; it is tried once more", sentence);
		return;
	}
	refresh_undecided_sentence(refresh->platform, account->row.username, sentence);
	refresh_fail(refresh, ERR_refresh_failed, 0, "%s", sentence);
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
		refresh_lose(refresh, sentence, false);
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

/* This send was not carried out. The note goes, unless it tells of a send before. */
static void
end_certainly(struct refresh *refresh, enum proto_error error, uint32_t retry_after,
    const char *sentence)
{
	struct account *account = refresh_account(refresh);
	struct clear_job *job = xcalloc(1, sizeof(*job));

	if (account)
		refresh_doubt(refresh, account);
	flow_step(&refresh->flow, "clear");
	job->platform = refresh->platform;
	job->username_key = xstrdup(refresh->username_key);
	job->row = (struct store_refresh){
		.platform = refresh->platform->name,
		.username_key = job->username_key,
		.generation = refresh->generation,
		.attempt = refresh->sends,
		.previous = refresh->previous,
		.started_at = time_now_ms(),
	};
	job->error = error;
	job->retry_after = retry_after;
	job->sentence = xstrdup(sentence);
	steps_submit(&refresh->flow, &job->steps, run_clear, on_cleared);
}

static int
run_clear(struct store_job *store_job, struct db *db)
{
	struct clear_job *job = (struct clear_job *)store_job;
	bool current = false;
	int result;

	if (!job->row.attempt)
		return store_refresh_delete(db, job->platform->name, job->username_key);
	result = store_refresh_is_current(
	    db, job->row.platform, job->username_key, job->row.generation, &current);
	if (result == 0 && current)
		result = store_refresh_put(db, &job->row);
	return result;
}

/* A note that tells of more than there was leads to a try less after a crash. */
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
	if (!refresh->previous && refresh->sends == 0 && refresh->refusals++ == 0) {
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
lose(struct refresh *refresh, const char *sentence)
{
	const char *hint = refresh->platform->end_hint;
	char *reason =
	    xasprintf("%s%s%s", sentence, hint ? ". " : "", hint ? hint : "");

	refresh_lose(refresh, reason, false);
	free(reason);
}

static void
confirm(struct refresh *refresh)
{
	refresh_note(refresh);
}
