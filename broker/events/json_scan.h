/*
 * Is this JSON, and where are its parts? A scanner that allocates nothing and builds
 * nothing, for the one place where every delivery passes
 * (docs/decisions/0012-scanning-json-at-ingest.md).
 *
 * Strict RFC 8259: well-formed UTF-8, no byte order mark, no lone surrogates, one value
 * with white space around it. Nesting deeper than JSON_SCAN_DEPTH_MAX counts as no
 * JSON, for readers down the line could not take it.
 */
#ifndef BROKER_EVENTS_JSON_SCAN_H
#define BROKER_EVENTS_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_SCAN_DEPTH_MAX 200

/* A value as it stands in the text: a string with its quotes. */
struct json_slice {
	const uint8_t *start; /* NULL: absent */
	size_t length;
};

/* What a member may be. null is every type's, for absent and null mean the same. */
enum scan_type {
	SCAN_ANY,
	SCAN_TEXT,
	SCAN_FLAG,
	SCAN_INTEGER, /* -2^63 to 2^63-1, without fraction and exponent */
	SCAN_ID,      /* 0 to 2^64-1, without fraction and exponent */
	SCAN_LABEL,   /* SCAN_ID or SCAN_TEXT */
	SCAN_TIME,    /* text of RFC 3339, or empty */
	SCAN_OBJECT,
	SCAN_ARRAY, /* of objects when a shape says what is in them */
	SCAN_TYPE_COUNT,
};

/* Members of an object that are looked for; others are passed over. Static tables. The
 * value of a member is noted in the slot of its object plus its own; members of objects
 * in arrays are checked and not noted. */
struct json_shape {
	const struct json_member *members;
	size_t count;
};

struct json_member {
	const char *name;
	uint8_t length; /* of the name */
	uint8_t type;   /* enum scan_type */
	uint8_t slot;
	const struct json_shape *inside; /* of an object or of an array's objects */
};

#define JSON_MEMBER(member_name, member_type, member_slot) \
	{ \
		.name = (member_name), .length = sizeof(member_name) - 1, \
		.type = (member_type), .slot = (member_slot) \
	}
#define JSON_NESTED(member_name, member_type, member_slot, shape) \
	{ \
		.name = (member_name), .length = sizeof(member_name) - 1, \
		.type = (member_type), .slot = (member_slot), .inside = (shape) \
	}

/* What is found. Of several members of one name the last counts, with all that is in
 * it. */
struct json_found {
	struct json_slice *slots;
	size_t count;
	const char *wrong; /* name of the first member of a wrong type, NULL: none */
	bool anonymous;    /* an object, wherever it is, has "is_anonymous": true */
};

/* Whether the whole text is one JSON value. Fills in *found (meaningless when it is
 * not); its `slots` and `count` are the caller's. `shape` is that of the top, which
 * must be an object then; NULL looks for nothing. */
bool json_scan(const uint8_t *text, size_t length, const struct json_shape *shape,
    struct json_found *found);

/* Whether a value is of a type; null and absent ones are. */
bool json_slice_is(struct json_slice slice, enum scan_type type);

/* Decodes a time (RFC 3339, facts/kick.md 0) into ms since 1970. */
bool json_slice_time(struct json_slice slice, int64_t *ret_ms);

/* Whether it is absent or null. */
bool json_slice_is_null(struct json_slice slice);

/* Walks over the elements of an array, or the members of an object, that json_scan has
 * found to be JSON. *at begins as the whole value and is what is left after each call.
 * False at the end. *ret_name is only set, with its quotes, for objects. */
bool json_slice_next(
    struct json_slice *at, struct json_slice *ret_name, struct json_slice *ret_value);

/* Whether a name with its quotes is this one, with its escapes decoded. */
bool json_name_is(struct json_slice name, const char *wanted, size_t length);

/* Decodes a string slice into C text. False, with "" in `text`, when the slice is no
 * string, does not fit into `size` bytes with its NUL, or holds a NUL itself. */
bool json_slice_text(struct json_slice slice, char *text, size_t size);

/* Whether the slice is a number without fraction and exponent, from 1 to
 * UINT64_MAX; then *ret_number has it. */
bool json_slice_id(struct json_slice slice, uint64_t *ret_number);

#endif
