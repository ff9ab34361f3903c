/*
 * Refreshes, from a wish to the request:
 *
 *   join    who asks waits for the refresh that runs, is answered from a result that is
 *           young enough, or starts one
 *   load    the sealed tokens and the sealed client secret
 *   unseal  both
 *   note    what is about to be sent, durably: a crash from here on is found at start
 *   send
 *
 * and further in refresh_reply.c. Owns the refreshes that run.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include <event2/event.h>

#include "broker/oauth/form.h"
#include "broker/oauth/refresh_run.h"
#include "broker/store/store_refresh.h"
#include "broker/store/store_secret.h"
#include "broker/vault/vault.h"
#include "common/alloc.h"
#include "common/crypto.h"
#include "common/log.h"
#include "common/text.h"
#include "common/time.h"

struct load_job {
	struct steps_job steps;
	char *secret_name;
	char *client_name;
	char *previous_name;
	bool found;
	bool client_found;
	bool previous_found;
	uint64_t generation;
	uint64_t client_generation;
	uint64_t previous_generation;
	struct buf sealed;
	struct buf client_sealed;
	struct buf previous_sealed;
};

struct note_job {
	struct steps_job steps;
	struct store_refresh row; /* borrows from the members below */
	char *username_key;
	char *path; /* of the database */
	bool room;
	bool current;
};

static struct refresh_wait *wait_for(struct refresh *, refresh_done_fn *, void *);
static bool settle(struct refresh_wait *, enum proto_error, const char *);
static bool decide(
    struct broker *, const struct account *, enum refresh_cause, struct refresh_wait *);
static void load(struct refresh *);
static int run_load(struct store_job *, struct db *);
static void on_loaded(struct store_job *, int);
static void unseal_tokens(struct refresh *);
static void on_tokens(void *, int, struct secret *);
static void unseal_previous(struct refresh *);
static void on_previous(void *, int, struct secret *);
static void unseal_client(struct refresh *);
static void on_client(void *, int, struct secret *);
static int run_note(struct store_job *, struct db *);
static void on_noted(struct store_job *, int);
static void send_form(struct refresh *);
static void release(struct flow *);

struct refresher *
refresher_of(const struct broker *broker)
{
	return broker->accounts->refresher;
}

struct account *
refresh_account(const struct refresh *refresh)
{
	struct account *account = accounts_find(
	    refresh->flow.broker->accounts, refresh->platform, refresh->username);

	return account && account->row.generation == refresh->generation ? account
									 : NULL;
}

/* ---- Joining ---- */

static struct refresh *
find_running(const struct broker *broker, const struct account *account)
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

struct refresh_wait *
refresh_join(struct broker *broker, const struct account *account,
    enum refresh_cause cause, refresh_done_fn *done, void *arg)
{
	const struct timeval at_once = { .tv_sec = 0 };
	struct refresh *running = find_running(broker, account);
	struct refresh_wait *wait;

