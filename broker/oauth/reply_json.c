/*
 * JSON replies of platforms. Pure; called by token_reply.c, token_error.c and the
 * platforms' files.
 */
#include <string.h>

#include "broker/oauth/reply_json.h"
#include "common/alloc.h"

/* Counts brackets outside of strings. jansson recurses as deep as 2048. */
static bool
is_shallow(const unsigned char *bytes, size_t length)
{
	bool in_string = false;
	unsigned depth = 0;
	size_t i;

	for (i = 0; i < length; i++) {
		if (in_string) {
			if (bytes[i] == '\\')
				i++;
			else if (bytes[i] == '"')
				in_string = false;
			continue;
		}
		if (bytes[i] == '"')
			in_string = true;
		else if (bytes[i] == '{' || bytes[i] == '[')
			depth++;
		else if ((bytes[i] == '}' || bytes[i] == ']') && depth > 0)
			depth--;
		if (depth > REPLY_JSON_DEPTH_MAX)
			return false;
	}
	return true;
}

json_t *
reply_json_read(const struct secret *body, bool numbers_as_real)
{
	size_t flags = JSON_REJECT_DUPLICATES;
	json_t *json;

	if (!body->length || !is_shallow(body->bytes, body->length))
		return NULL;
	if (numbers_as_real)
		flags |= JSON_DECODE_INT_AS_REAL;
	json = json_loadb((const char *)body->bytes, body->length, flags, NULL);
	if (json && !json_is_object(json)) {
		json_decref(json);
		return NULL;
	}
	return json;
}

const char *
reply_json_text(const json_t *object, const char *name, size_t most)
{
	const json_t *member = json_object_get(object, name);
	size_t length = json_string_length(member);

	if (!json_is_string(member) || length == 0 || length > most)
		return NULL;
	return json_string_value(member);
}

char *
reply_json_id(const json_t *object, const char *name, size_t most)
{
	const json_t *member = json_object_get(object, name);
	const char *text = reply_json_text(object, name, most);

	if (text)
		return xstrdup(text);
	if (json_is_integer(member))
		return xasprintf("%" JSON_INTEGER_FORMAT, json_integer_value(member));
	return NULL;
}

const json_t *
reply_json_first(const json_t *object, const char *name)
{
	const json_t *first = json_array_get(json_object_get(object, name), 0);

	return json_is_object(first) ? first : NULL;
}
