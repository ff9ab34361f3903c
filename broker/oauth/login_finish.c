/*
 * login_finish, from the browser's return to tokens:
 *
 *   take      the login out of the database, which can be done once, and the sealed
 *             client secret; nothing is sent before
 *   check     what the platform said: an error, another issuer
 *   unseal    the PKCE verifier and the client secret
 *   exchange  the code for tokens
 *
 * and further in login_identify.c and login_store.c. From `take` on the flow outlives
 * its client: the code is used up.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/oauth/accounts.h"
#include "broker/oauth/device.h"
#include "broker/oauth/form.h"
#include "broker/oauth/login_adopt.h"
#include "broker/oauth/login_finish.h"
#include "broker/oauth/oauth.h"
#include "broker/oauth/redirect.h"
#include "broker/oauth/steps.h"
#include "broker/store/store_secret.h"
#include "broker/vault/vault.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/time.h"

#define INVALID_STATE "Invalid state parameter"

struct take_job {
	struct steps_job steps;
	struct store_login login;
	char *client_name;
	bool found;
	uint64_t client_generation;
	struct buf client_sealed;
	int64_t now;
};

static void take(struct login_finish *);
static int run_take(struct store_job *, struct db *);
static void on_taken(struct store_job *, int);
static void check(struct login_finish *);
static void report_error(struct login_finish *);
static void unseal_verifier(struct login_finish *);
static void on_verifier(void *, int, struct secret *);
static void unseal_client(struct login_finish *);
static void on_client(void *, int, struct secret *);
static void exchange(struct login_finish *);
static void on_exchanged(void *, struct fetch_reply *);
static void read_tokens(struct login_finish *, struct fetch_reply *);
static void report_refusal(struct login_finish *, struct fetch_reply *);
static void release(struct flow *);

void
on_login_finish(struct client *client, struct proto_msg *msg)
{
	struct broker *broker = client->broker;
	const struct proto_login_finish *brought = &msg->login_finish;
	const struct platform *platform =
	    steps_platform(client, msg->rid, brought->platform);
	struct login_finish *login;
	uint8_t hash[CRYPTO_SHA256_SIZE];

	if (!platform)
		return;
	if (!brought->state.length) {
		client_fail(client, msg->rid, ERR_invalid_state, INVALID_STATE);
		return;
	}
	logins_hash(brought->state.bytes, brought->state.length, hash);
	if (!brought->code.length && !brought->error) {
		if (logins_is_pending(&broker->accounts->logins, hash, platform))
			client_fail(client, msg->rid, ERR_login_incomplete,
			    "The address has neither a code nor an error; the login "
			    "is still open");
		else
			client_fail(client, msg->rid, ERR_invalid_state, INVALID_STATE);
		return;
	}
	login = login_new(broker, client, msg->rid, "login_finish",
	    STEPS_LOGIN_DEADLINE_MS, platform);
	login->msg = proto_move(msg);
	memcpy(login->login.state_hash, hash, sizeof(hash));
	take(login);
}

struct login_finish *
login_new(struct broker *broker, struct client *client, uint32_t rid, const char *kind,
    unsigned deadline_ms, const struct platform *platform)
{
	struct login_finish *login = xcalloc(1, sizeof(*login));

	flow_init(&login->flow, broker, client, rid, kind, deadline_ms, release);
	login->platform = platform;
	login->began = time_boot_ms();
	return login;
}

static void
take(struct login_finish *login)
{
	struct take_job *job = xcalloc(1, sizeof(*job));

	flow_step(&login->flow, "take");
	login->flow.outlives_client = true;
	memcpy(job->login.state_hash, login->login.state_hash,
	    sizeof(job->login.state_hash));
	job->login.platform = xstrdup(login->platform->name);
	job->client_name = accounts_client_name(login->platform);
	job->now = time_now_ms();
	steps_submit(&login->flow, &job->steps, run_take, on_taken);
}

static int
run_take(struct store_job *store_job, struct db *db)
{
	struct take_job *job = (struct take_job *)store_job;
	bool has_secret;
	int result = store_login_take(db, &job->login, job->now, &job->found);

	if (result < 0 || !job->found)
		return result;
	return store_secret_get(db, job->client_name, &has_secret,
	    &job->client_generation, &job->client_sealed);
}

static void
on_taken(struct store_job *store_job, int result)
{
	struct take_job *job = (struct take_job *)store_job;
	struct login_finish *login = (struct login_finish *)steps_done(&job->steps);

	if (login && result == 0 && job->found) {
		login->taken = true;
		login->login = job->login;
		login->client_sealed = job->client_sealed;
		login->client_generation = job->client_generation;
		job->login = (struct store_login){ .platform = NULL };
		job->client_sealed = BUF_EMPTY;
		check(login);
	} else if (login && result == 0) {
		flow_fail(&login->flow, ERR_invalid_state, INVALID_STATE);
	} else if (login) {
		steps_fail_store(&login->flow, result);
	}
	store_login_clear(&job->login);
	free(job->client_name);
	buf_clear(&job->client_sealed);
	free(job);
}

/* RFC 9207: an issuer that is named must be the one that was asked (facts D.8). */
static void
check(struct login_finish *login)
{
	const struct proto_login_finish *brought = &login->msg.login_finish;
	const struct platform *platform = login->platform;
	const struct store_credential *credential =
	    accounts_credential(login->flow.broker->accounts, platform);

	flow_step(&login->flow, "check");
	if (brought->iss && strcmp(brought->iss, platform->issuer) != 0) {
		login_fail(login, ERR_login_denied,
		    "The answer names another issuer than %s; nothing was exchanged. "
		    "Start the login again.",
		    platform->title);
		return;
	}
	if (brought->error) {
		report_error(login);
		return;
	}
	if (!credential || !buf_length(&login->client_sealed) ||
	    strcmp(credential->client_id, login->login.client_id) != 0) {
		login_fail(login, ERR_exchange_failed,
		    "The credentials of %s were changed or removed after the login "
		    "was started. Start it again.",
		    platform->title);
		return;
	}
	unseal_verifier(login);
}

