/*
 * device_login, a login without a browser here (RFC 8628):
 *
 *   start    the platform gives out a code for us and one for the person, who is told
 *            by the row device_started
 *   pause    for the interval that the platform wants
 *   load     the client secret, where polls need it, anew for each
 *   unseal
 *   poll     for tokens, until the person has decided or the code is too old
 *
 * and further in login_identify.c and login_store.c, like every login. The flow ends
 * with its client, except while a poll is under way, which may bring the tokens.
 */
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "broker/dispatch.h"
#include "broker/oauth/accounts.h"
#include "broker/oauth/device.h"
#include "broker/oauth/form.h"
#include "broker/oauth/login_finish.h"
#include "broker/oauth/sealed.h"
#include "broker/oauth/oauth.h"
#include "broker/oauth/scopes.h"
#include "broker/oauth/steps.h"
#include "common/alloc.h"
#include "common/log.h"
#include "common/time.h"

#define GRANT "urn:ietf:params:oauth:grant-type:device_code"

/* "invalid device code" in a row before it is believed: Twitch has said it while the
 * person was still deciding (A.7). */
#define UNKNOWN_MAX 3

#define DEADLINE_MS (DEVICE_LIFE_MAX_S * 1000 + STEPS_LOGIN_DEADLINE_MS)

struct device {
	const struct platform_device *platform;
	struct device_start start;
	char *scopes;      /* that are asked for: what the device flow takes of them */
	int64_t until;     /* boot-time ms */
	unsigned unknown;  /* polls in a row of which the platform knew no code */
	unsigned failures; /* polls in a row without an answer */
	struct event *timer;
};

static bool check(struct client *, uint32_t, const struct platform *);
static char *scopes_of_device(const struct platform_device *, const char *);
static void start(struct login_finish *);
static void on_started(void *, struct fetch_reply *);
static void refuse_start(struct login_finish *, const struct fetch_reply *);
static void tell_person(struct login_finish *);
static void pause_poll(struct login_finish *, unsigned);
static void on_pause(evutil_socket_t, short, void *);
static void on_client(struct flow *, const struct sealed *);
static void poll(struct login_finish *);
static void on_polled(void *, struct fetch_reply *);
static void judge(struct login_finish *, const struct fetch_reply *);
static void take_tokens(struct login_finish *, struct fetch_reply *);

void
on_device_login(struct client *client, struct proto_msg *msg)
{
	const struct proto_device_login *asked = &msg->device_login;
	struct broker *broker = client->broker;
	const struct platform *platform =
	    steps_platform(client, msg->rid, asked->platform);
	const struct store_credential *credential;
	struct login_finish *login;
	struct store_login *row;

	if (!platform || !steps_username(client, msg->rid, asked->username) ||
	    !check(client, msg->rid, platform))
		return;
	credential = accounts_credential(broker->accounts, platform);
	login =
	    login_new(broker, client, msg->rid, "device_login", DEADLINE_MS, platform);
	row = &login->login;
	row->platform = xstrdup(platform->name);
	row->username = xstrdup(asked->username);
	row->client_id = xstrdup(credential->client_id);
	row->redirect_uri = xstrdup("");
	row->scopes = credential->scopes
	    ? xstrdup(credential->scopes)
	    : scopes_of_list(&broker->config.platform[platform->index].default_scopes);
	row->adopt = asked->adopt;
	login->device = xcalloc(1, sizeof(*login->device));
	login->device->platform = platform->device;
	login->device->scopes = scopes_of_device(platform->device, row->scopes);
	start(login);
}

static bool
check(struct client *client, uint32_t rid, const struct platform *platform)
{
	char sentence[STEPS_SENTENCE_SIZE];

	if (!platform->device ||
	    !client->broker->config.platform[platform->index].device_url) {
		snprintf(sentence, sizeof(sentence),
		    "%s has no login by a code on another device; type the address "
		    "back instead",
		    platform->title);
		client_fail(client, rid, ERR_no_device_flow, sentence);
		return false;
	}
	if (!accounts_credential(client->broker->accounts, platform)) {
		steps_no_credentials(platform, sentence);
		client_fail(client, rid, ERR_no_credentials, sentence);
		return false;
	}
	return true;
}

void
device_free(struct device *device)
{
	if (!device)
		return;
	device_start_clear(&device->start);
	free(device->scopes);
	if (device->timer)
		event_free(device->timer);
	free(device);
}

