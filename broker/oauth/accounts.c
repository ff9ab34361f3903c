/*
 * The cache of accounts (a hash table) and of credentials (an array). Owned by
 * broker->accounts; changed by the done functions of the jobs that made a change
 * durable, and by oauth.c at start.
 */
#include <stdlib.h>
#include <string.h>

#include "broker/oauth/accounts.h"
#include "common/alloc.h"
#include "common/text.h"
#include "common/time.h"

#define BUCKETS_AT_FIRST 64

static void compare_client(const struct accounts *, struct account *);
static void make_buckets(struct accounts *, size_t);
static void grow(struct accounts *);

struct accounts *
accounts_new(void)
{
	struct accounts *accounts = xcalloc(1, sizeof(*accounts));

	make_buckets(accounts, BUCKETS_AT_FIRST);
	logins_init(&accounts->logins);
	TAILQ_INIT(&accounts->refused);
	TAILQ_INIT(&accounts->login_notes);
	return accounts;
}

static void
make_buckets(struct accounts *accounts, size_t count)
{
	accounts->bucket_count = count;
	accounts->by_name = xcalloc(count, sizeof(struct account *));
	accounts->by_id = xcalloc(count, sizeof(struct account *));
}

static void
account_free(struct account *account)
{
	refresh_plan_clear(&account->plan);
	store_account_clear(&account->row);
	free(account->other_client);
	free(account);
}

void
accounts_free(struct accounts *accounts)
{
	size_t i;

	if (!accounts)
		return;
	for (i = 0; i < accounts->bucket_count; i++) {
		while (accounts->by_name[i]) {
			struct account *account = accounts->by_name[i];

			accounts->by_name[i] = account->next;
			account_free(account);
		}
	}
	for (i = 0; i < CONFIG_PLATFORM_MAX; i++)
		store_credential_clear(&accounts->credentials[i]);
	logins_clear(&accounts->logins);
	refused_clear(&accounts->refused);
	login_notes_clear(&accounts->login_notes);
	free(accounts->by_name);
	free(accounts->by_id);
	free(accounts);
}

/* FNV-1a over platform and text. The names are those of people who were let in, so
 * nobody gains by making them collide. */
static size_t
hash(const struct platform *platform, const char *text)
{
	uint64_t value = UINT64_C(14695981039346656037) ^ (uint64_t)platform->index;
	const char *at;

	for (at = text; *at; at++)
		value = (value ^ (unsigned char)*at) * UINT64_C(1099511628211);
	return (size_t)(value ^ value >> 32);
}

static size_t
bucket_of(
    const struct accounts *accounts, const struct platform *platform, const char *text)
{
	return hash(platform, text) & (accounts->bucket_count - 1);
}

/* The place that points to the account, or to NULL at the end of its bucket. */
static struct account **
place_of(
    const struct accounts *accounts, const struct platform *platform, const char *key)
{
	struct account **place = &accounts->by_name[bucket_of(accounts, platform, key)];

	while (*place &&
	    ((*place)->platform != platform ||
		strcmp((*place)->row.username_key, key) != 0))
		place = &(*place)->next;
	return place;
}

struct account *
accounts_find(const struct accounts *accounts, const struct platform *platform,
    const char *username)
{
	char *key = text_fold(username);
	struct account *account = *place_of(accounts, platform, key);

	free(key);
	return account;
}

static void
link_name(struct accounts *accounts, struct account *account)
{
	struct account **bucket = &accounts->by_name[bucket_of(
	    accounts, account->platform, account->row.username_key)];

	account->next = *bucket;
	*bucket = account;
}

static void
link_id(struct accounts *accounts, struct account *account)
{
	struct account **bucket;

	if (!account->row.user_id)
		return;
	bucket =
	    &accounts
		 ->by_id[bucket_of(accounts, account->platform, account->row.user_id)];
	account->next_of_id = *bucket;
	*bucket = account;
}

static void
unlink_id(struct accounts *accounts, struct account *account)
{
	struct account **place;

	if (!account->row.user_id)
		return;
	place =
	    &accounts
		 ->by_id[bucket_of(accounts, account->platform, account->row.user_id)];
	while (*place != account)
		place = &(*place)->next_of_id;
	*place = account->next_of_id;
}

