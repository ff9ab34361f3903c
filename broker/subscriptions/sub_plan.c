/*
 * The plan of one channel. Pure; called by sub_pass.c between listing and acting.
 */
#include <stdlib.h>
#include <string.h>

#include "broker/subscriptions/sub_plan.h"
#include "common/alloc.h"

/* What a listed subscription is to us. */
enum owner {
	OWNER_other,
	OWNER_ours,
	OWNER_claimed,
	OWNER_leaving, /* ours, and its removal was confirmed: it only lingers in the
			  list */
};

struct look {
	const struct sub_plan_input *input;
	struct sub_plan *plan;
	enum owner *owners; /* of each that is listed */
};

bool
sub_has_word(const char *words, const char *word)
{
	size_t length = strlen(word);
	const char *at = words;

	while (at && *at) {
		size_t here = strcspn(at, " ");

		if (here == length && memcmp(at, word, length) == 0)
			return true;
		at += here;
		at += strspn(at, " ");
	}
	return false;
}

int64_t
sub_plan_wait_ms(unsigned unlisted)
{
	int64_t wait = SUB_WAIT_FIRST_MS;

	while (unlisted-- > 1 && wait < SUB_WAIT_LAST_MS)
		wait *= 4;
	return wait < SUB_WAIT_LAST_MS ? wait : SUB_WAIT_LAST_MS;
}

static void
add_action(struct look *look, enum sub_action_kind kind, const char *id,
    const char *event, uint32_t version)
{
	look->plan->actions[look->plan->action_count++] = (struct sub_action){
		.kind = kind, .id = id, .event = event, .version = version
	};
}

static const struct sub_owned *
find_owned(const struct sub_plan_input *input, const char *id)
{
	size_t i;

	for (i = 0; i < input->owned_count; i++)
		if (strcmp(input->owned[i].id, id) == 0)
			return &input->owned[i];
	return NULL;
}

static const struct sub_listed *
find_listed(const struct sub_plan_input *input, const char *id)
{
	size_t i;

	for (i = 0; i < input->listed_count; i++)
		if (strcmp(input->listed[i].id, id) == 0)
			return &input->listed[i];
	return NULL;
}

static bool
is_wanted(const struct sub_plan_input *input, const char *event, uint32_t version)
{
	size_t i;

	for (i = 0; version == SUB_VERSION && i < input->wanted_count; i++)
		if (strcmp(input->wanted[i].event, event) == 0)
			return true;
	return false;
}

/* Before we asked for it nobody had it; so what carries its name and is not older than
 * the asking came of it. */
static bool
is_claimed(const struct sub_plan_input *input, const struct sub_listed *listed)
{
	if (listed->version != SUB_VERSION ||
	    !sub_has_word(input->asked, listed->event))
		return false;
	return !listed->created_at ||
	    listed->created_at >= input->asked_at - SUB_CLAIM_SKEW_MS;
}

static void
judge_owners(struct look *look)
{
	const struct sub_plan_input *input = look->input;
	size_t i;

	for (i = 0; i < input->listed_count; i++) {
		const struct sub_listed *listed = &input->listed[i];
		const struct sub_owned *owned = find_owned(input, listed->id);

		look->owners[i] = OWNER_other;
		if (!listed->webhook)
			continue;
		if (owned)
			look->owners[i] = owned->removed ? OWNER_leaving : OWNER_ours;
		else if (input->adopt || is_claimed(input, listed))
			look->owners[i] = OWNER_claimed;
		if (look->owners[i] == OWNER_claimed)
			add_action(look, SUB_DO_ADOPT, listed->id, listed->event,
			    listed->version);
		else if (look->owners[i] == OWNER_other)
			look->plan->strangers++;
	}
}

/* Ids grow with time, so they decide where the platform does not say when. */
static bool
is_older(const struct sub_listed *a, const struct sub_listed *b)
{
	if (a->created_at && b->created_at && a->created_at != b->created_at)
		return a->created_at < b->created_at;
	return strcmp(a->id, b->id) < 0;
}

/* The oldest of ours for a wanted event; NULL when there is none. */
static const struct sub_listed *
oldest_of_ours(const struct look *look, const char *event)
{
	const struct sub_listed *oldest = NULL;
	size_t i;

	for (i = 0; i < look->input->listed_count; i++) {
		const struct sub_listed *listed = &look->input->listed[i];

		if (look->owners[i] != OWNER_other &&
		    look->owners[i] != OWNER_leaving &&
		    listed->version == SUB_VERSION &&
		    strcmp(listed->event, event) == 0 &&
		    (!oldest || is_older(listed, oldest)))
			oldest = listed;
	}
	return oldest;
}

static const struct sub_listed *
find_other(const struct look *look, const char *event)
{
	size_t i;

	for (i = 0; i < look->input->listed_count; i++) {
		const struct sub_listed *listed = &look->input->listed[i];

		if (look->owners[i] == OWNER_other && listed->webhook &&
		    listed->version == SUB_VERSION && strcmp(listed->event, event) == 0)
			return listed;
	}
	return NULL;
}

