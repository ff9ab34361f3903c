/*
 * account_get and accounts_list: what is known of logins, from memory, at once.
 */
#include <stdlib.h>
#include <string.h>

#include "broker/oauth/account_check.h"
#include "broker/oauth/accounts.h"
#include "broker/oauth/needs.h"
#include "broker/oauth/oauth.h"
#include "broker/oauth/refresh.h"
#include "broker/oauth/scopes.h"
#include "broker/oauth/steps.h"
#include "common/time.h"

static uint64_t
unsigned_ms(int64_t ms)
{
	return ms > 0 ? (uint64_t)ms : 0;
}

const char *
accounts_status(const struct account *account)
{
	const struct store_account *row = &account->row;

	if (strcmp(row->status, STORE_ACCOUNT_LOST) == 0)
		return "reauth_required";
	return row->expires_at > time_now_ms() ? "valid" : "expired";
}

struct proto_msg
accounts_message(const struct broker *broker, const struct account *account,
    struct account_texts *ret_texts)
{
	const struct store_account *row = &account->row;
	int64_t margin_ms = (int64_t)broker->config.oauth.refresh_margin_s * 1000;

	*ret_texts = (struct account_texts){
		.missing = scopes_missing(row->scopes_asked, row->scopes),
		.unmet = needs_unmet(broker, account->platform, row),
	};
	return (struct proto_msg){
		.type = MSG_account,
		.account = {
			.platform = account->platform->name,
			.username = row->username,
			.status = accounts_status(account),
			.expires_at = unsigned_ms(row->expires_at),
			.refresh_at = unsigned_ms(row->expires_at - margin_ms),
			.refreshable = row->refreshable,
			.refresh_expires_at = unsigned_ms(row->refresh_expires_at),
			.scopes = row->scopes,
			.missing_scopes = ret_texts->missing,
			.unmet = ret_texts->unmet,
			.identity = row->identity,
			.user_id = row->user_id,
			.display_name = row->display_name,
			.reason = row->reason,
			.since = unsigned_ms(row->since),
			.checked_at = unsigned_ms(account->checked_at),
			.verdict = check_verdict_name(account->verdict),
			.trouble = refresh_trouble(broker, account),
		},
	};
}

void
account_texts_clear(struct account_texts *texts)
{
	free(texts->missing);
	free(texts->unmet);
	*texts = (struct account_texts){ .missing = NULL };
}

/* Sends one account, as the answer to account_get or as a row. */
static void
answer(struct client *client, uint32_t rid, const struct account *account)
{
	struct account_texts texts;
	const struct proto_msg message =
	    accounts_message(client->broker, account, &texts);

	client_answer(client, rid, &message);
	account_texts_clear(&texts);
}

void
on_account_get(struct client *client, struct proto_msg *msg)
{
	const struct proto_account_get *asked = &msg->account_get;
	const struct account *account =
	    steps_account(client, msg->rid, asked->platform, asked->username, NULL);

	if (account)
		answer(client, msg->rid, account);
}

static void
answer_refused(struct client *client, uint32_t rid, const struct refused_login *refused)
{
	client_answer(client, rid,
	    &(const struct proto_msg){
		.type = MSG_login_refused,
		.login_refused = {
			.platform = refused->platform->name,
			.username = refused->username,
			.logged_in = refused->logged_in,
			.at = unsigned_ms(refused->at),
		},
	    });
}

void
on_accounts_list(struct client *client, struct proto_msg *msg)
{
	const char *name = msg->accounts_list.platform;
	const struct platform *platform = NULL;
	const struct proto_msg end = { .type = MSG_list_end };
	const struct refused_login *refused;
	struct account **accounts;
	size_t count;
	size_t i;

	if (name && !(platform = steps_platform(client, msg->rid, name)))
		return;
	accounts = accounts_sorted(client->broker->accounts, platform, &count);
	for (i = 0; i < count; i++)
		answer(client, msg->rid, accounts[i]);
	free(accounts);
	TAILQ_FOREACH (refused, &client->broker->accounts->refused, entry)
		if (!platform || refused->platform == platform)
			answer_refused(client, msg->rid, refused);
	client_answer(client, msg->rid, &end);
}
