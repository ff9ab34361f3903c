/*
 * Clocks and RFC 3339, without locale, time zone files or allocation. Used by every
 * program; time_parse reads hostile input.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/time.h"

#define DAY_MS 86400000LL

static int64_t
clock_us(clockid_t clock)
{
	struct timespec now;

	(void)clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t
time_now_ms(void)
{
	return clock_us(CLOCK_REALTIME) / 1000;
}

int64_t
time_boot_ms(void)
{
	return clock_us(CLOCK_BOOTTIME) / 1000;
}

int64_t
time_boot_us(void)
{
	return clock_us(CLOCK_BOOTTIME);
}

/* Days from 1970-01-01 to a date of the Gregorian calendar (years counted from March,
 * so that the leap day comes last). */
static int64_t
days_from_date(int64_t year, int month, int day)
{
	int64_t era;
	int64_t year_of_era;
	int64_t day_of_year;

	year -= month <= 2;
	era = (year >= 0 ? year : year - 399) / 400;
	year_of_era = year - era * 400;
	day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 +
	    day_of_year - 719468;
}

static void
date_from_days(int64_t days, int *ret_year, int *ret_month, int *ret_day)
{
	int64_t era;
	int64_t day_of_era;
	int64_t year_of_era;
	int64_t day_of_year;
	int64_t month;

	days += 719468;
	era = (days >= 0 ? days : days - 146096) / 146097;
	day_of_era = days - era * 146097;
	year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 -
			  day_of_era / 146096) /
	    365;
	day_of_year =
	    day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	month = (5 * day_of_year + 2) / 153;
	*ret_day = (int)(day_of_year - (153 * month + 2) / 5 + 1);
	*ret_month = (int)(month < 10 ? month + 3 : month - 9);
	*ret_year = (int)(year_of_era + era * 400 + (*ret_month <= 2));
}

void
time_format(int64_t ms, char text[static TIME_TEXT_SIZE])
{
	const int64_t least = days_from_date(0, 1, 1) * DAY_MS;
	const int64_t most = days_from_date(10000, 1, 1) * DAY_MS - 1;
	int64_t days;
	int64_t rest;
	int year;
	int month;
	int day;

	ms = ms < least ? least : ms > most ? most : ms;
	days = ms / DAY_MS;
	rest = ms % DAY_MS;
	if (rest < 0) {
		rest += DAY_MS;
		days--;
	}
	date_from_days(days, &year, &month, &day);
	(void)snprintf(text, TIME_TEXT_SIZE, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ",
	    year % 10000, month % 100, day % 100, (int)(rest / 3600000) % 100,
	    (int)(rest / 60000 % 60), (int)(rest / 1000 % 60), (int)(rest % 1000));
}

/* A reader over the text; every step says whether it found what it wanted. */
struct reader {
	const char *at;
	const char *end;
};

static bool
read_number(struct reader *reader, int digits, int least, int most, int *ret_value)
{
	int value = 0;

	if (reader->end - reader->at < digits)
		return false;
	while (digits-- > 0) {
		if (*reader->at < '0' || *reader->at > '9')
			return false;
		value = value * 10 + (*reader->at++ - '0');
	}
	*ret_value = value;
	return value >= least && value <= most;
}

static bool
read_one_of(struct reader *reader, const char *set)
{
	if (reader->at == reader->end || *reader->at == '\0' ||
	    !strchr(set, *reader->at))
		return false;
	reader->at++;
	return true;
}

static int
days_in_month(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	if (month == 2 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0))
		return 29;
	return days[month - 1];
}

static bool
read_date(struct reader *reader, int64_t *ret_days)
{
	int year;
	int month;
	int day;

	if (!read_number(reader, 4, 0, 9999, &year) || !read_one_of(reader, "-") ||
	    !read_number(reader, 2, 1, 12, &month) || !read_one_of(reader, "-") ||
	    !read_number(reader, 2, 1, days_in_month(year, month), &day))
		return false;
	*ret_days = days_from_date(year, month, day);
	return true;
}

static bool
read_fraction(struct reader *reader, int *ret_ms)
{
	int digits;
	int ms = 0;

	if (!read_one_of(reader, "."))
		return true;
	for (digits = 0;
	     reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9';
	     digits++, reader->at++)
		if (digits < 3)
			ms = ms * 10 + (*reader->at - '0');
	if (digits < 1 || digits > 9)
		return false;
	for (; digits < 3; digits++)
		ms *= 10;
	*ret_ms = ms;
	return true;
}

static bool
read_clock(struct reader *reader, int64_t *ret_ms)
{
	int hour;
	int minute;
	int second;
	int ms = 0;

	if (!read_number(reader, 2, 0, 23, &hour) || !read_one_of(reader, ":") ||
	    !read_number(reader, 2, 0, 59, &minute) || !read_one_of(reader, ":") ||
	    !read_number(reader, 2, 0, 60, &second) || !read_fraction(reader, &ms))
		return false;
	*ret_ms = ((hour * 60LL + minute) * 60 + second) * 1000 + ms;
	return true;
}

static bool
read_offset(struct reader *reader, int64_t *ret_ms)
{
	bool ahead;
	int hour;
	int minute;

	*ret_ms = 0;
	if (read_one_of(reader, "Zz"))
		return true;
	ahead = read_one_of(reader, "+");
	if (!ahead && !read_one_of(reader, "-"))
		return false;
	if (!read_number(reader, 2, 0, 23, &hour) || !read_one_of(reader, ":") ||
	    !read_number(reader, 2, 0, 59, &minute))
		return false;
	*ret_ms = (hour * 60LL + minute) * 60000 * (ahead ? 1 : -1);
	return true;
}

int
time_parse(const char *text, size_t length, int64_t *ret_ms)
{
	struct reader reader = { .at = text, .end = text + length };
	int64_t days;
	int64_t clock;
	int64_t offset;

	if (!read_date(&reader, &days) || !read_one_of(&reader, "Tt ") ||
	    !read_clock(&reader, &clock) || !read_offset(&reader, &offset) ||
	    reader.at != reader.end)
		return -EINVAL;
	*ret_ms = days * DAY_MS + clock - offset;
	return 0;
}