/* Confirmed creations of an event that were never listed, and the time of the newest;
 * one without an answer counts among them. */
static unsigned
count_unlisted(
    const struct sub_plan_input *input, const char *event, int64_t *ret_newest)
{
	unsigned count = 0;
	size_t i;

	*ret_newest = 0;
	for (i = 0; i < input->owned_count; i++) {
		const struct sub_owned *owned = &input->owned[i];

		if (owned->listed_at || owned->removed ||
		    strcmp(owned->event, event) != 0)
			continue;
		count++;
		if (owned->made_at > *ret_newest)
			*ret_newest = owned->made_at;
	}
	if (!sub_has_word(input->asked, event))
		return count;
	if (input->asked_at > *ret_newest)
		*ret_newest = input->asked_at;
	return count + 1;
}

/* A clock that was set back must not keep an event away for good: what was made in the
 * future was made just now, by a clock that is not to be believed. */
static bool
is_awaited(const struct sub_plan_input *input, unsigned unlisted, int64_t newest)
{
	int64_t age = input->now - newest;
	int64_t wait = sub_plan_wait_ms(input->impatient ? 1 : unlisted);

	return unlisted > 0 && age < wait && age > -wait;
}

static void
serve(struct look *look, const struct sub_wanted *wanted, struct sub_served *served)
{
	const struct sub_listed *own = oldest_of_ours(look, wanted->event);
	const struct sub_listed *other = find_other(look, wanted->event);
	const struct sub_listed *by = own ? own : other;
	int64_t newest;

	*served = (struct sub_served){ .presence = SUB_MISSING };
	served->unlisted = count_unlisted(look->input, wanted->event, &newest);
	if (by) {
		served->presence = own ? SUB_IN_FORCE : SUB_COVERED;
		served->id = by->id;
		served->created_at = by->created_at;
		served->doubled = own && other;
	} else if (is_awaited(look->input, served->unlisted, newest)) {
		served->presence = SUB_AWAITED;
	} else if (!wanted->held) {
		served->presence = SUB_CREATE;
		add_action(look, SUB_DO_CREATE, NULL, wanted->event, SUB_VERSION);
	}
}

static bool
is_the_one_in_force(const struct look *look, const struct sub_listed *listed)
{
	size_t i;

	for (i = 0; i < look->input->wanted_count; i++)
		if (look->plan->served[i].presence == SUB_IN_FORCE &&
		    strcmp(look->plan->served[i].id, listed->id) == 0)
			return true;
	return false;
}

/* Surplus ones of ours: doubles, and those of events that are not wanted. */
static void
remove_surplus(struct look *look)
{
	size_t i;

	for (i = 0; i < look->input->listed_count; i++) {
		const struct sub_listed *listed = &look->input->listed[i];

		if (look->owners[i] != OWNER_other &&
		    !is_the_one_in_force(look, listed))
			add_action(look, SUB_DO_REMOVE, listed->id, listed->event,
			    listed->version);
	}
}

/* Ours that are not listed: those of events that are not wanted may only be hidden, and
 * are removed by their id all the same; old ones are forgotten. */
static void
sweep_records(struct look *look)
{
	const struct sub_plan_input *input = look->input;
	size_t i;

	for (i = 0; i < input->owned_count; i++) {
		const struct sub_owned *owned = &input->owned[i];
		int64_t last = owned->listed_at > owned->made_at ? owned->listed_at
								 : owned->made_at;

		if (find_listed(input, owned->id))
			continue;
		if (owned->removed || input->now - last > SUB_FORGET_MS)
			add_action(look, SUB_DO_FORGET, owned->id, owned->event,
			    owned->version);
		else if (!is_wanted(input, owned->event, owned->version))
			add_action(look, SUB_DO_REMOVE, owned->id, owned->event,
			    owned->version);
	}
}

void
sub_plan_make(const struct sub_plan_input *input, struct sub_plan *ret_plan)
{
	/* Each that is listed may be adopted and removed, each on record removed or
	 * forgotten, each wanted created. */
	size_t most =
	    2 * input->listed_count + input->owned_count + input->wanted_count;
	struct look look = { .input = input, .plan = ret_plan };
	size_t i;

	*ret_plan = (struct sub_plan){
		.actions = xcalloc(most, sizeof(*ret_plan->actions)),
		.served = xcalloc(input->wanted_count, sizeof(*ret_plan->served)),
	};
	look.owners = xcalloc(input->listed_count, sizeof(*look.owners));
	judge_owners(&look);
	for (i = 0; i < input->wanted_count; i++)
		serve(&look, &input->wanted[i], &ret_plan->served[i]);
	remove_surplus(&look);
	sweep_records(&look);
	free(look.owners);
}

void
sub_plan_clear(struct sub_plan *plan)
{
	free(plan->actions);
	free(plan->served);
	*plan = (struct sub_plan){ .actions = NULL };
}

size_t
sub_plan_count(const struct sub_plan *plan, enum sub_action_kind kind)
{
	size_t count = 0;
	size_t i;

	for (i = 0; i < plan->action_count; i++)
		count += plan->actions[i].kind == kind;
	return count;
}
