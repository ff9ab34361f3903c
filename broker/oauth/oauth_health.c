/*
 * Whether logins stay alive, judged for the health: which of them need a person, and at
 * which platforms nothing is refreshed. Each sentence begins with what to do, since its
 * end may be cut. Called by health.c.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/oauth/accounts.h"
#include "broker/oauth/foreign.h"
#include "broker/oauth/oauth.h"
#include "broker/oauth/refresh.h"
#include "common/text.h"

__attribute__((format(printf, 2, 3))) static void
say(char *text, const char *format, ...)
{
	char whole[2 * OAUTH_HEALTH_SIZE];
	va_list values;

	va_start(values, format);
	(void)vsnprintf(whole, sizeof(whole), format, values);
	va_end(values);
	text_cut(whole, OAUTH_HEALTH_SIZE - 1);
	memcpy(text, whole, strlen(whole) + 1);
}

/* An account, and how many are as it is. */
struct found {
	const struct account *first; /* NULL: none */
	size_t count;
};

static void
count_if(struct found *found, const struct account *account, bool fits)
{
	if (!fits)
		return;
	if (!found->first)
		found->first = account;
	found->count++;
}

/* " and 2 more", or nothing. */
#define MORE_SIZE 40

static const char *
more(const struct found *found, char text[MORE_SIZE])
{
	if (found->count < 2)
		return "";
	(void)snprintf(text, MORE_SIZE, " and %zu more", found->count - 1);
	return text;
}

static bool
is_standing(const struct account *account)
{
	return strcmp(account->row.status, STORE_ACCOUNT_LOST) != 0;
}

static bool
is_expired(const struct account *account)
{
	return strcmp(accounts_status(account), "expired") == 0;
}

/* No trouble of what is stored, and yet somebody who did not see the page in the
 * browser wonders why the login is not there. */
static void
tell_refused(const struct broker *broker, char *text)
{
	const struct refused_login *refused =
	    TAILQ_LAST(&broker->accounts->refused, refused_logins);

	text[0] = '\0';
	if (refused)
		say(text,
		    "the last login for '%s' at %s was turned away: '%s' logged in",
		    refused->username, refused->platform->title, refused->logged_in);
}

bool
oauth_logins_trouble(const struct broker *broker, char *text)
{
	struct found found = { .first = NULL };
	const struct account *account;
	struct account **accounts;
	char reason[FOREIGN_SIZE];
	char others[MORE_SIZE];
	size_t count;
	size_t i;

	accounts = accounts_sorted(broker->accounts, NULL, &count);
	for (i = 0; i < count; i++)
		count_if(&found, accounts[i],
		    !is_standing(accounts[i]) ||
			(is_expired(accounts[i]) && !accounts[i]->row.refreshable));
	free(accounts);
	account = found.first;
	if (!account) {
		tell_refused(broker, text);
		return false;
	}
	foreign_text(is_standing(account) ? "its token has expired and there is none "
					    "to refresh it with"
					  : account->row.reason,
	    reason);
	say(text, "'%s' at %s%s must log in again (streamhold login %s %s): %s",
	    account->row.username, account->platform->title, more(&found, others),
	    account->platform->name, account->row.username, reason);
	return true;
}

/* What keeps the logins of a platform from being refreshed. */
static bool
judge(const struct broker *broker, const struct platform *platform,
    const struct found *kept, const struct found *other, const struct found *late,
    char *text)
{
	const char *pause = refresh_pause(broker, platform);
	const char *trouble;
	char others[MORE_SIZE];

	if (pause) {
		say(text, "%s", pause);
		return true;
	}
	if (kept->count && !accounts_credential(broker->accounts, platform)) {
		say(text,
		    "no client id and secret are stored (streamhold app add %s): "
		    "'%s'%s cannot be refreshed",
		    platform->name, kept->first->row.username, more(kept, others));
		return true;
	}
	if (other->count) {
		say(text, "'%s'%s: %s", other->first->row.username, more(other, others),
		    other->first->other_client);
		return true;
	}
	if (!late->count)
		return false;
	trouble = refresh_trouble(broker, late->first);
	say(text,
	    "the token of '%s'%s has expired and is not refreshed yet "
	    "(streamhold refresh %s %s): %s",
	    late->first->row.username, more(late, others), platform->name,
	    late->first->row.username, trouble ? trouble : "it is being tried");
	return true;
}

enum oauth_refreshing
oauth_refreshing(
    const struct broker *broker, enum config_platform_index index, char *text)
{
	const struct platform *platform = platform_at(index);
	struct found kept = { .first = NULL };
	struct found other = { .first = NULL };
	struct found late = { .first = NULL };
	struct account **accounts;
	bool trouble;
	size_t count;
	size_t i;

	accounts = accounts_sorted(broker->accounts, platform, &count);
	for (i = 0; i < count; i++) {
		bool refreshed =
		    is_standing(accounts[i]) && accounts[i]->row.refreshable;

		count_if(&kept, accounts[i], refreshed);
		count_if(&other, accounts[i], refreshed && accounts[i]->other_client);
		count_if(&late, accounts[i], refreshed && is_expired(accounts[i]));
	}
	trouble = judge(broker, platform, &kept, &other, &late, text);
	free(accounts);
	if (trouble)
		return OAUTH_REFRESHING_trouble;
	return count || accounts_credential(broker->accounts, platform)
	    ? OAUTH_REFRESHING_well
	    : OAUTH_REFRESHING_unused;
}
