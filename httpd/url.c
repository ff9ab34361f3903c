/*
 * Decoding of paths and queries, once and strictly. Owns nothing; routes call it with
 * the spans that the request reader found.
 */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "httpd/url.h"

/*
 * Decode length bytes to out, which has room for them and a terminator; '+' becomes a
 * space when plus says so. The decoded length, or -1 for a bad escape or a NUL.
 */
static long
escapes_decode(const char *text, size_t length, bool plus, char *out)
{
	size_t end = 0;
	for (size_t i = 0; i < length; i++) {
		char byte = text[i];
		if (byte == '+' && plus)
			byte = ' ';
		if (byte == '%') {
			if (length - i < 3)
				return -1;
			int high = url_hex_value(text[i + 1]);
			int low = url_hex_value(text[i + 2]);
			if (high < 0 || low < 0)
				return -1;
			byte = (char)(high * 16 + low);
			i += 2;
		}
		if (byte == '\0')
			return -1;
		out[end++] = byte;
	}
	out[end] = '\0';
	return (long)end;
}

static bool
has_control(const char *text)
{
	for (; *text != '\0'; text++) {
		unsigned char byte = (unsigned char)*text;
		if (byte < 0x20 || byte == 0x7f)
			return true;
	}
	return false;
}

static int
segment_decode(
    const char *text, size_t length, unsigned flags, char *out, struct url_text *ret)
{
	if (length == 0)
		return -ENOENT;
	long decoded = escapes_decode(text, length, false, out);
	if (decoded < 0 || has_control(out) || strcmp(out, ".") == 0 ||
	    strcmp(out, "..") == 0)
		return -EINVAL;
	if ((flags & URL_SLASH_IN_SEGMENT) == 0 && strchr(out, '/') != NULL)
		return -EINVAL;
	*ret = (struct url_text){ out, (size_t)decoded };
	return url_utf8_valid(out, (size_t)decoded) ? 0 : -EINVAL;
}

int
url_path_decode(
    const char *path, size_t length, unsigned flags, struct url_path *ret_path)
{
	int result = 0;
	char *out = ret_path->text;
	if (length == 0 || length > URL_TEXT_MAX || path[0] != '/')
		return -EINVAL;
	ret_path->count = 0;
	for (size_t start = 1; length > 1 && start <= length;) {
		const char *text = path + start;
		const char *slash = memchr(text, '/', length - start);
		size_t part = slash != NULL ? (size_t)(slash - text) : length - start;
		struct url_text segment;
		int error = segment_decode(text, part, flags, out, &segment);
		if (error == -EINVAL)
			return error;
		if (error == 0 && ret_path->count == URL_SEGMENTS_MAX)
			error = -ENOENT;
		/* Goes on: what is illegal further back outweighs what is absent. */
		if (error != 0) {
			result = error;
		} else {
			ret_path->segments[ret_path->count++] = segment;
			out += segment.length + 1;
		}
		start += part + 1;
	}
	return result;
}

static int
parameter_decode(const char *text, size_t length, char *out, struct url_parameter *ret)
{
	const char *equals = memchr(text, '=', length);
	size_t name_length = equals != NULL ? (size_t)(equals - text) : length;
	long name = escapes_decode(text, name_length, true, out);
	if (name < 0)
		return -EINVAL;
	/* Without '=' the value is the terminator of the name. */
	char *value_out = out + name;
	long value = 0;
	if (equals != NULL) {
		value_out++;
		value = escapes_decode(
		    equals + 1, length - name_length - 1, true, value_out);
	}
	if (value < 0)
		return -EINVAL;
	ret->name = (struct url_text){ out, (size_t)name };
	ret->value = (struct url_text){ value_out, (size_t)value };
	bool valid = url_utf8_valid(out, (size_t)name) &&
	    url_utf8_valid(value_out, (size_t)value);
	return valid ? 0 : -EINVAL;
}

int
url_query_decode(const char *query, size_t length, struct url_query *ret_query)
{
	char *out = ret_query->text;
	ret_query->count = 0;
	if (length > URL_TEXT_MAX)
		return -EINVAL;
	for (size_t start = 0; start < length;) {
		const char *text = query + start;
		const char *end = memchr(text, '&', length - start);
		size_t part = end != NULL ? (size_t)(end - text) : length - start;
		start += part + 1;
		if (part == 0)
			continue;
		if (ret_query->count == URL_PARAMETERS_MAX)
			return -E2BIG;
		struct url_parameter *parameter =
		    &ret_query->parameters[ret_query->count];
		int error = parameter_decode(text, part, out, parameter);
		if (error != 0)
			return error;
		ret_query->count++;
		out = out + (parameter->value.data - out) + parameter->value.length + 1;
	}
	return 0;
}

int
url_query_find(
    const struct url_query *query, const char *name, struct url_text *ret_value)
{
	const struct url_parameter *found = NULL;
	for (size_t i = 0; i < query->count; i++) {
		if (strcmp(query->parameters[i].name.data, name) != 0)
			continue;
		if (found != NULL)
			return -EEXIST;
		found = &query->parameters[i];
	}
	if (found == NULL)
		return -ENOENT;
	*ret_value = found->value;
	return 0;
}

void
url_query_clear(struct url_query *query)
{
	explicit_bzero(query->text, sizeof(query->text));
	query->count = 0;
}

/*
 * RFC 3629 section 4. After a lead byte the second byte has a range of its own, which
 * keeps out longer forms, surrogates and what lies above U+10FFFF.
 */
static size_t
utf8_sequence_length(const unsigned char *text, size_t left)
{
	static const struct {
		unsigned char first, last, low, high, length;
	} ranges[] = {
		{ 0x00, 0x7f, 0x00, 0x00, 1 },
		{ 0xc2, 0xdf, 0x80, 0xbf, 2 },
		{ 0xe0, 0xe0, 0xa0, 0xbf, 3 },
		{ 0xe1, 0xec, 0x80, 0xbf, 3 },
		{ 0xed, 0xed, 0x80, 0x9f, 3 },
		{ 0xee, 0xef, 0x80, 0xbf, 3 },
		{ 0xf0, 0xf0, 0x90, 0xbf, 4 },
		{ 0xf1, 0xf3, 0x80, 0xbf, 4 },
		{ 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};
	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		if (text[0] < ranges[i].first || text[0] > ranges[i].last)
			continue;
		size_t length = ranges[i].length;
		if (length > left ||
		    (length > 1 &&
			(text[1] < ranges[i].low || text[1] > ranges[i].high)))
			return 0;
		for (size_t k = 2; k < length; k++) {
			if ((text[k] & 0xc0) != 0x80)
				return 0;
		}
		return length;
	}
	return 0;
}

bool
url_utf8_valid(const char *text, size_t length)
{
	const unsigned char *at = (const unsigned char *)text;
	while (length > 0) {
		size_t sequence = utf8_sequence_length(at, length);
		if (sequence == 0)
			return false;
		at += sequence;
		length -= sequence;
	}
	return true;
}
