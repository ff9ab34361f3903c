/*
 * Who wants a refresh: waits for the one that runs, is answered from a result that is
 * young enough or from what forbids one, or starts one.
 *
 * Called by token_refresh.c, token_use.c and whatever else needs fresh tokens. Owns the
 * waits whose outcome is known; the others belong to their refresh.
 */
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "broker/oauth/refresh_run.h"
#include "common/alloc.h"
#include "common/time.h"

static struct refresh_wait *wait_for(struct refresh *, refresh_done_fn *, void *);
static bool settle(struct refresh_wait *, enum proto_error, const char *);
static bool decide(
    struct broker *, const struct account *, enum refresh_cause, struct refresh_wait *);

struct refresh *
refresh_running(const struct broker *broker, const struct account *account)
{
	struct refresh *refresh;

	LIST_FOREACH (refresh, &refresher_of(broker)->running, entry)
		if (refresh->platform == account->platform &&
		    strcmp(refresh->username_key, account->row.username_key) == 0)
			return refresh;
	return NULL;
}

static void
on_wait_timer(evutil_socket_t fd, short what, void *arg)
{
	struct refresh_wait *wait = arg;
	const struct refresh_end end = { .error = wait->error,
		.sentence = wait->sentence,
		.retry_after = wait->retry_after };

	(void)fd;
	(void)what;
	LIST_REMOVE(wait, entry);
	wait->done(wait->arg, &end);
	event_free(wait->timer);
	free(wait->sentence);
	free(wait);
}

/* A refresh answers the 401 to these tokens: there is no second one for it. Where none
 * came of it, the next 401 asks again. */
static void
note_rejected(const struct broker *broker, const struct account *account,
    enum refresh_cause cause)
{
	struct account *own =
	    accounts_find(broker->accounts, account->platform, account->row.username);

	if (cause == REFRESH_rejected)
		own->plan.rejected = own->row.generation;
}

struct refresh_wait *
refresh_join(struct broker *broker, const struct account *account,
    enum refresh_cause cause, refresh_done_fn *done, void *arg)
{
	const struct timeval at_once = { .tv_sec = 0 };
	struct refresh *running = refresh_running(broker, account);
	struct refresh_wait *wait;

	if (running && !running->holds) {
		note_rejected(broker, account, cause);
		return wait_for(running, done, arg);
	}
	wait = wait_for(NULL, done, arg);
	if (running) {
		(void)settle(wait, account->plan.error, account->plan.trouble);
	} else if (!decide(broker, account, cause, wait)) {
		/* A front repeats what it asked the broker before: that is no word for
		 * one more send of what was found at start. */
		note_rejected(broker, account, cause);
		wait->refresh = refresh_begin(
		    broker, account, cause == REFRESH_asked && !account->plan.noted_at);
		LIST_INSERT_HEAD(&wait->refresh->waits, wait, entry);
		return wait;
	}
	wait->timer = evtimer_new(broker->base, on_wait_timer, wait);
	if (!wait->timer)
		abort();
	event_add(wait->timer, &at_once);
	LIST_INSERT_HEAD(&refresher_of(broker)->told, wait, entry);
	return wait;
}

static struct refresh_wait *
wait_for(struct refresh *refresh, refresh_done_fn *done, void *arg)
{
	struct refresh_wait *wait = xcalloc(1, sizeof(*wait));

	wait->refresh = refresh;
	wait->error = ERR_none;
	wait->done = done;
	wait->arg = arg;
	if (refresh)
		LIST_INSERT_HEAD(&refresh->waits, wait, entry);
	return wait;
}

void
refresh_leave(struct refresh_wait *wait)
{
	LIST_REMOVE(wait, entry);
	if (wait->timer)
		event_free(wait->timer);
	free(wait->sentence);
	free(wait);
}

/* An outcome that needs no request; true when there is one. */
static bool
settle(struct refresh_wait *wait, enum proto_error error, const char *sentence)
{
	wait->error = error;
	wait->sentence = sentence ? xstrdup(sentence) : NULL;
	return true;
}

/* What can be said without asking the database. */
static bool
decide_standing(struct broker *broker, const struct account *account,
    enum refresh_cause cause, struct refresh_wait *wait)
{
	const char *pause = refresh_pause(broker, account->platform);
	char sentence[STEPS_SENTENCE_SIZE];

	if (refresh_is_lost(account) &&
	    !(account->row.refreshable && cause == REFRESH_asked))
		return settle(wait, ERR_none, NULL);
	if (refresher_of(broker)->stopping)
		return settle(wait, ERR_broker_away, "Streamhold is stopping");
	if (!account->row.refreshable)
		return settle(wait, ERR_login_needed,
		    "No refresh token is stored for this login; log in again when it "
		    "has expired");
	if (!accounts_credential(broker->accounts, account->platform)) {
		steps_no_credentials(account->platform, sentence);
		return settle(wait, ERR_no_credentials, sentence);
	}
	if (account->other_client)
		return settle(wait, ERR_refresh_failed, account->other_client);
	return pause && settle(wait, ERR_refresh_failed, pause);
}

/* What the last refresh says about this one. */
static bool
decide(struct broker *broker, const struct account *account, enum refresh_cause cause,
    struct refresh_wait *wait)
{
	const struct refresh_plan *plan = &account->plan;
	int64_t now = time_boot_ms();
	int64_t floor = cause == REFRESH_asked ? REFRESH_SHARED_MS : REFRESH_FLOOR_MS;
	bool young = plan->refreshed && now - plan->refreshed < floor;

	if (decide_standing(broker, account, cause, wait))
		return true;
	if (cause == REFRESH_rejected && plan->rejected == account->row.generation)
		return settle(wait, ERR_refresh_failed,
		    "the platform refuses the token, and a refresh was tried already");
	if (young && cause == REFRESH_rejected)
		return settle(wait, ERR_refresh_failed,
		    "the platform refuses a token that is fresh; its age is not the "
		    "trouble");
	if (young && now < plan->expires)
		return settle(wait, ERR_none, NULL);
	if (!plan->trouble)
		return false;
	if (now < plan->not_before)
		wait->retry_after = (uint32_t)((plan->not_before - now + 999) / 1000);
	if (wait->retry_after || now - plan->ended < REFRESH_SHARED_MS ||
	    (cause != REFRESH_asked && plan->due > now))
		return settle(wait, plan->error, plan->trouble);
	return false;
}
