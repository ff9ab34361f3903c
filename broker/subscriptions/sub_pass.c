/*
 * One comparison of a channel with the platform:
 *
 *   token     of the login, or of the application where the login is none, lost, or may
 *             not
 *   identify  the channel's id, where no login tells it
 *   list      what is there; then the plan is made (sub_plan.c)
 *   remove    what is surplus, so that it makes room below the limit
 *   note      a creation is about to be sent
 *   create    all that is missing, in one call
 *   keep      what came of it
 *
 * Started by subs.c, one at a time. A pass makes at most one list, one creation (one
 * for each event after the limit was met) and one removal for every
 * KICK_SUBS_REMOVE_MAX ids, each once more after a 401, and all of them once more when
 * the login's token may not and the application's is taken instead.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/oauth/steps.h"
#include "broker/subscriptions/sub_pass.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/time.h"

/* More than all calls of a pass take. */
#define PASS_DEADLINE_MS 240000
/* How often the time of the last listing is written. */
#define LISTED_EVERY_MS (6 * 60 * 60 * 1000)

static void identify(struct sub_pass *);
static void on_channel(void *, struct fetch_reply *);
static void list(struct sub_pass *);
static void on_list(void *, struct fetch_reply *);
static void act(struct sub_pass *);
static void remove_some(struct sub_pass *);
static void on_removed(void *, struct fetch_reply *);
static void on_kept(struct flow *, int);
static void finish(struct sub_pass *);
static void release(struct flow *);

const struct config_platform *
sub_pass_config(const struct sub_pass *pass)
{
	return &pass->flow.broker->config.platform[platform_kick.index];
}

struct sub_channel *
sub_pass_channel(const struct sub_pass *pass)
{
	return sub_channel_find(pass->subs, pass->key);
}

struct sub_event *
sub_pass_event(struct sub_channel *channel, const char *name)
{
	size_t i;

	for (i = 0; i < channel->event_count; i++)
		if (strcmp(channel->events[i].name, name) == 0)
			return &channel->events[i];
	return NULL;
}

struct sub_pass *
sub_pass_start(struct subscriptions *subs, struct sub_channel *channel, bool dry_run,
    bool adopt, sub_pass_done_fn *done, void *arg)
{
	struct sub_pass *pass = xcalloc(1, sizeof(*pass));
	int64_t now = time_boot_ms();
	size_t i;

	flow_init(&pass->flow, subs->broker, NULL, 0, "subscriptions", PASS_DEADLINE_MS,
	    release);
	pass->subs = subs;
	pass->key = xstrdup(channel->key);
	pass->dry_run = dry_run;
	pass->impatient = dry_run || channel->demanded;
	pass->adopt = adopt;
	pass->done = done;
	pass->arg = arg;
	pass->end.dry_run = dry_run;
	pass->wanted_count = subs->leaving ? 0 : channel->event_count;
	pass->wanted = xcalloc(pass->wanted_count, sizeof(*pass->wanted));
	for (i = 0; i < pass->wanted_count; i++)
		pass->wanted[i] = (struct sub_wanted){
			.event = xstrdup(channel->events[i].name),
			.held = !pass->impatient && channel->events[i].not_before > now,
		};
	pass->first = identify;
	sub_pass_token(pass, identify);
	return pass;
}

void
sub_pass_send(
    struct sub_pass *pass, struct kick_subs_request *request, fetch_done_fn *done)
{
	steps_wait_fetch(&pass->flow,
	    fetch_start(pass->flow.broker->fetcher, &request->fetch, done, pass));
	kick_subs_request_clear(request);
}

/* ---- Whose channel ---- */

static void
identify(struct sub_pass *pass)
{
	struct kick_subs_request request;

	if (*pass->user_id || pass->user) {
		list(pass);
		return;
	}
	flow_step(&pass->flow, "identify");
	kick_subs_ask_channel(sub_pass_config(pass), pass->key, &pass->token, &request);
	sub_pass_send(pass, &request, on_channel);
}

static void
on_channel(void *arg, struct fetch_reply *reply)
{
	struct sub_pass *pass = arg;
	char said[KICK_SUBS_SAID_SIZE];
	enum kick_subs_verdict verdict = kick_subs_judge(reply, said);
	int result;

	flow_resume(&pass->flow);
	if (verdict != KICK_SUBS_good) {
		sub_pass_refused(pass, verdict, reply, identify, said);
		return;
	}
	sub_pass_accepted(pass);
	result = kick_subs_read_channel(&reply->body, pass->key, pass->user_id);
	if (result == -ENOENT) {
		sub_pass_fail(pass, SUB_unknown_channel, NULL);
		return;
	}
	if (result < 0) {
		sub_pass_fail(
		    pass, SUB_unreachable, "the answer about the channel is no answer");
		return;
	}
	list(pass);
}

