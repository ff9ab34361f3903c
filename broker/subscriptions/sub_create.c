/*
 * The second half of a comparison: creating what is missing.
 *
 *   note    what is about to be asked for is durable before it is
 *   create  all in one call; one call an event after the limit refused several
 *   keep    what came of it
 *
 * Creating is not idempotent and its answer may be lost, so the note stays until an
 * answer says what became of it or the list shows it. Called by sub_pass.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/subscriptions/sub_pass.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/time.h"

static void on_noted(struct flow *, int);
static void create(struct sub_pass *);
static void on_created(void *, struct fetch_reply *);

/* Several at once, unless the limit refused that: the events have limits of their own,
 * and one that is full must not keep the others away. */
static void
choose_creates(struct sub_pass *pass, const struct sub_channel *channel)
{
	pass->create_from = pass->create_next;
	pass->create_next =
	    channel->one_by_one ? pass->create_from + 1 : pass->create_count;
}

/* ---- The note ---- */

static void
ask_also(struct sub_channel *channel, const char *event)
{
	char *longer;

	if (sub_has_word(channel->asked, event))
		return;
	longer =
	    channel->asked ? xasprintf("%s %s", channel->asked, event) : xstrdup(event);
	free(channel->asked);
	channel->asked = longer;
}

/* An answer has come, or the list has shown it. */
static void
ask_no_more(struct sub_channel *channel, const char *event)
{
	char *words = channel->asked;
	char *rest = NULL;
	char *word;

	if (!sub_has_word(words, event))
		return;
	channel->asked = NULL;
	for (word = strtok_r(words, " ", &rest); word;
	     word = strtok_r(NULL, " ", &rest))
		if (strcmp(word, event) != 0)
			ask_also(channel, word);
	free(words);
}

static bool
was_listed_since(const struct sub_channel *channel, const char *event, int64_t since)
{
	size_t i;

	for (i = 0; i < channel->owned_count; i++)
		if (strcmp(channel->owned[i].event, event) == 0 &&
		    channel->owned[i].made_at >= since)
			return true;
	return false;
}

/* What is left of an earlier note goes when it was claimed from the list, or is too old
 * to come. */
static void
settle_note(struct sub_pass *pass, struct sub_channel *channel)
{
	bool old = time_now_ms() - channel->asked_at > SUB_FORGET_MS;
	char *words = channel->asked ? xstrdup(channel->asked) : NULL;
	char *rest = NULL;
	char *word;

	for (word = words ? strtok_r(words, " ", &rest) : NULL; word;
	     word = strtok_r(NULL, " ", &rest)) {
		if (!old && !was_listed_since(channel, word, channel->asked_at))
			continue;
		ask_no_more(channel, word);
		pass->dirty = true;
	}
	free(words);
}

/* Also where a call is to be sent again: from create_next on. */
void
sub_create_start(struct sub_pass *pass)
{
	struct sub_channel *channel = sub_pass_channel(pass);
	size_t i;

	if (channel)
		settle_note(pass, channel);
	if (!channel || pass->create_next == pass->create_count) {
		sub_pass_keep(pass);
		return;
	}
	flow_step(&pass->flow, "note");
	for (i = pass->create_next; i < pass->create_count; i++)
		ask_also(channel, pass->creates[i]);
	channel->asked_at = time_now_ms();
	sub_commit_start(
	    pass->subs->broker, &pass->flow, &pass->commit, channel, on_noted);
}

static void
on_noted(struct flow *flow, int result)
{
	struct sub_pass *pass = (struct sub_pass *)flow;

	if (result < 0) {
		sub_pass_fail(pass, SUB_unavailable, strerror(-result));
		return;
	}
	pass->dirty = false;
	create(pass);
}

static void
create(struct sub_pass *pass)
{
	const struct sub_channel *channel = sub_pass_channel(pass);
	struct kick_subs_request request;

	if (!channel || pass->create_next == pass->create_count) {
		sub_pass_keep(pass);
		return;
	}
	flow_step(&pass->flow, "create");
	choose_creates(pass, channel);
	kick_subs_ask_create(sub_pass_config(pass),
	    *pass->user_id ? pass->user_id : NULL, pass->creates + pass->create_from,
	    pass->create_next - pass->create_from, &pass->token, &request);
	sub_pass_send(pass, &request, on_created);
}

static void
create_again(struct sub_pass *pass)
{
	pass->create_next = pass->create_from;
	sub_create_start(pass);
}

static enum sub_state
state_of_verdict(enum kick_subs_verdict verdict)
{
	switch (verdict) {
	case KICK_SUBS_limit:
		return SUB_limit_reached;
	case KICK_SUBS_webhooks:
		return SUB_webhooks_off;
	case KICK_SUBS_scope:
	case KICK_SUBS_refused:
		return SUB_refused;
	default:
		return SUB_missing;
	}
}

