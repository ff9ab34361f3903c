/*
 * The end of login_finish:
 *
 *   note    what is about to be stored: with a keyring the tokens are there before the
 *           transaction that refers to them, and a crash in between is found at start
 *           (login_adopt.c)
 *   seal    the tokens
 *   store   account and sealed tokens in one transaction, over what was there before
 *   answer  the browser, and everybody who waits for this login
 *
 * Tokens that cannot be stored are revoked (login_drop.c).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/oauth/account_event.h"
#include "broker/oauth/accounts.h"
#include "broker/oauth/login_adopt.h"
#include "broker/oauth/login_finish.h"
#include "broker/oauth/needs.h"
#include "broker/oauth/refresh.h"
#include "broker/oauth/scopes.h"
#include "broker/oauth/steps.h"
#include "broker/oauth/validate.h"
#include "broker/store/store_secret.h"
#include "broker/subscriptions/subs.h"
#include "broker/vault/vault.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/text.h"
#include "common/time.h"

/* Clocks that differ by more are spoken of. */
#define SKEW_NOTABLE_MS 60000
#define WARNING_SIZE 1024

struct keep_job {
	struct steps_job steps;
	const struct platform *platform;
	struct store_account row;
	char *asked;     /* the name that the login was started for */
	char *asked_key; /* the same folded */
	char *secret_name;
	char *previous_name; /* of the tokens that this login replaces */
	struct buf sealed;
	char *warning;              /* "": none */
	struct account_event event; /* empty: none */
	uint8_t state_hash[CRYPTO_SHA256_SIZE];
	uint64_t adopted; /* generation of the item that a crash has left, 0: none */
};

struct note_job {
	struct steps_job steps;
	struct store_account row;
};

static int run_note(struct store_job *, struct db *);
static void on_noted(struct store_job *, int);
static void cannot_store(struct login_finish *, enum proto_error, const char *);
static void cannot_keep(struct login_finish *, int);
static void on_erased(void *, int);
static void seal(struct login_finish *);
static void on_sealed(void *, int, const struct buf *);
static void make_row(const struct login_finish *, struct store_account *);
static int run(struct store_job *, struct db *);
static void on_kept(struct store_job *, int);
static void publish(struct keep_job *, struct login_finish *);
static char *make_warning(const struct login_finish *);

void
login_store(struct login_finish *login)
{
	struct note_job *job;

	login->generation = accounts_next_generation(login->flow.broker->accounts);
	/* The note of a login that was cut off stays as it is until that is stored: the
	 * item that it leads to may be all there is. */
	if (login->adopting) {
		seal(login);
		return;
	}
	flow_step(&login->flow, "note");
	job = xcalloc(1, sizeof(*job));
	make_row(login, &job->row);
	steps_submit(&login->flow, &job->steps, run_note, on_noted);
}

static int
run_note(struct store_job *store_job, struct db *db)
{
	return store_account_note(db, &((struct note_job *)store_job)->row);
}

static void
on_noted(struct store_job *store_job, int result)
{
	struct note_job *job = (struct note_job *)store_job;
	struct login_finish *login = (struct login_finish *)steps_done(&job->steps);

	if (login && result == 0)
		seal(login);
	else if (login)
		cannot_store(login, ERR_storage_failed, strerror(-result));
	store_account_clear(&job->row);
	free(job);
}

/* The person is told that the login failed, so nothing must come of it later, here or
 * at the platform. What a crash has left in the keyring is tried again instead. */
static void
cannot_store(struct login_finish *login, enum proto_error error, const char *why)
{
	char sentence[STEPS_SENTENCE_SIZE];

	snprintf(sentence, sizeof(sentence),
	    "The tokens of this login cannot be stored and were dropped: %s. Start the "
	    "login again when that is mended.",
	    why);
	if (login->adopting) {
		log_error("oauth", "login of '%s' at %s: %s",
		    log_quote(login->username), login->platform->name, log_quote(why));
		flow_fail(&login->flow, error, why);
		return;
	}
	login_note_drop(login->flow.broker, login->platform, login->username);
	login_drop(login, error, sentence);
}

/* The note may outlive this, and would bring the keyring's item back at the next start:
 * it is erased before anybody is told. After an I/O error the row may be stored all the
 * same, and is looked at then. */
static void
cannot_keep(struct login_finish *login, int result)
{
	char *name;

	if (login->adopting || result == -EIO || result == -EBADMSG) {
		cannot_store(login, ERR_storage_failed, strerror(-result));
		return;
	}
	name = accounts_token_name(login->platform, login->username);
	login->keep_result = result;
	flow_step(&login->flow, "erase");
	steps_wait_vault(&login->flow,
	    vault_erase(
		login->flow.broker->vault, name, login->generation, on_erased, login));
	free(name);
}

/* Where it could not be erased there is nothing more to do. */
static void
on_erased(void *arg, int result)
{
	struct login_finish *login = arg;

	(void)result;
	flow_resume(&login->flow);
	cannot_store(login, ERR_storage_failed, strerror(-login->keep_result));
}