static void
report_error(struct login_finish *login)
{
	const struct proto_login_finish *brought = &login->msg.login_finish;
	char error[FOREIGN_SIZE];
	char description[FOREIGN_SIZE];
	bool redirect = strstr(brought->error, "redirect") != NULL;

	foreign_text(brought->error, error);
	foreign_text(brought->error_description, description);
	login_fail(login, ERR_login_denied, "%s reported: %s%s%s%s%.300s",
	    login->platform->title, error, *description ? ": " : "", description,
	    redirect ? ". Register this redirect address exactly: " : "",
	    redirect ? login->login.redirect_uri : "");
}

static void
unseal_verifier(struct login_finish *login)
{
	const struct buf *sealed = &login->login.verifier_sealed;
	char *name;

	if (!buf_length(sealed)) {
		unseal_client(login);
		return;
	}
	flow_step(&login->flow, "unseal");
	name = login_verifier_name(login->login.state_hash);
	steps_wait_vault(&login->flow,
	    vault_unseal(login->flow.broker->vault, name, LOGIN_VERIFIER_GENERATION,
		buf_bytes(sealed), buf_length(sealed), on_verifier, login));
	free(name);
}

static void
on_verifier(void *arg, int result, struct secret *plain)
{
	struct login_finish *login = arg;

	flow_resume(&login->flow);
	if (result < 0) {
		steps_fail_vault(&login->flow, result);
		return;
	}
	login->verifier = secret_move(plain);
	unseal_client(login);
}

static void
unseal_client(struct login_finish *login)
{
	const struct buf *sealed = &login->client_sealed;
	char *name = accounts_client_name(login->platform);

	flow_step(&login->flow, "unseal");
	steps_wait_vault(&login->flow,
	    vault_unseal(login->flow.broker->vault, name, login->client_generation,
		buf_bytes(sealed), buf_length(sealed), on_client, login));
	free(name);
}

static void
on_client(void *arg, int result, struct secret *plain)
{
	struct login_finish *login = arg;

	flow_resume(&login->flow);
	if (result < 0) {
		steps_fail_vault(&login->flow, result);
		return;
	}
	login->client_secret = secret_move(plain);
	exchange(login);
}

