/*
 * Time: RFC 3339 as platforms write it, judged by tables and by the C library's own
 * calendar.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "common/time.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* First and last millisecond of the years 0 to 9999. */
#define LEAST_MS (-62167219200000LL)
#define MOST_MS 253402300799999LL

static void
what_platforms_write_is_read(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} cases[] = {
		{ "1970-01-01T00:00:00Z", 0 },
		{ "1969-12-31T23:59:59.999Z", -1 },
		{ "2025-04-01T07:56:19Z", 1743494179000 },
		{ "2026-02-20T15:03:20.191347293Z", 1771599800191 },
		{ "2025-01-01T11:00:00+11:00", 1735689600000 },
		{ "2024-12-31T19:00:00-05:00", 1735689600000 },
		{ "2025-01-01T05:45:00+05:45", 1735689600000 },
		{ "2025-01-01T00:00:00-00:00", 1735689600000 },
		{ "2024-12-31T00:01:00-23:59", 1735689600000 },
		{ "2025-01-01t00:00:00z", 1735689600000 },
		{ "2025-01-01 00:00:00Z", 1735689600000 },
		{ "2025-01-01T00:00:00.1Z", 1735689600100 },
		{ "2025-01-01T00:00:00.12Z", 1735689600120 },
		{ "2025-01-01T00:00:00.123Z", 1735689600123 },
		{ "2025-01-01T00:00:00.1239Z", 1735689600123 },
		{ "2025-01-01T00:00:00.12399Z", 1735689600123 },
		{ "2025-01-01T00:00:00.123999Z", 1735689600123 },
		{ "2025-01-01T00:00:00.1239999Z", 1735689600123 },
		{ "2025-01-01T00:00:00.12399999Z", 1735689600123 },
		{ "2025-01-01T00:00:00.123999999Z", 1735689600123 },
		{ "2025-01-01T00:00:00.000000001Z", 1735689600000 },
		{ "2025-01-01T00:00:00.001+00:00", 1735689600001 },
		{ "0001-01-01T00:00:00Z", -62135596800000 },
		{ "0000-01-01T00:00:00Z", LEAST_MS },
		{ "0000-02-29T00:00:00Z", LEAST_MS + 59 * 86400000LL },
		{ "9999-12-31T23:59:59.999Z", MOST_MS },
		{ "2000-02-29T00:00:00Z", 951782400000 },
		{ "2024-02-29T00:00:00Z", 1709164800000 },
		{ "2024-03-01T00:00:00Z", 1709251200000 },
		{ "2016-12-31T23:59:60Z", 1483228800000 },
		{ "2017-01-01T00:00:00Z", 1483228800000 },
		{ "2017-01-01T00:59:60+01:00", 1483228800000 },
		{ "2038-01-19T03:14:08Z", 2147483648000 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		int64_t ms = 4711;

		if (time_parse(cases[i].text, strlen(cases[i].text), &ms) != 0 ||
		    ms != cases[i].ms)
			fail_msg("'%s' gave %lld", cases[i].text, (long long)ms);
	}
}

static void
what_is_ill_formed_is_refused(void **state)
{
	static const char *const cases[] = {
		"",
		"Z",
		"2025",
		"2025-01-01",
		"2025-01-01Z",
		"2025-01-01T",
		"2025-01-01T00",
		"2025-01-01T00:00",
		"2025-01-01T00:00Z",
		"2025-01-01T00:00:00",
		"2025-01-01T00:00:00.Z",
		"2025-01-01T00:00:00,5Z",
		"2025-01-01T00:00:00.1234567890Z",
		"2025-01-01T00:00:00.-1Z",
		"2025-01-01T00:00:00Zz",
		"2025-01-01T00:00:00Z ",
		"2025-01-01T00:00:00Z\n",
		" 2025-01-01T00:00:00Z",
		"2025-01-01_00:00:00Z",
		"2025-00-01T00:00:00Z",
		"2025-13-01T00:00:00Z",
		"2025-01-00T00:00:00Z",
		"2025-01-32T00:00:00Z",
		"2025-02-29T00:00:00Z",
		"2024-02-30T00:00:00Z",
		"1900-02-29T00:00:00Z",
		"2100-02-29T00:00:00Z",
		"2025-04-31T00:00:00Z",
		"2025-06-31T00:00:00Z",
		"2025-09-31T00:00:00Z",
		"2025-11-31T00:00:00Z",
		"2025-01-01T24:00:00Z",
		"2025-01-01T00:60:00Z",
		"2025-01-01T00:00:61Z",
		"2025-01-01T00:00:99Z",
		"2025-1-01T00:00:00Z",
		"2025-01-1T00:00:00Z",
		"2025-01-01T0:00:00Z",
		"20250101T000000Z",
		"+2025-01-01T00:00:00Z",
		"-2025-01-01T00:00:00Z",
		"12025-01-01T00:00:00Z",
		"2025-01-01T00:00:00+",
		"2025-01-01T00:00:00+1",
		"2025-01-01T00:00:00+01",
		"2025-01-01T00:00:00+0100",
		"2025-01-01T00:00:00+01:0",
		"2025-01-01T00:00:00+24:00",
		"2025-01-01T00:00:00+01:60",
		"2025-01-01T00:00:00+01:00Z",
		"2025-01-01T00:00:00Z+01:00",
		"2025-01-01T00:00:00 +01:00",
		"2025-01-01T00:00:00\xe2\x88\x92+01:00",
		"2025-01-01T-1:00:00Z",
		"2025-01-01T 1:00:00Z",
		"2025-01-01T00:00:+1Z",
		"20a5-01-01T00:00:00Z",
		"\xd9\xa2\xd9\xa0-01-01T00:00:00Z",
		"1743494179",
		"now",
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		int64_t ms = 4711;

		if (time_parse(cases[i], strlen(cases[i]), &ms) != -EINVAL)
			fail_msg("'%s' was read as %lld", cases[i], (long long)ms);
		assert_int_equal(ms, 4711);
	}
}

