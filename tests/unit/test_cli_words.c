/*
 * Durations, spans and times as people type and read them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "broker/cli/words.h"

#define MINUTE_MS (60 * 1000ULL)
#define HOUR_MS (60 * MINUTE_MS)
#define DAY_MS (24 * HOUR_MS)
#define NOW 1768730400000ULL /* 2026-01-18T10:00:00Z */

static void
durations_have_a_unit_or_are_seconds(void **state)
{
	static const struct {
		const char *text;
		uint64_t ms;
	} good[] = { { "1", 1000 }, { "90s", 90000 }, { "10m", 10 * MINUTE_MS },
		{ "1h", HOUR_MS }, { "7d", 7 * DAY_MS }, { "604800", 7 * DAY_MS } };
	static const char *const bad[] = { "", "s", "0", "0m", "-1s", "1.5h", "1 h",
		"1w", "8d", "604801", "169h", "99999999999999999999", "1hh", "h1",
		" 1" };
	uint64_t ms;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_true(words_duration(good[i].text, &ms));
		assert_int_equal(ms, good[i].ms);
	}
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ms = 77;
		assert_false(words_duration(bad[i], &ms));
		assert_int_equal(ms, 77);
	}
}

static void
spans_use_the_unit_that_says_enough(void **state)
{
	static const struct {
		uint64_t ms;
		const char *text;
	} rows[] = { { 0, "0 s" }, { 999, "0 s" }, { 40000, "40 s" },
		{ 119999, "119 s" }, { 2 * MINUTE_MS, "2 min" },
		{ 2 * HOUR_MS - 1, "119 min" },
		{ 2 * HOUR_MS + 43 * MINUTE_MS, "2 h 43 min" },
		{ 2 * DAY_MS - 1, "47 h 59 min" }, { 2 * DAY_MS, "2 days" },
		{ UINT64_MAX, "213503982334 days" } };
	char text[WORDS_SIZE];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		words_span(rows[i].ms, text);
		assert_string_equal(text, rows[i].text);
	}
}

static void
times_say_how_far_away_and_when(void **state)
{
	static const struct {
		uint64_t ms;
		const char *text;
	} rows[] = { { 0, "-" }, { NOW, "0 s ago (10:00)" },
		{ NOW + 2 * HOUR_MS, "in 2 h 0 min (12:00)" },
		{ NOW - 12 * MINUTE_MS, "12 min ago (09:48)" },
		{ NOW + 3 * DAY_MS, "in 3 days (2026-01-21)" },
		{ UINT64_MAX, "in 213503961863 days (?)" } };
	char text[WORDS_SIZE];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		words_when(rows[i].ms, NOW, text);
		assert_string_equal(text, rows[i].text);
	}
	words_time(NOW, text);
	assert_string_equal(text, "2026-01-18 10:00:00");
	words_time(UINT64_MAX, text);
	assert_string_equal(text, "?");
}

static void
platforms_are_those_of_the_table(void **state)
{
	(void)state;
	assert_true(words_platform("kick"));
	assert_true(words_platform("twitch"));
	assert_true(words_platform("youtube"));
	assert_false(words_platform("Kick"));
	assert_false(words_platform(""));
}

static void
numbers_keep_their_bounds(void **state)
{
	uint64_t number = 77;

	(void)state;
	assert_true(words_number("limit", "1", 1, 500, &number));
	assert_int_equal(number, 1);
	assert_true(words_number("limit", "500", 1, 500, &number));
	assert_int_equal(number, 500);
	assert_false(words_number("limit", "0", 1, 500, &number));
	assert_false(words_number("limit", "501", 1, 500, &number));
	assert_false(words_number("limit", "1x", 1, 500, &number));
	assert_int_equal(number, 500);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(durations_have_a_unit_or_are_seconds),
		cmocka_unit_test(spans_use_the_unit_that_says_enough),
		cmocka_unit_test(times_say_how_far_away_and_when),
		cmocka_unit_test(platforms_are_those_of_the_table),
		cmocka_unit_test(numbers_keep_their_bounds),
	};

	(void)setenv("TZ", "UTC", 1);
	tzset();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
