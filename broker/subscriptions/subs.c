/*
 * When channels are compared with the platform: one timer picks the one that is due
 * first, and one pass runs at a time. Owns broker->subscriptions.
 *
 * Times are those of CLOCK_BOOTTIME; the timer looks at least every LOOK_MS, so that a
 * suspended machine compares when it wakes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "broker/events/ours.h"
#include "broker/metrics.h"
#include "broker/subscriptions/subs_inner.h"
#include "common/alloc.h"
#include "common/crypto.h"
#include "common/log.h"
#include "common/text.h"
#include "common/time.h"

#define LOOK_MS 10000
#define LOOK_LEAST_MS 20
/* How much earlier than its interval a comparison may come, so that they spread. */
#define EARLY_SHARE 10
/* Between two passes of a channel that somebody asks for. */
#define DEMAND_FLOOR_MS 1000
/* How often the shutdown looks at its time limit. */
#define LEAVE_TICK_MS 20

struct load_job {
	struct store_job job;
	struct subscriptions *subs;
	int result;
};

static int run_load(struct store_job *, struct db *);
static void on_load(struct store_job *, int);
static void on_timer(evutil_socket_t, short, void *);
static void on_pass_end(void *, const struct sub_pass_end *);

static int64_t
random_below(int64_t most)
{
	uint32_t number;

	if (most <= 0)
		return 0;
	crypto_random(&number, sizeof(number));
	return (int64_t)(number % (uint64_t)most);
}

int64_t
subs_backoff_ms(int64_t first, int64_t last, unsigned failures)
{
	int64_t most = first;

	while (failures-- > 0 && most < last)
		most *= 2;
	if (most > last)
		most = last;
	return most / 2 + random_below(most / 2);
}

/* ---- Start and stop ---- */

int
subscriptions_start(struct broker *broker)
{
	struct subscriptions *subs = xcalloc(1, sizeof(*subs));
	struct load_job load = { .job = { .run = run_load, .done = on_load },
		.subs = subs };

	subs->broker = broker;
	LIST_INIT(&subs->channels);
	LIST_INIT(&subs->waiters);
	broker->subscriptions = subs;
	subs->timer = evtimer_new(broker->base, on_timer, subs);
	if (!subs->timer)
		abort();
	store_run_now(broker->store, &load.job);
	if (load.result < 0) {
		subscriptions_stop(broker);
		return load.result;
	}
	subscriptions_reload(broker);
	metrics_add(broker,
	    &(const struct metric_source){ .write = sub_figures_write, .arg = broker });
	return 0;
}

static void
load_set(void *arg, const struct store_subscription_set *set)
{
	struct sub_channel *channel = sub_channel_get(arg, set->username);

	free(channel->set);
	channel->set = xstrdup(set->events);
	channel->stored = true;
}

static void
load_channel(void *arg, const struct store_subscription_channel *row)
{
	struct sub_channel *channel = sub_channel_get(arg, row->username);

	if (row->broadcaster_id)
		channel->broadcaster_id = xstrdup(row->broadcaster_id);
	if (row->asked)
		channel->asked = xstrdup(row->asked);
	channel->asked_at = row->asked_at;
}

static void
load_owned(void *arg, const struct store_subscription *row)
{
	struct sub_channel *channel = sub_channel_get(arg, row->username_key);
	struct sub_owned owned = { .version = row->version,
		.made_at = row->made_at,
		.listed_at = row->listed_at,
		.adopted = row->adopted,
		.removed = row->removed };

	if (strlen(row->id) >= sizeof(owned.id) ||
	    strlen(row->event) >= sizeof(owned.event))
		return;
	memcpy(owned.id, row->id, strlen(row->id));
	memcpy(owned.event, row->event, strlen(row->event));
	sub_channel_own(channel, &owned);
}

static int
run_load(struct store_job *job, struct db *db)
{
	struct subscriptions *subs = ((struct load_job *)job)->subs;
	int result = store_subscription_channels_load(db, load_channel, subs);

	if (result == 0)
		result = store_subscription_sets_load(db, load_set, subs);
	if (result == 0)
		result = store_subscriptions_load(db, load_owned, subs);
	return result;
}

static void
on_load(struct store_job *job, int result)
{
	((struct load_job *)job)->result = result;
}

void
subscriptions_stop(struct broker *broker)
{
	struct subscriptions *subs = broker->subscriptions;

	if (!subs)
		return;
	while (!LIST_EMPTY(&subs->channels))
		sub_channel_free(subs, LIST_FIRST(&subs->channels));
	event_free(subs->timer);
	free(subs);
	broker->subscriptions = NULL;
}

