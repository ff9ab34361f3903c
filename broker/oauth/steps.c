/*
 * Shared steps of the flows of this folder.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "broker/dispatch.h"
#include "broker/oauth/accounts.h"
#include "broker/oauth/steps.h"
#include "broker/outbound/fetch.h"
#include "broker/vault/vault.h"
#include "common/log.h"
#include "common/text.h"

static void
cancel_job(void *arg)
{
	((struct steps_job *)arg)->flow = NULL;
}

static void
cancel_fetch(void *arg)
{
	fetch_cancel(arg);
}

static void
cancel_vault(void *arg)
{
	vault_cancel(arg);
}

void
steps_submit(
    struct flow *flow, struct steps_job *job, store_run_fn *run, store_done_fn *done)
{
	job->broker = flow->broker;
	job->flow = flow;
	job->job.run = run;
	job->job.done = done;
	flow_wait(flow, cancel_job, job);
	store_submit(flow->broker->store, &job->job);
}

struct flow *
steps_done(struct steps_job *job)
{
	if (job->flow)
		flow_resume(job->flow);
	return job->flow;
}

void
steps_wait_fetch(struct flow *flow, struct fetch *fetch)
{
	flow_wait(flow, cancel_fetch, fetch);
}

void
steps_wait_vault(struct flow *flow, struct vault_call *call)
{
	flow_wait(flow, cancel_vault, call);
}

void
steps_fail_store(struct flow *flow, int result)
{
	log_error("oauth", "%s %llu: the database failed: %s", flow->kind,
	    (unsigned long long)flow->number, strerror(-result));
	flow_fail(flow, ERR_storage_failed, NULL);
}

enum proto_error
steps_vault_error(const struct vault *vault, int result, const char **ret_sentence)
{
	enum proto_error error = ERR_keystore_unavailable;
	const char *sentence = vault_trouble(vault);

	if (result == -EBADMSG)
		sentence = "a stored secret cannot be opened with the keystore's key";
	else if (result == -ENOENT)
		sentence = "an item of Streamhold was removed from the keyring; log in "
			   "or add the client again";
	else if (result == -EAGAIN && vault_condition(vault) == VAULT_locked)
		error = ERR_keystore_locked;
	if (result == -EAGAIN && !sentence)
		sentence = "the keyring does not answer; it is used again as soon as "
			   "it does";
	*ret_sentence = sentence ? sentence : proto_error_info(error)->doc;
	return error;
}

void
steps_fail_vault(struct flow *flow, int result)
{
	const char *sentence;
	enum proto_error error =
	    steps_vault_error(flow->broker->vault, result, &sentence);

	log_error("vault", "%s %llu: %s", flow->kind, (unsigned long long)flow->number,
	    log_quote(sentence));
	flow_fail(flow, error, sentence);
}

const struct platform *
steps_platform(struct client *client, uint32_t rid, const char *name)
{
	const struct platform *platform = platform_find(name);

	if (!platform)
		client_fail(
		    client, rid, ERR_invalid_platform, platform_names_sentence());
	return platform;
}

bool
steps_username(struct client *client, uint32_t rid, const char *username)
{
	if (text_is_username(username, strlen(username)))
		return true;
	client_fail(client, rid, ERR_invalid_request,
	    "The username must be 1 to 100 bytes of UTF-8 without control characters "
	    "and '/'");
	return false;
}

void
steps_no_credentials(const struct platform *platform, char *out)
{
	snprintf(out, STEPS_SENTENCE_SIZE,
	    "No OAuth credentials configured for platform: %s", platform->name);
}

void
steps_no_token(const struct platform *platform, const char *username, char *out)
{
	snprintf(out, STEPS_SENTENCE_SIZE,
	    "No OAuth token found for platform %s and username %s", platform->name,
	    username);
}

const struct account *
steps_account(struct client *client, uint32_t rid, const char *name,
    const char *username, const struct platform **ret_platform)
{
	const struct platform *platform = steps_platform(client, rid, name);
	const struct account *account;
	char sentence[STEPS_SENTENCE_SIZE];

	if (!platform)
		return NULL;
	account = accounts_find(client->broker->accounts, platform, username);
	if (!account) {
		steps_no_token(platform, username, sentence);
		client_fail(client, rid, ERR_no_token, sentence);
	} else if (ret_platform) {
		*ret_platform = platform;
	}
	return account;
}
