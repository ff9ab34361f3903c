/*
 * Requests about subscriptions: what there is, and what is wanted. The third,
 * subscriptions_sync, is in sub_sync.c.
 *
 * What is wanted is durable before it counts, and it is answered before the platform is
 * asked: the channel is then `pending`, and subscriptions_sync waits for more.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/events/ours.h"
#include "broker/oauth/steps.h"
#include "broker/store/store_subscription.h"
#include "broker/subscriptions/subs_inner.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/suggest.h"
#include "common/text.h"
#include "common/time.h"

#define WARNING_SIZE 512

static const char *const source_names[] = { [SUB_FROM_NOWHERE] = "none",
	[SUB_FROM_CONFIG] = "config",
	[SUB_FROM_API] = "api" };

/* ---- Rows ---- */

static uint64_t
wall_of(int64_t boot)
{
	return boot ? (uint64_t)(time_now_ms() + boot - time_boot_ms()) : 0;
}

static void
channel_row(struct flow *flow, const struct sub_channel *channel, const char *warning)
{
	char next[SUB_NEXT_SIZE];
	struct buf words = BUF_EMPTY;
	size_t i;

	for (i = 0; i < channel->event_count; i++)
		buf_printf(&words, "%s%s", i ? " " : "", channel->events[i].name);
	buf_add(&words, "", 1);
	sub_state_next(channel->state, channel->username, next);
	flow_row(flow,
	    &(const struct proto_msg){
		.type = MSG_subscription_channel,
		.subscription_channel = {
			.username = channel->username,
			.source = source_names[channel->source],
			.events = (const char *)buf_bytes(&words),
			.state = sub_state_name(channel->state),
			.trouble = sub_state_is_trouble(channel->state),
			.detail = channel->detail,
			.next = next,
			.warning = warning,
			.broadcaster_id = channel->broadcaster_id,
			.token = channel->token,
			.strangers = (uint32_t)channel->strangers,
			.checked_at = (uint64_t)channel->checked_at,
			.changed_at = (uint64_t)channel->changed_at,
			.next_at = wall_of(channel->due),
		},
	    });
	buf_clear(&words);
}

static void
event_row(struct flow *flow, const struct sub_event *event)
{
	flow_row(flow,
	    &(const struct proto_msg){
		.type = MSG_subscription_event,
		.subscription_event = {
			.event = event->name,
			.version = SUB_VERSION,
			.state = sub_state_name(event->state),
			.id = *event->id ? event->id : NULL,
			.ours = *event->id && !event->covered,
			.doubled = event->doubled,
			.created_at = (uint64_t)event->created_at,
			.detail = event->said,
		},
	    });
}

static void
rows_with(struct flow *flow, const struct sub_channel *channel, const char *warning)
{
	size_t i;

	channel_row(flow, channel, warning);
	for (i = 0; i < channel->event_count; i++)
		event_row(flow, &channel->events[i]);
}

void
sub_rows(struct flow *flow, const struct sub_channel *channel)
{
	rows_with(flow, channel, "");
}

/* ---- Listing ---- */

static void
release_plain(struct flow *flow)
{
	free(flow);
}

static void
list_all(struct flow *flow, const struct subscriptions *subs)
{
	struct sub_channel **all;
	size_t count;
	size_t i;

	all = sub_channels_sorted(subs, &count);
	for (i = 0; i < count; i++)
		if (sub_channel_is_known(all[i]))
			sub_rows(flow, all[i]);
	free(all);
}

bool
subs_find_asked(struct client *client, uint32_t rid, const char *username,
    struct sub_channel **ret_channel)
{
	struct sub_channel *channel =
	    sub_channel_find(client->broker->subscriptions, username);

	if (channel && sub_channel_is_known(channel)) {
		*ret_channel = channel;
		return true;
	}
	client_fail(client, rid, ERR_not_found,
	    "No events are wanted for a channel of that name; say which with "
	    "`streamhold subs set`, with PUT, or in the configuration");
	return false;
}

void
on_subscriptions_list(struct client *client, struct proto_msg *msg)
{
	const char *username = msg->subscriptions_list.username;
	struct sub_channel *channel = NULL;
	struct flow *flow;

	if (username && !subs_find_asked(client, msg->rid, username, &channel))
		return;
	flow = xcalloc(1, sizeof(*flow));
	flow_init(flow, client->broker, client, msg->rid, "subscriptions_list",
	    STEPS_DEADLINE_MS, release_plain);
	if (channel)
		sub_rows(flow, channel);
	else
		list_all(flow, client->broker->subscriptions);
	flow_answer(flow, &(const struct proto_msg){ .type = MSG_list_end });
}

/* ---- Saying what is wanted ---- */

struct put_flow {
	struct flow flow;
	char warning[WARNING_SIZE];
};

struct put_job {
	struct steps_job steps;
	char *key;
	char *username;
	char *events; /* NULL: what the configuration says */
	int64_t now;
};

/* What is collected of the names that were asked for. */
struct names {
	char *events; /* separated by spaces */
	char *warning;
	char *wrong; /* a sentence */
};

static void
add_name(struct names *names, const char *name)
{
	char *longer;

	if (sub_has_word(names->events, name))
		return;
	longer = xasprintf("%s%s%s", names->events, *names->events ? " " : "", name);
	free(names->events);
	names->events = longer;
}

static bool
take_known(struct names *names, const char *word)
{
	size_t count;
	const char *const *known = config_event_names(&count);
	size_t i;

	for (i = 0; i < count; i++)
		if (strcmp(known[i], word) == 0) {
			add_name(names, known[i]);
			return true;
		}
	return false;
}