/* The one still to be cleared, NULL when none is. */
static struct sub_channel *
next_to_leave(const struct subscriptions *subs)
{
	struct sub_channel *channel;

	LIST_FOREACH (channel, &subs->channels, entry)
		if (channel->owned_count > 0 && !channel->left)
			return channel;
	return NULL;
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
}

void
subscriptions_leave(struct broker *broker, unsigned limit_ms)
{
	const struct timeval tick = { .tv_usec = LEAVE_TICK_MS * 1000 };
	struct subscriptions *subs = broker->subscriptions;
	int64_t end = time_boot_ms() + limit_ms;
	struct event *timer;

	if (!broker->config.subscriptions.clear_on_shutdown || !next_to_leave(subs))
		return;
	log_info("subs",
	    "removing subscriptions at the platform, since "
	    "subscriptions.clear_on_shutdown is set");
	timer = event_new(broker->base, -1, EV_PERSIST, on_tick, NULL);
	if (!timer)
		abort();
	event_add(timer, &tick);
	subs->leaving = true;
	subs_look(subs);
	while ((subs->running || next_to_leave(subs)) && time_boot_ms() < end)
		(void)event_base_loop(broker->base, EVLOOP_ONCE);
	event_free(timer);
	if (subs->running || next_to_leave(subs))
		log_warning("subs",
		    "not all subscriptions could be removed in time; they are known "
		    "and used at the next start");
}

/* ---- When ---- */

void
subs_look(struct subscriptions *subs)
{
	const struct timeval soon = { .tv_usec = LOOK_LEAST_MS * 1000 };

	event_add(subs->timer, &soon);
}

bool
subs_may_join(const struct subscriptions *subs, const struct sub_channel *channel)
{
	return subs->running && subs->running_channel == channel && !subs->looked &&
	    !subs->dry_run && !channel->due;
}

void
subs_plan(struct subscriptions *subs, struct sub_channel *channel, int64_t wait_ms)
{
	int64_t due = time_boot_ms() + wait_ms;

	if (!channel->due || due < channel->due)
		channel->due = due;
	if (!subs->running)
		subs_look(subs);
}

void
subscriptions_reload(struct broker *broker)
{
	const struct config_subscriptions *list = &broker->config.subscriptions.kick;
	struct subscriptions *subs = broker->subscriptions;
	struct sub_channel *channel;
	size_t i;

	for (i = 0; i < list->count; i++)
		(void)sub_channel_get(subs, list->items[i].username);
	LIST_FOREACH (channel, &subs->channels, entry) {
		sub_channel_want(subs, channel);
		if (sub_channel_has_work(channel))
			subs_plan(subs, channel, 0);
	}
	ours_look(broker);
	for (i = 0; i < list->count; i++) {
		channel = sub_channel_find(subs, list->items[i].username);
		if (channel->stored)
			log_info("subs",
			    "'%s': the events that the API was told count, not those "
			    "of the configuration",
			    log_quote(channel->username));
	}
}

/* What was refused may go well with what has changed. */
static void
plan_anew(struct subscriptions *subs, struct sub_channel *channel)
{
	if (!sub_channel_has_work(channel))
		return;
	channel->failures = 0;
	channel->demanded = true;
	subs_plan(subs, channel, 0);
}

void
subscriptions_account_changed(
    struct broker *broker, const char *platform, const char *username)
{
	struct subscriptions *subs = broker->subscriptions;
	const struct account *account;
	struct sub_channel *channel;

	if (!subs || strcmp(platform, platform_kick.name) != 0)
		return;
	ours_look(broker);
	account = accounts_find(broker->accounts, &platform_kick, username);
	LIST_FOREACH (channel, &subs->channels, entry)
		if (account ? sub_channel_is_of(channel, &account->row)
			    : text_equal_nocase(channel->key, username))
			plan_anew(subs, channel);
}

void
subscriptions_credentials_changed(struct broker *broker, const char *platform)
{
	struct subscriptions *subs = broker->subscriptions;
	struct sub_channel *channel;

	if (!subs || strcmp(platform, platform_kick.name) != 0)
		return;
	LIST_FOREACH (channel, &subs->channels, entry)
		plan_anew(subs, channel);
}

static struct sub_channel *
first_due(const struct subscriptions *subs)
{
	struct sub_channel *first = NULL;
	struct sub_channel *channel;

	LIST_FOREACH (channel, &subs->channels, entry)
		if (channel->due && (!first || channel->due < first->due))
			first = channel;
	return first;
}