/* ---- What is there ---- */

static void
list(struct sub_pass *pass)
{
	struct kick_subs_request request;

	flow_step(&pass->flow, "list");
	pass->subs->looked = true;
	kick_subs_ask_list(sub_pass_config(pass), *pass->user_id ? pass->user_id : NULL,
	    &pass->token, &request);
	sub_pass_send(pass, &request, on_list);
}

static void
make_plan(struct sub_pass *pass, const struct sub_channel *channel)
{
	const struct sub_plan_input input = {
		.wanted = pass->wanted,
		.wanted_count = pass->wanted_count,
		.listed = pass->listed,
		.listed_count = pass->listed_count,
		.owned = pass->owned,
		.owned_count = channel->owned_count,
		.asked = channel->asked,
		.asked_at = channel->asked_at,
		.now = time_now_ms(),
		.impatient = pass->impatient,
		.adopt = pass->adopt,
	};

	sub_plan_make(&input, &pass->plan);
}

static void
forget_list(struct sub_pass *pass)
{
	sub_plan_clear(&pass->plan);
	free(pass->listed);
	free(pass->owned);
	pass->listed = NULL;
	pass->owned = NULL;
	pass->listed_count = 0;
}

static void
on_list(void *arg, struct fetch_reply *reply)
{
	struct sub_pass *pass = arg;
	const struct sub_channel *channel = sub_pass_channel(pass);
	char said[KICK_SUBS_SAID_SIZE];
	char whose[KICK_SUBS_USER_SIZE];
	enum kick_subs_verdict verdict = kick_subs_judge(reply, said);
	size_t i;

	flow_resume(&pass->flow);
	forget_list(pass);
	if (verdict != KICK_SUBS_good) {
		sub_pass_refused(pass, verdict, reply, list, said);
		return;
	}
	sub_pass_accepted(pass);
	if (!channel ||
	    kick_subs_read_list(&reply->body, *pass->user_id ? pass->user_id : NULL,
		&pass->listed, &pass->listed_count, whose) < 0) {
		sub_pass_fail(pass, SUB_unreachable, "the list is no list");
		return;
	}
	if (!*pass->user_id)
		memcpy(pass->user_id, whose, sizeof(whose));
	pass->owned = xcalloc(channel->owned_count, sizeof(*pass->owned));
	for (i = 0; i < channel->owned_count; i++)
		pass->owned[i] = channel->owned[i];
	make_plan(pass, channel);
	act(pass);
}

/* ---- What the list says of what is wanted ---- */

static enum sub_state
state_of(const struct sub_event *event, const struct sub_served *served)
{
	switch (served->presence) {
	case SUB_IN_FORCE:
	case SUB_COVERED:
		return SUB_active;
	case SUB_AWAITED:
		return served->unlisted > 1 ? SUB_not_confirmed : SUB_settling;
	default:
		/* What it was refused with, as long as that holds. */
		return event->refusals ? event->state : SUB_missing;
	}
}

static void
see_event(struct sub_event *event, const struct sub_served *served)
{
	event->state = state_of(event, served);
	event->covered = served->presence == SUB_COVERED;
	event->doubled = served->doubled;
	event->created_at = served->created_at;
	(void)snprintf(
	    event->id, sizeof(event->id), "%s", served->id ? served->id : "");
	if (served->id)
		event->refusals = 0;
	/* What is awaited was asked for after the last refusal: its time of a next try
	 * means nothing any more, and would be one that has passed. */
	if (served->id || served->presence == SUB_AWAITED) {
		event->not_before = 0;
		event->said[0] = '\0';
	}
}

/* The id is of use without the login, too. */
static void
learn_id(struct sub_pass *pass, struct sub_channel *channel)
{
	if (!*pass->user_id ||
	    (channel->broadcaster_id &&
		strcmp(channel->broadcaster_id, pass->user_id) == 0))
		return;
	free(channel->broadcaster_id);
	channel->broadcaster_id = xstrdup(pass->user_id);
	pass->dirty = true;
}

static void
see_list(struct sub_pass *pass, struct sub_channel *channel)
{
	int64_t now = time_now_ms();
	size_t i;

	learn_id(pass, channel);
	channel->checked_at = now;
	channel->strangers = pass->plan.strangers;
	for (i = 0; i < pass->wanted_count; i++) {
		const struct sub_served *served = &pass->plan.served[i];
		struct sub_event *event =
		    sub_pass_event(channel, pass->wanted[i].event);

		pass->end.awaiting |= served->presence == SUB_AWAITED;
		if (event)
			see_event(event, served);
	}
	for (i = 0; i < pass->listed_count; i++) {
		struct sub_owned *owned =
		    sub_channel_owned(channel, pass->listed[i].id);

		if (!owned)
			continue;
		pass->dirty |= now - owned->listed_at > LISTED_EVERY_MS;
		owned->listed_at = now;
	}
}