static void
cannot_seal(struct login_finish *login, int result)
{
	const char *why;
	enum proto_error error =
	    steps_vault_error(login->flow.broker->vault, result, &why);

	cannot_store(login, error, why);
}

static void
seal(struct login_finish *login)
{
	struct broker *broker = login->flow.broker;
	/* Borrowed: tokens_pack copies. */
	const struct tokens tokens = { .access = login->reply.access,
		.refresh = login->reply.refresh };
	struct secret packed = tokens_pack(&tokens);
	char *name = accounts_token_name(login->platform, login->username);

	flow_step(&login->flow, "seal");
	steps_wait_vault(&login->flow,
	    vault_seal(
		broker->vault, name, login->generation, &packed, on_sealed, login));
	secret_clear(&packed);
	free(name);
}

/* A login that was lost is there again. */
static void
announce_recovery(const struct login_finish *login, struct keep_job *job)
{
	const struct account *before = accounts_find(
	    login->flow.broker->accounts, login->platform, login->username);

	if (before && strcmp(before->row.status, STORE_ACCOUNT_LOST) == 0)
		account_event_make(&job->event, ACCOUNT_EVENT_RECOVERED, &job->row);
}

static void
on_sealed(void *arg, int result, const struct buf *sealed)
{
	struct login_finish *login = arg;
	struct keep_job *job;

	flow_resume(&login->flow);
	if (result < 0) {
		cannot_seal(login, result);
		return;
	}
	flow_step(&login->flow, "store");
	job = xcalloc(1, sizeof(*job));
	job->platform = login->platform;
	job->secret_name = accounts_token_name(login->platform, login->username);
	job->previous_name = accounts_previous_name(login->platform, login->username);
	job->asked = xstrdup(login->login.username);
	job->asked_key = text_fold(login->login.username);
	job->warning = make_warning(login);
	memcpy(job->state_hash, login->login.state_hash, sizeof(job->state_hash));
	make_row(login, &job->row);
	job->adopted = login->adopted;
	announce_recovery(login, job);
	buf_add(&job->sealed, buf_bytes(sealed), buf_length(sealed));
	steps_submit(&login->flow, &job->steps, run, on_kept);
}

static char *
copy_of(const char *text)
{
	return text ? xstrdup(text) : NULL;
}

static void
make_row(const struct login_finish *login, struct store_account *row)
{
	const struct token_reply *reply = &login->reply;

	*row = (struct store_account){
		.platform = xstrdup(login->platform->name),
		.username_key = text_fold(login->username),
		.username = xstrdup(login->username),
		.user_id = copy_of(login->identity.user_id),
		.login = copy_of(login->identity.login),
		.display_name = copy_of(login->identity.display_name),
		.identity = xstrdup(login->verified ? "verified" : "unverified"),
		.scopes =
		    xstrdup(reply->scopes_known ? reply->scopes : login->login.scopes),
		.scopes_asked = xstrdup(login->login.scopes),
		.obtained_at = login->asked_at,
		.expires_at = login->expires_at,
		.refreshable = reply->refresh.length > 0,
		.generation = login->generation,
		.status = xstrdup(STORE_ACCOUNT_OK),
		.client_id = copy_of(login->login.client_id),
		.refresh_expires_at = login->refresh_expires_at,
	};
}

static int
run(struct store_job *store_job, struct db *db)
{
	struct keep_job *job = (struct keep_job *)store_job;
	int result = store_account_put(db, &job->row);

	if (result == 0)
		result = store_secret_put(
		    db, job->secret_name, job->row.generation, &job->sealed);
	if (result == 0)
		result = store_secret_delete(db, job->previous_name);
	if (result == 0)
		result = store_account_note_delete(
		    db, job->row.platform, job->row.username_key);
	if (result == 0)
		result =
		    store_refused_delete(db, job->row.platform, job->row.username_key);
	if (result == 0)
		result = store_refused_delete(db, job->row.platform, job->asked_key);
	if (result == 0)
		result = account_event_put(db, &job->event);
	return result;
}

/* Durable: others may know. */
static void
on_kept(struct store_job *store_job, int result)
{
	struct keep_job *job = (struct keep_job *)store_job;
	struct login_finish *login = (struct login_finish *)steps_done(&job->steps);

	if (result == 0)
		publish(job, login);
	else if (login)
		cannot_keep(login, result);
	store_account_clear(&job->row);
	account_event_clear(&job->event);
	free(job->asked);
	free(job->asked_key);
	free(job->secret_name);
	free(job->previous_name);
	buf_clear(&job->sealed);
	free(job->warning);
	free(job);
}