static bool
is_lost(const struct account *account)
{
	return strcmp(account->row.status, STORE_ACCOUNT_LOST) == 0;
}

static void
count_in(struct accounts *accounts, const struct account *account)
{
	accounts->count++;
	accounts->platform_counts[account->platform->index]++;
	accounts->lost_count += is_lost(account);
}

static void
count_out(struct accounts *accounts, const struct account *account)
{
	accounts->count--;
	accounts->platform_counts[account->platform->index]--;
	accounts->lost_count -= is_lost(account);
}

void
accounts_put(struct accounts *accounts, const struct platform *platform,
    struct store_account *row)
{
	struct account *account = *place_of(accounts, platform, row->username_key);

	if (account) {
		count_out(accounts, account);
		unlink_id(accounts, account);
		if (account->row.generation != row->generation) {
			refresh_plan_clear(&account->plan);
			account->verdict = CHECK_never;
		}
		store_account_clear(&account->row);
		account->row = *row;
	} else {
		if (accounts->count >= accounts->bucket_count)
			grow(accounts);
		account = xcalloc(1, sizeof(*account));
		account->platform = platform;
		account->row = *row;
		link_name(accounts, account);
	}
	link_id(accounts, account);
	count_in(accounts, account);
	compare_client(accounts, account);
	*row = (struct store_account){ .id = 0 };
}

static void
set_text(char **member, const char *text)
{
	char *copy = text ? xstrdup(text) : NULL;

	free(*member);
	*member = copy;
}

void
accounts_learn(struct accounts *accounts, const struct platform *platform,
    const struct store_account *told)
{
	struct account *account = *place_of(accounts, platform, told->username_key);

	if (!account || account->row.generation != told->generation)
		return;
	unlink_id(accounts, account);
	set_text(&account->row.user_id, told->user_id);
	set_text(&account->row.login, told->login);
	set_text(&account->row.display_name, told->display_name);
	set_text(&account->row.identity, told->identity);
	account->row.expires_at = told->expires_at;
	link_id(accounts, account);
}

/* Every account is in by_name, so that one is emptied into the new tables. */
static void
grow(struct accounts *accounts)
{
	struct account **old = accounts->by_name;
	size_t old_count = accounts->bucket_count;
	size_t i;

	free(accounts->by_id);
	make_buckets(accounts, old_count * 2);
	for (i = 0; i < old_count; i++) {
		while (old[i]) {
			struct account *account = old[i];

			old[i] = account->next;
			link_name(accounts, account);
			link_id(accounts, account);
		}
	}
	free(old);
}

void
accounts_remove(
    struct accounts *accounts, const struct platform *platform, const char *username)
{
	char *key = text_fold(username);
	struct account **place = place_of(accounts, platform, key);
	struct account *account = *place;

	free(key);
	if (!account)
		return;
	*place = account->next;
	unlink_id(accounts, account);
	count_out(accounts, account);
	account_free(account);
}

size_t
accounts_platform_count(const struct accounts *accounts, const char *platform)
{
	const struct platform *found = platform_find(platform);

	return found ? accounts->platform_counts[found->index] : 0;
}

static bool
has_id(const struct accounts *accounts, const struct platform *platform, const char *id)
{
	const struct account *account =
	    accounts->by_id[bucket_of(accounts, platform, id)];

	while (account &&
	    (account->platform != platform || strcmp(account->row.user_id, id) != 0))
		account = account->next_of_id;
	return account != NULL;
}

/* A name may have changed hands, so another id says that it is somebody else. */
static bool
has_name(const struct accounts *accounts, const struct platform *platform,
    const char *user_id, const char *name)
{
	const struct account *account =
	    name ? accounts_find(accounts, platform, name) : NULL;

	return account &&
	    (!account->row.user_id || !user_id || !*user_id ||
		strcmp(account->row.user_id, user_id) == 0);
}

