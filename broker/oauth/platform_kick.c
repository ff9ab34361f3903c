/*
 * Kick (facts/kick.md 1 and 5).
 */
#include <stdlib.h>
#include <string.h>

#include "broker/oauth/form.h"
#include "broker/oauth/platform.h"
#include "broker/oauth/reply_json.h"
#include "broker/oauth/token_reply.h"
#include "common/alloc.h"
#include "common/time.h"

/* 1.5, with its rules (a) to (e): only invalid_grant ends a grant, and only
 * invalid_client says that client id or secret are wrong. A bare 401 does not end a
 * grant at once. Any other 4xx (unauthorized_client, invalid_scope, access_denied) is
 * rule (c): the tokens are kept and tried again after a back-off. */
static const struct platform_refusal refusals[] = {
	{ 0, "invalid_grant", REFUSAL_terminal },
	{ 0, "invalid_client", REFUSAL_config },
	{ 0, "unsupported_grant_type", REFUSAL_defect },
	{ 0, "unsupported_response_type", REFUSAL_defect },
	{ 0, "invalid_request", REFUSAL_defect },
	{ 400, "invalid request", REFUSAL_defect },
	{ 401, "", REFUSAL_doubtful }, /* rule (e) */
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

static bool
introspect_needed(const struct identity *identity, bool life_known)
{
	(void)identity;
	return !life_known;
}

/* 1.7: by POST without a body, the token in the header. */
static void
introspect_ask(const struct platform_grant *grant, struct platform_request *request)
{
	platform_ask_get(
	    request, grant->config->introspect_url, "", "Bearer", grant->access);
	request->fetch.method = "POST";
}

/* `exp` is a point in time. One that is past or absurd says nothing. */
static void
read_life(const json_t *data, struct identity *identity)
{
	const json_t *exp = json_object_get(data, "exp");
	int64_t life = json_integer_value(exp) - time_now_ms() / 1000;

	if (!json_is_integer(exp) || life <= 0 || life > TOKEN_LIFE_MAX_S)
		return;
	identity->life_known = true;
	identity->life_s = life;
}

/* 1.7: an inactive token is `active` false or 401. */
static enum check_verdict
introspect_check(const struct platform_grant *grant, unsigned status,
    const struct secret *body, struct identity *identity)
{
	enum check_verdict verdict = CHECK_unclear;
	const json_t *active;
	const json_t *data;
	const char *client;
	json_t *json;

	if (status == 401)
		return CHECK_refused;
	if (status != 200)
		return CHECK_unclear;
	json = reply_json_read(body, false);
	data = json_object_get(json, "data");
	active = json_object_get(data, "active");
	client = reply_json_text(data, "client_id", IDENTITY_NAME_MAX);
	if (json_is_false(active))
		verdict = CHECK_refused;
	else if (json_is_true(active) && client &&
	    strcmp(client, grant->client_id) != 0)
		verdict = CHECK_other_client;
	else if (json_is_true(active))
		verdict = CHECK_good;
	if (verdict == CHECK_good)
		read_life(data, identity);
	json_decref(json);
	return verdict;
}

static bool
introspect_hear(const struct platform_grant *grant, const struct secret *body,
    struct identity *identity)
{
	return introspect_check(grant, 200, body, identity) == CHECK_good &&
	    identity->life_known;
}

static const struct platform_check check = {
	.name = "introspect",
	.interval_s = 86400,
	.ask = introspect_ask,
	.hear = introspect_check,
};

static const struct platform_question questions[] = {
	{ "users", users_needed, users_ask, users_hear },
	{ "channels", channels_needed, channels_ask, channels_hear },
	{ "introspect", introspect_needed, introspect_ask, introspect_hear },
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

/* 1.8 and the sections 4 and 5, which say what each call needs. */
static const struct platform_need needs[] = {
	{ "user:read", PART_identity,
	    "who logged in as @ cannot be looked up, and a new name goes unnoticed" },
	{ "events:subscribe", PART_events, "* of @ will not arrive" },
	{ "chat:write", PART_chat, "chat messages cannot be sent as @" },
	{ "channel:read", PART_none, "the channel of @ cannot be read" },
	{ "channel:write", PART_none,
	    "title and category of the channel of @ cannot be changed" },
	{ "kicks:read", PART_none, "the KICKs leaderboard of @ cannot be read" },
	{ "channel:rewards:read channel:rewards:write", PART_none,
	    "channel rewards and redemptions of @ cannot be read" },
	{ "channel:rewards:write", PART_none,
	    "channel rewards of @ cannot be changed, nor redemptions accepted" },
	{ "moderation:ban", PART_none, "nobody can be banned or timed out as @" },
	{ "moderation:chat_message:manage", PART_none,
	    "chat messages cannot be deleted as @" },
	{ "streamkey:read", PART_none, "the stream key of @ cannot be read" },
	{ NULL, PART_none, NULL },
};

/* 3.5 */
static const struct platform_pair event_words[] = {
	{ "chat.message.sent", "chat messages" },
	{ "channel.followed", "follows" },
	{ "channel.subscription.new", "subs" },
	{ "channel.subscription.renewal", "resubs" },
	{ "channel.subscription.gifts", "gifted subs" },
	{ "channel.reward.redemption.updated", "reward redemptions" },
	{ "livestream.status.updated", "stream starts and ends" },
	{ "livestream.metadata.updated", "changes of title and category" },
	{ "moderation.banned", "bans" },
	{ "kicks.gifted", "gifted KICKs" },
	{ NULL, NULL },
};

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
	.takes_previous = true, /* 1.4: since November 2025 */
	.check = &check,
	.needs = needs,
	.event_words = event_words,
	.app_tokens = true,
	.revocations = revocations,
};
