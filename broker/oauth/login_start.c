/*
 * login_start, from request to answer:
 *
 *   seal    the PKCE verifier, where the platform has PKCE
 *   store   the login under the hash of its state
 *   answer  the authorize address
 */
#include <stdlib.h>
#include <string.h>

#include "broker/oauth/accounts.h"
#include "broker/oauth/authorize.h"
#include "broker/oauth/oauth.h"
#include "broker/oauth/pkce.h"
#include "broker/oauth/redirect.h"
#include "broker/oauth/scopes.h"
#include "broker/oauth/steps.h"
#include "broker/store/store_login.h"
#include "broker/vault/vault.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/text.h"
#include "common/time.h"

/* Random bytes in a state (design.md 3.2). */
#define STATE_RANDOM_SIZE 32

struct login_start {
	struct flow flow;
	const struct platform *platform;
	char state[BASE64URL_SIZE(STATE_RANDOM_SIZE)];
	char *url;
	struct store_login login;
};

struct start_job {
	struct steps_job steps;
	const struct platform *platform;
	struct store_login login;
};

static bool make_login(struct login_start *, const struct proto_login_start *,
    const struct store_credential *);
static void make_state(struct login_start *);
static void seal(struct login_start *, const struct secret *);
static void on_sealed(void *, int, const struct buf *);
static void store(struct login_start *);
static int run(struct store_job *, struct db *);
static void on_stored(struct store_job *, int);
static void release(struct flow *);

void
on_login_start(struct client *client, struct proto_msg *msg)
{
	const struct proto_login_start *asked = &msg->login_start;
	struct broker *broker = client->broker;
	const struct platform *platform =
	    steps_platform(client, msg->rid, asked->platform);
	const struct store_credential *credential;
	struct login_start *login;
	char sentence[STEPS_SENTENCE_SIZE];

	if (!platform || !steps_username(client, msg->rid, asked->username))
		return;
	credential = accounts_credential(broker->accounts, platform);
	if (!credential) {
		steps_no_credentials(platform, sentence);
		client_fail(client, msg->rid, ERR_no_credentials, sentence);
		return;
	}
	logins_purge(&broker->accounts->logins, time_now_ms());
	if (logins_is_full(&broker->accounts->logins)) {
		client_fail(client, msg->rid, ERR_busy,
		    "Too many logins are waiting for their browser; finish them or "
		    "try again in some minutes");
		return;
	}
	login = xcalloc(1, sizeof(*login));
	flow_init(&login->flow, broker, client, msg->rid, "login_start",
	    STEPS_DEADLINE_MS, release);
	login->platform = platform;
	broker->accounts->logins.starting++;
	if (!make_login(login, asked, credential))
		flow_fail(&login->flow, ERR_busy,
		    "The redirect address is not known until the API listens; try "
		    "again in a second");
}

/* Fills in the login and goes on with it. False when there is no redirect address. */
static bool
make_login(struct login_start *login, const struct proto_login_start *asked,
    const struct store_credential *credential)
{
	const struct broker *broker = login->flow.broker;
	const struct platform *platform = login->platform;
	const struct config_platform *config =
	    &broker->config.platform[platform->index];
	struct store_login *row = &login->login;
	struct secret verifier = SECRET_NONE;
	char challenge[PKCE_CHALLENGE_SIZE];
	char uri[REDIRECT_SIZE];
	char kept[REDIRECT_SIZE];

	make_state(login);
	if (!redirect_uri(broker, platform, login->state, uri) ||
	    !redirect_uri(broker, platform, REDIRECT_STATE, kept))
		return false;
	row->platform = xstrdup(platform->name);
	row->username = xstrdup(asked->username);
	row->client_id = xstrdup(credential->client_id);
	row->redirect_uri = xstrdup(kept);
	row->scopes = credential->scopes ? xstrdup(credential->scopes)
					 : scopes_of_list(&config->default_scopes);
	row->adopt = asked->adopt;
	row->created_at = time_now_ms();
	row->expires_at =
	    row->created_at + (int64_t)broker->config.oauth.state_ttl_s * 1000;
	if (platform->pkce) {
		verifier = pkce_verifier();
		pkce_challenge(&verifier, challenge);
	}
	login->url = authorize_url(platform,
	    &(const struct authorize){
		.url = config->authorize_url,
		.client_id = row->client_id,
		.redirect_uri = uri,
		.scopes = row->scopes,
		.state = login->state,
		.challenge = platform->pkce ? challenge : NULL,
	    });
	wipe(uri, sizeof(uri));
	seal(login, &verifier);
	secret_clear(&verifier);
	return true;
}

static void
make_state(struct login_start *login)
{
	uint8_t bytes[STATE_RANDOM_SIZE];

	crypto_random(bytes, sizeof(bytes));
	base64url_encode(bytes, sizeof(bytes), login->state);
	wipe(bytes, sizeof(bytes));
	logins_hash(login->state, strlen(login->state), login->login.state_hash);
}

static void
seal(struct login_start *login, const struct secret *verifier)
{
	char *name;

	if (!verifier->length) {
		store(login);
		return;
	}
	flow_step(&login->flow, "seal");
	name = login_verifier_name(login->login.state_hash);
	steps_wait_vault(&login->flow,
	    vault_seal(login->flow.broker->vault, name, LOGIN_VERIFIER_GENERATION,
		verifier, on_sealed, login));
	free(name);
}

static void
on_sealed(void *arg, int result, const struct buf *sealed)
{
	struct login_start *login = arg;

	flow_resume(&login->flow);
	if (result < 0) {
		steps_fail_vault(&login->flow, result);
		return;
	}
	buf_add(&login->login.verifier_sealed, buf_bytes(sealed), buf_length(sealed));
	store(login);
}

static void
store(struct login_start *login)
{
	struct start_job *job = xcalloc(1, sizeof(*job));

	flow_step(&login->flow, "store");
	job->platform = login->platform;
	job->login = login->login;
	login->login = (struct store_login){ .platform = NULL };
	steps_submit(&login->flow, &job->steps, run, on_stored);
}

static int
run(struct store_job *job, struct db *db)
{
	return store_login_put(db, &((struct start_job *)job)->login);
}

/* For a message, which copies it. */
static struct secret
borrow(char *text)
{
	return (
	    struct secret){ .bytes = (unsigned char *)text, .length = strlen(text) };
}

static void
on_stored(struct store_job *store_job, int result)
{
	struct start_job *job = (struct start_job *)store_job;
	struct flow *flow = steps_done(&job->steps);
	struct login_start *login = (struct login_start *)flow;

	if (result == 0) {
		logins_add(&job->steps.broker->accounts->logins, job->login.state_hash,
		    job->platform, job->login.expires_at);
		broker_count(job->steps.broker, "login_started", 1);
		log_info("oauth", "login of '%s' at %s started",
		    log_quote(job->login.username), job->platform->name);
	}
	if (flow && result == 0)
		flow_answer(flow,
		    &(const struct proto_msg){
			.type = MSG_login_started,
			.login_started = {
				.auth_url = borrow(login->url),
				.state = borrow(login->state),
				.expires_at = (uint64_t)job->login.expires_at,
			},
		    });
	else if (flow)
		steps_fail_store(flow, result);
	store_login_clear(&job->login);
	free(job);
}

static void
release(struct flow *flow)
{
	struct login_start *login = (struct login_start *)flow;

	flow->broker->accounts->logins.starting--;
	wipe(login->state, sizeof(login->state));
	wipe_free(login->url);
	store_login_clear(&login->login);
	free(login);
}
