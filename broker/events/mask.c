/*
 * Walks over JSON that was scanned before. Called by ingest for the few bodies with
 * somebody anonymous in them, and by event_json.c for those that were marked then.
 */
#include <string.h>

#include "broker/events/json_scan.h"
#include "broker/events/mask.h"

/* Members that say who somebody is (facts/kick.md 3.4). */
static const char *const telling[] = { "user_id", "username", "is_verified",
	"profile_picture", "channel_slug", "identity" };

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

static bool
is_anonymous(struct json_slice object)
{
	static const char wanted[] = "is_anonymous";
	struct json_slice name;
	struct json_slice value;

	while (json_slice_next(&object, &name, &value))
		if (value.start[0] == 't' &&
		    json_name_is(name, wanted, sizeof(wanted) - 1))
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
	bool anonymous = object && is_anonymous(whole);
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