static void
run_pass(struct subscriptions *subs, struct sub_channel *channel, bool dry_run,
    bool adopt_all)
{
	subs->running_channel = channel;
	subs->looked = false;
	subs->dry_run = dry_run;
	if (!dry_run) {
		channel->due = 0;
		channel->number++;
		channel->left |= subs->leaving;
	}
	subs->running = sub_pass_start(subs, channel, dry_run,
	    adopt_all || (!dry_run && channel->adopt), on_pass_end, subs);
	if (dry_run)
		return;
	channel->demanded = false;
	channel->adopt = false;
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct subscriptions *subs = arg;
	struct timeval wait = { .tv_sec = LOOK_MS / 1000 };
	struct sub_channel *channel;
	bool adopt_all = false;
	int64_t ms;

	(void)fd;
	(void)what;
	if (subs->running)
		return;
	channel = subs->leaving ? NULL : subs_next_dry(subs, &adopt_all);
	if (channel) {
		run_pass(subs, channel, true, adopt_all);
		return;
	}
	channel = subs->leaving ? next_to_leave(subs) : first_due(subs);
	ms = channel && !subs->leaving ? channel->due - time_boot_ms() : 0;
	if (channel && ms <= 0) {
		run_pass(subs, channel, false, false);
		return;
	}
	if (channel && ms < LOOK_MS)
		wait = (struct timeval){ .tv_sec = ms / 1000,
			.tv_usec = ms % 1000 * 1000 };
	event_add(subs->timer, &wait);
}

/* When refused events may be tried again; 0: none was refused. */
static int64_t
next_try(const struct sub_channel *channel)
{
	int64_t next = 0;
	size_t i;

	for (i = 0; i < channel->event_count; i++)
		if (channel->events[i].not_before &&
		    (!next || channel->events[i].not_before < next))
			next = channel->events[i].not_before;
	return next;
}

int64_t
subs_wait_after(const struct subscriptions *subs, struct sub_channel *channel,
    const struct sub_pass_end *end)
{
	int64_t interval =
	    (int64_t)subs->broker->config.subscriptions.reconcile_interval_s * 1000;
	int64_t wait = interval - random_below(interval / EARLY_SHARE);
	int64_t said = (int64_t)end->retry_after_s * 1000;
	int64_t settle = SUBS_READ_BACK_MS;
	int64_t next = next_try(channel);
	unsigned i;

	if (end->failed) {
		wait = subs_backoff_ms(
		    SUBS_BACKOFF_FIRST_MS, SUBS_BACKOFF_LAST_MS, channel->failures++);
		return wait > said ? wait : said;
	}
	channel->failures = 0;
	if (next && next - time_boot_ms() < wait)
		wait = next - time_boot_ms();
	if (!end->changed && !end->awaiting) {
		channel->settling = 0;
		return wait > LOOK_LEAST_MS ? wait : LOOK_LEAST_MS;
	}
	for (i = 0; i < channel->settling && settle < interval; i++)
		settle *= 3;
	channel->settling++;
	return settle < wait ? settle : wait;
}

static void
count_pass(struct subscriptions *subs, const struct sub_pass_end *end)
{
	if (end->dry_run)
		return;
	subs->stats.passes++;
	subs->stats.failures += end->failed;
	subs->stats.last_at = time_now_ms();
}

static void
on_pass_end(void *arg, const struct sub_pass_end *end)
{
	struct subscriptions *subs = arg;
	struct sub_channel *channel = end->channel;

	subs->running = NULL;
	subs->running_channel = NULL;
	count_pass(subs, end);
	if (channel && !end->dry_run) {
		int64_t wait = subs_wait_after(subs, channel, end);

		channel->ended_at = time_boot_ms();
		if (sub_channel_has_work(channel))
			subs_plan(subs, channel, wait);
	}
	if (channel)
		subs_pass_over(subs, channel, end->dry_run);
	subs_look(subs);
}

void
subs_demand(struct subscriptions *subs, struct sub_channel *channel, bool adopt)
{
	int64_t floor = channel->ended_at
	    ? channel->ended_at + DEMAND_FLOOR_MS - time_boot_ms()
	    : 0;

	channel->demanded = true;
	channel->adopt |= adopt;
	channel->due = 0;
	subs_plan(subs, channel, floor > 0 ? floor : 0);
}

/* ---- Questions of others ---- */

/* By the id when both sides have one: names change hands. */
static bool
is_channel(const struct sub_channel *channel, const char *user_id, const char *name,
    const char *slug)
{
	if (channel->broadcaster_id && *user_id)
		return strcmp(channel->broadcaster_id, user_id) == 0;
	return text_equal_nocase(channel->key, name) ||
	    text_equal_nocase(channel->key, slug);
}

bool
subscriptions_have_channel(const struct broker *broker, const char *user_id,
    const char *name, const char *slug)
{
	const struct sub_channel *channel;

	LIST_FOREACH (channel, &broker->subscriptions->channels, entry)
		if (channel->event_count > 0 &&
		    is_channel(channel, user_id, name, slug))
			return true;
	return false;
}

