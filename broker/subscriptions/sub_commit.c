/*
 * The job that stores a channel's records. Called by sub_pass.c and sub_create.c.
 */
#include <stdlib.h>
#include <string.h>

#include "broker/oauth/steps.h"
#include "broker/store/store_subscription.h"
#include "broker/subscriptions/sub_commit.h"
#include "broker/subscriptions/subs_inner.h"
#include "common/alloc.h"
#include "common/log.h"

struct sub_commit {
	struct steps_job steps;
	char *key;
	char *username;
	char *broadcaster_id;
	char *asked;
	int64_t asked_at;
	struct sub_owned *owned;
	size_t owned_count;
	char **gone;
	size_t gone_count;
	sub_commit_done_fn *done;
};

struct sub_commit *
sub_commit_new(void)
{
	return xcalloc(1, sizeof(struct sub_commit));
}

void
sub_commit_free(struct sub_commit *commit)
{
	size_t i;

	if (!commit)
		return;
	for (i = 0; i < commit->gone_count; i++)
		free(commit->gone[i]);
	free(commit->gone);
	free(commit->owned);
	free(commit->key);
	free(commit->username);
	free(commit->broadcaster_id);
	free(commit->asked);
	free(commit);
}

void
sub_commit_delete(struct sub_commit *commit, const char *id)
{
	commit->gone =
	    xrealloc(commit->gone, (commit->gone_count + 1) * sizeof(*commit->gone));
	commit->gone[commit->gone_count++] = xstrdup(id);
}

static int
put_owned(struct db *db, const struct sub_commit *commit, const struct sub_owned *owned)
{
	const struct store_subscription row = { .id = owned->id,
		.username_key = commit->key,
		.event = owned->event,
		.version = owned->version,
		.made_at = owned->made_at,
		.listed_at = owned->listed_at,
		.adopted = owned->adopted,
		.removed = owned->removed };

	return store_subscription_put(db, &row);
}

static int
run(struct store_job *job, struct db *db)
{
	const struct sub_commit *commit = (const struct sub_commit *)job;
	const struct store_subscription_channel row = { .username_key = commit->key,
		.username = commit->username,
		.broadcaster_id = commit->broadcaster_id,
		.asked = commit->asked,
		.asked_at = commit->asked_at };
	int result = store_subscription_channel_put(db, &row);
	size_t i;

	for (i = 0; result == 0 && i < commit->gone_count; i++)
		result = store_subscription_delete(db, commit->gone[i]);
	for (i = 0; result == 0 && i < commit->owned_count; i++)
		result = put_owned(db, commit, &commit->owned[i]);
	return result;
}

static void
on_stored(struct store_job *job, int result)
{
	struct sub_commit *commit = (struct sub_commit *)job;
	struct flow *flow = steps_done(&commit->steps);

	if (result < 0)
		log_error("subs", "what is on record of '%s' could not be stored: %s",
		    log_quote(commit->username), strerror(-result));
	if (flow)
		commit->done(flow, result);
	sub_commit_free(commit);
}

static char *
copy_or_null(const char *text)
{
	return text ? xstrdup(text) : NULL;
}

void
sub_commit_start(struct broker *broker, struct flow *flow, struct sub_commit **commit,
    const struct sub_channel *channel, sub_commit_done_fn *done)
{
	struct sub_commit *job = *commit ? *commit : sub_commit_new();
	size_t i;

	*commit = NULL;
	job->key = xstrdup(channel->key);
	job->username = xstrdup(channel->username);
	job->broadcaster_id = copy_or_null(channel->broadcaster_id);
	job->asked = copy_or_null(channel->asked);
	job->asked_at = channel->asked_at;
	job->owned = xcalloc(channel->owned_count, sizeof(*job->owned));
	for (i = 0; i < channel->owned_count; i++)
		job->owned[job->owned_count++] = channel->owned[i];
	job->done = done;
	if (flow) {
		steps_submit(flow, &job->steps, run, on_stored);
		return;
	}
	job->steps.broker = broker;
	job->steps.job = (struct store_job){ .run = run, .done = on_stored };
	store_submit(broker->store, &job->steps.job);
}
