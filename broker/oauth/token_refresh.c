/*
 * token_refresh: refreshes the tokens of an account now, together with whoever else
 * waits for that, and answers with the account's state.
 */
#include <stdlib.h>
#include <string.h>

#include "broker/oauth/oauth.h"
#include "broker/oauth/refresh.h"
#include "broker/oauth/steps.h"
#include "common/alloc.h"

struct token_refresh {
	struct flow flow;
	const struct platform *platform;
	char *username;
};

static void cancel_wait(void *);
static void on_refreshed(void *, const struct refresh_end *);
static void release(struct flow *);

void
on_token_refresh(struct client *client, struct proto_msg *msg)
{
	const struct proto_token_refresh *asked = &msg->token_refresh;
	struct broker *broker = client->broker;
	const struct platform *platform;
	const struct account *account = steps_account(
	    client, msg->rid, asked->platform, asked->username, &platform);
	struct token_refresh *refresh;

	if (!account)
		return;
	refresh = xcalloc(1, sizeof(*refresh));
	flow_init(&refresh->flow, broker, client, msg->rid, "token_refresh",
	    STEPS_REFRESH_DEADLINE_MS, release);
	refresh->platform = platform;
	refresh->username = xstrdup(account->row.username);
	flow_step(&refresh->flow, "refresh");
	flow_wait(&refresh->flow, cancel_wait,
	    refresh_join(broker, account, REFRESH_asked, on_refreshed, refresh));
}

static void
cancel_wait(void *arg)
{
	refresh_leave(arg);
}

static void
fail(struct flow *flow, const struct refresh_end *end)
{
	const struct proto_msg failed = { .type = MSG_failed,
		.failed = { .code = proto_error_info(end->error)->name,
		    .message = end->sentence,
		    .retry_after = end->retry_after } };

	if (end->retry_after)
		flow_answer(flow, &failed);
	else
		flow_fail(flow, end->error, end->sentence);
}

static void
on_refreshed(void *arg, const struct refresh_end *end)
{
	struct token_refresh *refresh = arg;
	const struct account *account = accounts_find(
	    refresh->flow.broker->accounts, refresh->platform, refresh->username);
	char sentence[STEPS_SENTENCE_SIZE];
	struct proto_msg answer;
	struct account_texts texts;

	flow_resume(&refresh->flow);
	if (end->error != ERR_none) {
		fail(&refresh->flow, end);
	} else if (account) {
		answer = accounts_message(refresh->flow.broker, account, &texts);
		flow_answer(&refresh->flow, &answer);
		account_texts_clear(&texts);
	} else {
		steps_no_token(refresh->platform, refresh->username, sentence);
		flow_fail(&refresh->flow, ERR_no_token, sentence);
	}
}

static void
release(struct flow *flow)
{
	struct token_refresh *refresh = (struct token_refresh *)flow;

	free(refresh->username);
	free(refresh);
}
