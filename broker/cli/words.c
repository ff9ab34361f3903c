/*
 * Durations, times, platforms and numbers for people.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "broker/cli/next.h"
#include "broker/cli/talk.h"
#include "broker/cli/words.h"
#include "common/config.h"
#include "common/suggest.h"
#include "common/text.h"

#define SECOND_MS 1000ULL
#define MINUTE_S 60ULL
#define HOUR_S 3600ULL
#define DAY_S 86400ULL
#define DURATION_MAX_S (7 * DAY_S)

/* The year 9999 or so. */
#define CALENDAR_MAX_S 253402300800ULL

static uint64_t
unit_seconds(char unit)
{
	switch (unit) {
	case 's':
		return 1;
	case 'm':
		return MINUTE_S;
	case 'h':
		return HOUR_S;
	case 'd':
		return DAY_S;
	default:
		return 0;
	}
}

bool
words_duration(const char *text, uint64_t *ret_ms)
{
	size_t length = strlen(text);
	uint64_t unit = length > 0 ? unit_seconds(text[length - 1]) : 0;
	uint64_t number;

	if (unit > 0)
		length--;
	else
		unit = 1;
	if (!text_to_u64(text, length, DURATION_MAX_S, &number) || number == 0 ||
	    number * unit > DURATION_MAX_S)
		return false;
	*ret_ms = number * unit * SECOND_MS;
	return true;
}

void
words_span(uint64_t ms, char ret_text[static WORDS_SIZE])
{
	unsigned long long seconds = ms / SECOND_MS;

	if (seconds < 2 * MINUTE_S)
		(void)snprintf(ret_text, WORDS_SIZE, "%llu s", seconds);
	else if (seconds < 2 * HOUR_S)
		(void)snprintf(ret_text, WORDS_SIZE, "%llu min", seconds / MINUTE_S);
	else if (seconds < 2 * DAY_S)
		(void)snprintf(ret_text, WORDS_SIZE, "%llu h %llu min",
		    seconds / HOUR_S, seconds % HOUR_S / MINUTE_S);
	else
		(void)snprintf(ret_text, WORDS_SIZE, "%llu days", seconds / DAY_S);
}

/* False when the time is beyond what calendars hold. */
static bool
local_time(uint64_t ms, struct tm *ret_parts)
{
	time_t seconds = (time_t)(ms / SECOND_MS);

	return ms / SECOND_MS < CALENDAR_MAX_S && localtime_r(&seconds, ret_parts);
}

void
words_time(uint64_t ms, char ret_text[static WORDS_SIZE])
{
	struct tm parts;

	if (!local_time(ms, &parts) ||
	    strftime(ret_text, WORDS_SIZE, "%Y-%m-%d %H:%M:%S", &parts) == 0)
		(void)snprintf(ret_text, WORDS_SIZE, "?");
}

void
words_when(uint64_t ms, uint64_t now, char ret_text[static WORDS_SIZE])
{
	uint64_t distance = ms > now ? ms - now : now - ms;
	struct tm parts;
	char span[WORDS_SIZE];
	char clock[24] = "?";

	if (ms == 0) {
		(void)snprintf(ret_text, WORDS_SIZE, "-");
		return;
	}
	words_span(distance, span);
	if (local_time(ms, &parts) && distance < DAY_S * SECOND_MS)
		(void)strftime(clock, sizeof(clock), "%H:%M", &parts);
	else if (local_time(ms, &parts))
		(void)strftime(clock, sizeof(clock), "%Y-%m-%d", &parts);
	if (ms > now)
		(void)snprintf(ret_text, WORDS_SIZE, "in %.24s (%s)", span, clock);
	else
		(void)snprintf(ret_text, WORDS_SIZE, "%.24s ago (%s)", span, clock);
}

bool
words_platform(const char *name)
{
	const char *names[CONFIG_PLATFORM_MAX];
	char all[128] = "";
	const char *near;
	size_t i;

	for (i = 0; i < CONFIG_PLATFORM_MAX; i++) {
		names[i] = config_platform_name((enum config_platform_index)i);
		if (strcmp(names[i], name) == 0)
			return true;
		(void)snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s",
		    i ? ", " : "", names[i]);
	}
	near = suggest_nearest(name, names, CONFIG_PLATFORM_MAX);
	if (near)
		talk_error(next_help(), "there is no platform '%s'; did you mean '%s'?",
		    name, near);
	else
		talk_error(
		    next_help(), "there is no platform '%s'; there are %s", name, all);
	return false;
}

bool
words_account(const char *text, struct words_account *ret_account)
{
	const char *slash = strchr(text, '/');
	size_t length = slash ? (size_t)(slash - text) : 0;

	if (!slash) {
		talk_error("streamhold accounts",
		    "'%s' is no account: write PLATFORM/NAME, like kick/streamer123",
		    text);
		return false;
	}
	(void)snprintf(ret_account->platform, WORDS_SIZE, "%.*s",
	    (int)(length < WORDS_SIZE ? length : WORDS_SIZE - 1), text);
	ret_account->name = slash + 1;
	if (!words_platform(ret_account->platform))
		return false;
	if (text_is_username(slash + 1, strlen(slash + 1)))
		return true;
	talk_error("streamhold accounts",
	    "'%s' is no user name: 1 to %d bytes of UTF-8 without control characters "
	    "and '/'",
	    slash + 1, TEXT_USERNAME_MAX);
	return false;
}

bool
words_number(const char *option, const char *text, uint64_t least, uint64_t most,
    uint64_t *ret_number)
{
	uint64_t number;

	if (text_to_u64(text, strlen(text), most, &number) && number >= least) {
		*ret_number = number;
		return true;
	}
	talk_error(next_help(),
	    "--%s must be a whole number from %llu to %llu, not '%s'", option,
	    (unsigned long long)least, (unsigned long long)most, text);
	return false;
}
