/*
 * Answers in a device flow. Pure; called by device.c.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "broker/oauth/device_reply.h"
#include "broker/oauth/reply_json.h"
#include "broker/oauth/token_reply.h"
#include "common/alloc.h"
#include "common/config.h"

/* It is shown to a person, and may be handed to a browser: nothing but an address of
 * the web. */
static bool
is_address(const char *text)
{
	const char *at;

	for (at = text; *at; at++)
		if (*at <= ' ' || *at > '~' || *at == '"' || *at == '\'')
			return false;
	if (strncmp(text, "https://", 8) == 0)
		return text[8] != '\0';
	return strncmp(text, "http://", 7) == 0 && config_url_is_loopback(text);
}

static bool
is_code(const char *text)
{
	const char *at;

	for (at = text; *at; at++)
		if (*at <= ' ' || *at > '~')
			return false;
	return true;
}

/* Whole seconds within bounds; `usual` when it is absent or senseless. */
static int64_t
seconds(const json_t *member, int64_t usual, int64_t least, int64_t most)
{
	int64_t value;
	bool odd;

	if (!token_reply_lifetime(member, &value, &odd) || value == 0)
		value = usual;
	return value < least ? least : value > most ? most : value;
}

const char *
device_start_read(const struct secret *body, const struct platform_device *device,
    struct device_start *ret_start)
{
	json_t *json = reply_json_read(body, true);
	const char *code = reply_json_text(json, "device_code", DEVICE_CODE_MAX);
	const char *user = reply_json_text(json, "user_code", DEVICE_USER_CODE_MAX);
	const char *uri = reply_json_text(json, device->uri_member, DEVICE_URI_MAX);
	const char *what = NULL;

	if (!json)
		what = "the answer is no JSON object";
	else if (!code || !is_code(code))
		what = "the answer has no usable device code";
	else if (!user || !is_code(user))
		what = "the answer has no usable code for the person";
	else if (!uri || !is_address(uri))
		what = "the answer has no usable address for the person";
	else
		*ret_start = (struct device_start){
			.code = secret_copy(code, strlen(code)),
			.user_code = xstrdup(user),
			.uri = xstrdup(uri),
			.life_s = seconds(json_object_get(json, "expires_in"),
			    DEVICE_LIFE_S, 1, DEVICE_LIFE_MAX_S),
			.interval_s = (unsigned)seconds(
			    json_object_get(json, "interval"), DEVICE_INTERVAL_S,
			    DEVICE_INTERVAL_LEAST_S, DEVICE_INTERVAL_MAX_S),
		};
	json_decref(json);
	return what;
}

void
device_start_clear(struct device_start *start)
{
	secret_clear(&start->code);
	free(start->user_code);
	free(start->uri);
	*start = (struct device_start){ .code = SECRET_NONE };
}

/* RFC 8628 3.5 */
static const struct device_row codes[] = {
	{ "authorization_pending", NULL, DEVICE_pending },
	{ "slow_down", NULL, DEVICE_slow_down },
	{ "access_denied", NULL, DEVICE_denied },
	{ "expired_token", NULL, DEVICE_expired },
	{ NULL, NULL, DEVICE_refused },
};

static bool
fits(const struct device_row *row, const char *code, const char *description)
{
	if (row->code && strcasecmp(code, row->code) != 0)
		return false;
	return !row->words || strcasestr(description, row->words);
}

/* NULL when none fits. */
static const struct device_row *
find_row(const struct device_row *rows, const char *code, const char *description)
{
	const struct device_row *row;

	for (row = rows; row->code || row->words; row++)
		if (fits(row, code, description))
			return row;
	return NULL;
}

/* By the code and not by the status: Google says "pending" with 428 and "slow down"
 * with 403 (C.10). A description is for people, and decides only where the platform
 * sends nothing else, or where its own row says so. */
enum device_answer
device_judge(const struct platform_device *device, unsigned status,
    const struct token_error *error)
{
	const struct device_row *row = find_row(codes, error->error, "");

	if (!row)
		row = find_row(device->rows, error->error, error->description);
	if (row)
		return row->answer;
	/* Whoever says nothing stands in between: a proxy, a page of an edge server. */
	if (!*error->error && !*error->description)
		return DEVICE_transient;
	if (status >= 500 || status == 408 || status == 425 || status == 429)
		return DEVICE_transient;
	return DEVICE_refused;
}

unsigned
device_pause_s(unsigned interval_s, unsigned failures, unsigned asked_s)
{
	unsigned pause_s = interval_s;

	/* RFC 8628 3.5: back off exponentially when nothing is answered. */
	while (failures-- > 0 && pause_s < DEVICE_INTERVAL_MAX_S)
		pause_s *= 2;
	if (pause_s < asked_s)
		pause_s = asked_s;
	return pause_s > DEVICE_INTERVAL_MAX_S && pause_s > interval_s
	    ? DEVICE_INTERVAL_MAX_S
	    : pause_s;
}
