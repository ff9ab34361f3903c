/*
 * What a delivery's body says about itself: is it JSON, whose channel is it about, is
 * its type one of those that are known, and does it fit that type. facts/kick.md 2.2,
 * 3.4, 3.5. Pure and without state: any thread may look at a body.
 */
#ifndef BROKER_EVENTS_KICK_EVENT_H
#define BROKER_EVENTS_KICK_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/store/store_content.h"
#include "common/json_out.h"

/* Bytes of the texts of a view, with NUL. Longer ones count as absent. */
#define KICK_ID_SIZE 24
#define KICK_NAME_SIZE 401

struct kick_event {
	bool json;      /* the body is valid JSON (RFC 8259) in UTF-8 */
	bool known;     /* type and version are documented */
	bool alien;     /* known, but the body lacks what every one of that type has */
	bool ill_typed; /* known, but a member is of another type than documented */
	const char *member; /* which one, static; NULL: none */
	bool named; /* somebody in it wants to be nobody, and may be known all the same
		     */
	int64_t own_time; /* when it happened by the body, ms since 1970; 0: unsaid */
	struct store_content content;      /* what makes it this event */
	char broadcaster_id[KICK_ID_SIZE]; /* decimal, "" when absent */
	char broadcaster_name[KICK_NAME_SIZE];
	char broadcaster_slug[KICK_NAME_SIZE];
};

/* The neutral kind (event_kind.h) of a type; NULL when it is not documented. */
const char *kick_event_kind(const char *type, uint32_t version);

/* Looks at a body. Nothing fails: what is not as it should be is said in the view.
 * view->content.salt borrows `type`. */
void kick_event_read(const char *type, uint32_t version, const uint8_t *body,
    size_t length, struct kick_event *ret_event);

/* Writes the members `actor` and `data` (docs/events.md) of an event into an object.
 * False, with nothing written, when the type is not documented or the body does not fit
 * it. The body may be anything. */
bool kick_event_write(struct json_out *json, const char *type, uint32_t version,
    const uint8_t *body, size_t length);

#endif
