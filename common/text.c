/*
 * Text helpers without allocation where possible; all of them are given hostile input.
 */
#include <errno.h>
#include <string.h>

#include "common/alloc.h"
#include "common/text.h"

/* Length of the UTF-8 sequence at `byte`, 0 when it is ill-formed. */
static size_t
sequence_length(const unsigned char *byte, size_t left)
{
	if (byte[0] < 0x80)
		return 1;
	if (byte[0] >= 0xc2 && byte[0] <= 0xdf)
		return left >= 2 && (byte[1] & 0xc0) == 0x80 ? 2 : 0;
	if (byte[0] >= 0xe0 && byte[0] <= 0xef) {
		if (left < 3 || (byte[1] & 0xc0) != 0x80 || (byte[2] & 0xc0) != 0x80)
			return 0;
		if ((byte[0] == 0xe0 && byte[1] < 0xa0) ||
		    (byte[0] == 0xed && byte[1] > 0x9f))
			return 0;
		return 3;
	}
	if (byte[0] >= 0xf0 && byte[0] <= 0xf4) {
		if (left < 4 || (byte[1] & 0xc0) != 0x80 || (byte[2] & 0xc0) != 0x80 ||
		    (byte[3] & 0xc0) != 0x80)
			return 0;
		if ((byte[0] == 0xf0 && byte[1] < 0x90) ||
		    (byte[0] == 0xf4 && byte[1] > 0x8f))
			return 0;
		return 4;
	}
	return 0;
}

bool
text_is_utf8(const char *text, size_t length)
{
	const unsigned char *bytes = (const unsigned char *)text;
	size_t at = 0;
	size_t step;

	while (at < length) {
		step = sequence_length(bytes + at, length - at);
		if (step == 0)
			return false;
		at += step;
	}
	return true;
}

bool
text_is_username(const char *text, size_t length)
{
	size_t i;

	if (length < 1 || length > TEXT_USERNAME_MAX || !text_is_utf8(text, length))
		return false;
	for (i = 0; i < length; i++) {
		unsigned char byte = (unsigned char)text[i];

		if (byte < 0x20 || byte == 0x7f || byte == '/')
			return false;
		/* U+0080 to U+009F are control characters as well. */
		if (byte == 0xc2 && (unsigned char)text[i + 1] < 0xa0)
			return false;
	}
	return true;
}

static char
fold(char byte)
{
	return byte >= 'A' && byte <= 'Z' ? (char)(byte + ('a' - 'A')) : byte;
}

bool
text_equal_nocase(const char *a, const char *b)
{
	while (*a && fold(*a) == fold(*b)) {
		a++;
		b++;
	}
	return fold(*a) == fold(*b);
}

char *
text_fold(const char *text)
{
	char *copy = xstrdup(text);
	char *at;

	for (at = copy; *at; at++)
		*at = fold(*at);
	return copy;
}

void
text_cut(char *text, size_t most)
{
	size_t end = most;

	if (strlen(text) <= most)
		return;
	while (end > 0 && ((unsigned char)text[end] & 0xc0) == 0x80)
		end--;
	text[end] = '\0';
}

