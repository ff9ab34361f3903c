/*
 * Logins that were turned away, because another account logged in than the one that was
 * asked for: the last one of each platform and name, so that whoever did not see the
 * page in the browser still learns of it. Kept in memory and in table `refused_logins`,
 * until a login for that name succeeds, the name is deleted, or REFUSED_DAYS have
 * passed. Only for the files of this folder.
 */
#ifndef BROKER_OAUTH_REFUSED_H
#define BROKER_OAUTH_REFUSED_H

#include <stdint.h>
#include <sys/queue.h>

#include "broker/broker.h"
#include "broker/store/store_refused.h"

struct platform;

#define REFUSED_DAYS 30

struct refused_login {
	const struct platform *platform;
	char *username_key;
	char *username;  /* that was asked for */
	char *logged_in; /* who it was instead */
	int64_t at;      /* wall clock ms */
	TAILQ_ENTRY(refused_login) entry;
};
TAILQ_HEAD(refused_logins, refused_login); /* oldest first */

/* Takes a row over at start. */
void refused_load(struct refused_logins *list, const struct store_refused *row);
void refused_clear(struct refused_logins *list);

/* A login for `username` was turned away, since `logged_in` came. */
void refused_note(struct broker *broker, const struct platform *platform,
    const char *username, const char *logged_in);

/* Forgets what is known of a name, in memory; the caller's job has removed the row. */
void refused_forget(
    struct broker *broker, const struct platform *platform, const char *username);

/* The same, and the row as well. */
void refused_drop(
    struct broker *broker, const struct platform *platform, const char *username);

/* Forgets what is too old, in memory. Returns the time before which rows are. */
int64_t refused_purge(struct refused_logins *list, int64_t now);

#endif
