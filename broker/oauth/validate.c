/*
 * The timer over account_check.c: looks for the account whose check is due first, runs
 * one check at a time, and plans the next. Owns broker->accounts->validation.
 *
 * Times are those of CLOCK_BOOTTIME, so a suspended machine checks when it wakes: the
 * timer looks again after TICK_MAX_MS at the latest.
 */
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "broker/oauth/refresh.h"
#include "broker/oauth/token_use.h"
#include "broker/oauth/validate.h"
#include "common/alloc.h"
#include "common/crypto.h"
#include "common/log.h"
#include "common/time.h"

/* The first check after the start, and between two checks. */
#define START_DELAY_MS 500
#define GAP_MS 200
#define TICK_MAX_MS 10000
/* Platforms that do not ask for a check at start are asked within the first so long. */
#define FIRST_WITHIN_MS (60 * 60 * 1000)
/* After the clock was set every token is checked within so long. */
#define CLOCK_WITHIN_MS 60000
/* A check comes this share of its interval early, so that a whole interval never passes
 * between two, and a random part of it, so that they spread. */
#define EARLY_SHARE 20
/* After a failure: doubling from the first to the last; for all of the platform when it
 * is away, for one account when its token cannot be had here. */
#define BACKOFF_FIRST_MS 30000
#define BACKOFF_LAST_MS (15 * 60 * 1000)

struct validation {
	struct broker *broker;
	struct event *timer;
	bool running;
	struct {
		int64_t paused_until; /* boot-time ms */
		unsigned failures;    /* one after the other */
	} platform[CONFIG_PLATFORM_MAX];
	struct validate_stats stats;
};

static void on_timer(evutil_socket_t, short, void *);
static void plan(struct validation *);
static void on_end(void *, const struct account_check_end *);

static int64_t
random_below(int64_t most)
{
	uint32_t number;

	crypto_random(&number, sizeof(number));
	return (int64_t)(number % (uint64_t)most);
}

static void
set_timer(struct validation *validation, int64_t wait_ms)
{
	struct timeval wait = { .tv_sec = wait_ms / 1000,
		.tv_usec = (wait_ms % 1000) * 1000 };

	event_add(validation->timer, &wait);
}

static int64_t
interval_ms(const struct platform *platform)
{
	return (int64_t)platform->check->interval_s * 1000;
}

/* The time of the check after one that has just been made. */
static int64_t
next_due(const struct platform *platform, int64_t now)
{
	int64_t interval = interval_ms(platform);
	int64_t early = interval / EARLY_SHARE;

	return now + interval - early - random_below(early);
}

void
validate_start(struct broker *broker)
{
	struct validation *validation = xcalloc(1, sizeof(*validation));
	int64_t now = time_boot_ms();
	struct account **all;
	size_t count;
	size_t i;

	validation->broker = broker;
	validation->timer = event_new(broker->base, -1, 0, on_timer, validation);
	if (!validation->timer)
		abort();
	broker->accounts->validation = validation;
	all = accounts_sorted(broker->accounts, NULL, &count);
	for (i = 0; i < count; i++)
		all[i]->check_due = all[i]->platform->check->at_start
		    ? now
		    : now + random_below(FIRST_WITHIN_MS);
	free(all);
	set_timer(validation, START_DELAY_MS);
}

void
validate_stop(struct broker *broker)
{
	struct validation *validation = broker->accounts->validation;

	if (!validation)
		return;
	event_free(validation->timer);
	free(validation);
	broker->accounts->validation = NULL;
}

static bool
has_tokens(const struct account *account)
{
	return strcmp(account->row.status, STORE_ACCOUNT_LOST) != 0;
}

/* When an account may be checked: its own time, or that of its platform. */
static int64_t
due_at(const struct validation *validation, const struct account *account)
{
	int64_t paused = validation->platform[account->platform->index].paused_until;

	return account->check_due > paused ? account->check_due : paused;
}

/* Of accounts that are due at the same time, as all are that waited for their platform,
 * the one that was tried longest ago comes first. */
static bool
comes_before(const struct validation *validation, const struct account *account,
    const struct account *other)
{
	int64_t due = due_at(validation, account);
	int64_t other_due = due_at(validation, other);

	return due < other_due ||
	    (due == other_due && account->check_tried < other->check_tried);
}

/* The account that is due first, NULL: none has tokens. */
static struct account *
first_due(struct validation *validation)
{
	struct account *first = NULL;
	struct account **all;
	size_t count;
	size_t i;

	all = accounts_sorted(validation->broker->accounts, NULL, &count);
	for (i = 0; i < count; i++) {
		if (!has_tokens(all[i]))
			continue;
		if (!first || comes_before(validation, all[i], first))
			first = all[i];
	}
	free(all);
	return first;
}

static void
on_timer(evutil_socket_t fd, short events, void *arg)
{
	(void)fd;
	(void)events;
	plan(arg);
}

static void
plan(struct validation *validation)
{
	int64_t now = time_boot_ms();
	struct account *account;
	int64_t wait;

	if (validation->running)
		return;
	account = first_due(validation);
	wait = account ? due_at(validation, account) - now : TICK_MAX_MS;
	if (wait > 0) {
		set_timer(validation, wait < TICK_MAX_MS ? wait : TICK_MAX_MS);
		return;
	}
	validation->running = true;
	account->check_tried = now;
	account->check_due = next_due(account->platform, now);
	account_check_start(validation->broker, NULL, 0, account, on_end, validation);
}

