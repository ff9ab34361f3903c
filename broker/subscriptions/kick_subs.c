/*
 * Kick's API of event subscriptions. Called by sub_pass.c, which sends the requests.
 *
 * The traps of it (facts/kick.md 4): the list says `event` and `id` where creating says
 * `name` and `subscription_id`; a refusal of one event comes under status 200; the
 * limit is a 400 with a text; nothing has an error code.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/oauth/form.h"
#include "broker/oauth/reply_json.h"
#include "broker/subscriptions/kick_subs.h"
#include "common/alloc.h"
#include "common/text.h"
#include "common/time.h"

#define PATH "/events/subscriptions"

void
kick_subs_request_clear(struct kick_subs_request *request)
{
	fetch_request_clear(&request->fetch);
	buf_clear(&request->url);
}

/* ---- Requests ---- */

static void
begin(struct kick_subs_request *request, const char *method,
    const struct config_platform *config, const char *path, const struct secret *token)
{
	*request = (struct kick_subs_request){ .fetch = { .method = method,
						   .ca_file = config->ca_file } };
	buf_printf(&request->url, "%s%s", config->api_url, path);
	fetch_request_header(&request->fetch, "Authorization", "Bearer", token);
}

static void
finish(struct kick_subs_request *request)
{
	buf_add(&request->url, "", 1);
	request->fetch.url = (const char *)buf_bytes(&request->url);
}

static void
add_parameter(
    struct kick_subs_request *request, bool first, const char *name, const char *value)
{
	buf_printf(&request->url, "%c%s=", first ? '?' : '&', name);
	form_escape(&request->url, value, strlen(value));
}

/* The slug is the name in lower case, usually with '-' for '_' (3.4). */
static char *
slug_of(const char *username, bool replace)
{
	char *slug = text_fold(username);
	char *at;

	for (at = slug; replace && *at; at++)
		if (*at == '_')
			*at = '-';
	return slug;
}

void
kick_subs_ask_channel(const struct config_platform *config, const char *username,
    const struct secret *token, struct kick_subs_request *request)
{
	char *plain = slug_of(username, false);
	char *usual = slug_of(username, true);

	begin(request, "GET", config, "/channels", token);
	add_parameter(request, true, "slug", usual);
	if (strcmp(plain, usual) != 0)
		add_parameter(request, false, "slug", plain);
	finish(request);
	free(plain);
	free(usual);
}

void
kick_subs_ask_list(const struct config_platform *config, const char *user_id,
    const struct secret *token, struct kick_subs_request *request)
{
	begin(request, "GET", config, PATH, token);
	if (user_id)
		add_parameter(request, true, "broadcaster_user_id", user_id);
	finish(request);
}

/* Ids are digits and names are those of the table of events: nothing to escape. */
void
kick_subs_ask_create(const struct config_platform *config, const char *user_id,
    const char *const *events, size_t count, const struct secret *token,
    struct kick_subs_request *request)
{
	struct buf body = BUF_EMPTY;
	size_t i;

	begin(request, "POST", config, PATH, token);
	finish(request);
	buf_add_text(&body, "{");
	if (user_id)
		buf_printf(&body, "\"broadcaster_user_id\":%s,", user_id);
	buf_add_text(&body, "\"events\":[");
	for (i = 0; i < count; i++)
		buf_printf(&body, "%s{\"name\":\"%s\",\"version\":%d}", i ? "," : "",
		    events[i], SUB_VERSION);
	buf_add_text(&body, "],\"method\":\"webhook\"}");
	request->fetch.body = secret_copy(buf_bytes(&body), buf_length(&body));
	request->fetch.content_type = "application/json";
	buf_clear(&body);
}

void
kick_subs_ask_remove(const struct config_platform *config, const char *const *ids,
    size_t count, const struct secret *token, struct kick_subs_request *request)
{
	size_t i;

	begin(request, "DELETE", config, PATH, token);
	for (i = 0; i < count && i < KICK_SUBS_REMOVE_MAX; i++)
		add_parameter(request, i == 0, "id", ids[i]);
	finish(request);
}

/* ---- What replies mean ---- */

