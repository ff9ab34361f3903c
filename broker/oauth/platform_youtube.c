/*
 * YouTube, whose tokens are Google's (facts/twitch-google-standards.md, C).
 */
#include <string.h>

#include "broker/oauth/form.h"
#include "broker/oauth/platform.h"
#include "broker/oauth/reply_json.h"
#include "broker/oauth/token_reply.h"

/* Without both there is no refresh token from a client of the web type after the first
 * consent (C.3). */
static const struct platform_pair authorize[] = {
	{ "access_type", "offline" },
	{ "prompt", "consent" },
	{ NULL, NULL },
};

/* C.8. invalid_grant during an exchange speaks of the code, and then means the same
 * for the person: log in again. */
static const struct platform_refusal refusals[] = {
	{ 0, "authorization_pending", REFUSAL_flow },
	{ 0, "slow_down", REFUSAL_flow },
	{ 0, "invalid_grant", REFUSAL_terminal },
	{ 0, "invalid_client", REFUSAL_config },
	{ 0, "unauthorized_client", REFUSAL_config },
	{ 0, "deleted_client", REFUSAL_config },
	{ 0, "redirect_uri_mismatch", REFUSAL_config },
	{ 0, "admin_policy_enforced", REFUSAL_terminal },
	{ 0, "org_internal", REFUSAL_terminal },
	{ 0, "access_denied", REFUSAL_terminal },
	{ 0, "expired_token", REFUSAL_restart },
	{ 0, "invalid_request", REFUSAL_defect },
	{ 0, "unsupported_grant_type", REFUSAL_defect },
	{ 0, "invalid_scope", REFUSAL_defect },
	{ 0, NULL, REFUSAL_transient },
};

static bool
channels_needed(const struct identity *identity, bool life_known)
{
	(void)life_known;
	return !identity_is_known(identity);
}

static void
channels_ask(const struct platform_grant *grant, struct platform_request *request)
{
	platform_ask_get(request, grant->config->api_url,
	    "/channels?part=id,snippet&mine=true", "Bearer", grant->access);
}

/* The channel, not the Google account: one account may own several (C.11). */
static bool
channels_hear(const struct platform_grant *grant, const struct secret *body,
    struct identity *identity)
{
	json_t *json = reply_json_read(body, false);
	const json_t *channel = reply_json_first(json, "items");
	const json_t *snippet = json_object_get(channel, "snippet");
	const char *id = reply_json_text(channel, "id", IDENTITY_ID_MAX);
	const char *title = reply_json_text(snippet, "title", IDENTITY_NAME_MAX);
	const char *handle = reply_json_text(snippet, "customUrl", IDENTITY_NAME_MAX);

	(void)grant;
	if (id) {
		identity_set(&identity->user_id, id);
		identity_set(&identity->login, handle);
		identity_set(&identity->display_name, title);
		identity_set(&identity->own_name, title);
		identity_add_name(identity, id);
		identity_add_name(identity, title);
		identity_add_name(identity, handle);
	}
	if (id && handle && handle[0] == '@' && handle[1]) {
		identity_set(&identity->own_name, handle + 1);
		identity_add_name(identity, handle + 1);
	}
	json_decref(json);
	return id != NULL;
}

static bool
info_needed(const struct identity *identity, bool life_known)
{
	(void)identity;
	return !life_known;
}

/* By POST, so that the token is in no address (C.7). */
static void
info_ask(const struct platform_grant *grant, struct platform_request *request)
{
	request->fetch = (struct fetch_request){
		.method = "POST",
		.url = grant->config->validate_url,
		.body = platform_form_of_one("access_token", grant->access),
	};
}

static bool
info_hear(const struct platform_grant *grant, const struct secret *body,
    struct identity *identity)
{
	json_t *json = reply_json_read(body, true);
	const char *audience = reply_json_text(json, "aud", IDENTITY_NAME_MAX);
	bool good = audience && strcmp(audience, grant->client_id) == 0;
	bool odd;

	if (good)
		identity->life_known = token_reply_lifetime(
		    json_object_get(json, "expires_in"), &identity->life_s, &odd);
	json_decref(json);
	return good;
}