bool
text_to_u64(const char *text, size_t length, uint64_t most, uint64_t *ret_value)
{
	uint64_t value = 0;
	size_t i;

	if (length == 0)
		return false;
	for (i = 0; i < length; i++) {
		uint64_t digit = (uint64_t)(text[i] - '0');

		if (text[i] < '0' || text[i] > '9')
			return false;
		if (value > (UINT64_MAX - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	if (value > most)
		return false;
	*ret_value = value;
	return true;
}

/* One more than the value of each character of the alphabet; 0 for all others. */
static const uint8_t base64_values[256] = { ['A'] = 1,
	2,
	3,
	4,
	5,
	6,
	7,
	8,
	9,
	10,
	11,
	12,
	13,
	14,
	15,
	16,
	17,
	18,
	19,
	20,
	21,
	22,
	23,
	24,
	25,
	26,
	['a'] = 27,
	28,
	29,
	30,
	31,
	32,
	33,
	34,
	35,
	36,
	37,
	38,
	39,
	40,
	41,
	42,
	43,
	44,
	45,
	46,
	47,
	48,
	49,
	50,
	51,
	52,
	['0'] = 53,
	54,
	55,
	56,
	57,
	58,
	59,
	60,
	61,
	62,
	['+'] = 63,
	['/'] = 64 };

/* What a group of four has too much by that. */
#define BASE64_ONES (1U << 18 | 1U << 12 | 1U << 6 | 1U)

static int
base64_value(char byte)
{
	return base64_values[(unsigned char)byte] - 1;
}

/* Decodes a last group with one or two padding bytes; its unused bits must be zero. */
static int
decode_tail(const char *text, size_t padding, uint8_t *bytes)
{
	int a = base64_value(text[0]);
	int b = base64_value(text[1]);
	int c = padding == 1 ? base64_value(text[2]) : 0;

	if (a < 0 || b < 0 || c < 0)
		return -EINVAL;
	if ((padding == 2 && (b & 15)) || (padding == 1 && (c & 3)))
		return -EINVAL;
	bytes[0] = (uint8_t)(a << 2 | b >> 4);
	if (padding == 1)
		bytes[1] = (uint8_t)((b & 15) << 4 | c >> 2);
	return 0;
}

int
base64_decode(
    const char *text, size_t length, uint8_t *bytes, size_t size, size_t *ret_length)
{
	size_t padding = 0;
	size_t out = 0;
	size_t i;

	if (length % 4)
		return -EINVAL;
	if (length && text[length - 1] == '=')
		padding = text[length - 2] == '=' ? 2 : 1;
	if (length / 4 * 3 - padding > size)
		return -ENOSPC;
	for (i = 0; i + 4 <= length - (padding ? 4 : 0); i += 4, out += 3) {
		uint32_t a = base64_values[(unsigned char)text[i]];
		uint32_t b = base64_values[(unsigned char)text[i + 1]];
		uint32_t c = base64_values[(unsigned char)text[i + 2]];
		uint32_t d = base64_values[(unsigned char)text[i + 3]];
		uint32_t group = (a << 18) + (b << 12) + (c << 6) + d - BASE64_ONES;

		if (!a || !b || !c || !d)
			return -EINVAL;
		bytes[out] = (uint8_t)(group >> 16);
		bytes[out + 1] = (uint8_t)(group >> 8);
		bytes[out + 2] = (uint8_t)group;
	}
	if (padding && decode_tail(text + i, padding, bytes + out) < 0)
		return -EINVAL;
	*ret_length = length / 4 * 3 - padding;
	return 0;
}

static size_t
encode(const uint8_t *bytes, size_t length, const char *alphabet, char *text)
{
	size_t out = 0;
	size_t i;

	for (i = 0; i < length; i += 3) {
		unsigned group = (unsigned)bytes[i] << 16;

		group |= i + 1 < length ? (unsigned)bytes[i + 1] << 8 : 0;
		group |= i + 2 < length ? (unsigned)bytes[i + 2] : 0;
		text[out++] = alphabet[group >> 18];
		text[out++] = alphabet[group >> 12 & 63];
		if (i + 1 < length)
			text[out++] = alphabet[group >> 6 & 63];
		if (i + 2 < length)
			text[out++] = alphabet[group & 63];
	}
	return out;
}

void
base64_encode_to(const void *bytes, size_t length, char *text)
{
	size_t out = encode(bytes, length,
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", text);

	while (out % 4)
		text[out++] = '=';
	text[out] = '\0';
}

char *
base64_encode(const void *bytes, size_t length)
{
	char *text = xmalloc(BASE64_SIZE(length));

	base64_encode_to(bytes, length, text);
	return text;
}

void
base64url_encode(const void *bytes, size_t length, char *text)
{
	size_t out = encode(bytes, length,
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", text);

	text[out] = '\0';
}

void
hex_encode(const void *bytes, size_t length, char *text)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *byte = bytes;
	size_t i;

	for (i = 0; i < length; i++) {
		text[2 * i] = digits[byte[i] >> 4];
		text[2 * i + 1] = digits[byte[i] & 15];
	}
	text[2 * length] = '\0';
}
