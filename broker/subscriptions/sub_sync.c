/*
 * subscriptions_sync: compares now, and answers when that is done:
 *
 *   wait    for a pass of each channel that is meant; what a pass does is told at once
 *   answer  with the rows of those channels
 *
 * A pass that runs already counts as long as it has not asked for the list, unless what
 * is wanted has changed since it began or something is to be adopted. A dry run has
 * passes of its own, which change nothing.
 */
#include <stdlib.h>
#include <string.h>

#include "broker/oauth/steps.h"
#include "broker/subscriptions/subs_inner.h"
#include "common/alloc.h"
#include "common/text.h"

static void release(struct flow *);

/* Which pass of the channel is waited for. */
static uint64_t
join(struct subscriptions *subs, const struct sub_waiter *waiter,
    struct sub_channel *channel)
{
	if (waiter->dry_run)
		return 0;
	if (subs_may_join(subs, channel) && !waiter->adopt)
		return channel->number;
	subs_demand(subs, channel, waiter->adopt);
	return channel->number + 1;
}

static void
wait_for(
    struct subscriptions *subs, struct sub_waiter *waiter, struct sub_channel *channel)
{
	struct sub_awaited_pass *awaited = &waiter->passes[waiter->count++];

	awaited->key = xstrdup(channel->key);
	/* Without work there is nothing to ask; a stranger's may be there to adopt. */
	awaited->over = !sub_channel_has_work(channel) && !waiter->adopt;
	if (!awaited->over)
		awaited->number = join(subs, waiter, channel);
}

static bool
is_over(const struct sub_waiter *waiter)
{
	size_t i;

	for (i = 0; i < waiter->count; i++)
		if (!waiter->passes[i].over)
			return false;
	return true;
}

static void
answer(struct subscriptions *subs, struct sub_waiter *waiter)
{
	const struct sub_channel *channel;
	size_t i;

	for (i = 0; i < waiter->count; i++) {
		channel = sub_channel_find(subs, waiter->passes[i].key);
		if (channel)
			sub_rows(&waiter->flow, channel);
	}
	flow_answer(&waiter->flow, &(const struct proto_msg){ .type = MSG_list_end });
}

void
on_subscriptions_sync(struct client *client, struct proto_msg *msg)
{
	const struct proto_subscriptions_sync *asked = &msg->subscriptions_sync;
	struct subscriptions *subs = client->broker->subscriptions;
	struct sub_channel *one = NULL;
	struct sub_waiter *waiter;
	struct sub_channel **all;
	size_t count;
	size_t i;

	if (asked->username &&
	    !subs_find_asked(client, msg->rid, asked->username, &one))
		return;
	waiter = xcalloc(1, sizeof(*waiter));
	flow_init(&waiter->flow, client->broker, client, msg->rid, "subscriptions_sync",
	    STEPS_REFRESH_DEADLINE_MS, release);
	flow_step(&waiter->flow, "wait");
	waiter->dry_run = asked->dry_run;
	waiter->adopt = asked->adopt;
	all = sub_channels_sorted(subs, &count);
	waiter->passes = xcalloc(count, sizeof(*waiter->passes));
	for (i = 0; i < count; i++)
		if (one ? all[i] == one : sub_channel_is_known(all[i]))
			wait_for(subs, waiter, all[i]);
	free(all);
	if (is_over(waiter)) {
		answer(subs, waiter);
		return;
	}
	LIST_INSERT_HEAD(&subs->waiters, waiter, entry);
	waiter->listed = true;
	if (!subs->running)
		subs_look(subs);
}

static struct sub_awaited_pass *
find_pass(struct sub_waiter *waiter, const struct sub_channel *channel)
{
	size_t i;

	for (i = 0; i < waiter->count; i++)
		if (strcmp(waiter->passes[i].key, channel->key) == 0)
			return &waiter->passes[i];
	return NULL;
}

void
subs_tell_action(struct subscriptions *subs, const struct sub_channel *channel,
    const char *what, const char *event, const char *id, bool dry_run)
{
	const struct proto_msg row = { .type = MSG_subscription_action,
		.subscription_action = { .username = channel->username,
		    .what = what,
		    .event = event,
		    .id = id,
		    .dry_run = dry_run } };
	struct sub_waiter *waiter;

	LIST_FOREACH (waiter, &subs->waiters, entry) {
		const struct sub_awaited_pass *awaited = find_pass(waiter, channel);

		if (awaited && !awaited->over && waiter->dry_run == dry_run)
			flow_row(&waiter->flow, &row);
	}
}

void
subs_pass_over(
    struct subscriptions *subs, const struct sub_channel *channel, bool dry_run)
{
	struct sub_waiter *waiter = LIST_FIRST(&subs->waiters);

	while (waiter) {
		struct sub_waiter *next = LIST_NEXT(waiter, entry);
		struct sub_awaited_pass *awaited = find_pass(waiter, channel);

		if (awaited && waiter->dry_run == dry_run &&
		    channel->number >= awaited->number)
			awaited->over = true;
		if (is_over(waiter))
			answer(subs, waiter);
		waiter = next;
	}
}

struct sub_channel *
subs_next_dry(struct subscriptions *subs, bool *ret_adopt)
{
	struct sub_waiter *waiter;
	size_t i;

	LIST_FOREACH (waiter, &subs->waiters, entry) {
		for (i = 0; waiter->dry_run && i < waiter->count; i++) {
			if (waiter->passes[i].over)
				continue;
			*ret_adopt = waiter->adopt;
			return sub_channel_find(subs, waiter->passes[i].key);
		}
	}
	return NULL;
}

static void
release(struct flow *flow)
{
	struct sub_waiter *waiter = (struct sub_waiter *)flow;
	size_t i;

	if (waiter->listed)
		LIST_REMOVE(waiter, entry);
	for (i = 0; i < waiter->count; i++)
		free(waiter->passes[i].key);
	free(waiter->passes);
	free(waiter);
}