/* ---- Acting ---- */

void
sub_pass_tell(
    struct sub_pass *pass, const char *what, const char *event, const char *id)
{
	const struct sub_channel *channel = sub_pass_channel(pass);

	if (!channel)
		return;
	if (!pass->dry_run)
		log_info("subs", "'%s': %s '%s'%s%s%s", log_quote(channel->username),
		    what, log_quote(event), id ? " ('" : "", id ? log_quote(id) : "",
		    id ? "')" : "");
	subs_tell_action(pass->subs, channel, what, event, id, pass->dry_run);
}

static void
adopt(
    struct sub_pass *pass, struct sub_channel *channel, const struct sub_action *action)
{
	struct sub_owned owned = { .version = action->version,
		.made_at = time_now_ms(),
		.listed_at = time_now_ms(),
		.adopted = true };

	(void)snprintf(owned.id, sizeof(owned.id), "%s", action->id);
	(void)snprintf(owned.event, sizeof(owned.event), "%s", action->event);
	sub_channel_own(channel, &owned);
	sub_pass_tell(pass, "adopt", action->event, action->id);
	pass->dirty = true;
	pass->end.changed = true;
}

static void
forget(
    struct sub_pass *pass, struct sub_channel *channel, const struct sub_action *action)
{
	const struct sub_owned *owned = sub_channel_owned(channel, action->id);

	if (owned && !owned->removed)
		pass->subs->stats.lost++;
	if (!pass->commit)
		pass->commit = sub_commit_new();
	sub_commit_delete(pass->commit, action->id);
	sub_channel_disown(channel, action->id);
	pass->dirty = true;
}

/* Takes the plan apart. */
static void
sort_actions(struct sub_pass *pass, struct sub_channel *channel)
{
	static const char *const words[] = { [SUB_DO_ADOPT] = "adopt",
		[SUB_DO_REMOVE] = "remove",
		[SUB_DO_CREATE] = "create" };
	size_t i;

	for (i = 0; i < pass->plan.action_count; i++) {
		struct sub_action *action = &pass->plan.actions[i];

		if (pass->dry_run && action->kind != SUB_DO_FORGET)
			sub_pass_tell(
			    pass, words[action->kind], action->event, action->id);
		else if (pass->dry_run)
			continue;
		else if (action->kind == SUB_DO_REMOVE)
			pass->removes[pass->remove_count++] = action->id;
		else if (action->kind == SUB_DO_CREATE)
			pass->creates[pass->create_count++] = action->event;
		else if (action->kind == SUB_DO_ADOPT)
			adopt(pass, channel, action);
		else
			forget(pass, channel, action);
	}
}

static void
act(struct sub_pass *pass)
{
	struct sub_channel *channel = sub_pass_channel(pass);
	size_t most = pass->plan.action_count;

	free(pass->creates);
	free(pass->removes);
	pass->create_count = pass->create_next = 0;
	pass->remove_count = pass->remove_next = 0;
	pass->creates = xcalloc(most, sizeof(*pass->creates));
	pass->removes = xcalloc(most, sizeof(*pass->removes));
	if (!pass->dry_run)
		see_list(pass, channel);
	sort_actions(pass, channel);
	if (pass->dry_run)
		finish(pass);
	else
		remove_some(pass);
}

/* ---- Removing ---- */

static void
remove_some(struct sub_pass *pass)
{
	struct kick_subs_request request;

	if (pass->remove_next == pass->remove_count) {
		sub_create_start(pass);
		return;
	}
	flow_step(&pass->flow, "remove");
	pass->remove_from = pass->remove_next;
	pass->remove_next += KICK_SUBS_REMOVE_MAX;
	if (pass->remove_next > pass->remove_count)
		pass->remove_next = pass->remove_count;
	kick_subs_ask_remove(sub_pass_config(pass), pass->removes + pass->remove_from,
	    pass->remove_next - pass->remove_from, &pass->token, &request);
	sub_pass_send(pass, &request, on_removed);
}

static void
remove_again(struct sub_pass *pass)
{
	pass->remove_next = pass->remove_from;
	remove_some(pass);
}

/* The record stays until the list shows that it is gone. */
static void
mark_removed(struct sub_pass *pass, struct sub_channel *channel)
{
	size_t i;

	for (i = pass->remove_from; i < pass->remove_next; i++) {
		struct sub_owned *owned = sub_channel_owned(channel, pass->removes[i]);

		if (!owned)
			continue;
		sub_pass_tell(pass, "remove", owned->event, owned->id);
		owned->removed = true;
		pass->subs->stats.removed++;
		channel->changed_at = time_now_ms();
	}
	pass->dirty = true;
	pass->end.changed = true;
}

