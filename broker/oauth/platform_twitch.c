/*
 * Twitch (facts/twitch-google-standards.md, A).
 */
#include <stdlib.h>
#include <string.h>

#include "broker/oauth/form.h"
#include "broker/oauth/platform.h"
#include "broker/oauth/reply_json.h"
#include "broker/oauth/token_reply.h"

/* Without it Twitch does not ask somebody who agreed before, and no second account
 * could ever be chosen (A.3). */
static const struct platform_pair authorize[] = {
	{ "force_verify", "true" },
	{ NULL, NULL },
};

/* A.11; texts are compared as parts and without case. */
static const struct platform_refusal refusals[] = {
	{ 0, "authorization_pending", REFUSAL_flow },
	{ 0, "slow_down", REFUSAL_flow },
	{ 0, "invalid client", REFUSAL_config }, /* and "invalid client secret" */
	{ 0, "client does not exist", REFUSAL_config },
	{ 0, "missing client", REFUSAL_config },
	{ 0, "does not match registered", REFUSAL_config },
	{ 0, "invalid scope", REFUSAL_config },
	{ 0, "invalid authorization code", REFUSAL_restart },
	{ 0, "device_code", REFUSAL_defect },
	{ 0, "invalid device code", REFUSAL_restart },
	{ 0, "invalid refresh token", REFUSAL_terminal },
	{ 0, "invalid grant", REFUSAL_terminal },
	{ 0, "missing ", REFUSAL_defect },
	{ 401, NULL, REFUSAL_terminal },
	{ 0, NULL, REFUSAL_transient },
};

static bool
users_needed(const struct identity *identity, bool life_known)
{
	(void)life_known;
	return !identity_is_known(identity);
}

static void
users_ask(const struct platform_grant *grant, struct platform_request *request)
{
	struct secret id = secret_copy(grant->client_id, strlen(grant->client_id));

	platform_ask_get(
	    request, grant->config->api_url, "/users", "Bearer", grant->access);
	fetch_request_header(&request->fetch, "Client-Id", NULL, &id);
	secret_clear(&id);
}

static void
take_user(struct identity *identity, const char *id, const char *login)
{
	identity_set(&identity->user_id, id);
	identity_set(&identity->login, login);
	identity_set(&identity->own_name, login);
	identity_add_name(identity, login);
}

static bool
users_hear(const struct platform_grant *grant, const struct secret *body,
    struct identity *identity)
{
	json_t *json = reply_json_read(body, false);
	const json_t *user = reply_json_first(json, "data");
	const char *id = reply_json_text(user, "id", IDENTITY_ID_MAX);
	const char *login = reply_json_text(user, "login", IDENTITY_NAME_MAX);

	(void)grant;
	if (id && login) {
		take_user(identity, id, login);
		identity_set(&identity->display_name,
		    reply_json_text(user, "display_name", IDENTITY_NAME_MAX));
	}
	json_decref(json);
	return id && login;
}

static bool
validate_needed(const struct identity *identity, bool life_known)
{
	return !identity_is_known(identity) || !life_known;
}

static void
validate_ask(const struct platform_grant *grant, struct platform_request *request)
{
	platform_ask_get(
	    request, grant->config->validate_url, "", "OAuth", grant->access);
}

/* A.8: 0 is the life of old tokens that do not expire. */
static bool
validate_hear(const struct platform_grant *grant, const struct secret *body,
    struct identity *identity)
{
	json_t *json = reply_json_read(body, true);
	const char *client = reply_json_text(json, "client_id", IDENTITY_NAME_MAX);
	const char *id = reply_json_text(json, "user_id", IDENTITY_ID_MAX);
	const char *login = reply_json_text(json, "login", IDENTITY_NAME_MAX);
	bool good = client && strcmp(client, grant->client_id) == 0 && id && login;
	bool odd;

	if (good) {
		take_user(identity, id, login);
		identity->life_known = token_reply_lifetime(
		    json_object_get(json, "expires_in"), &identity->life_s, &odd);
		if (identity->life_known && identity->life_s == 0)
			identity->life_s = TOKEN_LIFE_MAX_S;
	}
	json_decref(json);
	return good;
}

