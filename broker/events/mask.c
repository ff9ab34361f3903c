/*
 * Walks over JSON that was scanned before. Called by kick_event.c for the few bodies
 * with somebody anonymous in them, by event_json.c for those that were marked then, and
 * by kick_json.c for each person.
 */
#include <string.h>

#include "broker/events/mask.h"

/* Members that say who somebody is (facts/kick.md 3.4). */
static const char *const telling[] = { "user_id", "username", "is_verified",
	"profile_picture", "channel_slug", "identity" };

static const char anonymous_name[] = "is_anonymous";
#define ANONYMOUS_LENGTH (sizeof(anonymous_name) - 1)

struct mask {
	struct buf *out;       /* NULL: only count */
	const uint8_t *copied; /* everything before is in `out` */
	size_t hits;
};

static bool
is_telling(struct json_slice name)
{
	size_t i;

	for (i = 0; i < sizeof(telling) / sizeof(telling[0]); i++)
		if (json_name_is(name, telling[i], strlen(telling[i])))
			return true;
	return false;
}

bool
mask_says_anonymous(struct json_slice value)
{
	struct json_slice at = value;
	struct json_slice name;

	if (!value.start || value.start[0] != '{')
		return false;
	while (json_slice_next(&at, &name, &value))
		if (value.start[0] == 't' &&
		    json_name_is(name, anonymous_name, ANONYMOUS_LENGTH))
			return true;
	return false;
}

static void
hide(struct mask *mask, struct json_slice value)
{
	if (json_slice_is_null(value))
		return;
	mask->hits++;
	if (!mask->out)
		return;
	buf_add(mask->out, mask->copied, (size_t)(value.start - mask->copied));
	buf_add_text(mask->out, "null");
	mask->copied = value.start + value.length;
}

static void
walk(struct mask *mask, struct json_slice whole, unsigned depth)
{
	bool object = whole.start[0] == '{';
	bool anonymous = mask_says_anonymous(whole);
	struct json_slice name = { .start = NULL };
	struct json_slice value;

	if (depth == MASK_DEPTH_MAX || (!object && whole.start[0] != '['))
		return;
	while (json_slice_next(&whole, &name, &value)) {
		if (anonymous && is_telling(name))
			hide(mask, value);
		else
			walk(mask, value, depth + 1);
	}
}

static void
walk_text(struct mask *mask, const uint8_t *text, size_t length)
{
	struct json_slice whole = { .start = text, .length = length };

	while (whole.length && strchr(" \t\r\n", whole.start[0])) {
		whole.start++;
		whole.length--;
	}
	while (whole.length && strchr(" \t\r\n", whole.start[whole.length - 1]))
		whole.length--;
	if (whole.length)
		walk(mask, whole, 0);
}

bool
mask_is_needed(const uint8_t *text, size_t length)
{
	struct mask mask = { .out = NULL };

	walk_text(&mask, text, length);
	return mask.hits > 0;
}

void
mask_write(const uint8_t *text, size_t length, struct buf *out)
{
	struct mask mask = { .out = out, .copied = text };

	walk_text(&mask, text, length);
	buf_add(out, mask.copied, (size_t)(text + length - mask.copied));
}

/* Whether a value follows that says plainly that it is not so. */
static bool
is_denied(const uint8_t *at, const uint8_t *end)
{
	static const char *const plain[] = { "false", "null" };
	size_t i;

	while (at < end && strchr("\" \t\r\n", *at) && *at)
		at++;
	if (at == end || *at++ != ':')
		return false;
	while (at < end && strchr(" \t\r\n", *at) && *at)
		at++;
	for (i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		if ((size_t)(end - at) >= strlen(plain[i]) &&
		    memcmp(at, plain[i], strlen(plain[i])) == 0)
			return true;
	return false;
}

bool
mask_is_feared(const uint8_t *bytes, size_t length)
{
	const uint8_t *end = bytes + length;

	while (length &&
	    (bytes = memmem(bytes, length, anonymous_name, ANONYMOUS_LENGTH))) {
		bytes += ANONYMOUS_LENGTH;
		if (!is_denied(bytes, end))
			return true;
		length = (size_t)(end - bytes);
	}
	return false;
}
