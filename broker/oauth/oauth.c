/*
 * OAuth as a whole: what is loaded at start, the hourly purge, the counts for reports.
 * Called by the broker's start and by report.c; owns broker->accounts.
 */
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>
#include <jansson.h>

#include "broker/oauth/accounts.h"
#include "broker/oauth/app_token.h"
#include "broker/oauth/oauth.h"
#include "broker/oauth/validate.h"
#include "broker/oauth/refresh.h"
#include "common/locked_memory.h"
#include "broker/store/store_login.h"
#include "broker/store/store_refresh.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/time.h"

#define PURGE_INTERVAL_S 3600

/* The job that reads everything. It fills tables of its own, which the loop takes over
 * when it is done. */
struct load_job {
	struct store_job job;
	struct accounts *accounts;
	int64_t now;
	int result;
};

struct purge_job {
	struct store_job job;
	int64_t now;
	int64_t refused_before;
};

static int run_load(struct store_job *, struct db *);
static void on_load(struct store_job *, int);
static void on_purge_timer(evutil_socket_t, short, void *);
static int run_purge(struct store_job *, struct db *);
static void on_purge(struct store_job *, int);

int
oauth_start(struct broker *broker)
{
	const struct timeval hour = { .tv_sec = PURGE_INTERVAL_S };
	struct load_job load = {
		.job = { .run = run_load, .done = on_load },
		.accounts = accounts_new(),
		.now = time_now_ms(),
	};

	/* Replies with tokens are read with jansson. */
	json_set_alloc_funcs(locked_malloc, locked_free);
	store_run_now(broker->store, &load.job);
	if (load.result < 0) {
		accounts_free(load.accounts);
		return load.result;
	}
	broker->accounts = load.accounts;
	broker->accounts->purge_timer =
	    event_new(broker->base, -1, EV_PERSIST, on_purge_timer, broker);
	if (!broker->accounts->purge_timer)
		abort();
	event_add(broker->accounts->purge_timer, &hour);
	validate_start(broker);
	app_tokens_start(broker);
	refresh_start(broker);
	login_adopt_start(broker);
	log_info("oauth", "%zu accounts and %zu pending logins are stored",
	    broker->accounts->count, broker->accounts->logins.pending);
	return 0;
}

void
oauth_stop(struct broker *broker)
{
	if (!broker->accounts)
		return;
	app_tokens_stop(broker);
	validate_stop(broker);
	refresh_stop(broker);
	login_adopt_stop(broker);
	event_free(broker->accounts->purge_timer);
	accounts_free(broker->accounts);
	broker->accounts = NULL;
}

static void
load_credential(void *arg, struct store_credential *row)
{
	const struct platform *platform = platform_find(row->platform);

	if (platform)
		accounts_set_credential(arg, platform, row);
}

static void
load_account(void *arg, struct store_account *row)
{
	struct accounts *accounts = arg;
	const struct platform *platform = platform_find(row->platform);

	if (row->generation > accounts->generation)
		accounts->generation = row->generation;
	if (platform)
		accounts_put(accounts, platform, row);
}

static void
load_login(void *arg, struct store_login *row)
{
	struct accounts *accounts = arg;
	const struct platform *platform = platform_find(row->platform);

	if (platform)
		logins_add(
		    &accounts->logins, row->state_hash, platform, row->expires_at);
}

static void
load_refresh(void *arg, const struct store_refresh *row)
{
	refresh_found(arg, row);
}

static void
load_note(void *arg, struct store_account *row)
{
	struct accounts *accounts = arg;

	if (row->generation > accounts->generation)
		accounts->generation = row->generation;
	login_note_load(&accounts->login_notes, row);
}

static void
load_refused(void *arg, const struct store_refused *row)
{
	struct accounts *accounts = arg;

	refused_load(&accounts->refused, row);
}

static int
run_load(struct store_job *job, struct db *db)
{
	struct load_job *load = (struct load_job *)job;
	int result = store_login_purge(db, load->now);

	if (result == 0)
		result = store_credential_load(db, load_credential, load->accounts);
	if (result == 0)
		result = store_account_load(db, load_account, load->accounts);
	if (result == 0)
		result = store_login_load(db, load_login, load->accounts);
	if (result == 0)
		result = store_refresh_purge(db);
	if (result == 0)
		result = store_refresh_load(db, load_refresh, load->accounts);
	if (result == 0)
		result = store_refused_load(db, load_refused, load->accounts);
	if (result == 0)
		result = store_account_note_load(db, load_note, load->accounts);
	return result;
}

static void
on_load(struct store_job *job, int result)
{
	((struct load_job *)job)->result = result;
}

static void
on_purge_timer(evutil_socket_t fd, short events, void *arg)
{
	struct broker *broker = arg;
	struct purge_job *purge = xcalloc(1, sizeof(*purge));

	(void)fd;
	(void)events;
	purge->now = time_now_ms();
	purge->job = (struct store_job){ .run = run_purge, .done = on_purge };
	purge->refused_before = refused_purge(&broker->accounts->refused, purge->now);
	logins_purge(&broker->accounts->logins, purge->now);
	store_submit(broker->store, &purge->job);
}

static int
run_purge(struct store_job *job, struct db *db)
{
	const struct purge_job *purge = (const struct purge_job *)job;
	int result = store_login_purge(db, purge->now);

	if (result == 0)
		result = store_refused_purge(db, purge->refused_before);
	return result;
}

static void
on_purge(struct store_job *job, int result)
{
	if (result < 0)
		log_warning("oauth",
		    "expired logins could not be removed (%s); continuing",
		    strerror(-result));
	free(job);
}

size_t
oauth_account_count(const struct broker *broker)
{
	return broker->accounts->count;
}

size_t
oauth_account_lost_count(const struct broker *broker)
{
	return broker->accounts->lost_count;
}

size_t
oauth_refresh_count(const struct broker *broker)
{
	return refresh_count(broker);
}

const char *
oauth_refresh_pause(const struct broker *broker, enum config_platform_index index)
{
	return refresh_pause(broker, platform_at(index));
}

size_t
oauth_login_count(const struct broker *broker)
{
	return broker->accounts->logins.pending;
}
