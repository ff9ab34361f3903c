/*
 * Bodies in which somebody who wants to be nobody has a name all the same
 * (facts/kick.md 7, #340): what is handed on has null in its place.
 */
#ifndef BROKER_EVENTS_MASK_H
#define BROKER_EVENTS_MASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/events/json_scan.h"
#include "common/buf.h"

/* People deeper in a body than this are not looked for; documented ones are at 3. */
#define MASK_DEPTH_MAX 16

/* Whether a value is an object that says "is_anonymous": true of itself, be it beside a
 * false. The text is JSON as below. */
bool mask_says_anonymous(struct json_slice value);

/* Whether bytes that are not JSON may name somebody anonymous: the member is in them,
 * and not plainly false or null each time. Nothing can be told from them by members. */
bool mask_is_feared(const uint8_t *bytes, size_t length);

/* Whether an object with "is_anonymous": true has members that say who it is. The text
 * is JSON as json_scan knows it. */
bool mask_is_needed(const uint8_t *text, size_t length);

/* Appends the text with null in their place and every other byte as it is. */
void mask_write(const uint8_t *text, size_t length, struct buf *out);

#endif
