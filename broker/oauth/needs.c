/*
 * What an account lacks scopes for. Pure but for reading the configuration. Called by
 * account_get.c and login_store.c.
 */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "broker/events/ours.h"
#include "broker/oauth/needs.h"
#include "broker/oauth/scopes.h"
#include "common/alloc.h"
#include "common/buf.h"

/* The feature flags of the parts (design.md 6). A part without a flag is on. */
#define FEATURE_EVENTS "webhook_events"
#define FEATURE_ACTIONS "actions"

struct needs {
	const struct broker *broker;
	const struct platform *platform;
	const struct store_account *row;
	struct buf out;
};

/* ---- Which parts are on ---- */

static bool
feature_is_off(const struct broker *broker, const char *name)
{
	json_t *features = json_loads(broker->config.features, 0, NULL);
	const char *mode = json_string_value(json_object_get(features, name));
	bool off = mode && strcmp(mode, "off") == 0;

	json_decref(features);
	return off;
}

static bool
always(const struct needs *needs)
{
	(void)needs;
	return true;
}

static bool
never(const struct needs *needs)
{
	(void)needs;
	return false;
}

static bool
wants_events(const struct needs *needs)
{
	return needs->broker->config.webhooks.enabled &&
	    ours_wanted(needs->broker, needs->row) &&
	    !feature_is_off(needs->broker, FEATURE_EVENTS);
}

static bool
has_actions(const struct needs *needs)
{
	json_t *actions = json_loads(needs->broker->config.actions, 0, NULL);
	size_t count = json_array_size(actions);

	json_decref(actions);
	return count > 0 && !feature_is_off(needs->broker, FEATURE_ACTIONS);
}

static bool (*const part_is_on[PART_MAX])(const struct needs *) = {
	[PART_none] = never,
	[PART_identity] = always,
	[PART_events] = wants_events,
	[PART_chat] = has_actions,
};

/* ---- Sentences ---- */

/* A word for an event; several events may share one. */
static const char *
event_word(const struct needs *needs, const char *event)
{
	const struct platform_pair *pair;

	for (pair = needs->platform->event_words; pair && pair->name; pair++)
		if (strcmp(pair->name, event) == 0)
			return pair->value;
	return event;
}

/* "follows, subs and bans"; "events" when none are wanted. */
static void
add_events(struct needs *needs)
{
	const struct config_list *wanted = ours_wanted(needs->broker, needs->row);
	size_t count = wanted ? wanted->count : 0;
	size_t i;

	if (count == 0)
		buf_add_text(&needs->out, "events");
	for (i = 0; i < count; i++) {
		if (i > 0)
			buf_add_text(&needs->out, i + 1 < count ? ", " : " and ");
		buf_add_text(&needs->out, event_word(needs, wanted->items[i]));
	}
}

static void
add_effect(struct needs *needs, const char *effect)
{
	for (; *effect; effect++) {
		if (*effect == '@')
			buf_add_text(&needs->out, needs->row->username);
		else if (*effect == '*')
			add_events(needs);
		else
			buf_add(&needs->out, effect, 1);
	}
}

/* A line that would make the text too long is taken back. */
static void
add_line(struct needs *needs, const char *scope, size_t length, const char *effect)
{
	size_t before = buf_length(&needs->out);
	struct buf shorter = BUF_EMPTY;

	buf_add(&needs->out, scope, length);
	buf_add_text(&needs->out, " ");
	add_effect(needs, effect);
	buf_add_text(&needs->out, "\n");
	if (buf_length(&needs->out) <= NEEDS_SIZE_MAX)
		return;
	buf_add(&shorter, buf_bytes(&needs->out), before);
	buf_clear(&needs->out);
	needs->out = shorter;
}

/* ---- Rows ---- */

/* The first scope of `set` that is in `scopes`, of *ret_length bytes. When none is, the
 * start of the set and 0. */
static const char *
first_in(const char *set, const char *scopes, size_t *ret_length)
{
	const char *at = set;

	while (*at) {
		size_t length = strcspn(at, " ");

		if (scopes_has(scopes, at, length)) {
			*ret_length = length;
			return at;
		}
		at += length;
		at += *at == ' ';
	}
	*ret_length = 0;
	return set;
}

static void
look_at(struct needs *needs, const struct platform_need *need)
{
	const struct store_account *row = needs->row;
	size_t length;
	const char *scope;

	(void)first_in(need->scopes, row->scopes, &length);
	if (length > 0)
		return;
	scope = first_in(need->scopes, row->scopes_asked, &length);
	if (length > 0 || part_is_on[need->part](needs))
		add_line(
		    needs, scope, length ? length : strcspn(scope, " "), need->effect);
}

/* Whether the table says what a scope is for. */
static bool
is_told(const struct platform *platform, const char *scope, size_t length)
{
	const struct platform_need *need;

	for (need = platform->needs; need->scopes; need++)
		if (scopes_has(need->scopes, scope, length))
			return true;
	return false;
}

static void
look_at_others(struct needs *needs)
{
	char *missing = scopes_missing(needs->row->scopes_asked, needs->row->scopes);
	const char *at = missing;

	while (*at) {
		size_t length = strcspn(at, " ");

		if (!is_told(needs->platform, at, length))
			add_line(needs, at, length, "calls for @ that need it fail");
		at += length;
		at += *at == ' ';
	}
	free(missing);
}

char *
needs_unmet(const struct broker *broker, const struct platform *platform,
    const struct store_account *row)
{
	struct needs needs = {
		.broker = broker, .platform = platform, .row = row, .out = BUF_EMPTY
	};
	const struct platform_need *need;
	char *text = NULL;

	if (strcmp(row->status, STORE_ACCOUNT_LOST) == 0)
		return NULL;
	for (need = platform->needs; need->scopes; need++)
		look_at(&needs, need);
	look_at_others(&needs);
	if (buf_length(&needs.out) > 0)
		text = xstrndup(
		    (const char *)buf_bytes(&needs.out), buf_length(&needs.out));
	buf_clear(&needs.out);
	return text;
}