/* `unmet` are the lines of needs_unmet. */
static void
log_unmet(const struct platform *platform, const char *username, const char *unmet)
{
	while (unmet && *unmet) {
		size_t scope = strcspn(unmet, " ");
		size_t length = strcspn(unmet, "\n");

		log_warning("oauth", "'%s' at %s was not granted the scope '%s': '%s'",
		    log_quote(username), platform->name, log_quote_n(unmet, scope),
		    log_quote_n(unmet + scope + 1, length - scope - 1));
		unmet += length + 1;
	}
}

/* `login` is NULL when its flow has ended meanwhile. */
static void
publish(struct keep_job *job, struct login_finish *login)
{
	struct broker *broker = job->steps.broker;
	const struct account *before =
	    accounts_find(broker->accounts, job->platform, job->row.username);
	uint64_t generation_before = before ? before->row.generation : 0;
	char *username = xstrdup(job->row.username);
	char *scopes = xstrdup(job->row.scopes);
	char *missing = scopes_missing(job->row.scopes_asked, job->row.scopes);
	char *unmet = needs_unmet(broker, job->platform, &job->row);
	char identity[16];
	const struct proto_login_finished finished = {
		.platform = job->platform->name,
		.username = username,
		.identity = identity,
		.scopes = scopes,
		.missing_scopes = missing,
		.unmet = unmet,
		.warning = *job->warning ? job->warning : NULL,
	};

	snprintf(identity, sizeof(identity), "%s", job->row.identity);
	accounts_put(broker->accounts, job->platform, &job->row);
	validate_in_turn(
	    broker, accounts_find(broker->accounts, job->platform, username));
	login_note_forget(broker, job->platform, username);
	refused_forget(broker, job->platform, username);
	refused_forget(broker, job->platform, job->asked);
	refresh_schedule(broker);
	subscriptions_account_changed(broker, job->platform->name, username);
	if (generation_before) {
		vault_forget(broker->vault, job->secret_name, generation_before);
		vault_forget(broker->vault, job->previous_name, generation_before);
	}
	if (job->adopted)
		vault_forget(broker->vault, job->secret_name, job->adopted);
	broker_count(broker, "login_finished", 1);
	log_info("oauth", "'%s' logged in at %s (%s)%s%s", log_quote(username),
	    job->platform->name, identity, *job->warning ? ": " : "",
	    *job->warning ? log_quote(job->warning) : "");
	log_unmet(job->platform, username, unmet);
	logins_end(&broker->accounts->logins, job->state_hash, &finished);
	if (login) {
		login->told = true;
		flow_answer(&login->flow,
		    &(const struct proto_msg){
			.type = MSG_login_finished,
			.login_finished = finished,
		    });
	}
	free(username);
	free(scopes);
	free(missing);
	free(unmet);
}

/* ---- What the person should know ---- */

__attribute__((format(printf, 2, 3))) static void
add_sentence(char *warning, const char *format, ...)
{
	size_t used = strlen(warning);
	va_list values;

	if (used > 0 && used + 1 < WARNING_SIZE)
		warning[used++] = ' ';
	va_start(values, format);
	(void)vsnprintf(warning + used, WARNING_SIZE - used, format, values);
	va_end(values);
}

static void
add_identity(char *warning, const struct login_finish *login)
{
	char asked[FOREIGN_SIZE];
	char own[FOREIGN_SIZE];

	foreign_text(login->login.username, asked);
	foreign_text(login->username, own);
	if (!login->verified)
		add_sentence(warning,
		    "%s did not say whose account it is; it is kept as '%s'.",
		    login->platform->title, asked);
	else if (!text_equal_nocase(login->username, login->login.username))
		add_sentence(warning,
		    "The account that logged in is '%s', not '%s'; it is kept as "
		    "'%s'.",
		    own, asked, own);
}

static void
add_end(char *warning, const struct login_finish *login)
{
	const char *hint = login->platform->end_hint;
	char until[TIME_TEXT_SIZE];

	time_format(login->refresh_expires_at, until);
	add_sentence(warning,
	    "This login ends by itself at %s; log in again before.%s%s%s", until,
	    hint ? " " : "", hint ? hint : "", hint ? "." : "");
}

static char *
make_warning(const struct login_finish *login)
{
	const struct token_reply *reply = &login->reply;
	int64_t skew_ms = login->skew_ms;
	char warning[WARNING_SIZE] = "";

	add_identity(warning, login);
	if (!reply->refresh.length)
		add_sentence(warning,
		    "No refresh token came: a new login is needed when the access "
		    "token expires.");
	if (!reply->expires_known)
		add_sentence(warning,
		    "%s did not say in a usable form how long the token lives; %" PRId64
		    " s are assumed.",
		    login->platform->title, login->platform->assumed_life_s);
	if (login->refresh_expires_at)
		add_end(warning, login);
	if (skew_ms > SKEW_NOTABLE_MS || skew_ms < -SKEW_NOTABLE_MS)
		add_sentence(warning,
		    "The clock of this computer and that of %s differ by %" PRId64
		    " s.",
		    login->platform->title, (skew_ms < 0 ? -skew_ms : skew_ms) / 1000);
	return xstrdup(warning);
}