/* Whether the answer names another client than ours. */
static bool
info_is_foreign(const struct platform_grant *grant, const struct secret *body)
{
	json_t *json = reply_json_read(body, true);
	const char *audience = reply_json_text(json, "aud", IDENTITY_NAME_MAX);
	bool foreign = audience && strcmp(audience, grant->client_id) != 0;

	json_decref(json);
	return foreign;
}

/* C.7: 400 with invalid_token, or in the older form with the description alone. */
static enum check_verdict
info_check(const struct platform_grant *grant, unsigned status,
    const struct secret *body, struct identity *identity)
{
	struct token_error error;

	if (status == 200) {
		if (info_hear(grant, body, identity))
			return CHECK_good;
		return info_is_foreign(grant, body) ? CHECK_other_client
						    : CHECK_unclear;
	}
	token_error_read(body, &error);
	if (status == 400 &&
	    (strcmp(error.error, "invalid_token") == 0 ||
		strcmp(error.description, "Invalid Value") == 0))
		return CHECK_refused;
	return CHECK_unclear;
}

static const struct platform_check check = {
	.name = "tokeninfo",
	.interval_s = 86400,
	.ask = info_ask,
	.hear = info_check,
};

static const struct platform_question questions[] = {
	{ "channels", channels_needed, channels_ask, channels_hear },
	{ "tokeninfo", info_needed, info_ask, info_hear },
	{ .name = NULL },
};

/* C.6: one is enough, either kills both. */
static size_t
revocations(const struct tokens *tokens, const char *client_id,
    struct secret forms[PLATFORM_REVOCATIONS_MAX])
{
	const struct secret *token =
	    tokens->refresh.length ? &tokens->refresh : &tokens->access;

	(void)client_id;
	if (!token->length)
		return 0;
	forms[0] = platform_form_of_one("token", token);
	return 1;
}

/* C.10. invalid_client is a wrong id or secret, and a client of another type: only the
 * description tells which. */
static const struct device_row device_rows[] = {
	{ "invalid_grant", NULL, DEVICE_expired },
	{ "invalid_client", "client type", DEVICE_unsupported },
	{ NULL, NULL, DEVICE_refused },
};

static const struct platform_device device = {
	.scope_field = "scope",
	.uri_member = "verification_url",
	.secret_in_poll = true,
	.scopes = "https://www.googleapis.com/auth/youtube "
		  "https://www.googleapis.com/auth/youtube.readonly",
	.rows = device_rows,
	.client_kind = "of the type \"TVs and Limited Input devices\"",
};

#define SCOPE(name) "https://www.googleapis.com/auth/" name

/* C.11 and C.13. Some scopes include others. */
static const struct platform_need needs[] = {
	{ SCOPE("youtube") " " SCOPE("youtube.readonly") " " SCOPE("youtube.force-ssl"),
	    PART_identity, "which channel logged in as @ cannot be looked up" },
	{ SCOPE("youtube") " " SCOPE("youtube.force-ssl"), PART_none,
	    "the channel and the broadcasts of @ cannot be changed" },
	{ SCOPE("youtube.force-ssl") " " SCOPE("youtube"), PART_none,
	    "chat messages cannot be sent as @" },
	{ SCOPE("youtube.upload") " " SCOPE("youtube") " " SCOPE("youtube.force-ssl"),
	    PART_none, "videos cannot be uploaded as @" },
	{ SCOPE("youtube.channel-memberships.creator"), PART_none,
	    "members of the channel of @ cannot be read" },
	{ NULL, PART_none, NULL },
};

const struct platform platform_youtube = {
	.name = "youtube",
	.title = "YouTube",
	.index = CONFIG_PLATFORM_YOUTUBE,
	.pkce = true,
	.issuer = "https://accounts.google.com",
	.assumed_life_s = 3600,
	.authorize = authorize,
	.refusals = refusals,
	.questions = questions,
	.device = &device,
	.takes_previous = true, /* C.5: not rotated, so never refused for reuse */
	.keeps_refresh = true,
	.check = &check,
	.needs = needs,
	.revokes_widely = true, /* C.6: the whole project */
	.end_hint =
	    "Google ends logins after 7 days while the consent screen of the "
	    "project is in testing: publish it in the Google Cloud console", /* C.9 */
	.revocations = revocations,
};
