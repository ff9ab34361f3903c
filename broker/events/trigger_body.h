/*
 * Bodies of synthetic deliveries: one of every documented type, with every documented
 * field (facts/kick.md 3.4, 3.5).
 */
#ifndef BROKER_EVENTS_TRIGGER_BODY_H
#define BROKER_EVENTS_TRIGGER_BODY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"

/* A ULID and a UUID with NUL. */
#define TRIGGER_ULID_SIZE 27
#define TRIGGER_UUID_SIZE 37

struct trigger_values {
	const char *broadcaster_id; /* decimal */
	const char *broadcaster_name;
	int64_t now;     /* wall clock ms */
	uint32_t number; /* shows in texts, so that one differs from the next */
};

/* Whether there is a body for a type. */
bool trigger_body_has(const char *type);

/* Appends the types, separated by ", ". */
void trigger_body_types(struct buf *out);

/* Appends the body of a type to *out; ids inside are new. 0, or -ENOENT. */
int trigger_body_write(
    const char *type, const struct trigger_values *values, struct buf *out);

/* A new id as the platform makes them. */
void trigger_ulid(int64_t now, char text[static TRIGGER_ULID_SIZE]);

#endif