	if (running && !running->holds)
		return wait_for(running, done, arg);
	wait = wait_for(NULL, done, arg);
	if (running) {
		(void)settle(wait, account->plan.error, account->plan.trouble);
	} else if (!decide(broker, account, cause, wait)) {
		wait->refresh = refresh_begin(broker, account);
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
decide_standing(
    struct broker *broker, const struct account *account, struct refresh_wait *wait)
{
	const char *pause = refresh_pause(broker, account->platform);
	char sentence[STEPS_SENTENCE_SIZE];

	if (strcmp(account->row.status, STORE_ACCOUNT_LOST) == 0)
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

	if (decide_standing(broker, account, wait))
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

/* ---- Begin ---- */

/* Nothing is due while a refresh runs. The plan is made before, so that it does not
 * replace what the refresh will put into it. */
static void
occupy(struct account *account, const struct broker *broker)
{
	if (account->plan.generation != account->row.generation)
		refresh_plan_make(&account->plan, &account->row,
		    (int64_t)broker->config.oauth.refresh_margin_s * 1000,
		    time_now_ms(), time_boot_ms());
	account->plan.due = 0;
}

struct refresh *
refresh_begin(struct broker *broker, const struct account *account)
{
	struct refresher *refresher = refresher_of(broker);
	struct refresh *refresh = xcalloc(1, sizeof(*refresh));

	flow_init(
	    &refresh->flow, broker, NULL, 0, "refresh", REFRESH_DEADLINE_MS, release);
	refresh->platform = account->platform;
	refresh->username = xstrdup(account->row.username);
	refresh->username_key = xstrdup(account->row.username_key);
	refresh->secret_name =
	    accounts_token_name(account->platform, account->row.username);
	refresh->previous_name =
	    accounts_previous_name(account->platform, account->row.username);
	refresh->client_id = xstrdup(
	    accounts_credential(broker->accounts, account->platform)->client_id);
	refresh->generation = account->row.generation;
	refresh->in_doubt = account->plan.in_doubt;
	refresh->previous = account->plan.in_doubt && account->plan.previous;
	refresh->sends = account->plan.in_doubt ? account->plan.sends : 0;
	occupy(refresh_account(refresh), broker);
	LIST_INIT(&refresh->waits);
	LIST_INSERT_HEAD(&refresher->running, refresh, entry);
	refresher->count++;
	load(refresh);
	return refresh;
}

static void
load(struct refresh *refresh)
{
	struct load_job *job = xcalloc(1, sizeof(*job));

	flow_step(&refresh->flow, "load");
	job->secret_name = xstrdup(refresh->secret_name);
	job->client_name = accounts_client_name(refresh->platform);
	job->previous_name = xstrdup(refresh->previous_name);
	steps_submit(&refresh->flow, &job->steps, run_load, on_loaded);
}

static int
run_load(struct store_job *store_job, struct db *db)
{
	struct load_job *job = (struct load_job *)store_job;
	int result = store_secret_get(
	    db, job->secret_name, &job->found, &job->generation, &job->sealed);

	if (result == 0)
		result = store_secret_get(db, job->client_name, &job->client_found,
		    &job->client_generation, &job->client_sealed);
	if (result == 0)
		result = store_secret_get(db, job->previous_name, &job->previous_found,
		    &job->previous_generation, &job->previous_sealed);
	return result;
}

/* The token before belongs to the tokens of its generation and to no others. */
static void
take_loaded(struct refresh *refresh, struct load_job *job)
{
	refresh->tokens_sealed = job->sealed;
	job->sealed = BUF_EMPTY;
	refresh->client_sealed = job->client_sealed;
	refresh->client_generation = job->client_generation;
	job->client_sealed = BUF_EMPTY;
	if (job->previous_found && job->previous_generation == refresh->generation) {
		refresh->previous_sealed = job->previous_sealed;
		job->previous_sealed = BUF_EMPTY;
	}
}

static void
on_loaded(struct store_job *store_job, int result)
{
	struct load_job *job = (struct load_job *)store_job;
	struct refresh *refresh = (struct refresh *)steps_done(&job->steps);

	if (refresh && result < 0) {
		refresh_fail(refresh, ERR_storage_failed, 0,
		    "the tokens cannot be read: %s", strerror(-result));
	} else if (refresh && !refresh_account(refresh)) {
		/* A login or a deletion came in between. */
		refresh_end_well(refresh);
	} else if (refresh && (!job->found || job->generation != refresh->generation)) {
		refresh_fail(
		    refresh, ERR_internal, 0, "the tokens are not in the database");
	} else if (refresh && !job->client_found) {
		refresh_fail(refresh, ERR_no_credentials, 0,
		    "No OAuth credentials configured for platform: %s",
		    refresh->platform->name);
	} else if (refresh) {
		take_loaded(refresh, job);
		unseal_tokens(refresh);
	}
	free(job->secret_name);
	free(job->client_name);
	free(job->previous_name);
	buf_clear(&job->sealed);
	buf_clear(&job->client_sealed);
	buf_clear(&job->previous_sealed);
	free(job);
}

static void
unseal_tokens(struct refresh *refresh)
{
	flow_step(&refresh->flow, "unseal");
	steps_wait_vault(&refresh->flow,
	    vault_unseal(refresh->flow.broker->vault, refresh->secret_name,
		refresh->generation, buf_bytes(&refresh->tokens_sealed),
		buf_length(&refresh->tokens_sealed), on_tokens, refresh));
}

void
refresh_fail_vault(struct refresh *refresh, int result)
{
	const char *sentence;
	enum proto_error error =
	    steps_vault_error(refresh->flow.broker->vault, result, &sentence);

	refresh_fail(refresh, error, 0, "%s", sentence);
}

static void
on_tokens(void *arg, int result, struct secret *plain)
{
	struct refresh *refresh = arg;

	flow_resume(&refresh->flow);
	if (result == 0)
		result = tokens_unpack(plain, &refresh->tokens);
	if (result < 0) {
		refresh_fail_vault(refresh, result);
		return;
	}
	buf_clear(&refresh->tokens_sealed);
	if (refresh->previous && !buf_length(&refresh->previous_sealed))
		refresh->previous = false;
	unseal_client(refresh);
}

static void
unseal_client(struct refresh *refresh)
{
	char *name = accounts_client_name(refresh->platform);

	steps_wait_vault(&refresh->flow,
	    vault_unseal(refresh->flow.broker->vault, name, refresh->client_generation,
		buf_bytes(&refresh->client_sealed), buf_length(&refresh->client_sealed),
		on_client, refresh));
	free(name);
}

static void
on_client(void *arg, int result, struct secret *plain)
{
	struct refresh *refresh = arg;

	flow_resume(&refresh->flow);
	if (result < 0) {
		refresh_fail_vault(refresh, result);
		return;
	}
	buf_clear(&refresh->client_sealed);
	refresh->client_secret = secret_move(plain);
	if (refresh->previous)
		unseal_previous(refresh);
	else
		refresh_note(refresh);
}

bool
refresh_send_previous(struct refresh *refresh)
{
	if (!buf_length(&refresh->previous_sealed) ||
	    !refresh->platform->takes_previous)
		return false;
	refresh->previous = true;
	unseal_previous(refresh);
	return true;
}

static void
unseal_previous(struct refresh *refresh)
{
	flow_step(&refresh->flow, "unseal previous");
	steps_wait_vault(&refresh->flow,
	    vault_unseal(refresh->flow.broker->vault, refresh->previous_name,
		refresh->generation, buf_bytes(&refresh->previous_sealed),
		buf_length(&refresh->previous_sealed), on_previous, refresh));
}

static void
on_previous(void *arg, int result, struct secret *plain)
{
	struct refresh *refresh = arg;

	flow_resume(&refresh->flow);
	if (result < 0) {
		refresh_fail_vault(refresh, result);
		return;
	}
	refresh->previous_token = secret_move(plain);
	refresh_note(refresh);
}

/* ---- Note, send ---- */

void
refresh_note(struct refresh *refresh)
{
	struct note_job *job = xcalloc(1, sizeof(*job));

	flow_step(&refresh->flow, "note");
	job->username_key = xstrdup(refresh->username_key);
	job->path = xstrdup(refresh->flow.broker->paths.database);
	job->row = (struct store_refresh){
		.platform = refresh->platform->name,
		.username_key = job->username_key,
		.generation = refresh->generation,
		.attempt = refresh->sends + 1,
		.previous = refresh->previous,
		.started_at = time_now_ms(),
	};
	steps_submit(&refresh->flow, &job->steps, run_note, on_noted);
}

/* A refresh token that is used up for one that cannot be stored is a lost login. */
static bool
has_room(const char *path)
{
	struct statvfs system;

	if (statvfs(path, &system) < 0)
		return true;
	return (int64_t)system.f_bavail >= REFRESH_ROOM_MIN / (int64_t)system.f_frsize;
}

static int
run_note(struct store_job *store_job, struct db *db)
{
	struct note_job *job = (struct note_job *)store_job;
	int result;

	job->room = has_room(job->path);
	if (!job->room)
		return 0;
	result = store_refresh_is_current(db, job->row.platform, job->username_key,
	    job->row.generation, &job->current);
	if (result == 0 && job->current)
		result = store_refresh_put(db, &job->row);
	return result;
}

static void
on_noted(struct store_job *store_job, int result)
{
	struct note_job *job = (struct note_job *)store_job;
	struct refresh *refresh = (struct refresh *)steps_done(&job->steps);

	if (refresh && result < 0)
		refresh_fail(refresh, ERR_storage_failed, 0,
		    "the database could not be written: %s", strerror(-result));
	else if (refresh && !job->room)
		refresh_fail(refresh, ERR_storage_failed, 0,
		    "less than %d MiB are free where the database is; nothing is "
		    "refreshed, since the new tokens might not be stored",
		    (int)(REFRESH_ROOM_MIN / 1024 / 1024));
	else if (refresh && !job->current)
		refresh_end_well(refresh);
	else if (refresh)
		send_form(refresh);
	free(job->username_key);
	free(job->path);
	free(job);
}

static void
send_form(struct refresh *refresh)
{
	struct broker *broker = refresh->flow.broker;
	const struct config_platform *config =
	    &broker->config.platform[refresh->platform->index];
	struct fetch_request request = {
		.method = "POST", .url = config->token_url, .ca_file = config->ca_file
	};
	struct buf form = form_new();

	flow_step(&refresh->flow, refresh->previous ? "send previous" : "send");
	refresh->sends++;
	refresh->unsettled = true;
	form_add(&form, "grant_type", "refresh_token");
	form_add(&form, "client_id", refresh->client_id);
	form_add_secret(&form, "client_secret", &refresh->client_secret);
	form_add_secret(&form, "refresh_token",
	    refresh->previous ? &refresh->previous_token : &refresh->tokens.refresh);
	request.body = form_take(&form);
	broker_count(broker, "refresh_sent", 1);
	refresh->asked_boot = time_boot_ms();
	steps_wait_fetch(&refresh->flow,
	    fetch_start(broker->fetcher, &request, refresh_on_reply, refresh));
}

/* ---- The end ---- */

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
	refresh_note_trouble(account, error, sentence);
}

void
refresh_fail(struct refresh *refresh, enum proto_error error, uint32_t retry_after_s,
    const char *format, ...)
{
	char sentence[STEPS_SENTENCE_SIZE];
	struct refresh_end end = {
		.error = error, .sentence = sentence, .retry_after = retry_after_s
	};
	struct broker *broker = refresh->flow.broker;
	struct account *account = refresh_account(refresh);
	va_list values;

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
	if (refresh->sends == 0)
		return;
	account->plan.in_doubt = true;
	account->plan.sends = refresh->sends;
	account->plan.previous = refresh->previous;
}

/* Also where the broker ends or the flow's deadline passes. */
static void
release(struct flow *flow)
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