static void
on_removed(void *arg, struct fetch_reply *reply)
{
	struct sub_pass *pass = arg;
	struct sub_channel *channel = sub_pass_channel(pass);
	char said[KICK_SUBS_SAID_SIZE];
	enum kick_subs_verdict verdict = kick_subs_judge(reply, said);

	flow_resume(&pass->flow);
	if (verdict != KICK_SUBS_good) {
		sub_pass_refused(pass, verdict, reply, remove_again, said);
		return;
	}
	sub_pass_accepted(pass);
	if (channel)
		mark_removed(pass, channel);
	remove_some(pass);
}

/* ---- The end ---- */

void
sub_pass_keep(struct sub_pass *pass)
{
	struct sub_channel *channel = sub_pass_channel(pass);

	if (!channel || !pass->dirty) {
		finish(pass);
		return;
	}
	flow_step(&pass->flow, "keep");
	sub_commit_start(
	    pass->subs->broker, &pass->flow, &pass->commit, channel, on_kept);
}

static void
on_kept(struct flow *flow, int result)
{
	struct sub_pass *pass = (struct sub_pass *)flow;

	pass->dirty = false;
	if (result < 0)
		sub_pass_fail(pass, SUB_unavailable, strerror(-result));
	else
		finish(pass);
}

/* The most urgent of its events and its login. */
static void
sum_up(struct sub_channel *channel)
{
	const struct sub_event *worst = NULL;
	bool limited = false;
	size_t i;

	channel->state = channel->event_count ? SUB_active : SUB_none;
	channel->detail[0] = '\0';
	if (channel->event_count && channel->login == SUB_LOGIN_lost)
		channel->state = SUB_login_lost;
	if (channel->event_count && channel->login == SUB_LOGIN_scope)
		channel->state = SUB_missing_scope;
	for (i = 0; i < channel->event_count; i++) {
		limited |= channel->events[i].state == SUB_limit_reached;
		if (channel->events[i].state <= channel->state)
			continue;
		worst = &channel->events[i];
		channel->state = worst->state;
	}
	if (!limited)
		channel->one_by_one = false;
	(void)snprintf(channel->detail, sizeof(channel->detail), "%s",
	    sub_state_sentence(channel->state));
	if (channel->state == SUB_active && channel->strangers)
		(void)snprintf(channel->detail, sizeof(channel->detail),
		    "%zu subscriptions of this channel were not made by Streamhold and "
		    "are left alone; `streamhold subs adopt %s` takes them over",
		    channel->strangers, channel->username);
	if (worst && *worst->said)
		(void)snprintf(channel->detail, sizeof(channel->detail),
		    "%s; the platform said: %s", sub_state_sentence(channel->state),
		    worst->said);
}

static void
tell_end(struct sub_pass *pass)
{
	if (pass->told)
		return;
	pass->told = true;
	pass->end.channel = sub_pass_channel(pass);
	pass->done(pass->arg, &pass->end);
}

static void
finish(struct sub_pass *pass)
{
	struct sub_channel *channel = sub_pass_channel(pass);

	if (channel && !pass->dry_run)
		sum_up(channel);
	tell_end(pass);
	flow_answer(&pass->flow, NULL);
}

/* What happened before the failure is stored all the same. */
void
sub_pass_fail(struct sub_pass *pass, enum sub_state state, const char *said)
{
	struct sub_channel *channel = sub_pass_channel(pass);

	pass->end.failed = true;
	if (channel && !pass->dry_run) {
		channel->state = state;
		(void)snprintf(channel->detail, sizeof(channel->detail), "%s%s%s",
		    sub_state_sentence(state), said && *said ? ": " : "",
		    said ? said : "");
		log_warning("subs", "'%s': %s: %s", log_quote(channel->username),
		    sub_state_name(state), log_quote(channel->detail));
		if (pass->dirty)
			sub_commit_start(
			    pass->subs->broker, NULL, &pass->commit, channel, NULL);
	}
	tell_end(pass);
	flow_answer(&pass->flow, NULL);
}

/* Also where the broker ends or the deadline passes. */
static void
release(struct flow *flow)
{
	struct sub_pass *pass = (struct sub_pass *)flow;
	size_t i;

	if (!pass->told) {
		pass->end.failed = true;
		tell_end(pass);
	}
	for (i = 0; i < pass->wanted_count; i++)
		free((char *)(uintptr_t)pass->wanted[i].event);
	free(pass->wanted);
	secret_clear(&pass->token);
	forget_list(pass);
	sub_commit_free(pass->commit);
	free(pass->creates);
	free(pass->removes);
	free(pass->key);
	free(pass);
}
