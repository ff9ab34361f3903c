/*
 * Refreshes, from the beginning to the request:
 *
 *   load    the sealed tokens and the sealed client secret
 *   unseal  both; the token before only when it is to be sent
 *   look    after a crash: whether fresh tokens are there already (refresh_adopt.c)
 *   decide  whether a token in doubt may be sent again
 *   ask     the keystore whether it takes the fresh tokens at this moment
 *   note    what is about to be sent, durably: a crash from here on is found at start
 *   send
 *
 * and further in refresh_reply.c. Begun by refresh_join.c and refresh_schedule.c. Owns
 * the refreshes that run.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "broker/health.h"
#include "broker/oauth/form.h"
#include "broker/oauth/refresh_run.h"
#include "broker/store/store_refresh.h"
#include "broker/store/store_secret.h"
#include "broker/vault/vault.h"
#include "common/alloc.h"
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

static void load(struct refresh *);
static int run_load(struct store_job *, struct db *);
static void on_loaded(struct store_job *, int);
static void unseal_tokens(struct refresh *);
static void on_tokens(void *, int, struct secret *);
static void unseal_previous(struct refresh *);
static void on_previous(void *, int, struct secret *);
static void unseal_client(struct refresh *);
static void on_client(void *, int, struct secret *);
static void send_or_look(struct refresh *);
static void on_keystore(void *, int);
static void note(struct refresh *);
static int run_note(struct store_job *, struct db *);
static void on_noted(struct store_job *, int);
static void send_form(struct refresh *);

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
refresh_begin(struct broker *broker, const struct account *account, bool asked)
{
	struct refresher *refresher = refresher_of(broker);
	struct refresh *refresh = xcalloc(1, sizeof(*refresh));

	flow_init(&refresh->flow, broker, NULL, 0, "refresh", REFRESH_DEADLINE_MS,
	    refresh_release);
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
	refresh->asked = asked;
	refresh->previous = account->plan.in_doubt && account->plan.previous;
	refresh->sends = account->plan.in_doubt ? account->plan.sends : 0;
	refresh->noted_at = account->plan.noted_at;
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
		send_or_look(refresh);
}

static void
send_or_look(struct refresh *refresh)
{
	if (refresh->noted_at > 0)
		refresh_look(refresh);
	else
		refresh_go_on(refresh);
}

/* What an earlier refresh left is looked for once. */
static void
end_look(struct refresh *refresh)
{
	struct account *account = refresh_account(refresh);

	refresh->noted_at = 0;
	if (account)
		account->plan.noted_at = 0;
}

/* The old token is served until it expires; then the login is lost. */
void
refresh_go_on(struct refresh *refresh)
{
	const struct account *account = refresh_account(refresh);
	char sentence[STEPS_SENTENCE_SIZE];

	end_look(refresh);
	if (!account || refresh->asked || !refresh_plan_is_undecided(&account->plan)) {
		refresh_note(refresh);
		return;
	}
	refresh_undecided_sentence(refresh->platform, account->row.username, sentence);
	if (account->plan.expires > time_boot_ms())
		refresh_fail(refresh, ERR_refresh_failed, 0, "%s", sentence);
	else
		refresh_lose(refresh, sentence, true);
}

bool
refresh_send_previous(struct refresh *refresh)
{
	if (!buf_length(&refresh->previous_sealed) ||
	    !refresh->platform->takes_previous)
		return false;
	refresh->previous = true;
	refresh->sends = 0;
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
	send_or_look(refresh);
}

/* ---- Ask, note, send ---- */

/* A refresh token that is used up for one that cannot be stored is a lost login: items
 * that could be read do not say that others can be written. */
void
refresh_note(struct refresh *refresh)
{
	flow_step(&refresh->flow, "ask");
	steps_wait_vault(&refresh->flow,
	    vault_ask(refresh->flow.broker->vault, on_keystore, refresh));
}

static void
on_keystore(void *arg, int result)
{
	struct refresh *refresh = arg;
	const struct account *account = refresh_account(refresh);

	flow_resume(&refresh->flow);
	if (result < 0)
		refresh_fail_vault(refresh, result);
	else if (account && account->other_client)
		/* Stored since this refresh began. */
		refresh_fail(
		    refresh, ERR_refresh_failed, 0, "%s", account->other_client);
	else
		note(refresh);
}

static void
note(struct refresh *refresh)
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

/* The same holds for a full disk. */
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

	health_storage(job->steps.broker, result);
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
	steps_wait_fetch(&refresh->flow,
	    fetch_start(broker->fetcher, &request, refresh_on_reply, refresh));
}
