/*
 * What a delivery's body says about itself: is it JSON, whose channel is it about, is
 * its type one of those that are known. facts/kick.md 3.4, 3.5.
 */
#ifndef BROKER_EVENTS_KICK_EVENT_H
#define BROKER_EVENTS_KICK_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of the texts of a view, with NUL. Longer ones count as absent. */
#define KICK_ID_SIZE 24
#define KICK_NAME_SIZE 401

struct kick_event {
	bool json;  /* the body is valid JSON (RFC 8259) in UTF-8 */
	bool known; /* type and version are documented */
	char broadcaster_id[KICK_ID_SIZE]; /* decimal, "" when absent */
	char broadcaster_name[KICK_NAME_SIZE];
	char broadcaster_slug[KICK_NAME_SIZE];
};

/* Whether a type and version are among those that Kick documents. */
bool kick_event_is_known(const char *type, uint32_t version);

/* The neutral kind (event_kind.h) of a type; NULL when it is not documented. */
const char *kick_event_kind(const char *type, uint32_t version);

/* Looks at a body. Wrong types and absent fields give empty texts; nothing fails. */
void kick_event_read(const char *type, uint32_t version, const uint8_t *body,
    size_t length, struct kick_event *ret_event);

#endif
