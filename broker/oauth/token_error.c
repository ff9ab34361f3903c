/*
 * Refusals of token endpoints. Pure; called by the logins and by the revocation.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "broker/oauth/platform.h"
#include "broker/oauth/reply_json.h"
#include "broker/oauth/token_error.h"

/* Longest member that is looked at, bytes. */
#define MEMBER_MAX 4096

const char *
refusal_name(enum refusal refusal)
{
	static const char *const names[REFUSAL_MAX] = { "transient", "terminal",
		"doubtful", "restart", "config", "flow", "defect" };

	return names[refusal];
}

/* Google's API has an object where others have a text. */
static const json_t *
inner_object(const json_t *json)
{
	const json_t *error = json_object_get(json, "error");

	return json_is_object(error) ? error : json;
}

void
token_error_read(const struct secret *body, struct token_error *ret_error)
{
	json_t *json = reply_json_read(body, true);
	const json_t *inner = inner_object(json);
	const char *text = reply_json_text(inner, "error_description", MEMBER_MAX);

	if (!text)
		text = reply_json_text(inner, "message", MEMBER_MAX);
	foreign_text(text, ret_error->description);
	foreign_text(reply_json_text(json, "error", MEMBER_MAX), ret_error->error);
	json_decref(json);
}

/* A description is for people: what it quotes or explains must not end a login. */
static bool
says(const struct platform *platform, const struct token_error *error, const char *text)
{
	if (!platform->refuses_in_words)
		return strcasecmp(error->error, text) == 0;
	return strcasestr(error->error, text) || strcasestr(error->description, text);
}

static bool
fits(const struct platform *platform, const struct platform_refusal *row,
    unsigned status, const struct token_error *error)
{
	if (row->status && row->status != status)
		return false;
	if (row->text && !*row->text)
		return !*error->error && !*error->description;
	return !row->text || says(platform, error, row->text);
}

enum refusal
token_error_judge(
    const struct platform *platform, unsigned status, const struct token_error *error)
{
	const struct platform_refusal *row;

	if (status >= 500 || status == 408 || status == 425 || status == 429)
		return REFUSAL_transient;
	if (status < 400)
		return REFUSAL_transient;
	for (row = platform->refusals; row->status || row->text; row++)
		if (fits(platform, row, status, error))
			return row->refusal;
	return REFUSAL_transient;
}

void
token_error_sentence(unsigned status, const struct token_error *error, char *out)
{
	const char *separator = *error->error && *error->description ? ": " : "";

	if (*error->error || *error->description)
		snprintf(out, TOKEN_ERROR_SENTENCE_SIZE, "%s%s%s (status %u)",
		    error->error, separator, error->description, status);
	else
		snprintf(out, TOKEN_ERROR_SENTENCE_SIZE, "status %u", status);
}
