/*
 * Stores events of our own. Called by retention.c, silence.c and
 * oauth/refresh_pause.c, on the loop.
 */
#include <stdlib.h>
#include <string.h>

#include "broker/events/notice.h"
#include "broker/store/store_event.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/time.h"

struct notice_job {
	struct store_job job;
	const char *platform; /* static */
	char *type;
	char *id;
	char *broadcaster_id;
	char *broadcaster_name;
	char *body;
	int64_t now;
};

static int
run_notice(struct store_job *base, struct db *db)
{
	const struct notice_job *job = (const struct notice_job *)base;
	const struct store_own_event own = {
		.platform = job->platform,
		.id = job->id,
		.type = job->type,
		.now = job->now,
		.broadcaster_id = job->broadcaster_id,
		.broadcaster_name = job->broadcaster_name,
		.body = job->body,
	};

	return store_event_put_own(db, &own);
}

static void
done_notice(struct store_job *base, int result)
{
	struct notice_job *job = (struct notice_job *)base;

	if (result < 0)
		log_warning("events", "the event '%s' could not be stored: %s", job->id,
		    strerror(-result));
	free(job->type);
	free(job->id);
	free(job->broadcaster_id);
	free(job->broadcaster_name);
	free(job->body);
	free(job);
}

static char *
copy_of(const char *text)
{
	return text ? xstrdup(text) : NULL;
}

void
notice_store(struct broker *broker, const struct notice *notice)
{
	struct notice_job *job = xcalloc(1, sizeof(*job));

	job->job = (struct store_job){ .run = run_notice, .done = done_notice };
	job->platform = notice->platform ? notice->platform
					 : config_platform_name(CONFIG_PLATFORM_KICK);
	job->type = xstrdup(notice->type);
	job->id = xstrdup(notice->id);
	job->broadcaster_id = copy_of(notice->broadcaster_id);
	job->broadcaster_name = copy_of(notice->broadcaster_name);
	job->body = xstrdup(notice->body);
	job->now = time_now_ms();
	store_submit(broker->store, &job->job);
}