/* A.8: asked at start and every hour for every token kept, as Twitch demands. An app
 * token has neither user nor login. */
static enum check_verdict
check_hear(const struct platform_grant *grant, unsigned status,
    const struct secret *body, struct identity *identity)
{
	enum check_verdict verdict = CHECK_unclear;
	const char *client;
	json_t *json;

	if (status == 401)
		return CHECK_refused;
	if (status != 200)
		return CHECK_unclear;
	json = reply_json_read(body, true);
	client = reply_json_text(json, "client_id", IDENTITY_NAME_MAX);
	if (client && strcmp(client, grant->client_id) != 0)
		verdict = CHECK_other_client;
	else if (client)
		verdict = CHECK_good;
	if (verdict == CHECK_good)
		(void)validate_hear(grant, body, identity);
	json_decref(json);
	return verdict;
}

static const struct platform_check check = {
	.name = "validate",
	.interval_s = 3600,
	.at_start = true,
	.tells_name = true,
	.ask = validate_ask,
	.hear = check_hear,
};

static const struct platform_question questions[] = {
	{ "users", users_needed, users_ask, users_hear },
	{ "validate", validate_needed, validate_ask, validate_hear },
	{ .name = NULL },
};

/* A.9: the access token, with the client id. The refresh token cannot be revoked. */
static size_t
revocations(const struct tokens *tokens, const char *client_id,
    struct secret forms[PLATFORM_REVOCATIONS_MAX])
{
	struct buf form;

	if (!tokens->access.length)
		return 0;
	form = form_new();
	form_add(&form, "client_id", client_id);
	form_add_secret(&form, "token", &tokens->access);
	forms[0] = form_take(&form);
	return 1;
}

/* A.7, A.11: there are no codes, everything is a part of `message`. How a denial reads
 * is not documented. */
static const struct device_row device_rows[] = {
	{ NULL, "authorization_pending", DEVICE_pending },
	{ NULL, "slow_down", DEVICE_slow_down },
	{ NULL, "denied", DEVICE_denied },
	{ NULL, "expired", DEVICE_expired },
	{ NULL, "invalid device code", DEVICE_unknown },
	{ NULL, NULL, DEVICE_refused },
};

static const struct platform_device device = {
	.scope_field = "scopes",
	.uri_member = "verification_uri",
	.scope_in_poll = true,
	.rows = device_rows,
	.client_kind = "one of Twitch's developer console",
};

/* B.7 and B.8. Who is behind a token is told for every token, without a scope. No part
 * of this program writes into the chat there by itself. */
static const struct platform_need needs[] = {
	{ "channel:manage:broadcast", PART_none,
	    "title and category of the channel of @ cannot be changed" },
	{ "channel:read:subscriptions", PART_none,
	    "subs of the channel of @ cannot be read" },
	{ "bits:read", PART_none, "cheers in the channel of @ cannot be read" },
	{ "chat:read", PART_none, "chat cannot be read over IRC as @" },
	{ "chat:edit", PART_none, "chat messages cannot be sent over IRC as @" },
	{ "user:read:chat", PART_none, "chat cannot be read as @" },
	{ "user:write:chat", PART_none, "chat messages cannot be sent as @" },
	{ "moderator:read:followers", PART_none,
	    "follows of the channel of @ cannot be read" },
	{ "channel:read:redemptions channel:manage:redemptions", PART_none,
	    "reward redemptions in the channel of @ cannot be read" },
	{ "channel:manage:redemptions", PART_none,
	    "channel rewards of @ cannot be changed, nor redemptions accepted" },
	{ NULL, PART_none, NULL },
};

const struct platform platform_twitch = {
	.name = "twitch",
	.title = "Twitch",
	.index = CONFIG_PLATFORM_TWITCH,
	.pkce = false,
	.issuer = "https://id.twitch.tv/oauth2",
	.assumed_life_s = 3600,
	.authorize = authorize,
	.refusals = refusals,
	.refuses_in_words = true,
	.questions = questions,
	.device = &device,
	.check = &check,
	.needs = needs,
	.app_tokens = true,
	.revocations = revocations,
};