static void
event_refused(struct sub_pass *pass, struct sub_channel *channel, const char *name,
    enum kick_subs_verdict verdict, const char *said)
{
	struct sub_event *event = sub_pass_event(channel, name);

	pass->subs->stats.refused++;
	if (!event)
		return;
	log_warning("subs", "'%s': '%s' is refused: %s", log_quote(channel->username),
	    name, log_quote(said));
	event->state = state_of_verdict(verdict);
	(void)snprintf(event->said, sizeof(event->said), "%s", said);
	event->not_before = time_boot_ms() +
	    subs_backoff_ms(
		SUBS_REFUSED_FIRST_MS, SUBS_REFUSED_LAST_MS, event->refusals++);
}

static void
event_created(struct sub_pass *pass, struct sub_channel *channel, const char *name,
    const struct kick_subs_created *created)
{
	struct sub_owned owned = { .version = SUB_VERSION, .made_at = time_now_ms() };
	struct sub_event *event = sub_pass_event(channel, name);

	memcpy(owned.id, created->id, sizeof(owned.id));
	(void)snprintf(owned.event, sizeof(owned.event), "%s", name);
	sub_channel_own(channel, &owned);
	sub_pass_tell(pass, "create", name, created->id);
	pass->subs->stats.created++;
	channel->changed_at = time_now_ms();
	pass->end.changed = true;
	if (!event)
		return;
	event->state =
	    event->state == SUB_not_confirmed ? SUB_not_confirmed : SUB_settling;
	event->refusals = 0;
	event->not_before = 0;
	event->said[0] = '\0';
}

/* One reply for one call: each event has its own result. What it does not mention stays
 * noted, as if no answer had come. */
static void
take_created(struct sub_pass *pass, struct sub_channel *channel,
    const struct kick_subs_created *created)
{
	size_t i;

	for (i = pass->create_from; i < pass->create_next; i++) {
		const struct kick_subs_created *one = &created[i - pass->create_from];

		if (one->verdict == KICK_SUBS_away)
			continue;
		ask_no_more(channel, pass->creates[i]);
		if (one->verdict == KICK_SUBS_good)
			event_created(pass, channel, pass->creates[i], one);
		else
			event_refused(
			    pass, channel, pass->creates[i], one->verdict, one->said);
	}
	pass->end.awaiting |= channel->asked != NULL;
	pass->dirty = true;
}

/* Nothing from the call under way on was created for certain. */
static void
take_back_note(struct sub_pass *pass, struct sub_channel *channel)
{
	size_t i;

	for (i = pass->create_from; i < pass->create_count; i++)
		ask_no_more(channel, pass->creates[i]);
	pass->dirty = true;
}

/* A definite no to the whole call. */
static void
all_refused(struct sub_pass *pass, struct sub_channel *channel,
    enum kick_subs_verdict verdict, const char *said)
{
	bool several = pass->create_next - pass->create_from > 1;
	size_t i;

	for (i = pass->create_from; i < pass->create_next; i++) {
		ask_no_more(channel, pass->creates[i]);
		event_refused(pass, channel, pass->creates[i], verdict, said);
	}
	if (verdict == KICK_SUBS_limit && several)
		channel->one_by_one = true;
	pass->dirty = true;
}

static void
hear_created(struct sub_pass *pass, struct sub_channel *channel,
    struct fetch_reply *reply, enum kick_subs_verdict verdict, const char *said)
{
	size_t count = pass->create_next - pass->create_from;
	struct kick_subs_created *created = xcalloc(count, sizeof(*created));

	if (verdict == KICK_SUBS_limit || verdict == KICK_SUBS_webhooks ||
	    verdict == KICK_SUBS_refused) {
		all_refused(pass, channel, verdict, said);
		create(pass);
	} else if (verdict != KICK_SUBS_good) {
		if (verdict != KICK_SUBS_away || !reply->sent)
			take_back_note(pass, channel);
		sub_pass_refused(pass, verdict, reply, create_again, said);
	} else if (kick_subs_read_created(&reply->body,
		       pass->creates + pass->create_from, count, created) < 0) {
		sub_pass_fail(pass, SUB_unreachable,
		    "the answer to a subscription cannot be read");
	} else {
		take_created(pass, channel, created);
		create(pass);
	}
	free(created);
}

static void
on_created(void *arg, struct fetch_reply *reply)
{
	struct sub_pass *pass = arg;
	struct sub_channel *channel = sub_pass_channel(pass);
	char said[KICK_SUBS_SAID_SIZE];
	enum kick_subs_verdict verdict = kick_subs_judge(reply, said);

	flow_resume(&pass->flow);
	if (verdict == KICK_SUBS_good)
		sub_pass_accepted(pass);
	if (channel)
		hear_created(pass, channel, reply, verdict, said);
	else
		sub_pass_keep(pass);
}
