/*
 * Values as people type and read them: durations, times, platforms.
 */
#ifndef BROKER_CLI_WORDS_H
#define BROKER_CLI_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of the texts written here, with their NUL. */
#define WORDS_SIZE 64

/* "90s", "10m", "1h", "2d" or plain seconds, 1 s to 7 days. False for anything else. */
bool words_duration(const char *text, uint64_t *ret_ms);

/* "1 h 43 m", "12 min", "40 s". */
void words_span(uint64_t ms, char ret_text[static WORDS_SIZE]);

/* "in 1 h 43 m (14:22)", "12 min ago (2026-01-18 09:48)": of a time in ms since 1970,
 * in the local time zone; "-" for 0. */
void words_when(uint64_t ms, uint64_t now, char ret_text[static WORDS_SIZE]);

/* "2026-01-18 10:00:00" in the local time zone. */
void words_time(uint64_t ms, char ret_text[static WORDS_SIZE]);

/* Whether a platform of that name exists; when not, says so on standard error, with
 * what was perhaps meant. */
bool words_platform(const char *name);

/* An account as it is typed: PLATFORM/NAME. */
struct words_account {
	char platform[WORDS_SIZE];
	const char *name; /* borrowed from what was typed */
};

/* Takes it apart, or says on standard error what is wrong with it. */
bool words_account(const char *text, struct words_account *ret_account);

/* Reads a number in the given bounds, or says on standard error which option is wrong.
 */
bool words_number(const char *option, const char *text, uint64_t least, uint64_t most,
    uint64_t *ret_number);

#endif
