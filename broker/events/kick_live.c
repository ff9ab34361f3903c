/*
 * livestream.status.updated, version 1 (facts/kick.md 3.5). Called by silence.c.
 */
#include <string.h>

#include "broker/events/json_scan.h"
#include "broker/events/kick_live.h"

enum { SLOT_NONE, SLOT_LIVE, SLOT_COUNT };

bool
kick_live_read(const char *type, uint32_t version, const uint8_t *body, size_t length,
    bool *ret_live)
{
	static const struct json_member members[] = { JSON_MEMBER(
	    "is_live", SCAN_FLAG, SLOT_LIVE) };
	static const struct json_shape shape = { .members = members, .count = 1 };
	struct json_slice slots[SLOT_COUNT] = { { .start = NULL } };
	struct json_found found = { .slots = slots, .count = SLOT_COUNT };

	if (version != 1 || strcmp(type, "livestream.status.updated") != 0 ||
	    !json_scan(body, length, &shape, &found) ||
	    json_slice_is_null(slots[SLOT_LIVE]) ||
	    !json_slice_is(slots[SLOT_LIVE], SCAN_FLAG))
		return false;
	*ret_live = *slots[SLOT_LIVE].start == 't';
	return true;
}
