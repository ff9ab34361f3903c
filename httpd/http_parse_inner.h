/*
 * What http_parse.c (the head), http_fields.c (headers that decide about framing) and
 * http_body.c share. Nobody else includes it.
 */
#ifndef HTTPD_HTTP_PARSE_INNER_H
#define HTTPD_HTTP_PARSE_INNER_H

#include "httpd/http_parse.h"

/* http_parse.step */
enum step {
	STEP_REQUEST_LINE,
	STEP_HEADERS,
	STEP_BODY,
	STEP_CHUNK_SIZE,
	STEP_CHUNK_DATA,
	STEP_CHUNK_END,
	STEP_LAST_CHUNK_END,
	STEP_DONE,
	STEP_REFUSED,
};

/* Headers that are judged here; their bits in http_parse.seen. */
enum seen {
	SEEN_HOST = 1,
	SEEN_LENGTH = 2,
	SEEN_CODING = 4,
	SEEN_EXPECT = 8,
	SEEN_CLOSE = 16,
};

enum refuse {
	REFUSE_NOTHING,
#define REFUSAL(name, status, code, text) REFUSE_##name,
#include "httpd/http_refusals.def"
#undef REFUSAL
	REFUSE_MAX,
};

/* Byte classes; bytes above 0x7F are in none. */
#define TOKEN 1u  /* RFC 9110 section 5.6.2 */
#define TARGET 2u /* pchar without '%' (RFC 3986 section 3.3) and the slash */
#define NAME 4u   /* of a host */

extern const uint8_t http_classes[256];

static inline bool
http_is_class(char byte, unsigned class)
{
	return (http_classes[(unsigned char)byte] & class) != 0;
}

/* How many bytes from the start are of the class. */
static inline size_t
http_class_run(struct http_text text, unsigned class)
{
	size_t length = 0;
	while (length < text.length && http_is_class(text.data[length], class))
		length++;
	return length;
}

/* End with a refusal. */
enum http_result http_refuse(struct http_parse *parse, enum refuse why);

/* The next line or chunk starts at offset. */
static inline void
http_line_begin(struct http_parse *parse, size_t offset)
{
	parse->line = offset;
	parse->scanned = offset;
}

/*
 * Look for the end of the line that starts at parse->line and may have limit bytes with
 * its CRLF. HTTP_DONE sets the length without CRLF; too_long is the reason given when
 * limit bytes have come and none is a line feed.
 */
enum http_result http_line_find(struct http_parse *parse, const char *buf,
    size_t length, size_t limit, enum refuse too_long, size_t *ret_length);

/*
 * Judge the header just added to the request when it has a meaning for framing or for
 * the connection, and note what it says.
 */
enum refuse http_field_judge(struct http_parse *parse, const char *buf);

#endif
