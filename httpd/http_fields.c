/*
 * Headers that decide where a request ends and what becomes of its connection: Host,
 * Content-Length, Transfer-Encoding, Connection, Upgrade, Expect; and the look-up of
 * headers for those who handle requests. http_parse.c calls in for each line.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "httpd/http_parse_inner.h"

/*
 * Take the next element of a comma-separated list, without the white space around it;
 * empty elements are returned as such (RFC 9110 section 5.6.1.2). False at the end.
 */
static bool
list_next(struct http_text *rest, struct http_text *ret_item)
{
	if (rest->data == NULL)
		return false;
	struct http_text item = *rest;
	const char *comma = memchr(item.data, ',', item.length);
	rest->data = NULL;
	if (comma != NULL) {
		item.length = (size_t)(comma - item.data);
		rest->data = comma + 1;
		rest->length -= item.length + 1;
	}
	while (item.length > 0 && (*item.data == ' ' || *item.data == '\t')) {
		item.data++;
		item.length--;
	}
	while (item.length > 0 &&
	    (item.data[item.length - 1] == ' ' || item.data[item.length - 1] == '\t'))
		item.length--;
	*ret_item = item;
	return true;
}

/* "[2001:db8::1]" and what may follow: length of the literal, 0 if it is none. */
static size_t
host_literal_length(struct http_text host)
{
	struct in6_addr address;
	char text[INET6_ADDRSTRLEN];
	const char *end = memchr(host.data, ']', host.length);
	if (end == NULL || (size_t)(end - host.data) > sizeof(text))
		return 0;
	size_t length = (size_t)(end - host.data) - 1;
	memcpy(text, host.data + 1, length);
	text[length] = '\0';
	/* inet_pton stops at a NUL, which no header value has. */
	return inet_pton(AF_INET6, text, &address) == 1 ? length + 2 : 0;
}

/* Length of a name without empty labels; one dot may end it. 0 if it is none. */
static size_t
host_name_length(struct http_text host)
{
	size_t length = http_class_run(host, NAME);
	bool dot = true;
	for (size_t i = 0; i < length; i++) {
		if (host.data[i] == '.' && dot)
			return 0;
		dot = host.data[i] == '.';
	}
	return length <= 255 ? length : 0;
}

static enum refuse
judge_host(struct http_parse *parse, struct http_text value)
{
	if ((parse->seen & SEEN_HOST) != 0)
		return REFUSE_HOST_SEVERAL;
	parse->seen |= SEEN_HOST;
	parse->request.host =
	    parse->request.headers[parse->request.header_count - 1].value;
	bool literal = value.length > 0 && value.data[0] == '[';
	size_t i = literal ? host_literal_length(value) : host_name_length(value);
	if (i == 0)
		return REFUSE_HOST_FORM;
	if (i == value.length)
		return REFUSE_NOTHING;
	size_t digits = value.length - i - 1;
	if (value.data[i] != ':' || digits < 1 || digits > 5)
		return REFUSE_HOST_FORM;
	unsigned port = 0;
	for (i++; i < value.length; i++) {
		unsigned digit = (unsigned)(unsigned char)value.data[i] - '0';
		if (digit > 9)
			return REFUSE_HOST_FORM;
		port = port * 10 + digit;
	}
	return port <= UINT16_MAX ? REFUSE_NOTHING : REFUSE_HOST_FORM;
}

static enum refuse
judge_length(struct http_parse *parse, struct http_text value)
{
	uint64_t length = 0;
	if ((parse->seen & SEEN_LENGTH) != 0)
		return REFUSE_LENGTH_SEVERAL;
	if ((parse->seen & SEEN_CODING) != 0)
		return REFUSE_LENGTH_AND_CODING;
	parse->seen |= SEEN_LENGTH;
	if (value.length == 0 || (value.length > 1 && value.data[0] == '0'))
		return REFUSE_LENGTH_FORM;
	for (size_t i = 0; i < value.length; i++) {
		unsigned digit = (unsigned)(unsigned char)value.data[i] - '0';
		if (digit > 9)
			return REFUSE_LENGTH_FORM;
		/* May wrap: of a number that long only that it is too large counts. */
		length = length * 10 + digit;
	}
	if (value.length > HTTP_LENGTH_DIGITS_MAX)
		length = UINT64_MAX;
	parse->request.framing = HTTP_LENGTH;
	parse->request.content_length = length;
	return REFUSE_NOTHING;
}

/*
 * RFC 9112 section 6.1: 501 for codings before a final chunked, 400 when chunked is not
 * the last one or is applied twice.
 */
