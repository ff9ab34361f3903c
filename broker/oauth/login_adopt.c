/*
 * Logins that were cut off between the note of what is about to be stored and the
 * transaction that stores it. The code is used up, so nobody can begin again where it
 * was; but with a keyring the tokens may be there already:
 *
 *   look   for the tokens that the note speaks of
 *   adopt  further in login_store.c, as if the platform had just handed them out:
 *          sealed anew and stored, and in the same transaction the note goes
 *
 * When there are none, which is always so where value and reference are the same row,
 * what the platform handed out is lost and cannot be revoked: that is said. A login of
 * before for that name stands as it was. Nothing is decided while the keystore cannot
 * be asked. Called by oauth.c; owns the notes that were found.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "broker/oauth/accounts.h"
#include "broker/oauth/login_adopt.h"
#include "broker/oauth/login_finish.h"
#include "broker/oauth/steps.h"
#include "broker/vault/vault.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/text.h"

struct drop_job {
	struct store_job job;
	const struct platform *platform;
	char *username_key;
};

static void on_timer(evutil_socket_t, short, void *);
static void look(struct broker *, struct login_note *);
static void on_found(void *, int, uint64_t, struct secret *);
static void adopt(struct login_finish *, uint64_t, struct tokens *);
static void give_up(struct login_finish *);

static void
note_free(struct login_notes *notes, struct login_note *note)
{
	TAILQ_REMOVE(notes, note, entry);
	store_account_clear(&note->row);
	free(note);
}

void
login_notes_clear(struct login_notes *notes)
{
	while (!TAILQ_EMPTY(notes))
		note_free(notes, TAILQ_FIRST(notes));
}

void
login_note_load(struct login_notes *notes, struct store_account *row)
{
	const struct platform *platform = platform_find(row->platform);
	struct login_note *note;

	if (!platform)
		return;
	note = xcalloc(1, sizeof(*note));
	note->platform = platform;
	note->row = *row;
	*row = (struct store_account){ .id = 0 };
	TAILQ_INSERT_TAIL(notes, note, entry);
}

static struct login_note *
find(struct broker *broker, const struct platform *platform, const char *username)
{
	struct login_note *note;

	TAILQ_FOREACH (note, &broker->accounts->login_notes, entry)
		if (note->platform == platform &&
		    text_equal_nocase(note->row.username, username))
			break;
	return note;
}

static void
look_in(struct broker *broker, int64_t ms)
{
	const struct timeval wait = { .tv_sec = ms / 1000,
		.tv_usec = ms % 1000 * 1000 };

	event_add(broker->accounts->adopt_timer, &wait);
}

void
login_adopt_start(struct broker *broker)
{
	broker->accounts->adopt_timer = evtimer_new(broker->base, on_timer, broker);
	if (!broker->accounts->adopt_timer)
		abort();
	if (!TAILQ_EMPTY(&broker->accounts->login_notes))
		look_in(broker, 0);
}

void
login_adopt_stop(struct broker *broker)
{
	event_free(broker->accounts->adopt_timer);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct broker *broker = arg;
	struct login_note *note;

	(void)fd;
	(void)what;
	if (vault_condition(broker->vault) != VAULT_ready) {
		look_in(broker, LOGIN_ADOPT_AGAIN_MS);
		return;
	}
	TAILQ_FOREACH (note, &broker->accounts->login_notes, entry)
		if (!note->running)
			look(broker, note);
}

static char *
copy_of(const char *text)
{
	return text ? xstrdup(text) : NULL;
}

/* What the flow knew when it wrote the note. */
static void
restore(struct login_finish *login, const struct store_account *row)
{
	login->adopting = true;
	login->username = xstrdup(row->username);
	login->generation = row->generation;
	login->login.platform = xstrdup(row->platform);
	login->login.username = xstrdup(row->username);
	login->login.client_id = copy_of(row->client_id);
	login->login.scopes = xstrdup(row->scopes_asked);
	login->reply.scopes = xstrdup(row->scopes);
	login->reply.scopes_known = true;
	login->reply.expires_known = true;
	login->asked_at = row->obtained_at;
	login->expires_at = row->expires_at;
	login->refresh_expires_at = row->refresh_expires_at;
	login->identity.user_id = copy_of(row->user_id);
	login->identity.login = copy_of(row->login);
	login->identity.display_name = copy_of(row->display_name);
	login->verified = strcmp(row->identity, "verified") == 0;
}

