/*
 * JSON bodies through jansson. Called by the page files that take a body.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "httpd/json_in.h"

/* Each piece knows its size, so that it can be wiped. */
union piece {
	size_t size;
	max_align_t align;
};

static void *
piece_new(size_t size)
{
	union piece *piece = xmalloc(sizeof(*piece) + size);

	piece->size = size;
	return piece + 1;
}

static void
piece_free(void *memory)
{
	union piece *piece = memory;

	if (!piece)
		return;
	piece--;
	wipe(piece + 1, piece->size);
	free(piece);
}

void
json_in_init(void)
{
	json_set_alloc_funcs(piece_new, piece_free);
	json_object_seed(0);
}

/* The key that jansson complains of, when it looks like one of ours; else "". */
static void
name_key(const json_error_t *found, char *key, size_t size)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz_";
	const char *start = strstr(found->text, "'\"");
	size_t length = start ? strspn(start + 2, letters) : 0;

	key[0] = '\0';
	if (length && length < size && start[2 + length] == '"')
		(void)snprintf(key, size, "%.*s", (int)length, start + 2);
}

/* jansson's own sentences quote the body, which may hold a secret, so only its place is
 * told, and of keys only those that look like ours. */
static void
describe(const json_error_t *found, char *error)
{
	char key[32];

	name_key(found, key, sizeof(key));
	if (json_error_code(found) == json_error_duplicate_key)
		(void)snprintf(error, JSON_IN_ERROR_SIZE,
		    "The JSON body has the same key twice (line %d)%s%s", found->line,
		    key[0] ? ": " : "", key);
	else
		(void)snprintf(error, JSON_IN_ERROR_SIZE,
		    "The body is not valid JSON (line %d, column %d)", found->line,
		    found->column);
}

int
json_in_object(const char *bytes, size_t length, json_t **ret_object,
    char error[static JSON_IN_ERROR_SIZE])
{
	json_error_t found;
	json_t *value;

	if (length == 0) {
		(void)snprintf(error, JSON_IN_ERROR_SIZE, "A JSON body is required");
		return -EINVAL;
	}
	value =
	    json_loadb(bytes, length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &found);
	if (!value) {
		describe(&found, error);
		wipe(&found, sizeof(found));
		return -EINVAL;
	}
	if (!json_is_object(value)) {
		json_decref(value);
		(void)snprintf(
		    error, JSON_IN_ERROR_SIZE, "The body must be a JSON object");
		return -EINVAL;
	}
	*ret_object = value;
	return 0;
}
