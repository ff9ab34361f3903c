/*
 * The channels in memory: what is wanted, what is on record. Called by the other files
 * of this folder, on the loop only.
 */
#include <stdlib.h>
#include <string.h>

#include "broker/subscriptions/subs_inner.h"
#include "common/alloc.h"
#include "common/text.h"

struct sub_channel *
sub_channel_find(const struct subscriptions *subs, const char *username)
{
	struct sub_channel *channel;

	LIST_FOREACH (channel, &subs->channels, entry)
		if (text_equal_nocase(channel->key, username))
			return channel;
	return NULL;
}

struct sub_channel *
sub_channel_get(struct subscriptions *subs, const char *username)
{
	struct sub_channel *channel = sub_channel_find(subs, username);

	if (channel)
		return channel;
	channel = xcalloc(1, sizeof(*channel));
	channel->username = xstrdup(username);
	channel->key = text_fold(username);
	channel->state = SUB_none;
	LIST_INSERT_HEAD(&subs->channels, channel, entry);
	subs->count++;
	return channel;
}

static void
free_events(struct sub_event *events, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		free(events[i].name);
	free(events);
}

void
sub_channel_free(struct subscriptions *subs, struct sub_channel *channel)
{
	LIST_REMOVE(channel, entry);
	subs->count--;
	free_events(channel->events, channel->event_count);
	free(channel->names.items);
	free(channel->username);
	free(channel->key);
	free(channel->set);
	free(channel->broadcaster_id);
	free(channel->asked);
	free(channel->owned);
	free(channel);
}

bool
sub_channel_is_of(const struct sub_channel *channel, const struct store_account *row)
{
	return text_equal_nocase(channel->key, row->username) ||
	    (row->login && text_equal_nocase(channel->key, row->login)) ||
	    (row->display_name && text_equal_nocase(channel->key, row->display_name));
}

struct account *
sub_channel_account(const struct broker *broker, const struct sub_channel *channel)
{
	struct account *found =
	    accounts_find(broker->accounts, &platform_kick, channel->key);
	struct account **all;
	size_t count;
	size_t i;

	if (found)
		return found;
	all = accounts_sorted(broker->accounts, &platform_kick, &count);
	for (i = 0; i < count && !found; i++)
		if (sub_channel_is_of(channel, &all[i]->row))
			found = all[i];
	free(all);
	return found;
}

/* ---- What is wanted ---- */

static const struct config_list *
configured(const struct broker *broker, const char *key)
{
	const struct config_subscriptions *list = &broker->config.subscriptions.kick;
	size_t i;

	for (i = 0; i < list->count; i++)
		if (text_equal_nocase(list->items[i].username, key))
			return &list->items[i].events;
	return NULL;
}

static struct sub_event *
find_event(struct sub_event *events, size_t count, const char *name, size_t length)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (events[i].name && strlen(events[i].name) == length &&
		    memcmp(events[i].name, name, length) == 0)
			return &events[i];
	return NULL;
}

/* Adds an event; one that was wanted before moves over with what is known of it. */
static void
add_event(struct sub_channel *channel, struct sub_event *old, size_t old_count,
    const char *name, size_t length)
{
	struct sub_event *before = find_event(old, old_count, name, length);
	struct sub_event *event = &channel->events[channel->event_count];

	if (find_event(channel->events, channel->event_count, name, length))
		return;
	channel->event_count++;
	if (before) {
		*event = *before;
		before->name = NULL;
	} else {
		*event = (struct sub_event){ .name = xstrndup(name, length),
			.state = SUB_pending };
	}
}

static size_t
count_words(const char *words)
{
	size_t count = 0;

	while (*words) {
		words += strspn(words, " ");
		count += *words != '\0';
		words += strcspn(words, " ");
	}
	return count;
}

static void
want_set(struct sub_channel *channel, struct sub_event *old, size_t old_count)
{
	const char *at = channel->set;

	channel->events = xcalloc(count_words(at), sizeof(*channel->events));
	while (*(at += strspn(at, " "))) {
		size_t length = strcspn(at, " ");

		add_event(channel, old, old_count, at, length);
		at += length;
	}
}

static void
want_configured(struct sub_channel *channel, const struct config_list *list,
    struct sub_event *old, size_t old_count)
{
	size_t i;

	channel->events = xcalloc(list->count, sizeof(*channel->events));
	for (i = 0; i < list->count; i++)
		add_event(
		    channel, old, old_count, list->items[i], strlen(list->items[i]));
}

static void
name_events(struct sub_channel *channel)
{
	size_t i;

	free(channel->names.items);
	channel->names = (struct config_list){
		.items = xcalloc(channel->event_count, sizeof(*channel->names.items)),
		.count = channel->event_count,
	};
	for (i = 0; i < channel->event_count; i++)
		channel->names.items[i] = channel->events[i].name;
}

void
sub_channel_want(struct subscriptions *subs, struct sub_channel *channel)
{
	const struct config_list *list = configured(subs->broker, channel->key);
	struct sub_event *old = channel->events;
	size_t old_count = channel->event_count;

	channel->events = NULL;
	channel->event_count = 0;
	channel->source = SUB_FROM_NOWHERE;
	if (channel->stored) {
		channel->source = SUB_FROM_API;
		want_set(channel, old, old_count);
	} else if (list) {
		channel->source = SUB_FROM_CONFIG;
		want_configured(channel, list, old, old_count);
	}
	free_events(old, old_count);
	name_events(channel);
	channel->state = channel->event_count ? SUB_pending : SUB_none;
	channel->detail[0] = '\0';
}

/* ---- Records ---- */

struct sub_owned *
sub_channel_owned(struct sub_channel *channel, const char *id)
{
	size_t i;

	for (i = 0; i < channel->owned_count; i++)
		if (strcmp(channel->owned[i].id, id) == 0)
			return &channel->owned[i];
	return NULL;
}

void
sub_channel_own(struct sub_channel *channel, const struct sub_owned *owned)
{
	struct sub_owned *known = sub_channel_owned(channel, owned->id);

	if (!known) {
		channel->owned = xrealloc(channel->owned,
		    (channel->owned_count + 1) * sizeof(*channel->owned));
		known = &channel->owned[channel->owned_count++];
	}
	*known = *owned;
}

void
sub_channel_disown(struct sub_channel *channel, const char *id)
{
	struct sub_owned *known = sub_channel_owned(channel, id);

	if (known)
		*known = channel->owned[--channel->owned_count];
}

bool
sub_channel_has_work(const struct sub_channel *channel)
{
	return channel->event_count > 0 || channel->owned_count > 0;
}

bool
sub_channel_is_known(const struct sub_channel *channel)
{
	return channel->stored || sub_channel_has_work(channel);
}

static int
compare(const void *a, const void *b)
{
	const struct sub_channel *const *left = a;
	const struct sub_channel *const *right = b;

	return strcmp((*left)->key, (*right)->key);
}

struct sub_channel **
sub_channels_sorted(const struct subscriptions *subs, size_t *ret_count)
{
	struct sub_channel **all = xcalloc(subs->count, sizeof(struct sub_channel *));
	struct sub_channel *channel;
	size_t count = 0;

	LIST_FOREACH (channel, &subs->channels, entry)
		all[count++] = channel;
	qsort(all, count, sizeof(struct sub_channel *), compare);
	*ret_count = count;
	return all;
}
