/*
 * Token replies. Pure; called by login_finish.c with what a platform sent, which is
 * hostile until proven otherwise.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/oauth/reply_json.h"
#include "broker/oauth/scopes.h"
#include "broker/oauth/token_reply.h"
#include "common/alloc.h"
#include "common/buf.h"
#include "common/text.h"

static int read_access(const json_t *, struct token_reply *, const char **);
static int read_refresh(const json_t *, struct token_reply *, const char **);
static bool is_bearer(const json_t *);
static void read_refresh_life(const json_t *, struct token_reply *);
static void read_scopes(const json_t *, struct token_reply *);

int
token_reply_read(
    const struct secret *body, struct token_reply *ret_reply, const char **ret_what)
{
	struct token_reply reply = { .access = SECRET_NONE };
	json_t *json = reply_json_read(body, true);
	int result = -EBADMSG;

	if (!json) {
		*ret_what = "the answer is no JSON object";
		return -EBADMSG;
	}
	*ret_what = "the answer has a token type other than Bearer";
	if (is_bearer(json_object_get(json, "token_type")))
		result = read_access(json, &reply, ret_what);
	if (result == 0)
		result = read_refresh(json, &reply, ret_what);
	if (result == 0) {
		reply.expires_known =
		    token_reply_lifetime(json_object_get(json, "expires_in"),
			&reply.expires_in_s, &reply.expires_odd);
		read_refresh_life(
		    json_object_get(json, "refresh_token_expires_in"), &reply);
		read_scopes(json_object_get(json, "scope"), &reply);
		*ret_reply = reply;
	} else {
		token_reply_clear(&reply);
	}
	json_decref(json);
	return result;
}

void
token_reply_clear(struct token_reply *reply)
{
	secret_clear(&reply->access);
	secret_clear(&reply->refresh);
	free(reply->scopes);
	*reply = (struct token_reply){ .access = SECRET_NONE };
}

/* Absent or null counts as Bearer. */
static bool
is_bearer(const json_t *member)
{
	if (!member || json_is_null(member))
		return true;
	return json_is_string(member) &&
	    text_equal_nocase(json_string_value(member), "bearer");
}

/* A token is sent in a header line later, so nothing but visible ASCII may be in it. */
static bool
read_token(const json_t *member, struct secret *ret_token)
{
	struct secret token;
	size_t length = json_string_length(member);

	if (!json_is_string(member) || length == 0 || length > TOKEN_SIZE_MAX)
		return false;
	token = secret_copy(json_string_value(member), length);
	if (!secret_is_text(&token)) {
		secret_clear(&token);
		return false;
	}
	*ret_token = token;
	return true;
}

static int
read_access(const json_t *json, struct token_reply *reply, const char **ret_what)
{
	if (read_token(json_object_get(json, "access_token"), &reply->access))
		return 0;
	*ret_what = "the answer has no usable access token";
	return -EBADMSG;
}

static int
read_refresh(const json_t *json, struct token_reply *reply, const char **ret_what)
{
	const json_t *member = json_object_get(json, "refresh_token");

	if (!member || json_is_null(member) ||
	    (json_is_string(member) && json_string_length(member) == 0))
		return 0;
	if (read_token(member, &reply->refresh))
		return 0;
	*ret_what = "the answer has an unusable refresh token";
	return -EBADMSG;
}

bool
token_reply_lifetime(const json_t *member, int64_t *ret_seconds, bool *ret_odd)
{
	uint64_t digits;
	double real;

	*ret_odd = false;
	if (!member || json_is_null(member))
		return false;
	*ret_odd = true;
	if (json_is_string(member)) {
		/* Kick's documentation shows an empty text for it. */
		*ret_odd = json_string_length(member) > 0;
		if (!text_to_u64(json_string_value(member), json_string_length(member),
			TOKEN_LIFE_MAX_S, &digits))
			return false;
		*ret_seconds = (int64_t)digits;
	} else if (json_is_number(member)) {
		real = json_number_value(member);
		if (!(real >= 0 && real <= (double)TOKEN_LIFE_MAX_S) ||
		    real != (double)(int64_t)real)
			return false;
		*ret_seconds = (int64_t)real;
	} else {
		return false;
	}
	*ret_odd = false;
	return true;
}

/* Google tells it of a grant that ends by itself (facts C.4); in a form that cannot be
 * believed, or as 0, it counts as not told. */
static void
read_refresh_life(const json_t *member, struct token_reply *reply)
{
	bool odd;

	reply->refresh_expires_known =
	    token_reply_lifetime(member, &reply->refresh_expires_in_s, &odd) &&
	    reply->refresh_expires_in_s > 0;
}

/* One text or an array of texts; anything else counts as not said. */
static void
read_scopes(const json_t *member, struct token_reply *reply)
{
	struct buf text = BUF_EMPTY;
	size_t i;

	reply->scopes_known = json_is_string(member) || json_is_array(member);
	if (json_is_string(member))
		buf_add(&text, json_string_value(member), json_string_length(member));
	for (i = 0; i < json_array_size(member); i++) {
		const json_t *one = json_array_get(member, i);

		if (json_is_string(one))
			buf_printf(&text, "%s ", json_string_value(one));
	}
	reply->scopes =
	    scopes_of_text((const char *)buf_bytes(&text), buf_length(&text), NULL);
	buf_clear(&text);
}

int64_t
token_reply_expires_at(
    const struct token_reply *reply, int64_t started_at, int64_t assumed_s)
{
	int64_t life = reply->expires_known ? reply->expires_in_s : assumed_s;

	return started_at + life * 1000;
}
