/*
 * Paths and queries of a request target, decoded once. Pure: no allocation, no logging.
 * The input is what http_parse.h calls path and query: its escapes are already known to
 * be legal there, but nothing here relies on that.
 *
 * Decoded texts are terminated C strings inside the given struct (a decoded NUL is
 * refused), valid as long as it lives; the struct must not be copied. After an error
 * its contents mean nothing.
 */
#ifndef HTTPD_URL_H
#define HTTPD_URL_H

#include <stdbool.h>
#include <stddef.h>

/* Longest path or query in bytes before decoding. */
#define URL_TEXT_MAX 16384
/* Segments of a path. */
#define URL_SEGMENTS_MAX 16
/* Parameters of a query. */
#define URL_PARAMETERS_MAX 32

/* Let "%2F" decode to a slash inside a segment instead of refusing it. */
#define URL_SLASH_IN_SEGMENT 1u

/* Decoded bytes, terminated; length is without the terminator. */
struct url_text {
	const char *data;
	size_t length;
};

/* "/oauth/start/kick/a%20b" has the segments "oauth", "start", "kick", "a b". */
struct url_path {
	size_t count; /* 0 for "/" */
	struct url_text segments[URL_SEGMENTS_MAX];
	char text[URL_TEXT_MAX + 1];
};

/* One "name=value"; without '=' the value is empty. */
struct url_parameter {
	struct url_text name;
	struct url_text value;
};

struct url_query {
	size_t count;
	struct url_parameter parameters[URL_PARAMETERS_MAX];
	char text[URL_TEXT_MAX + 2];
};

/*
 * Split an absolute path at its slashes, then decode each segment (RFC 3986 sections
 * 3.3 and 2.4: split first, decode once). Segments are never empty.
 * 0; -EINVAL for what deserves 400: no leading slash, bad escape, a control byte,
 * invalid UTF-8, "." or ".." as a segment however it is written, an encoded slash
 * unless flags has URL_SLASH_IN_SEGMENT, too long; -ENOENT for what no route can be: an
 * empty segment
 * ("//", a trailing slash) or more than URL_SEGMENTS_MAX.
 */
int url_path_decode(
    const char *path, size_t length, unsigned flags, struct url_path *ret_path);

/*
 * Decode application/x-www-form-urlencoded text: pairs between '&', the first '='
 * divides, '+' is a space, escapes are decoded once; empty pairs are skipped.
 * 0; -EINVAL for a bad escape, an encoded NUL, invalid UTF-8 or too long; -E2BIG for
 * more than URL_PARAMETERS_MAX pairs.
 */
int url_query_decode(const char *query, size_t length, struct url_query *ret_query);

/*
 * The value of the one parameter of that name (exact bytes). 0, -ENOENT when there is
 * none, -EEXIST when there are several.
 */
int url_query_find(
    const struct url_query *query, const char *name, struct url_text *ret_value);

/* 0 to 15 for a hexadecimal digit of either case, else -1. */
static inline int
url_hex_value(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	/* Sets the bit that tells lower from upper case. */
	char lower = (char)(digit | 0x20);
	return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* Wipe decoded values (codes and states pass through here) and empty the struct. */
void url_query_clear(struct url_query *query);

/* Whether the bytes are UTF-8: shortest form, no surrogates, at most U+10FFFF. */
bool url_utf8_valid(const char *text, size_t length);

#endif