bool
accounts_have_channel(const struct accounts *accounts, const char *platform,
    const char *user_id, const char *name, const char *slug)
{
	const struct platform *found = platform_find(platform);

	if (!found)
		return false;
	return (user_id && has_id(accounts, found, user_id)) ||
	    has_name(accounts, found, user_id, name) ||
	    has_name(accounts, found, user_id, slug);
}

static int
by_platform_and_name(const void *left, const void *right)
{
	const struct account *a = *(struct account *const *)left;
	const struct account *b = *(struct account *const *)right;

	if (a->platform != b->platform)
		return strcmp(a->platform->name, b->platform->name);
	return strcmp(a->row.username_key, b->row.username_key);
}

struct account **
accounts_sorted(
    const struct accounts *accounts, const struct platform *platform, size_t *ret_count)
{
	struct account **all = xcalloc(accounts->count + 1, sizeof(*all));
	struct account *account;
	size_t count = 0;
	size_t i;

	for (i = 0; i < accounts->bucket_count; i++)
		for (account = accounts->by_name[i]; account; account = account->next)
			if (!platform || account->platform == platform)
				all[count++] = account;
	qsort(all, count, sizeof(struct account *), by_platform_and_name);
	*ret_count = count;
	return all;
}

const struct store_credential *
accounts_credential(const struct accounts *accounts, const struct platform *platform)
{
	const struct store_credential *row = &accounts->credentials[platform->index];

	return row->platform ? row : NULL;
}

const char *
accounts_client_id(const struct accounts *accounts, const struct account *account)
{
	const struct store_credential *credential =
	    accounts_credential(accounts, account->platform);

	if (account->row.client_id)
		return account->row.client_id;
	return credential ? credential->client_id : "";
}

/* Sent with another client's id and secret a refresh token is refused for good, and a
 * platform that takes it for stolen may end the grant. */
static void
compare_client(const struct accounts *accounts, struct account *account)
{
	const struct store_credential *credential =
	    accounts_credential(accounts, account->platform);
	const struct store_account *row = &account->row;

	free(account->other_client);
	account->other_client = NULL;
	if (!credential || !row->client_id ||
	    strcmp(row->client_id, credential->client_id) == 0)
		return;
	account->other_client = xasprintf(
	    "log in again (streamhold login %s %s), or store id and secret of the "
	    "client "
	    "'%.200s' again (streamhold app add %s): the login was made with it, and "
	    "'%.200s' is stored, so its tokens are kept and not refreshed",
	    account->platform->name, row->username, row->client_id,
	    account->platform->name, credential->client_id);
}

void
accounts_set_credential(struct accounts *accounts, const struct platform *platform,
    struct store_credential *row)
{
	struct store_credential *place = &accounts->credentials[platform->index];
	struct account *account;
	size_t i;

	store_credential_clear(place);
	if (row) {
		*place = *row;
		*row = (struct store_credential){ .platform = NULL };
	}
	for (i = 0; i < accounts->bucket_count; i++)
		for (account = accounts->by_name[i]; account; account = account->next)
			if (account->platform == platform)
				compare_client(accounts, account);
}

/* Near the clock, so that a name that was deleted and comes again does not get a
 * generation for a second time. */
uint64_t
accounts_next_generation(struct accounts *accounts)
{
	int64_t now = time_now_ms();

	accounts->generation++;
	if (now > 0 && (uint64_t)now > accounts->generation)
		accounts->generation = (uint64_t)now;
	return accounts->generation;
}

char *
accounts_token_name(const struct platform *platform, const char *username)
{
	char *key = text_fold(username);
	char *name = xasprintf("token/%s/%s", platform->name, key);

	free(key);
	return name;
}

char *
accounts_previous_name(const struct platform *platform, const char *username)
{
	char *key = text_fold(username);
	char *name = xasprintf("previous/%s/%s", platform->name, key);

	free(key);
	return name;
}

char *
accounts_app_name(const struct platform *platform)
{
	return xasprintf("app/%s", platform->name);
}

char *
accounts_client_name(const struct platform *platform)
{
	return xasprintf("client/%s", platform->name);
}