static void
exchange(struct login_finish *login)
{
	struct broker *broker = login->flow.broker;
	const struct config_platform *config =
	    &broker->config.platform[login->platform->index];
	struct fetch_request request = {
		.method = "POST",
		.url = config->token_url,
		.ca_file = config->ca_file,
		.timeout_ms = login_time_left(login, LOGIN_EXCHANGE_UNTIL_MS),
	};
	struct buf form = form_new();
	char *redirect = redirect_sent(
	    login->login.redirect_uri, secret_text(&login->msg.login_finish.state));

	flow_step(&login->flow, "exchange");
	form_add(&form, "grant_type", "authorization_code");
	form_add(&form, "client_id", login->login.client_id);
	form_add_secret(&form, "client_secret", &login->client_secret);
	form_add_secret(&form, "code", &login->msg.login_finish.code);
	form_add(&form, "redirect_uri", redirect);
	wipe_free(redirect);
	if (login->verifier.length)
		form_add_secret(&form, "code_verifier", &login->verifier);
	request.body = form_take(&form);
	secret_clear(&login->client_secret);
	secret_clear(&login->verifier);
	steps_wait_fetch(
	    &login->flow, fetch_start(broker->fetcher, &request, on_exchanged, login));
}

static void
on_exchanged(void *arg, struct fetch_reply *reply)
{
	struct login_finish *login = arg;

	flow_resume(&login->flow);
	if (reply->result != FETCH_answered)
		login_fail(login, ERR_exchange_failed,
		    "%s did not hand out tokens: %s. Start the login again.",
		    login->platform->title, reply->problem);
	else if (reply->status != 200)
		report_refusal(login, reply);
	else
		read_tokens(login, reply);
}

static void
read_tokens(struct login_finish *login, struct fetch_reply *reply)
{
	const char *what;

	login->asked_at = reply->started_at;
	login->skew_ms = reply->has_date ? reply->skew_ms : 0;
	if (token_reply_read(&reply->body, &login->reply, &what) < 0) {
		login_fail(login, ERR_exchange_failed,
		    "%s did not hand out tokens: %s. Start the login again.",
		    login->platform->title, what);
		return;
	}
	login_identify(login);
}

static void
report_refusal(struct login_finish *login, struct fetch_reply *reply)
{
	static const char *const advice[REFUSAL_MAX] = {
		[REFUSAL_transient] = "Start the login again in a while.",
		[REFUSAL_terminal] = "Start the login again.",
		[REFUSAL_doubtful] = "Start the login again.",
		[REFUSAL_restart] = "Start the login again.",
		[REFUSAL_config] =
		    "Check client id, client secret and redirect address.",
		[REFUSAL_flow] = "Start the login again.",
		[REFUSAL_defect] = "This should not happen; please report it.",
	};
	struct token_error error;
	char sentence[TOKEN_ERROR_SENTENCE_SIZE];
	enum refusal refusal;

	token_error_read(&reply->body, &error);
	token_error_sentence(reply->status, &error, sentence);
	refusal = token_error_judge(login->platform, reply->status, &error);
	login_fail(login, ERR_exchange_failed, "%s refused the code: %s. %s",
	    login->platform->title, sentence, advice[refusal]);
}

/* ---- Shared ---- */

unsigned
login_time_left(const struct login_finish *login, int64_t until)
{
	int64_t left = login->began + until - time_boot_ms();

	return left > LOGIN_CALL_LEAST_MS ? (unsigned)left : LOGIN_CALL_LEAST_MS;
}

static void
tell(struct login_finish *login, enum proto_error error, const char *sentence)
{
	if (!login->taken || login->told)
		return;
	login->told = true;
	broker_count(login->flow.broker, "login_failed", 1);
	logins_end_failed(&login->flow.broker->accounts->logins,
	    login->login.state_hash, error, sentence);
}

void
login_fail(struct login_finish *login, enum proto_error error, const char *format, ...)
{
	char sentence[STEPS_SENTENCE_SIZE];
	va_list values;

	va_start(values, format);
	vsnprintf(sentence, sizeof(sentence), format, values);
	va_end(values);
	log_warning("oauth", "login of '%s' at %s failed: %s",
	    log_quote(login->login.username), login->platform->name,
	    log_quote(sentence));
	tell(login, error, sentence);
	flow_fail(&login->flow, error, sentence);
}

static void
release(struct flow *flow)
{
	struct login_finish *login = (struct login_finish *)flow;

	/* Whatever ended the flow without a word of its own: a deadline, a failed
	 * database or keystore, the end of the broker. */
	tell(login, ERR_outcome_unknown,
	    "The login broke off while the tokens were on their way");
	if (login->adopting)
		login_adopt_ended(flow->broker, login->platform, login->username);
	proto_clear(&login->msg);
	store_login_clear(&login->login);
	buf_clear(&login->client_sealed);
	secret_clear(&login->verifier);
	secret_clear(&login->client_secret);
	token_reply_clear(&login->reply);
	identity_clear(&login->identity);
	device_free(login->device);
	free(login->username);
	free(login);
}
