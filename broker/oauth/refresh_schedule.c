/*
 * When accounts are refreshed: one timer looks at all plans and starts what is due.
 *
 * It looks at least every LOOK_MS, since libevent's clock stands still during suspend
 * and the plans' does not, and since a clock that was set is noticed by comparing wall
 * clock and boot time. Called by oauth.c at start and by everything that changes an
 * account or credentials.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "broker/oauth/refresh_run.h"
#include "broker/oauth/validate.h"
#include "broker/store/store_refresh.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/time.h"

#define LOOK_MS 10000
#define LOOK_LEAST_MS 20

static void on_timer(evutil_socket_t, short, void *);

void
refresh_start(struct broker *broker)
{
	struct refresher *refresher = xcalloc(1, sizeof(*refresher));

	LIST_INIT(&refresher->running);
	LIST_INIT(&refresher->told);
	refresher->clock_gap = time_now_ms() - time_boot_ms();
	refresher->timer = evtimer_new(broker->base, on_timer, broker);
	if (!refresher->timer)
		abort();
	broker->accounts->refresher = refresher;
	refresh_schedule(broker);
}

void
refresh_stop(struct broker *broker)
{
	struct refresher *refresher = refresher_of(broker);
	size_t i;

	while (!LIST_EMPTY(&refresher->told))
		refresh_leave(LIST_FIRST(&refresher->told));
	event_free(refresher->timer);
	for (i = 0; i < CONFIG_PLATFORM_MAX; i++)
		free(refresher->pauses[i]);
	free(refresher);
	broker->accounts->refresher = NULL;
}

static bool
is_unsettled(const struct refresher *refresher)
{
	const struct refresh *refresh;

	LIST_FOREACH (refresh, &refresher->running, entry)
		if (refresh->unsettled)
			return true;
	return false;
}

static void
on_finish_timer(evutil_socket_t fd, short what, void *arg)
{
	bool *over = arg;

	(void)fd;
	(void)what;
	*over = true;
}

/* The platform may have replaced a refresh token that works once: cutting the answer
 * off would lose a login that can be kept. */
void
refresh_finish(struct broker *broker, int64_t most_ms)
{
	const struct timeval most = { .tv_sec = most_ms / 1000,
		.tv_usec = most_ms % 1000 * 1000 };
	struct refresher *refresher = refresher_of(broker);
	bool over = false;
	struct event *timer = evtimer_new(broker->base, on_finish_timer, &over);

	if (!timer)
		abort();
	event_add(timer, &most);
	refresher->stopping = true;
	if (is_unsettled(refresher))
		log_info("oauth", "waiting for refreshes that are under way");
	while (is_unsettled(refresher) && !over)
		(void)event_base_loop(broker->base, EVLOOP_ONCE);
	event_free(timer);
}

/* A refresh that was cut off: tried once more, unless the broker ended during that
 * too. What it may have left in a keyring is looked for in every case. */
void
refresh_found(struct accounts *accounts, const struct store_refresh *found)
{
	const struct platform *platform = platform_find(found->platform);
	struct account *account =
	    platform ? accounts_find(accounts, platform, found->username_key) : NULL;
	struct refresh_plan *plan;

	if (!account || account->row.generation != found->generation)
		return;
	plan = &account->plan;
	plan->in_doubt = !platform->keeps_refresh;
	plan->sends = found->attempt;
	plan->previous = found->previous;
	plan->noted_at = found->started_at;
	refresh_plan_make(plan, &account->row, 0, time_now_ms(), time_boot_ms());
	plan->due = time_boot_ms();
	log_warning("oauth",
	    "the refresh of '%s' at %s was cut off after the token may have been sent; "
	    "%s",
	    log_quote(account->row.username), platform->name,
	    refresh_plan_is_undecided(plan) ? "so was the retry"
					    : "it is tried once more");
}

void
refresh_schedule(struct broker *broker)
{
	const struct timeval soon = { .tv_usec = LOOK_LEAST_MS * 1000 };
	struct refresher *refresher = refresher_of(broker);

	/* Changes that follow closely must not put the look off for ever. */
	if (!refresher->soon)
		event_add(refresher->timer, &soon);
	refresher->soon = true;
}

size_t
refresh_count(const struct broker *broker)
{
	return refresher_of(broker)->count;
}

/* ---- Looking ---- */

struct look {
	struct broker *broker;
	int64_t margin_ms;
	int64_t wall;
	int64_t boot;
	bool clock_set;
	int64_t next; /* boot-time ms of the next look */
};

static bool
notice_clock(struct look *look)
{
	struct refresher *refresher = refresher_of(look->broker);
	int64_t gap = look->wall - look->boot;
	int64_t jump = gap - refresher->clock_gap;

	if (jump <= REFRESH_JUMP_MS && jump >= -REFRESH_JUMP_MS)
		return false;
	refresher->clock_gap = gap;
	log_warning("oauth",
	    "the clock was set by %" PRId64 " s; the times of refreshes are looked at "
	    "again",
	    jump / 1000);
	return true;
}

static void
look_at(struct look *look, struct account *account)
{
	struct refresh_plan *plan = &account->plan;
	struct broker *broker = look->broker;
	bool fresh = plan->generation != account->row.generation;

	if (fresh)
		refresh_plan_make(
		    plan, &account->row, look->margin_ms, look->wall, look->boot);
	/* What the clock's step alone made due is spread, in fresh plans too. */
	if (fresh && look->clock_set && plan->due)
		plan->due = INT64_MAX;
	if (look->clock_set && plan->due)
		refresh_plan_clock_set(
		    plan, &account->row, look->margin_ms, look->wall, look->boot);
	/* Nothing is sent any more; what is left is the end of the old token. */
	if (plan->due && plan->noted_at == 0 && plan->due < plan->expires &&
	    refresh_plan_is_undecided(plan))
		plan->due = plan->expires;
	if (!plan->due || refresher_of(broker)->stopping ||
	    refresh_pause(broker, account->platform) || account->other_client ||
	    !accounts_credential(broker->accounts, account->platform))
		return;
	if (plan->refreshed && plan->due < plan->refreshed + REFRESH_FLOOR_MS)
		plan->due = plan->refreshed + REFRESH_FLOOR_MS;
	if (plan->due <= look->boot) {
		/* The end of a refresh looks again. */
		if (refresher_of(broker)->count < REFRESH_RUNNING_MAX &&
		    !refresh_running(broker, account))
			(void)refresh_begin(broker, account, false);
	} else if (plan->due < look->next) {
		look->next = plan->due;
	}
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct broker *broker = arg;
	struct look look = { .broker = broker,
		.margin_ms = (int64_t)broker->config.oauth.refresh_margin_s * 1000,
		.wall = time_now_ms(),
		.boot = time_boot_ms() };
	struct account **accounts;
	struct timeval wait;
	int64_t ms;
	size_t count;
	size_t i;

	(void)fd;
	(void)what;
	look.next = look.boot + LOOK_MS;
	refresher_of(broker)->soon = false;
	look.clock_set = notice_clock(&look);
	if (look.clock_set)
		validate_clock_set(broker);
	accounts = accounts_sorted(broker->accounts, NULL, &count);
	for (i = 0; i < count; i++)
		look_at(&look, accounts[i]);
	free(accounts);
	ms = look.next - look.boot;
	if (ms < LOOK_LEAST_MS)
		ms = LOOK_LEAST_MS;
	wait = (struct timeval){ .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };
	if (!refresher_of(broker)->soon)
		event_add(refresher_of(broker)->timer, &wait);
}
