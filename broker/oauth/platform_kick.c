/*
 * Kick (facts/kick.md 1 and 5).
 */
#include <stdlib.h>

#include "broker/oauth/form.h"
#include "broker/oauth/platform.h"
#include "broker/oauth/reply_json.h"
#include "common/alloc.h"

/* 1.5, with its rules (a) to (e): a bare 401 or 403 is not taken for the end of a
 * grant. */
static const struct platform_refusal refusals[] = {
	{ 0, "invalid_grant", REFUSAL_terminal },
	{ 0, "invalid_client", REFUSAL_config },
	{ 0, "unauthorized_client", REFUSAL_config },
	{ 0, "invalid_scope", REFUSAL_config },
	{ 0, "access_denied", REFUSAL_terminal },
	{ 0, "unsupported_grant_type", REFUSAL_defect },
	{ 0, "unsupported_response_type", REFUSAL_defect },
	{ 0, "invalid_request", REFUSAL_defect },
	{ 400, "invalid request", REFUSAL_defect },
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
	platform_ask_get(
	    request, grant->config->api_url, "/users", "Bearer", grant->access);
}

/* The slug is the name in lower case with '-' for '_', except for old accounts; the
 * channel tells for certain but needs a scope of its own. */
static void
add_guessed_slug(struct identity *identity, const char *name)
{
	char *slug = xstrdup(name);
	char *at;

	for (at = slug; *at; at++)
		if (*at == '_')
			*at = '-';
	identity_add_name(identity, slug);
	free(slug);
}

static bool
users_hear(const struct platform_grant *grant, const struct secret *body,
    struct identity *identity)
{
	json_t *json = reply_json_read(body, false);
	const json_t *user = reply_json_first(json, "data");
	char *id = reply_json_id(user, "user_id", IDENTITY_ID_MAX);
	const char *name = reply_json_text(user, "name", IDENTITY_NAME_MAX);

	(void)grant;
	if (name) {
		identity_set(&identity->user_id, id);
		identity_set(&identity->display_name, name);
		identity_set(&identity->own_name, name);
		identity_add_name(identity, name);
		add_guessed_slug(identity, name);
	}
	free(id);
	json_decref(json);
	return name != NULL;
}

static bool
channels_needed(const struct identity *identity, bool life_known)
{
	(void)life_known;
	return !identity->login;
}

static void
channels_ask(const struct platform_grant *grant, struct platform_request *request)
{
	platform_ask_get(
	    request, grant->config->api_url, "/channels", "Bearer", grant->access);
}

static bool
channels_hear(const struct platform_grant *grant, const struct secret *body,
    struct identity *identity)
{
	json_t *json = reply_json_read(body, false);
	const json_t *channel = reply_json_first(json, "data");
	char *id = reply_json_id(channel, "broadcaster_user_id", IDENTITY_ID_MAX);
	const char *slug = reply_json_text(channel, "slug", IDENTITY_NAME_MAX);

	(void)grant;
	if (slug) {
		if (!identity->user_id)
			identity_set(&identity->user_id, id);
		if (!identity->own_name)
			identity_set(&identity->own_name, slug);
		identity_set(&identity->login, slug);
		identity_add_name(identity, slug);
	}
	free(id);
	json_decref(json);
	return slug != NULL;
}

static const struct platform_question questions[] = {
	{ "users", users_needed, users_ask, users_hear },
	{ "channels", channels_needed, channels_ask, channels_hear },
	{ .name = NULL },
};

/* 1.6: whether one kills the other is not known, so both, the refresh token first. */
static size_t
revocations(const struct tokens *tokens, const char *client_id,
    struct secret forms[PLATFORM_REVOCATIONS_MAX])
{
	const struct secret *const order[] = { &tokens->refresh, &tokens->access };
	static const char *const hints[] = { "refresh_token", "access_token" };
	size_t count = 0;
	size_t i;

	(void)client_id;
	for (i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		struct buf form;

		if (!order[i]->length)
			continue;
		form = form_new();
		form_add_secret(&form, "token", order[i]);
		form_add(&form, "token_hint_type", hints[i]);
		forms[count++] = form_take(&form);
	}
	return count;
}

const struct platform platform_kick = {
	.name = "kick",
	.title = "Kick",
	.index = CONFIG_PLATFORM_KICK,
	.pkce = true,
	.issuer = "https://id.kick.com",
	.assumed_life_s = 7200,
	.authorize = (const struct platform_pair[]){ { NULL, NULL } },
	.refusals = refusals,
	.questions = questions,
	.revocations = revocations,
};
