/*
 * Revocations. Called by account_delete.c and by login_finish.c for tokens of an
 * account that nobody asked for. Owns the forms and at most one running call.
 */
#include <stdlib.h>
#include <strings.h>
#include <string.h>

#include "broker/oauth/revocation.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/time.h"

struct revocation {
	struct broker *broker;
	const struct platform *platform;
	struct secret forms[PLATFORM_REVOCATIONS_MAX];
	size_t count;
	size_t next;
	int64_t deadline; /* boot-time ms */
	enum revocation_result result;
	struct fetch *fetch;
	revocation_done_fn *done;
	void *arg;
};

static bool send_next(struct revocation *);
static void on_reply(void *, struct fetch_reply *);
static enum revocation_result judge(const struct platform *, struct fetch_reply *);
static void revocation_free(struct revocation *);

const char *
revocation_name(enum revocation_result result)
{
	static const char *const names[REVOCATION_MAX] = { "ok", "refused",
		"unreachable" };

	return names[result];
}

struct revocation *
revocation_start(struct broker *broker, const struct platform *platform,
    const struct tokens *tokens, const char *client_id, unsigned timeout_ms,
    revocation_done_fn *done, void *arg)
{
	struct revocation *revocation = xcalloc(1, sizeof(*revocation));

	revocation->broker = broker;
	revocation->platform = platform;
	revocation->deadline = time_boot_ms() + timeout_ms;
	revocation->done = done;
	revocation->arg = arg;
	revocation->count = platform->revocations(tokens, client_id, revocation->forms);
	if (!send_next(revocation)) {
		revocation_free(revocation);
		return NULL;
	}
	return revocation;
}

/* False when all have been sent. */
static bool
send_next(struct revocation *revocation)
{
	const struct config_platform *config =
	    &revocation->broker->config.platform[revocation->platform->index];
	int64_t left = revocation->deadline - time_boot_ms();
	struct fetch_request request = {
		.method = "POST",
		.url = config->revoke_url,
		.ca_file = config->ca_file,
		.timeout_ms = left > 1 ? (unsigned)left : 1,
	};

	if (revocation->next == revocation->count || !config->revoke_url)
		return false;
	request.body = secret_move(&revocation->forms[revocation->next++]);
	revocation->fetch =
	    fetch_start(revocation->broker->fetcher, &request, on_reply, revocation);
	return true;
}

static void
on_reply(void *arg, struct fetch_reply *reply)
{
	struct revocation *revocation = arg;
	enum revocation_result result = judge(revocation->platform, reply);

	revocation->fetch = NULL;
	if (result > revocation->result)
		revocation->result = result;
	if (send_next(revocation))
		return;
	revocation->done(revocation->arg, revocation->result);
	revocation_free(revocation);
}

/* RFC 7009: a token that is not known any more is as good as revoked; Google and Twitch
 * say so with 400 (facts C.6, A.9). */
static enum revocation_result
judge(const struct platform *platform, struct fetch_reply *reply)
{
	struct token_error error;
	char sentence[TOKEN_ERROR_SENTENCE_SIZE];

	if (reply->result != FETCH_answered) {
		log_warning("oauth", "%s cannot be told to revoke a token: %s",
		    platform->title, reply->problem);
		return REVOCATION_unreachable;
	}
	if (reply->status == 200)
		return REVOCATION_ok;
	token_error_read(&reply->body, &error);
	token_error_sentence(reply->status, &error, sentence);
	if (reply->status == 400 &&
	    (strcasestr(error.error, "invalid_token") ||
		strcasestr(error.description, "invalid token")))
		return REVOCATION_ok;
	log_warning("oauth", "%s did not revoke a token: %s", platform->title,
	    log_quote(sentence));
	return reply->status == 429 || reply->status >= 500 ? REVOCATION_unreachable
							    : REVOCATION_refused;
}

void
revocation_cancel(struct revocation *revocation)
{
	if (revocation->fetch)
		fetch_cancel(revocation->fetch);
	revocation_free(revocation);
}

static void
revocation_free(struct revocation *revocation)
{
	size_t i;

	for (i = 0; i < PLATFORM_REVOCATIONS_MAX; i++)
		secret_clear(&revocation->forms[i]);
	free(revocation);
}