/* The name of an older program, with a warning. */
static bool
take_older(struct names *names, const char *word)
{
	size_t count;
	const struct config_older_event *older = config_older_events(&count);
	size_t used = strlen(names->warning);
	size_t i;

	for (i = 0; i < count; i++) {
		if (strcmp(older[i].older, word) != 0)
			continue;
		add_name(names, older[i].name);
		if (older[i].further_name)
			add_name(names, older[i].further_name);
		(void)snprintf(names->warning + used, WARNING_SIZE - used,
		    "%s'%s' is an older name, taken as '%s'%s%s%s", used ? "; " : "",
		    older[i].older, older[i].name,
		    older[i].further_name ? " and '" : "",
		    older[i].further_name ? older[i].further_name : "",
		    older[i].further_name ? "'" : "");
		return true;
	}
	return false;
}

static char *
name_wrong(const char *word)
{
	size_t count;
	const char *const *known = config_event_names(&count);
	const char *near = suggest_nearest(word, known, count);
	char *all = xstrdup("");
	char *sentence;
	size_t i;

	for (i = 0; i < count; i++) {
		char *longer = xasprintf("%s%s%s", all, i ? ", " : "", known[i]);

		free(all);
		all = longer;
	}
	sentence = xasprintf("events: '%.64s' is no event%s%s%s; known are %s",
	    log_quote(word), near ? ", did you mean '" : "", near ? near : "",
	    near ? "'" : "", all);
	free(all);
	return sentence;
}

static void
take_names(struct names *names, const char *asked)
{
	char *words = xstrdup(asked);
	char *rest = NULL;
	char *word;

	for (word = strtok_r(words, " ", &rest); word && !names->wrong;
	     word = strtok_r(NULL, " ", &rest))
		if (!take_known(names, word) && !take_older(names, word))
			names->wrong = name_wrong(word);
	free(words);
}

static int
run_put(struct store_job *store_job, struct db *db)
{
	const struct put_job *job = (const struct put_job *)store_job;

	if (!job->events)
		return store_subscription_set_delete(db, job->key);
	return store_subscription_set_put(db,
	    &(const struct store_subscription_set){
		.username_key = job->key,
		.username = job->username,
		.events = job->events,
		.updated_at = job->now,
	    });
}

static struct sub_channel *
take_set(struct put_job *job)
{
	struct subscriptions *subs = job->steps.broker->subscriptions;
	struct sub_channel *channel = sub_channel_get(subs, job->username);

	free(channel->set);
	channel->set = job->events ? xstrdup(job->events) : NULL;
	channel->stored = job->events != NULL;
	sub_channel_want(subs, channel);
	ours_look(subs->broker);
	if (!job->events)
		log_info("subs", "'%s': the configuration says what is wanted",
		    log_quote(channel->username));
	else
		log_info("subs", "'%s': wanted are now: %s",
		    log_quote(channel->username),
		    *job->events ? job->events : "no events");
	if (sub_channel_has_work(channel)) {
		channel->demanded = true;
		channel->failures = 0;
		subs_plan(subs, channel, 0);
	}
	return channel;
}

static void
on_put(struct store_job *store_job, int result)
{
	struct put_job *job = (struct put_job *)store_job;
	struct put_flow *put = (struct put_flow *)steps_done(&job->steps);
	struct sub_channel *channel = result < 0 ? NULL : take_set(job);

	if (put && channel) {
		rows_with(&put->flow, channel, put->warning);
		flow_answer(
		    &put->flow, &(const struct proto_msg){ .type = MSG_list_end });
	} else if (put) {
		steps_fail_store(&put->flow, result);
	}
	free(job->key);
	free(job->username);
	free(job->events);
	free(job);
}

static void
put(struct client *client, struct proto_msg *msg, const struct names *names)
{
	struct put_flow *put = xcalloc(1, sizeof(*put));
	struct put_job *job = xcalloc(1, sizeof(*job));

	flow_init(&put->flow, client->broker, client, msg->rid, "subscription_put",
	    STEPS_DEADLINE_MS, release_plain);
	(void)snprintf(put->warning, sizeof(put->warning), "%s", names->warning);
	flow_step(&put->flow, "store");
	job->username = xstrdup(msg->subscription_put.username);
	job->key = text_fold(job->username);
	job->events = msg->subscription_put.configured ? NULL : xstrdup(names->events);
	job->now = time_now_ms();
	steps_submit(&put->flow, &job->steps, run_put, on_put);
}

void
on_subscription_put(struct client *client, struct proto_msg *msg)
{
	const struct subscriptions *subs = client->broker->subscriptions;
	const char *username = msg->subscription_put.username;
	char warning[WARNING_SIZE] = "";
	struct names names = { .events = NULL, .warning = warning };

	if (!steps_username(client, msg->rid, username))
		return;
	if (!sub_channel_find(subs, username) && subs->count >= SUBS_CHANNELS_MAX) {
		client_fail(client, msg->rid, ERR_invalid_request,
		    "There are as many channels as Streamhold keeps; use one of those "
		    "that `streamhold subs list` shows");
		return;
	}
	names.events = xstrdup("");
	take_names(&names, msg->subscription_put.events);
	if (names.wrong)
		client_fail(client, msg->rid, ERR_invalid_request, names.wrong);
	else
		put(client, msg, &names);
	free(names.events);
	free(names.wrong);
}