static void
a_nul_ends_nothing(void **state)
{
	static const char text[] = "2025-01-01T00:00:00Z\0";
	static const char inside[] = "2025-01-01\0"
				     "00:00:00Z";
	int64_t ms;

	(void)state;
	assert_int_equal(time_parse(text, sizeof(text) - 2, &ms), 0);
	assert_int_equal(time_parse(text, sizeof(text) - 1, &ms), -EINVAL);
	assert_int_equal(time_parse(inside, sizeof(inside) - 1, &ms), -EINVAL);
}

static void
a_cut_time_is_refused_everywhere(void **state)
{
	static const char text[] = "2026-02-20T15:03:20.191347293+11:30";
	size_t length;
	int64_t ms;

	(void)state;
	for (length = 0; length < sizeof(text) - 1; length++) {
		/* Memory of that length exactly, so that reading on is seen. */
		char *copy = malloc(length + 1);

		memcpy(copy, text, length);
		copy = realloc(copy, length ? length : 1);
		assert_int_equal(time_parse(copy, length, &ms), -EINVAL);
		free(copy);
	}
}

static void
times_are_written_in_utc_with_milliseconds(void **state)
{
	static const struct {
		int64_t ms;
		const char *text;
	} cases[] = {
		{ 0, "1970-01-01T00:00:00.000Z" },
		{ -1, "1969-12-31T23:59:59.999Z" },
		{ 1768730400000, "2026-01-18T10:00:00.000Z" },
		{ 1709164800007, "2024-02-29T00:00:00.007Z" },
		{ LEAST_MS, "0000-01-01T00:00:00.000Z" },
		{ LEAST_MS - 1, "0000-01-01T00:00:00.000Z" },
		{ INT64_MIN, "0000-01-01T00:00:00.000Z" },
		{ MOST_MS, "9999-12-31T23:59:59.999Z" },
		{ MOST_MS + 1, "9999-12-31T23:59:59.999Z" },
		{ INT64_MAX, "9999-12-31T23:59:59.999Z" },
	};
	char text[TIME_TEXT_SIZE];
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		time_format(cases[i].ms, text);
		assert_string_equal(text, cases[i].text);
	}
}

/* A generator of its own, so that a failure comes again. */
static uint64_t
next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void
every_time_comes_back_and_agrees_with_the_c_library(void **state)
{
	uint64_t random = 88172645463325252ULL;
	const uint64_t span = (uint64_t)(MOST_MS - LEAST_MS) + 1;
	unsigned i;

	(void)state;
	for (i = 0; i < 100000; i++) {
		int64_t ms = LEAST_MS + (int64_t)(next_random(&random) % span);
		time_t seconds = (time_t)((ms - (ms % 1000 + 1000) % 1000) / 1000);
		char expected[64];
		char text[TIME_TEXT_SIZE];
		struct tm tm;
		int64_t back;

		time_format(ms, text);
		assert_int_equal(time_parse(text, strlen(text), &back), 0);
		assert_int_equal(back, ms);
		if (i % 8)
			continue;
		gmtime_r(&seconds, &tm);
		snprintf(expected, sizeof(expected),
		    "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900,
		    tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
		    (int)((ms % 1000 + 1000) % 1000));
		assert_string_equal(text, expected);
	}
}

/* Eleven and the days of four centuries have no common divisor: every date comes up. */
static void
days_of_all_years_come_back(void **state)
{
	char text[TIME_TEXT_SIZE];
	int64_t back;
	int64_t ms;

	(void)state;
	for (ms = LEAST_MS; ms <= MOST_MS; ms += 11 * 86400000LL) {
		time_format(ms, text);
		if (time_parse(text, strlen(text), &back) != 0 || back != ms)
			fail_msg("%lld gave '%s'", (long long)ms, text);
	}
}

static void
offsets_are_taken_off(void **state)
{
	int hour;
	int minute;

	(void)state;
	for (hour = -23; hour <= 23; hour++)
		for (minute = 0; minute < 60; minute += 15) {
			char text[64];
			int64_t ms;
			int sign = hour < 0 ? -1 : 1;

			snprintf(text, sizeof(text), "2025-01-01T00:00:00%c%02d:%02d",
			    sign < 0 ? '-' : '+', abs(hour) % 100, minute % 100);
			assert_int_equal(time_parse(text, strlen(text), &ms), 0);
			assert_int_equal(ms,
			    1735689600000LL -
				sign * (abs(hour) * 60 + minute) * 60000LL);
		}
}

static void
clocks_go_forward(void **state)
{
	int64_t before = time_boot_us();
	int64_t wall = time_now_ms();
	int64_t now = (int64_t)time(NULL);

	(void)state;
	assert_true(time_boot_us() >= before);
	assert_true(time_boot_ms() >= before / 1000);
	assert_true(llabs(wall / 1000 - now) <= 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_platforms_write_is_read),
		cmocka_unit_test(what_is_ill_formed_is_refused),
		cmocka_unit_test(a_nul_ends_nothing),
		cmocka_unit_test(a_cut_time_is_refused_everywhere),
		cmocka_unit_test(times_are_written_in_utc_with_milliseconds),
		cmocka_unit_test(every_time_comes_back_and_agrees_with_the_c_library),
		cmocka_unit_test(days_of_all_years_come_back),
		cmocka_unit_test(offsets_are_taken_off),
		cmocka_unit_test(clocks_go_forward),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
