/*
 * What the scanner and the reader of its slices share.
 */
#ifndef BROKER_EVENTS_JSON_SCAN_INNER_H
#define BROKER_EVENTS_JSON_SCAN_INNER_H

#include <stdbool.h>
#include <stdint.h>

/* Reads what follows "\\u": one code point, of one or two escapes. Surrogates must come
 * in pairs (RFC 8259 section 7, 8.2). *at is moved behind it. */
bool json_read_unicode(const uint8_t **at, const uint8_t *end, uint32_t *ret_code);

#endif
