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

/* A member to look for: in the object `parent` at the top (NULL: in the top itself).
 * The last one of several counts. Names with escapes are compared after decoding. */
struct json_wanted {
	const char *parent;
	const char *name;
	struct json_slice found;
};

/* Whether the whole text is one JSON value. Fills in `found` of each wanted member
 * (meaningless when it is not). */
bool json_scan(const uint8_t *text, size_t length, struct json_wanted *wanted,
    size_t wanted_count);

/* Decodes a string slice into C text. False, with "" in `text`, when the slice is no
 * string, does not fit into `size` bytes with its NUL, or holds a NUL itself. */
bool json_slice_text(struct json_slice slice, char *text, size_t size);

/* Whether the slice is a number without fraction and exponent, from 1 to
 * INT64_MAX; then *ret_number has it. */
bool json_slice_id(struct json_slice slice, uint64_t *ret_number);

#endif
