/*
 * The scanner against jansson: both find the same texts to be JSON, and the same
 * broadcaster in them. They may differ where numbers are beyond jansson's and where
 * nesting is deeper than one of them goes.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "broker/events/json_scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must(bool good)
{
	if (!good)
		abort();
}

/* Valid JSON that jansson cannot hold: a number beyond its types, a NUL in a name. */
static bool
is_beyond(const json_error_t *error)
{
	return json_error_code(error) == json_error_numeric_overflow ||
	    json_error_code(error) == json_error_null_byte_in_key;
}

/* What is looked for. */
enum { SLOT_NONE, SLOT_CONTENT, SLOT_LIST, SLOT_USER, SLOT_ID, SLOT_NAME, SLOTS };
static const struct json_member user_members[] = {
	JSON_MEMBER("user_id", SCAN_ID, SLOT_ID - SLOT_USER),
	JSON_MEMBER("username", SCAN_TEXT, SLOT_NAME - SLOT_USER),
};
static const struct json_shape user_shape = { user_members, 2 };
static const struct json_member top_members[] = {
	JSON_MEMBER("content", SCAN_TEXT, SLOT_CONTENT),
	JSON_NESTED("emotes", SCAN_ARRAY, SLOT_LIST, &user_shape),
	JSON_NESTED("broadcaster", SCAN_OBJECT, SLOT_USER, &user_shape),
};
static const struct json_shape top = { top_members, 3 };

/* Names that come twice in one object: jansson keeps one, and a wrong type of the other
 * counts all the same. Generous: any name of interest twice anywhere. */
static bool
has_twins(const uint8_t *data, size_t size)
{
	static const char *const names[] = { "user_id", "username", "content", "emotes",
		"broadcaster" };
	size_t i;

	if (memchr(data, '\\', size))
		return true; /* names may be escaped */
	for (i = 0; i < 5; i++) {
		const uint8_t *first = memmem(data, size, names[i], strlen(names[i]));

		if (first &&
		    memmem(first + 1, size - (size_t)(first + 1 - data), names[i],
			strlen(names[i])))
			return true;
	}
	return false;
}

static bool
is_user(const json_t *user)
{
	const json_t *id = json_object_get(user, "user_id");
	const json_t *name = json_object_get(user, "username");

	return !user || json_is_null(user) ||
	    (json_is_object(user) &&
		(!id || json_is_null(id) ||
		    (json_is_integer(id) && json_integer_value(id) >= 0)) &&
		(!name || json_is_null(name) || json_is_string(name)));
}

/* Whether a wrong type was found just when there is one. */
static void
compare_types(const struct json_found *found, const json_t *root)
{
	const json_t *content = json_object_get(root, "content");
	const json_t *list = json_object_get(root, "emotes");
	bool good =
	    json_is_object(root) && is_user(json_object_get(root, "broadcaster"));
	size_t i;

	good = good && (!content || json_is_null(content) || json_is_string(content));
	good = good && (!list || json_is_null(list) || json_is_array(list));
	for (i = 0; good && i < json_array_size(list); i++)
		good = is_user(json_array_get(list, i));
	/* "-0" is an integer for jansson and no id for us. */
	must(good == (found->wrong == NULL) || !json_is_object(root) ||
	    (good && found->wrong && strcmp(found->wrong, "user_id") == 0));
}

/* Walks over the top and finds as many parts. */
static void
compare_walk(const uint8_t *data, size_t size, const json_t *root)
{
	struct json_slice at;
	struct json_slice name;
	struct json_slice value;
	size_t count = 0;

	while (size && strchr(" \t\r\n", *data))
		data++, size--;
	while (size && strchr(" \t\r\n", data[size - 1]))
		size--;
	at = (struct json_slice){ .start = data, .length = size };
	if (!json_is_array(root) && !json_is_object(root))
		return;
	while (json_slice_next(&at, &name, &value)) {
		must(value.length > 0 && value.start >= data &&
		    value.start + value.length <= data + size);
		count++;
	}
	must(json_is_array(root) ? count == json_array_size(root)
				 : count >= json_object_size(root));
}

static void
compare_text(struct json_slice slice, const json_t *value)
{
	char text[65536];
	bool has = json_slice_text(slice, text, sizeof(text));

	if (!json_is_string(value)) {
		must(!has);
		return;
	}
	must(slice.start != NULL);
	if (strlen(json_string_value(value)) != json_string_length(value))
		must(!has); /* a NUL in it */
	else
		must(has && strcmp(text, json_string_value(value)) == 0);
}

static void
compare_id(struct json_slice slice, const json_t *value)
{
	uint64_t id = 0;
	bool has = json_slice_id(slice, &id);

	if (json_is_integer(value) && json_integer_value(value) > 0)
		must(has && id == (uint64_t)json_integer_value(value));
	else
		must(!has);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct json_slice slots[SLOTS];
	struct json_found found = { .slots = slots, .count = SLOTS };
	json_error_t error;
	json_t *root;
	bool good;

	if (size > 60000)
		return 0;
	/* A raw NUL is never part of JSON; jansson takes one at the end for the end. */
	if (size && memchr(data, '\0', size)) {
		must(!json_scan(data, size, &top, &found));
		return 0;
	}
	root = json_loadb(
	    (const char *)data, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
	good = json_scan(data, size, &top, &found);
	if (!root) {
		must(!good || is_beyond(&error));
		return 0;
	}
	if (!good) {
		/* Only the depth may be held against what jansson takes. */
		size_t depth = 0;

		for (size_t i = 0; i < size; i++)
			depth += data[i] == '[' || data[i] == '{';
		must(depth > JSON_SCAN_DEPTH_MAX);
	} else {
		const json_t *user = json_object_get(root, "broadcaster");

		compare_id(slots[SLOT_ID], json_object_get(user, "user_id"));
		compare_text(slots[SLOT_NAME], json_object_get(user, "username"));
		compare_text(slots[SLOT_CONTENT], json_object_get(root, "content"));
		if (!has_twins(data, size))
			compare_types(&found, root);
		compare_walk(data, size, root);
	}
	json_decref(root);
	return 0;
}
