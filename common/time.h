/*
 * Time: milliseconds since 1970 for what is stored and shown, boot-time milliseconds
 * (they go on during suspend, and no one sets them) for deadlines.
 */
#ifndef COMMON_TIME_H
#define COMMON_TIME_H

#include <stddef.h>
#include <stdint.h>

/* "2026-01-18T10:00:00.000Z" and its NUL. */
#define TIME_TEXT_SIZE 32

/* Wall clock, milliseconds since 1970-01-01T00:00:00Z. */
int64_t time_now_ms(void);

/* CLOCK_BOOTTIME in milliseconds; for deadlines and durations. */
int64_t time_boot_ms(void);

/* The same in microseconds, for measuring. */
int64_t time_boot_us(void);

/* Writes RFC 3339 UTC with milliseconds, the form of the API (design.md 3). Values
 * outside the years 0 to 9999 are written as the nearest of those. */
void time_format(int64_t ms, char text[static TIME_TEXT_SIZE]);

/* Reads RFC 3339 as platforms write it (facts/kick.md 0): 0 to 9 fraction digits, `Z`
 * or an offset, `T`, `t` or a space (RFC 3339 5.6 allows it); digits beyond
 * milliseconds are cut off. A leap second (:60) counts as the next second. 0 on
 * success, -EINVAL otherwise. */
int time_parse(const char *text, size_t length, int64_t *ret_ms);

#endif