static enum refuse
judge_coding(struct http_parse *parse, struct http_text value)
{
	struct http_text item;
	size_t others = 0, chunked = 0;
	if ((parse->seen & SEEN_CODING) != 0)
		return REFUSE_CODING_FORM;
	if ((parse->seen & SEEN_LENGTH) != 0)
		return REFUSE_LENGTH_AND_CODING;
	if (parse->request.minor_version == 0)
		return REFUSE_CODING_VERSION;
	parse->seen |= SEEN_CODING;
	parse->request.framing = HTTP_CHUNKED;
	if (http_text_is(value, "chunked"))
		return REFUSE_NOTHING;
	while (list_next(&value, &item)) {
		if (item.length == 0 || http_class_run(item, TOKEN) != item.length ||
		    chunked > 0)
			return REFUSE_CODING_FORM;
		bool last = http_text_is(item, "chunked");
		chunked += last;
		others += !last;
	}
	return chunked == 1 && others > 0 ? REFUSE_CODING : REFUSE_CODING_FORM;
}

static enum refuse
judge_connection(struct http_parse *parse, struct http_text value)
{
	struct http_text item;
	while (list_next(&value, &item)) {
		if (http_class_run(item, TOKEN) != item.length)
			return REFUSE_CONNECTION;
		if (http_text_is(item, "close"))
			parse->seen |= SEEN_CLOSE;
	}
	return REFUSE_NOTHING;
}

static enum refuse
judge_upgrade(struct http_parse *parse, struct http_text value)
{
	(void)parse;
	(void)value;
	return REFUSE_UPGRADE;
}

static enum refuse
judge_expect(struct http_parse *parse, struct http_text value)
{
	if ((parse->seen & SEEN_EXPECT) != 0 || !http_text_is(value, "100-continue"))
		return REFUSE_EXPECT;
	parse->seen |= SEEN_EXPECT;
	return REFUSE_NOTHING;
}

/* The headers judged here, found by the length of their name: no two are equal. */
static const struct judged_header {
	const char *name;
	enum refuse (*judge)(struct http_parse *parse, struct http_text value);
} judged_headers[] = {
	[4] = { "host", judge_host },
	[6] = { "expect", judge_expect },
	[7] = { "upgrade", judge_upgrade },
	[10] = { "connection", judge_connection },
	[14] = { "content-length", judge_length },
	[17] = { "transfer-encoding", judge_coding },
};

#define JUDGED_MAX (sizeof(judged_headers) / sizeof(judged_headers[0]))

enum refuse
http_field_judge(struct http_parse *parse, const char *buf)
{
	const struct http_request *request = &parse->request;
	const struct http_header *header = &request->headers[request->header_count - 1];
	size_t name = header->name.length;
	if (name >= JUDGED_MAX || judged_headers[name].name == NULL ||
	    !http_text_is(http_text(buf, header->name), judged_headers[name].name))
		return REFUSE_NOTHING;
	return judged_headers[name].judge(parse, http_text(buf, header->value));
}

/*
 * Eight bytes at once with ASCII capitals made small. Without their high bits bytes add
 * no carry to the next: the sum's high bit tells which are at least 'A', and which are
 * beyond 'Z'.
 */
static uint64_t
fold_eight(const char *at)
{
	const uint64_t ones = UINT64_MAX / 255;
	uint64_t word;
	memcpy(&word, at, sizeof(word));
	uint64_t low = word & (ones * 0x7f);
	uint64_t from_a = low + ones * (0x80 - 'A');
	uint64_t beyond_z = low + ones * (0x7f - 'Z');
	uint64_t capitals = from_a & ~beyond_z & ~word & (ones * 0x80);
	return word | capitals >> 2;
}

bool
http_text_is(struct http_text text, const char *lower)
{
	size_t i = 0;
	uint64_t word;
	if (strlen(lower) != text.length)
		return false;
	for (; text.length - i >= sizeof(word); i += sizeof(word)) {
		memcpy(&word, lower + i, sizeof(word));
		if (fold_eight(text.data + i) != word)
			return false;
	}
	for (; i < text.length; i++) {
		char byte = text.data[i];
		if (byte >= 'A' && byte <= 'Z')
			byte = (char)(byte | 0x20);
		if (byte != lower[i])
			return false;
	}
	return true;
}

const struct http_header *
http_header_next(const struct http_request *request, const char *buf, const char *name,
    const struct http_header *after)
{
	const struct http_header *header = after == NULL ? request->headers : after + 1;
	const struct http_header *end = request->headers + request->header_count;
	/* The length alone tells most names apart. */
	size_t length = strlen(name);
	for (; header < end; header++) {
		if (header->name.length == length &&
		    http_text_is(http_text(buf, header->name), name))
			return header;
	}
	return NULL;
}

int
http_header_find(const struct http_request *request, const char *buf, const char *name,
    struct http_text *ret_value)
{
	const struct http_header *header = http_header_next(request, buf, name, NULL);
	if (header == NULL)
		return -ENOENT;
	if (http_header_next(request, buf, name, header) != NULL)
		return -EEXIST;
	*ret_value = http_text(buf, header->value);
	return 0;
}