/* Those of the wanted scopes that the device flow takes. */
static char *
scopes_of_device(const struct platform_device *platform, const char *wanted)
{
	char *refused;
	char *taken;

	if (!platform->scopes)
		return xstrdup(wanted);
	refused = scopes_missing(wanted, platform->scopes);
	taken = scopes_missing(wanted, refused);
	free(refused);
	return taken;
}

static void
start(struct login_finish *login)
{
	struct broker *broker = login->flow.broker;
	const struct config_platform *config =
	    &broker->config.platform[login->platform->index];
	struct fetch_request request = {
		.method = "POST", .url = config->device_url, .ca_file = config->ca_file
	};
	struct buf form = form_new();

	flow_step(&login->flow, "start");
	form_add(&form, "client_id", login->login.client_id);
	form_add(&form, login->device->platform->scope_field, login->device->scopes);
	request.body = form_take(&form);
	steps_wait_fetch(
	    &login->flow, fetch_start(broker->fetcher, &request, on_started, login));
}

static void
on_started(void *arg, struct fetch_reply *reply)
{
	struct login_finish *login = arg;
	struct device *device = login->device;
	const char *what;

	flow_resume(&login->flow);
	if (reply->result != FETCH_answered) {
		login_fail(login, ERR_exchange_failed, "%s gave out no code: %s",
		    login->platform->title, reply->problem);
		return;
	}
	if (reply->status != 200) {
		refuse_start(login, reply);
		return;
	}
	what = device_start_read(&reply->body, device->platform, &device->start);
	if (what) {
		login_fail(login, ERR_exchange_failed, "%s gave out no code: %s",
		    login->platform->title, what);
		return;
	}
	tell_person(login);
}

static void
refuse_start(struct login_finish *login, const struct fetch_reply *reply)
{
	const struct platform_device *platform = login->device->platform;
	struct token_error error;
	char sentence[TOKEN_ERROR_SENTENCE_SIZE];

	token_error_read(&reply->body, &error);
	token_error_sentence(reply->status, &error, sentence);
	if (device_judge(platform, reply->status, &error) == DEVICE_unsupported)
		login_fail(login, ERR_no_device_flow,
		    "%s takes no login by a code from this client: it must be %s "
		    "(%s). Type the address back instead.",
		    login->platform->title, platform->client_kind, sentence);
	else
		login_fail(login, ERR_exchange_failed, "%s gave out no code: %s",
		    login->platform->title, sentence);
}

static void
tell_person(struct login_finish *login)
{
	struct device *device = login->device;
	const struct device_start *given = &device->start;

	device->until = time_boot_ms() + given->life_s * 1000;
	broker_count(login->flow.broker, "login_started", 1);
	log_info("oauth", "login of '%s' at %s started, by a code",
	    log_quote(login->login.username), login->platform->name);
	flow_row(&login->flow,
	    &(const struct proto_msg){
		.type = MSG_device_started,
		.device_started = {
			.uri = given->uri,
			.user_code = given->user_code,
			.expires_at = (uint64_t)(time_now_ms() + given->life_s * 1000),
		},
	    });
	pause_poll(login, given->interval_s);
}

/* ---- Polling ---- */

static void
cancel_pause(void *arg)
{
	struct device *device = arg;

	event_del(device->timer);
}

static void
pause_poll(struct login_finish *login, unsigned pause_s)
{
	struct device *device = login->device;
	const struct timeval pause = { .tv_sec = pause_s };

	flow_step(&login->flow, "pause");
	login->flow.outlives_client = false;
	if (!device->timer)
		device->timer =
		    event_new(login->flow.broker->base, -1, 0, on_pause, login);
	if (!device->timer)
		abort();
	event_add(device->timer, &pause);
	flow_wait(&login->flow, cancel_pause, device);
}

static void
on_pause(evutil_socket_t fd, short what, void *arg)
{
	struct login_finish *login = arg;

	(void)fd;
	(void)what;
	flow_resume(&login->flow);
	if (time_boot_ms() >= login->device->until)
		login_fail(login, ERR_login_denied,
		    "The code was not used at %s in time; start the login again",
		    login->platform->title);
	else if (login->device->platform->secret_in_poll)
		sealed_open(
		    &login->flow, accounts_client_name(login->platform), on_client);
	else
		poll(login);
}