bool
subscriptions_are_said(const struct broker *broker)
{
	const struct sub_channel *channel;

	LIST_FOREACH (channel, &broker->subscriptions->channels, entry)
		if (channel->source != SUB_FROM_NOWHERE)
			return true;
	return false;
}

/* Before the stored sets have been read, the configuration is what is known. */
static const struct config_list *
configured(const struct broker *broker, const struct store_account *row)
{
	const struct config_subscriptions *wanted = &broker->config.subscriptions.kick;
	const char *name;
	size_t i;

	for (i = 0; i < wanted->count; i++) {
		name = wanted->items[i].username;
		if (text_equal_nocase(name, row->username) ||
		    (row->login && text_equal_nocase(name, row->login)) ||
		    (row->display_name && text_equal_nocase(name, row->display_name)))
			return &wanted->items[i].events;
	}
	return NULL;
}

const struct config_list *
subscriptions_wanted(const struct broker *broker, const struct store_account *row)
{
	const struct sub_channel *channel;

	if (!broker->subscriptions)
		return configured(broker, row);
	LIST_FOREACH (channel, &broker->subscriptions->channels, entry)
		if (channel->event_count > 0 && sub_channel_is_of(channel, row))
			return &channel->names;
	return NULL;
}

const struct config_list *
subscriptions_wanted_of(
    const struct broker *broker, const char *user_id, const char *name)
{
	const struct sub_channel *channel;

	LIST_FOREACH (channel, &broker->subscriptions->channels, entry)
		if (channel->source != SUB_FROM_NOWHERE &&
		    is_channel(channel, user_id, name, ""))
			return &channel->names;
	return NULL;
}

bool
subscriptions_is_stranger(const struct broker *broker, const char *user_id,
    const char *name, const char *slug, const char *id)
{
	struct sub_channel *channel;

	LIST_FOREACH (channel, &broker->subscriptions->channels, entry)
		if (channel->event_count > 0 && channel->owned_count > 0 &&
		    is_channel(channel, user_id, name, slug))
			return sub_channel_owned(channel, id) == NULL;
	return false;
}

void
subscriptions_stats(const struct broker *broker, struct subscriptions_stats *ret_stats)
{
	const struct sub_channel *channel;
	size_t i;

	*ret_stats = broker->subscriptions->stats;
	LIST_FOREACH (channel, &broker->subscriptions->channels, entry) {
		ret_stats->channels += channel->event_count > 0;
		ret_stats->wanted += channel->event_count;
		ret_stats->strangers += channel->strangers;
		if (sub_channel_is_known(channel))
			ret_stats->states[channel->state]++;
		for (i = 0; i < channel->event_count; i++)
			ret_stats->active += channel->events[i].state == SUB_active;
	}
}

enum sub_state
subscriptions_worst(const struct broker *broker, const char **ret_username)
{
	enum sub_state worst = SUB_none;
	const struct sub_channel *channel;

	*ret_username = NULL;
	LIST_FOREACH (channel, &broker->subscriptions->channels, entry) {
		if (!sub_channel_is_known(channel) || channel->state < worst)
			continue;
		worst = channel->state;
		*ret_username = channel->username;
	}
	return worst;
}

/* States in which the app token does the work of the login. */
static bool
is_helped(enum sub_state state)
{
	return state == SUB_login_lost || state == SUB_missing_scope;
}

static size_t
troubled_beside(const struct subscriptions *subs, const char *username)
{
	const struct sub_channel *channel;
	size_t count = 0;

	LIST_FOREACH (channel, &subs->channels, entry)
		count += channel->username != username &&
		    sub_channel_is_known(channel) &&
		    sub_state_is_trouble(channel->state);
	return count;
}

enum subscriptions_health
subscriptions_health(
    const struct broker *broker, char out[static SUBSCRIPTIONS_SENTENCE_SIZE])
{
	const char *username;
	enum sub_state worst = subscriptions_worst(broker, &username);
	char next[SUB_NEXT_SIZE];
	char more[64] = "";
	size_t others;

	if (!sub_state_is_trouble(worst))
		return SUBSCRIPTIONS_fine;
	others = troubled_beside(broker->subscriptions, username);
	if (others)
		(void)snprintf(
		    more, sizeof(more), "; and %zu more: streamhold subs list", others);
	sub_state_next(worst, username, next);
	(void)snprintf(out, SUBSCRIPTIONS_SENTENCE_SIZE,
	    "'%.100s' is %s: %.170s; %.70s%s", log_quote(username),
	    sub_state_name(worst), sub_state_sentence(worst), next, more);
	return is_helped(worst) ? SUBSCRIPTIONS_helped : SUBSCRIPTIONS_trouble;
}
