/*
 * The list of logins that were turned away. Written by login_identify.c, read by
 * account_get.c and oauth_health.c.
 */
#include <stdlib.h>
#include <string.h>

#include "broker/oauth/accounts.h"
#include "broker/oauth/refused.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/text.h"
#include "common/time.h"

#define DAY_MS (INT64_C(24) * 60 * 60 * 1000)

struct put_job {
	struct store_job job;
	struct store_refused row; /* borrows from the members below */
	char *username_key;
	char *username;
	char *logged_in;
};

struct drop_job {
	struct store_job job;
	const struct platform *platform;
	char *username_key;
};

static void
entry_free(struct refused_logins *list, struct refused_login *entry)
{
	TAILQ_REMOVE(list, entry, entry);
	free(entry->username_key);
	free(entry->username);
	free(entry->logged_in);
	free(entry);
}

void
refused_clear(struct refused_logins *list)
{
	while (!TAILQ_EMPTY(list))
		entry_free(list, TAILQ_FIRST(list));
}

static void
remove_key(struct refused_logins *list, const struct platform *platform,
    const char *username_key)
{
	struct refused_login *entry = TAILQ_FIRST(list);
	struct refused_login *next;

	for (; entry; entry = next) {
		next = TAILQ_NEXT(entry, entry);
		if (entry->platform == platform &&
		    strcmp(entry->username_key, username_key) == 0)
			entry_free(list, entry);
	}
}

void
refused_load(struct refused_logins *list, const struct store_refused *row)
{
	const struct platform *platform = platform_find(row->platform);
	struct refused_login *entry;
	size_t count = 0;

	if (!platform)
		return;
	remove_key(list, platform, row->username_key);
	TAILQ_FOREACH (entry, list, entry)
		count++;
	if (count >= STORE_REFUSED_MAX)
		entry_free(list, TAILQ_FIRST(list));
	entry = xcalloc(1, sizeof(*entry));
	entry->platform = platform;
	entry->username_key = xstrdup(row->username_key);
	entry->username = xstrdup(row->username);
	entry->logged_in = xstrdup(row->logged_in);
	entry->at = row->at;
	TAILQ_INSERT_TAIL(list, entry, entry);
}

/* ---- Noting ---- */

static int
run_put(struct store_job *job, struct db *db)
{
	return store_refused_put(db, &((struct put_job *)job)->row);
}

static void
on_put(struct store_job *store_job, int result)
{
	struct put_job *job = (struct put_job *)store_job;

	if (result < 0)
		log_warning("oauth",
		    "that the login of '%s' was turned away could not be stored (%s); "
		    "continuing",
		    log_quote(job->username), strerror(-result));
	free(job->username_key);
	free(job->username);
	free(job->logged_in);
	free(job);
}

void
refused_note(struct broker *broker, const struct platform *platform,
    const char *username, const char *logged_in)
{
	struct put_job *job = xcalloc(1, sizeof(*job));

	job->job = (struct store_job){ .run = run_put, .done = on_put };
	job->username_key = text_fold(username);
	job->username = xstrdup(username);
	job->logged_in = xstrdup(*logged_in ? logged_in : "another account");
	job->row = (struct store_refused){
		.platform = platform->name,
		.username_key = job->username_key,
		.username = job->username,
		.logged_in = job->logged_in,
		.at = time_now_ms(),
	};
	refused_load(&broker->accounts->refused, &job->row);
	store_submit(broker->store, &job->job);
}

/* ---- Forgetting ---- */

void
refused_forget(
    struct broker *broker, const struct platform *platform, const char *username)
{
	char *key = text_fold(username);

	remove_key(&broker->accounts->refused, platform, key);
	free(key);
}

static int
run_drop(struct store_job *store_job, struct db *db)
{
	struct drop_job *job = (struct drop_job *)store_job;

	return store_refused_delete(db, job->platform->name, job->username_key);
}

static void
on_dropped(struct store_job *store_job, int result)
{
	struct drop_job *job = (struct drop_job *)store_job;

	(void)result; /* what is in memory counts until the next start */
	free(job->username_key);
	free(job);
}

void
refused_drop(
    struct broker *broker, const struct platform *platform, const char *username)
{
	struct drop_job *job = xcalloc(1, sizeof(*job));

	refused_forget(broker, platform, username);
	job->job = (struct store_job){ .run = run_drop, .done = on_dropped };
	job->platform = platform;
	job->username_key = text_fold(username);
	store_submit(broker->store, &job->job);
}

int64_t
refused_purge(struct refused_logins *list, int64_t now)
{
	int64_t before = now - REFUSED_DAYS * DAY_MS;

	while (!TAILQ_EMPTY(list) && TAILQ_FIRST(list)->at < before)
		entry_free(list, TAILQ_FIRST(list));
	return before;
}