static void
on_client(struct flow *flow, const struct sealed *sealed)
{
	struct login_finish *login = (struct login_finish *)flow;

	if (sealed->end == SEALED_absent) {
		login_fail(login, ERR_exchange_failed,
		    "The credentials of %s were removed after the login was started",
		    login->platform->title);
	} else if (sealed->end != SEALED_opened) {
		sealed_fail(flow, sealed);
	} else {
		login->client_secret = secret_move(sealed->plain);
		poll(login);
	}
}

static void
poll(struct login_finish *login)
{
	struct broker *broker = login->flow.broker;
	const struct device *device = login->device;
	const struct config_platform *config =
	    &broker->config.platform[login->platform->index];
	struct fetch_request request = {
		.method = "POST", .url = config->token_url, .ca_file = config->ca_file
	};
	struct buf form = form_new();

	flow_step(&login->flow, "poll");
	login->flow.outlives_client = true;
	form_add(&form, "client_id", login->login.client_id);
	if (login->client_secret.length)
		form_add_secret(&form, "client_secret", &login->client_secret);
	if (device->platform->scope_in_poll)
		form_add(&form, device->platform->scope_field, device->scopes);
	form_add_secret(&form, "device_code", &device->start.code);
	form_add(&form, "grant_type", GRANT);
	request.body = form_take(&form);
	secret_clear(&login->client_secret);
	steps_wait_fetch(
	    &login->flow, fetch_start(broker->fetcher, &request, on_polled, login));
}

static void
on_polled(void *arg, struct fetch_reply *reply)
{
	struct login_finish *login = arg;

	flow_resume(&login->flow);
	if (reply->result == FETCH_answered && reply->status == 200)
		take_tokens(login, reply);
	else if (!login->flow.client)
		flow_fail(&login->flow, ERR_outcome_unknown, NULL);
	else
		judge(login, reply);
}

static void
judge(struct login_finish *login, const struct fetch_reply *reply)
{
	struct device *device = login->device;
	enum device_answer answer = DEVICE_transient;
	struct token_error error = { .error = "" };
	char sentence[TOKEN_ERROR_SENTENCE_SIZE];

	if (reply->result == FETCH_answered) {
		token_error_read(&reply->body, &error);
		answer = device_judge(device->platform, reply->status, &error);
	}
	token_error_sentence(reply->status, &error, sentence);
	device->failures = answer == DEVICE_transient ? device->failures + 1 : 0;
	device->unknown = answer == DEVICE_unknown ? device->unknown + 1 : 0;
	if (answer == DEVICE_slow_down)
		device->start.interval_s += DEVICE_SLOWER_S;
	if (answer == DEVICE_unknown && device->unknown > UNKNOWN_MAX)
		answer = DEVICE_expired;
	if (answer == DEVICE_denied)
		login_fail(login, ERR_login_denied, "%s reported: %s",
		    login->platform->title, sentence);
	else if (answer == DEVICE_expired)
		login_fail(login, ERR_login_denied,
		    "The code is too old or was used already (%s: %s); start the "
		    "login again",
		    login->platform->title, sentence);
	else if (answer == DEVICE_refused || answer == DEVICE_unsupported)
		login_fail(login, ERR_exchange_failed,
		    "%s refused the code: %s. Check client id and client secret.",
		    login->platform->title, sentence);
	else
		pause_poll(login,
		    device_pause_s(device->start.interval_s, device->failures,
			reply->retry_after_s));
}

/* From here on it is a login like any other. */
static void
take_tokens(struct login_finish *login, struct fetch_reply *reply)
{
	const char *what;

	login->began = time_boot_ms();
	login->asked_at = reply->started_at;
	login->skew_ms = reply->has_date ? reply->skew_ms : 0;
	if (token_reply_read(&reply->body, &login->reply, &what) < 0) {
		login_fail(login, ERR_exchange_failed,
		    "%s did not hand out tokens: %s. Start the login again.",
		    login->platform->title, what);
		return;
	}
	if (!login->reply.scopes_known) {
		/* RFC 6749 5.1: then they are those that were asked for. */
		free(login->reply.scopes);
		login->reply.scopes = xstrdup(login->device->scopes);
		login->reply.scopes_known = true;
	}
	login_identify(login);
}