/* The wait after `failures` in a row (1 and more). */
static int64_t
backoff_ms(unsigned failures)
{
	int64_t most = BACKOFF_FIRST_MS;

	while (--failures > 0 && most < BACKOFF_LAST_MS)
		most *= 2;
	if (most > BACKOFF_LAST_MS)
		most = BACKOFF_LAST_MS;
	return most / 2 + random_below(most / 2);
}

/* A platform that is away is left alone for a while, and its accounts stay due. */
static void
pause_platform(struct validation *validation, const struct account_check_end *end)
{
	int64_t wait =
	    backoff_ms(++validation->platform[end->platform->index].failures);
	int64_t said = (int64_t)end->retry_after_s * 1000;

	if (said > BACKOFF_LAST_MS)
		said = BACKOFF_LAST_MS;
	validation->platform[end->platform->index].paused_until =
	    time_boot_ms() + (said > wait ? said : wait);
}

/* What came of it concerns the whole platform or this account alone: a token that
 * cannot be read here says nothing of the others. */
static void
back_off(struct validation *validation, const struct account_check_end *end)
{
	struct account *account =
	    accounts_find(validation->broker->accounts, end->platform, end->username);
	int64_t now = time_boot_ms();

	if (end->verdict != CHECK_never)
		pause_platform(validation, end);
	if (account && end->verdict != CHECK_never)
		account->check_due = now;
	else if (account)
		account->check_due = now + backoff_ms(++account->check_failures);
}

static void
end_well(struct validation *validation, const struct account_check_end *end)
{
	struct account *account =
	    accounts_find(validation->broker->accounts, end->platform, end->username);

	validation->platform[end->platform->index].failures = 0;
	if (account)
		account->check_failures = 0;
}

static void
on_end(void *arg, const struct account_check_end *end)
{
	struct validation *validation = arg;

	validation->running = false;
	if (end->verdict == CHECK_never || end->verdict == CHECK_unclear ||
	    end->verdict == CHECK_unreachable)
		back_off(validation, end);
	else
		end_well(validation, end);
	set_timer(validation, GAP_MS);
}

void
validate_clock_set(struct broker *broker)
{
	struct validation *validation = broker->accounts->validation;
	int64_t now = time_boot_ms();
	struct account **all;
	size_t count;
	size_t i;

	if (!validation)
		return;
	all = accounts_sorted(broker->accounts, NULL, &count);
	for (i = 0; i < count; i++) {
		int64_t due = now + random_below(CLOCK_WITHIN_MS);

		if (!all[i]->check_due || all[i]->check_due > due)
			all[i]->check_due = due;
	}
	free(all);
	if (!validation->running)
		set_timer(validation, GAP_MS);
}

void
validate_in_turn(struct broker *broker, const struct account *account)
{
	struct account *own =
	    accounts_find(broker->accounts, account->platform, account->row.username);

	own->check_due = next_due(own->platform, time_boot_ms());
}

void
validate_soon(struct broker *broker, const struct account *account)
{
	struct account *own =
	    accounts_find(broker->accounts, account->platform, account->row.username);

	own->check_due = time_boot_ms();
	if (broker->accounts->validation && !broker->accounts->validation->running)
		set_timer(broker->accounts->validation, GAP_MS);
}

void
validate_note(struct broker *broker, const struct account_check_end *end)
{
	struct validation *validation = broker->accounts->validation;
	struct account *account =
	    accounts_find(broker->accounts, end->platform, end->username);

	validation->stats.verdicts[end->verdict]++;
	validation->stats.last_at = time_now_ms();
	if (!account)
		return;
	account->checked_at = validation->stats.last_at;
	account->verdict = end->verdict;
}

/* The refresh has logged what came of it. */
static void
on_replaced(void *arg, const struct token_grant *grant)
{
	(void)arg;
	(void)grant;
}

/* Refreshing decides what a refused token means. One that is too fresh to be replaced
 * is looked at again as soon as it may be. */
void
validate_rejected(
    struct broker *broker, const struct account *account, uint64_t generation)
{
	struct account *own =
	    accounts_find(broker->accounts, account->platform, account->row.username);
	int64_t floor = own->plan.refreshed + REFRESH_FLOOR_MS;

	log_warning("oauth", "%s does not take the token of '%s' any more",
	    account->platform->title, log_quote(account->row.username));
	(void)token_rejected(broker, account, generation, on_replaced, NULL);
	if (own->plan.refreshed && own->plan.rejected != generation &&
	    time_boot_ms() < floor)
		own->check_due = floor;
}

void
validate_stats(const struct broker *broker, struct validate_stats *ret_stats)
{
	const struct validation *validation = broker->accounts->validation;
	struct account **all;
	size_t count;
	size_t i;

	*ret_stats = validation->stats;
	all = accounts_sorted(broker->accounts, NULL, &count);
	for (i = 0; i < count; i++)
		if (has_tokens(all[i]) && all[i]->check_due &&
		    all[i]->check_due <= time_boot_ms())
			ret_stats->waiting++;
	free(all);
}
