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
	struct json_wanted wanted[3] = {
		{ .parent = "broadcaster", .name = "user_id" },
		{ .parent = "broadcaster", .name = "username" },
		{ .parent = NULL, .name = "content" },
	};
	json_error_t error;
	json_t *root;
	bool good;

	if (size > 60000)
		return 0;
	/* A raw NUL is never part of JSON; jansson takes one at the end for the end. */
	if (size && memchr(data, '\0', size)) {
		must(!json_scan(data, size, wanted, 3));
		return 0;
	}
	root = json_loadb(
	    (const char *)data, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
	good = json_scan(data, size, wanted, 3);
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

		compare_id(wanted[0].found, json_object_get(user, "user_id"));
		compare_text(wanted[1].found, json_object_get(user, "username"));
		compare_text(wanted[2].found, json_object_get(root, "content"));
	}
	json_decref(root);
	return 0;
}
