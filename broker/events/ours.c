/*
 * The broadcasters that are ours: the accounts that logged in and the channels whose
 * events are wanted. That there was ever anything of the kind is kept in the database,
 * since what ends with the last login or subscription is their events, not the check.
 */
#include <stdlib.h>
#include <string.h>

#include "broker/events/ours.h"
#include "broker/oauth/accounts.h"
#include "broker/store/store.h"
#include "broker/store/store_secret.h"
#include "broker/subscriptions/subs.h"
#include "common/alloc.h"

/* Row of table `meta`. */
#define KNOWN "channels_known"

static bool
is_anything_known(const struct broker *broker)
{
	const char *platform = config_platform_name(CONFIG_PLATFORM_KICK);

	return accounts_platform_count(broker->accounts, platform) > 0 ||
	    subscriptions_are_said(broker);
}

/* What was found there, or put there. */

struct start_job {
	struct store_job job;
	bool known;
	int result;
};

static int
run_start(struct store_job *base, struct db *db)
{
	struct start_job *job = (struct start_job *)base;
	struct buf value = BUF_EMPTY;
	bool found;
	int result = store_meta_get(db, KNOWN, &found, &value);

	buf_clear(&value);
	if (result == 0 && !found && job->known)
		result = store_meta_put(db, KNOWN, "", 0);
	job->known |= found;
	return result;
}

static void
done_start(struct store_job *base, int result)
{
	((struct start_job *)base)->result = result;
}

int
ours_start(struct broker *broker)
{
	struct start_job job = { .job = { .run = run_start, .done = done_start },
		.known = is_anything_known(broker) };

	store_run_now(broker->store, &job.job);
	broker->ours = job.known ? OURS_KNOWN : OURS_NEVER;
	return job.result;
}

static int
run_note(struct store_job *job, struct db *db)
{
	(void)job;
	return store_meta_put(db, KNOWN, "", 0);
}

static void
done_note(struct store_job *job, int result)
{
	(void)result; /* what is known is looked at anew with the next start */
	free(job);
}

void
ours_look(struct broker *broker)
{
	struct store_job *job;

	if (broker->ours != OURS_NEVER || !is_anything_known(broker))
		return;
	broker->ours = OURS_KNOWN;
	job = xcalloc(1, sizeof(*job));
	*job = (struct store_job){ .run = run_note, .done = done_note };
	store_submit(broker->store, job);
}

bool
ours_has(const struct broker *broker, const struct kick_event *event)
{
	const char *platform = config_platform_name(CONFIG_PLATFORM_KICK);

	if (broker->ours != OURS_KNOWN && !is_anything_known(broker))
		return true;
	return accounts_have_channel(broker->accounts, platform, event->broadcaster_id,
		   event->broadcaster_name, event->broadcaster_slug) ||
	    subscriptions_have_channel(broker, event->broadcaster_id,
		event->broadcaster_name, event->broadcaster_slug);
}

const struct config_list *
ours_wanted(const struct broker *broker, const struct store_account *row)
{
	if (strcmp(row->platform, config_platform_name(CONFIG_PLATFORM_KICK)) != 0)
		return NULL;
	return subscriptions_wanted(broker, row);
}
