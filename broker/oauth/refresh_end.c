/*
 * How refreshes wait and end: everybody who waits is told, a failure is noted in the
 * account's plan and tried again after a back-off, what they own is freed. Called by
 * the other files of refresh_run.h.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "broker/oauth/refresh_run.h"
#include "common/alloc.h"
#include "common/crypto.h"
#include "common/log.h"
#include "common/time.h"

static void
on_pause_timer(evutil_socket_t fd, short what, void *arg)
{
	struct refresh *refresh = arg;
	void (*next)(struct refresh *) = refresh->next;

	(void)fd;
	(void)what;
	event_free(refresh->timer);
	refresh->timer = NULL;
	flow_resume(&refresh->flow);
	next(refresh);
}

static void
cancel_pause(void *arg)
{
	struct refresh *refresh = arg;

	event_free(refresh->timer);
	refresh->timer = NULL;
}

void
refresh_pause_for(struct refresh *refresh, int64_t ms, void (*next)(struct refresh *))
{
	const struct timeval wait = { .tv_sec = ms / 1000,
		.tv_usec = ms % 1000 * 1000 };

	refresh->next = next;
	refresh->timer =
	    evtimer_new(refresh->flow.broker->base, on_pause_timer, refresh);
	if (!refresh->timer)
		abort();
	event_add(refresh->timer, &wait);
	flow_wait(&refresh->flow, cancel_pause, refresh);
}

void
refresh_tell(struct refresh *refresh, const struct refresh_end *end)
{
	struct refresh_wait *wait;

	while ((wait = LIST_FIRST(&refresh->waits))) {
		LIST_REMOVE(wait, entry);
		wait->done(wait->arg, end);
		free(wait);
	}
}

static void
take_off(struct refresh *refresh)
{
	struct refresher *refresher = refresher_of(refresh->flow.broker);

	if (refresh->ending)
		return;
	refresh->ending = true;
	LIST_REMOVE(refresh, entry);
	refresher->count--;
}

void
refresh_end_well(struct refresh *refresh)
{
	const struct refresh_end end = { .error = ERR_none };
	struct broker *broker = refresh->flow.broker;

	take_off(refresh);
	refresh_tell(refresh, &end);
	flow_answer(&refresh->flow, NULL);
	refresh_schedule(broker);
}

void
refresh_note_trouble(
    struct account *account, enum proto_error error, const char *sentence)
{
	account->plan.error = error;
	if (sentence == account->plan.trouble)
		return;
	free(account->plan.trouble);
	account->plan.trouble = xstrdup(sentence);
}

void
refresh_back_off(struct account *account, enum proto_error error,
    uint32_t retry_after_s, const char *sentence)
{
	struct refresh_plan *plan = &account->plan;
	int64_t now = time_boot_ms();
	int64_t wait;
	uint32_t random;

	crypto_random(&random, sizeof(random));
	plan->failures++;
	wait = refresh_backoff_ms(plan->failures, random);
	if ((int64_t)retry_after_s * 1000 > wait)
		wait = (int64_t)retry_after_s * 1000;
	if (wait > REFRESH_BACKOFF_MAX_MS)
		wait = REFRESH_BACKOFF_MAX_MS;
	plan->ended = now;
	plan->due = now + wait;
	plan->not_before = retry_after_s ? plan->due : 0;
	/* Of a login that is lost nothing is tried without being asked. */
	if (refresh_is_lost(account))
		plan->due = 0;
	refresh_note_trouble(account, error, sentence);
}

void
refresh_fail(struct refresh *refresh, enum proto_error error, uint32_t retry_after_s,
    const char *format, ...)
{
	char sentence[STEPS_SENTENCE_SIZE];
	struct refresh_end end = { .error = error, .sentence = sentence };
	struct broker *broker = refresh->flow.broker;
	struct account *account = refresh_account(refresh);
	va_list values;

	/* Whoever waits is told what will be done. */
	if (retry_after_s > REFRESH_BACKOFF_MAX_MS / 1000)
		retry_after_s = REFRESH_BACKOFF_MAX_MS / 1000;
	end.retry_after = retry_after_s;
	va_start(values, format);
	vsnprintf(sentence, sizeof(sentence), format, values);
	va_end(values);
	log_warning("oauth", "tokens of '%s' at %s not refreshed: %s",
	    log_quote(refresh->username), refresh->platform->name, log_quote(sentence));
	broker_count(broker, "refresh_failed", 1);
	if (account)
		refresh_back_off(account, error, retry_after_s, sentence);
	take_off(refresh);
	refresh_tell(refresh, &end);
	flow_answer(&refresh->flow, NULL);
	refresh_schedule(broker);
}

void
refresh_doubt(const struct refresh *refresh, struct account *account)
{
	account->plan.in_doubt =
	    refresh->sends > 0 && !refresh->platform->keeps_refresh;
	account->plan.sends = refresh->sends;
	account->plan.previous = refresh->previous;
}

void
refresh_fail_vault(struct refresh *refresh, int result)
{
	const char *sentence;
	enum proto_error error =
	    steps_vault_error(refresh->flow.broker->vault, result, &sentence);

	refresh_fail(refresh, error, 0, "%s", sentence);
}

/* Also where the broker ends or the flow's deadline passes. */
void
refresh_release(struct flow *flow)
{
	const struct refresh_end end = { .error = ERR_broker_away,
		.sentence = "the refresh was broken off" };
	struct refresh *refresh = (struct refresh *)flow;
	struct account *account = refresh->ending ? NULL : refresh_account(refresh);

	if (account && refresh->holds)
		refresh_keep_last(refresh);
	if (account) {
		refresh_doubt(refresh, account);
		refresh_back_off(account, end.error, 0, end.sentence);
	}
	take_off(refresh);
	refresh_tell(refresh, &end);
	free(refresh->username);
	free(refresh->username_key);
	free(refresh->secret_name);
	free(refresh->previous_name);
	free(refresh->client_id);
	tokens_clear(&refresh->tokens);
	secret_clear(&refresh->previous_token);
	secret_clear(&refresh->replaced);
	buf_clear(&refresh->previous_sealed);
	buf_clear(&refresh->fresh_sealed);
	buf_clear(&refresh->replaced_sealed);
	secret_clear(&refresh->client_secret);
	buf_clear(&refresh->tokens_sealed);
	buf_clear(&refresh->client_sealed);
	token_reply_clear(&refresh->reply);
	identity_clear(&refresh->identity);
	free(refresh);
}