static void
look(struct broker *broker, struct login_note *note)
{
	struct login_finish *login = login_new(
	    broker, NULL, 0, "login_adopt", STEPS_LOGIN_DEADLINE_MS, note->platform);
	char *name = accounts_token_name(note->platform, note->row.username);

	note->running = true;
	restore(login, &note->row);
	flow_step(&login->flow, "look");
	steps_wait_vault(&login->flow,
	    vault_find(broker->vault, name, note->row.generation - 1, on_found, login));
	free(name);
}

static void
on_found(void *arg, int result, uint64_t generation, struct secret *plain)
{
	struct login_finish *login = arg;
	struct tokens tokens = { .access = SECRET_NONE };

	flow_resume(&login->flow);
	if (!find(login->flow.broker, login->platform, login->username)) {
		/* A newer login or a deletion has settled it meanwhile. */
		flow_fail(&login->flow, ERR_outcome_unknown, NULL);
		return;
	}
	if (result == 0 && tokens_unpack(plain, &tokens) < 0)
		result = -ENOENT;
	if (result == 0 && tokens.access.length)
		adopt(login, generation, &tokens);
	else if (result == 0 || result == -ENOENT)
		give_up(login);
	else
		steps_fail_vault(&login->flow, result);
	tokens_clear(&tokens);
}

static void
adopt(struct login_finish *login, uint64_t generation, struct tokens *tokens)
{
	log_info("oauth",
	    "the tokens of the login of '%s' at %s that was cut off are in the keyring "
	    "and are kept",
	    log_quote(login->username), login->platform->name);
	broker_count(login->flow.broker, "login_adopted", 1);
	login->adopted = generation;
	login->reply.access = secret_move(&tokens->access);
	login->reply.refresh = secret_move(&tokens->refresh);
	login_store(login);
}

static void
give_up(struct login_finish *login)
{
	log_warning("oauth",
	    "a login of '%s' at %s was cut off before its tokens were stored: they are "
	    "lost and cannot be revoked. Log in again: streamhold login %s '%s'",
	    log_quote(login->username), login->platform->name, login->platform->name,
	    log_quote(login->username));
	login_note_drop(login->flow.broker, login->platform, login->username);
	flow_fail(&login->flow, ERR_outcome_unknown, NULL);
}

void
login_adopt_ended(
    struct broker *broker, const struct platform *platform, const char *username)
{
	struct login_note *note = find(broker, platform, username);

	if (!note)
		return;
	note->running = false;
	look_in(broker, LOGIN_ADOPT_AGAIN_MS);
}

/* ---- Forgetting ---- */

void
login_note_forget(
    struct broker *broker, const struct platform *platform, const char *username)
{
	struct login_note *note = find(broker, platform, username);

	if (note)
		note_free(&broker->accounts->login_notes, note);
}

static int
run_drop(struct store_job *store_job, struct db *db)
{
	struct drop_job *job = (struct drop_job *)store_job;

	return store_account_note_delete(db, job->platform->name, job->username_key);
}

static void
on_dropped(struct store_job *store_job, int result)
{
	struct drop_job *job = (struct drop_job *)store_job;

	if (result < 0)
		log_warning("oauth",
		    "the note of a login that was cut off could not be removed (%s); "
		    "continuing",
		    strerror(-result));
	free(job->username_key);
	free(job);
}

void
login_note_drop(
    struct broker *broker, const struct platform *platform, const char *username)
{
	struct drop_job *job = xcalloc(1, sizeof(*job));

	login_note_forget(broker, platform, username);
	job->job = (struct store_job){ .run = run_drop, .done = on_dropped };
	job->platform = platform;
	job->username_key = text_fold(username);
	store_submit(broker->store, &job->job);
}
