/*
 * The broadcasters that are ours: the accounts that logged in and the subscriptions of
 * the configuration, as one sorted list of marks ("#123" for an id, "@name" for a
 * folded name), made anew when one of them has changed. Owned and asked by ingest.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/events/ours.h"
#include "broker/oauth/accounts.h"
#include "common/alloc.h"
#include "common/text.h"

struct ours {
	const struct broker *broker;
	char **marks;
	size_t count;
	size_t room;
	/* What the list was made from. */
	const struct config_subscription *subscriptions;
	uint64_t generation;
	size_t accounts;
	bool made;
};

static void
add(struct ours *ours, char sort, const char *text)
{
	char *folded;

	if (!text || !text[0])
		return;
	if (ours->count == ours->room) {
		ours->room = ours->room ? ours->room * 2 : 16;
		ours->marks = xrealloc(ours->marks, ours->room * sizeof(*ours->marks));
	}
	folded = text_fold(text);
	ours->marks[ours->count++] = xasprintf("%c%s", sort, folded);
	free(folded);
}

static void
clear(struct ours *ours)
{
	while (ours->count > 0)
		free(ours->marks[--ours->count]);
}

static int
compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void
add_account(struct ours *ours, const struct store_account *row)
{
	add(ours, '#', row->user_id);
	add(ours, '@', row->username);
	add(ours, '@', row->login);
	add(ours, '@', row->display_name);
}

static void
make(struct ours *ours)
{
	const struct accounts *accounts = ours->broker->accounts;
	const struct config_subscriptions *wanted =
	    &ours->broker->config.subscriptions.kick;
	const struct account *account;
	size_t i;

	clear(ours);
	for (i = 0; i < wanted->count; i++)
		add(ours, '@', wanted->items[i].username);
	for (i = 0; i < accounts->bucket_count; i++)
		for (account = accounts->buckets[i]; account; account = account->next)
			if (account->platform->index == CONFIG_PLATFORM_KICK)
				add_account(ours, &account->row);
	if (ours->count)
		qsort(ours->marks, ours->count, sizeof(*ours->marks), compare);
	ours->subscriptions = wanted->items;
	ours->generation = accounts->generation;
	ours->accounts = accounts->count;
	ours->made = true;
}

static bool
is_current(const struct ours *ours)
{
	const struct broker *broker = ours->broker;

	return ours->made &&
	    ours->subscriptions == broker->config.subscriptions.kick.items &&
	    ours->generation == broker->accounts->generation &&
	    ours->accounts == broker->accounts->count;
}

static bool
has_mark(const struct ours *ours, char sort, const char *text)
{
	char mark[KICK_NAME_SIZE + 1];
	const char *key = mark;
	char *at;

	if (!text[0])
		return false;
	(void)snprintf(mark, sizeof(mark), "%c%s", sort, text);
	for (at = mark; *at; at++)
		if (*at >= 'A' && *at <= 'Z')
			*at = (char)(*at + ('a' - 'A'));
	return bsearch(&key, ours->marks, ours->count, sizeof(*ours->marks), compare) !=
	    NULL;
}

bool
ours_has(struct ours *ours, const struct kick_event *event)
{
	if (!is_current(ours))
		make(ours);
	if (ours->count == 0)
		return true;
	return has_mark(ours, '#', event->broadcaster_id) ||
	    has_mark(ours, '@', event->broadcaster_name) ||
	    has_mark(ours, '@', event->broadcaster_slug);
}

struct ours *
ours_new(const struct broker *broker)
{
	struct ours *ours = xcalloc(1, sizeof(*ours));

	ours->broker = broker;
	return ours;
}

void
ours_free(struct ours *ours)
{
	if (!ours)
		return;
	clear(ours);
	free(ours->marks);
	free(ours);
}