/* Printable ASCII, cut: the platform's words are shown and logged. */
static void
quote(const char *text, char *said)
{
	size_t used = 0;

	for (; text && *text && used + 1 < KICK_SUBS_SAID_SIZE; text++)
		said[used++] = *text >= ' ' && *text <= '~' ? *text : '?';
	said[used] = '\0';
}

static bool
mentions(const char *text, const char *word)
{
	return text && strcasestr(text, word) != NULL;
}

enum kick_subs_verdict
kick_subs_judge_text(const char *text)
{
	static const struct {
		const char *word;
		enum kick_subs_verdict verdict;
	} rows[] = {
		{ "limit", KICK_SUBS_limit },
		{ "webhook", KICK_SUBS_webhooks },
		{ "scope", KICK_SUBS_scope },
		{ "permission", KICK_SUBS_scope },
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (mentions(text, rows[i].word))
			return rows[i].verdict;
	return KICK_SUBS_refused;
}

/* The envelope has a `message`, which an edge server's refusal has not (section 0). */
static enum kick_subs_verdict
judge_status(unsigned status, const json_t *json, const char *reason)
{
	const char *message = reply_json_text(json, "message", 1024);

	if (status == 200 || status == 201 || status == 204)
		return KICK_SUBS_good;
	if (status == 401)
		return KICK_SUBS_token;
	if (status == 429)
		return KICK_SUBS_busy;
	if (status == 403)
		return message ? KICK_SUBS_scope : KICK_SUBS_away;
	if (status == 400 && message)
		return reason ? kick_subs_judge_text(reason) : KICK_SUBS_refused;
	if (status > 400 && status < 500 && status != 408 && message)
		return KICK_SUBS_refused;
	return KICK_SUBS_away;
}

enum kick_subs_verdict
kick_subs_judge(const struct fetch_reply *reply, char *said)
{
	enum kick_subs_verdict verdict;
	const char *reason;
	json_t *json;

	*said = '\0';
	if (reply->result != FETCH_answered) {
		quote(reply->problem, said);
		return KICK_SUBS_away;
	}
	json = reply_json_read(&reply->body, false);
	reason = reply_json_text(json, "data", 4096);
	verdict = judge_status(reply->status, json, reason);
	if (verdict != KICK_SUBS_good) {
		if (!reason)
			reason = reply_json_text(json, "message", 1024);
		if (reason)
			quote(reason, said);
		else
			(void)snprintf(
			    said, KICK_SUBS_SAID_SIZE, "HTTP status %u", reply->status);
	}
	json_decref(json);
	return verdict;
}

/* ---- What they hold ---- */

/* `data` as a list. A null is an empty one where the envelope is complete; everything
 * else is no answer. NULL and *ret_good says which. */
static const json_t *
data_list(const json_t *json, bool *ret_good)
{
	const json_t *data = json_object_get(json, "data");

	*ret_good = json_is_array(data) ||
	    (json_is_null(data) && reply_json_text(json, "message", 1024));
	return json_is_array(data) ? data : NULL;
}

/* A user's id in digits; false when there is none. */
static bool
read_user_id(const json_t *object, char *out)
{
	char *id = reply_json_id(object, "broadcaster_user_id", KICK_SUBS_USER_SIZE);
	uint64_t number;
	bool good = id && strlen(id) < KICK_SUBS_USER_SIZE &&
	    text_to_u64(id, strlen(id), UINT64_MAX, &number);

	if (good)
		(void)snprintf(out, KICK_SUBS_USER_SIZE, "%s", id);
	free(id);
	return good;
}

int
kick_subs_read_channel(const struct secret *body, const char *username, char *ret_id)
{
	json_t *json = reply_json_read(body, false);
	char *plain = slug_of(username, false);
	char *usual = slug_of(username, true);
	int result = -ENOENT;
	const json_t *data;
	bool good = false;
	size_t i;

	data = data_list(json, &good);
	for (i = 0; i < json_array_size(data); i++) {
		const json_t *channel = json_array_get(data, i);
		const char *slug = reply_json_text(channel, "slug", 400);

		if (!slug ||
		    (!text_equal_nocase(slug, plain) &&
			!text_equal_nocase(slug, usual)))
			continue;
		/* The name as it is written counts before the guessed form. */
		if (result == 0 && !text_equal_nocase(slug, plain))
			continue;
		if (read_user_id(channel, ret_id))
			result = 0;
	}
	free(plain);
	free(usual);
	json_decref(json);
	return good ? result : -EBADMSG;
}

static bool
copy_text(const json_t *object, const char *name, char *out, size_t size)
{
	const char *text = reply_json_text(object, name, size - 1);

	if (text)
		(void)snprintf(out, size, "%s", text);
	return text != NULL;
}

/* 0, which no event has, for what is out of range. */
static uint32_t
version_of(json_int_t number)
{
	return number > 0 && number <= UINT32_MAX ? (uint32_t)number : 0;
}

static bool
read_listed(const json_t *entry, struct sub_listed *listed)
{
	const char *method = reply_json_text(entry, "method", 32);
	const char *created = reply_json_text(entry, "created_at", 64);
	const json_t *version = json_object_get(entry, "version");

	*listed = (struct sub_listed){ .version = SUB_VERSION,
		.webhook = !method || text_equal_nocase(method, "webhook") };
	if (json_is_integer(version))
		listed->version = version_of(json_integer_value(version));
	if (!created || time_parse(created, strlen(created), &listed->created_at) < 0 ||
	    listed->created_at < 0)
		listed->created_at = 0;
	return copy_text(entry, "id", listed->id, sizeof(listed->id)) &&
	    copy_text(entry, "event", listed->event, sizeof(listed->event));
}

int
kick_subs_read_list(const struct secret *body, const char *user_id,
    struct sub_listed **ret_listed, size_t *ret_count, char *ret_user_id)
{
	json_t *json = reply_json_read(body, false);
	struct sub_listed *listed;
	const json_t *data;
	size_t count = 0;
	bool good = false;
	size_t i;

	data = data_list(json, &good);
	listed = xcalloc(json_array_size(data), sizeof(*listed));
	*ret_user_id = '\0';
	for (i = 0; i < json_array_size(data); i++) {
		const json_t *entry = json_array_get(data, i);
		char whose[KICK_SUBS_USER_SIZE] = "";
		bool known = read_user_id(entry, whose);

		if (user_id && known && strcmp(whose, user_id) != 0)
			continue;
		if (!read_listed(entry, &listed[count]))
			continue;
		if (!user_id && !*ret_user_id)
			memcpy(ret_user_id, whose, sizeof(whose));
		count++;
	}
	json_decref(json);
	if (!good) {
		free(listed);
		return -EBADMSG;
	}
	*ret_listed = listed;
	*ret_count = count;
	return 0;
}

/* The entry of an event. Names come once each in a request. */
static const json_t *
find_created(const json_t *data, const char *event)
{
	size_t i;

	for (i = 0; i < json_array_size(data); i++) {
		const json_t *entry = json_array_get(data, i);
		const char *name = reply_json_text(entry, "name", SUB_EVENT_SIZE);

		if (name && strcmp(name, event) == 0)
			return entry;
	}
	return NULL;
}

/* NULL when there is none. One that is no text is an error, too. */
static const char *
error_of(const json_t *entry)
{
	const json_t *error = json_object_get(entry, "error");

	if (!error || json_is_null(error) ||
	    (json_is_string(error) && json_string_length(error) == 0))
		return NULL;
	if (!json_is_string(error))
		return "an error without a text";
	return json_string_value(error);
}

static void
read_created(const json_t *entry, struct kick_subs_created *created)
{
	const char *error = error_of(entry);

	*created = (struct kick_subs_created){ .verdict = KICK_SUBS_away };
	if (error) {
		created->verdict = kick_subs_judge_text(error);
		quote(error, created->said);
	} else if (copy_text(
		       entry, "subscription_id", created->id, sizeof(created->id))) {
		created->verdict = KICK_SUBS_good;
	}
}

int
kick_subs_read_created(const struct secret *body, const char *const *events,
    size_t count, struct kick_subs_created *ret_created)
{
	json_t *json = reply_json_read(body, false);
	const json_t *data;
	bool good = false;
	size_t i;

	data = data_list(json, &good);
	for (i = 0; good && i < count; i++)
		read_created(find_created(data, events[i]), &ret_created[i]);
	json_decref(json);
	return good ? 0 : -EBADMSG;
}
