/*
 * What a value that json_scan found says: as text, number or time, and of which type it
 * is. Pure; the slices are of text that was scanned, so that nothing is checked twice.
 */
#include <string.h>

#include "broker/events/json_scan.h"
#include "broker/events/json_scan_inner.h"
#include "common/text.h"
#include "common/time.h"

/* Bytes of a time that is understood, with NUL. */
#define TIME_MAX 48

static int
hex_value(uint8_t byte)
{
	if (byte >= '0' && byte <= '9')
		return byte - '0';
	if (byte >= 'a' && byte <= 'f')
		return byte - 'a' + 10;
	return byte >= 'A' && byte <= 'F' ? byte - 'A' + 10 : -1;
}

/* Reads four hex digits at `at`; the caller knows that they are there. */
static bool
read_hex4(const uint8_t *at, uint32_t *ret_code)
{
	uint32_t code = 0;
	size_t i;

	for (i = 0; i < 4; i++) {
		int value = hex_value(at[i]);

		if (value < 0)
			return false;
		code = code << 4 | (uint32_t)value;
	}
	*ret_code = code;
	return true;
}

bool
json_read_unicode(const uint8_t **at, const uint8_t *end, uint32_t *ret_code)
{
	uint32_t high;
	uint32_t low;

	if (end - *at < 4 || !read_hex4(*at, &high))
		return false;
	*at += 4;
	*ret_code = high;
	if (high < 0xd800 || high > 0xdfff)
		return true;
	if (high > 0xdbff || end - *at < 6 || (*at)[0] != '\\' || (*at)[1] != 'u' ||
	    !read_hex4(*at + 2, &low) || low < 0xdc00 || low > 0xdfff)
		return false;
	*at += 6;
	*ret_code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
	return true;
}

static size_t
put_utf8(uint32_t code, char bytes[static 4])
{
	if (code < 0x80) {
		bytes[0] = (char)code;
		return 1;
	}
	if (code < 0x800) {
		bytes[0] = (char)(0xc0 | code >> 6);
		bytes[1] = (char)(0x80 | (code & 0x3f));
		return 2;
	}
	if (code < 0x10000) {
		bytes[0] = (char)(0xe0 | code >> 12);
		bytes[1] = (char)(0x80 | (code >> 6 & 0x3f));
		bytes[2] = (char)(0x80 | (code & 0x3f));
		return 3;
	}
	bytes[0] = (char)(0xf0 | code >> 18);
	bytes[1] = (char)(0x80 | (code >> 12 & 0x3f));
	bytes[2] = (char)(0x80 | (code >> 6 & 0x3f));
	bytes[3] = (char)(0x80 | (code & 0x3f));
	return 4;
}

/* Decodes one character at *at, which was scanned before. */
static size_t
decode(const uint8_t **at, const uint8_t *end, char bytes[static 4])
{
	static const char escapes[] = "\"\\/bfnrt";
	static const char meanings[] = "\"\\/\b\f\n\r\t";
	uint32_t code = 0;
	uint8_t byte = *(*at)++;

	if (byte != '\\') {
		bytes[0] = (char)byte;
		return 1;
	}
	byte = *(*at)++;
	if (byte != 'u') {
		bytes[0] = meanings[strchr(escapes, byte) - escapes];
		return 1;
	}
	(void)json_read_unicode(at, end, &code);
	return put_utf8(code, bytes);
}

/* Copies a text without escapes, as most are. */
static bool
copy_plain(struct json_slice slice, char *text, size_t size)
{
	size_t length = slice.length - 2;

	if (length >= size)
		return false;
	memcpy(text, slice.start + 1, length);
	text[length] = '\0';
	return true;
}

bool
json_slice_text(struct json_slice slice, char *text, size_t size)
{
	const uint8_t *at = slice.start ? slice.start + 1 : NULL;
	const uint8_t *end = slice.start ? slice.start + slice.length - 1 : NULL;
	size_t used = 0;

	text[0] = '\0';
	if (!slice.start || slice.start[0] != '"')
		return false;
	if (!memchr(at, '\\', (size_t)(end - at)))
		return copy_plain(slice, text, size);
	while (at < end) {
		char bytes[4];
		size_t count = decode(&at, end, bytes);

		if (used + count >= size || bytes[0] == '\0') {
			text[0] = '\0';
			return false;
		}
		memcpy(text + used, bytes, count);
		used += count;
	}
	text[used] = '\0';
	return true;
}

bool
json_slice_id(struct json_slice slice, uint64_t *ret_number)
{
	return slice.start &&
	    text_to_u64(
		(const char *)slice.start, slice.length, UINT64_MAX, ret_number) &&
	    *ret_number > 0;
}

bool
json_slice_is_null(struct json_slice slice)
{
	return !slice.start || slice.start[0] == 'n';
}

static bool
is_text(struct json_slice slice)
{
	return slice.start[0] == '"';
}

static bool
is_flag(struct json_slice slice)
{
	return slice.start[0] == 't' || slice.start[0] == 'f';
}

static bool
is_id(struct json_slice slice)
{
	uint64_t number;

	return text_to_u64(
	    (const char *)slice.start, slice.length, UINT64_MAX, &number);
}

static bool
is_integer(struct json_slice slice)
{
	bool minus = slice.start[0] == '-';
	uint64_t number;

	return text_to_u64((const char *)slice.start + minus, slice.length - minus,
	    (uint64_t)INT64_MAX + minus, &number);
}

static bool
is_label(struct json_slice slice)
{
	return is_text(slice) || is_id(slice);
}

static bool
is_time(struct json_slice slice)
{
	int64_t ms;

	return is_text(slice) && (slice.length == 2 || json_slice_time(slice, &ms));
}

static bool
is_object(struct json_slice slice)
{
	return slice.start[0] == '{';
}

static bool
is_array(struct json_slice slice)
{
	return slice.start[0] == '[';
}

bool
json_slice_is(struct json_slice slice, enum scan_type type)
{
	static bool (*const checks[SCAN_TYPE_COUNT])(struct json_slice slice) = {
		[SCAN_TEXT] = is_text,
		[SCAN_FLAG] = is_flag,
		[SCAN_INTEGER] = is_integer,
		[SCAN_ID] = is_id,
		[SCAN_LABEL] = is_label,
		[SCAN_TIME] = is_time,
		[SCAN_OBJECT] = is_object,
		[SCAN_ARRAY] = is_array,
	};

	return json_slice_is_null(slice) || !checks[type] || checks[type](slice);
}

bool
json_slice_time(struct json_slice slice, int64_t *ret_ms)
{
	char text[TIME_MAX];

	return json_slice_text(slice, text, sizeof(text)) &&
	    time_parse(text, strlen(text), ret_ms) == 0;
}
