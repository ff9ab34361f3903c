/*
 * The scanner: recursive descent over the text, pure, for hostile input. Called through
 * kick_event for each delivery. Fuzzed against jansson (tests/fuzz/fuzz_json_scan.c).
 */
#include <string.h>

#include "broker/events/json_scan.h"
#include "common/text.h"

struct scanner {
	const uint8_t *at;
	const uint8_t *end;
	unsigned depth; /* of values around the one being read */
	struct json_wanted *wanted;
	size_t wanted_count;
	struct json_slice parent; /* name of the member of the top being read */
};

static bool scan_value(struct scanner *scanner);

static void
skip_space(struct scanner *scanner)
{
	while (scanner->at < scanner->end &&
	    (*scanner->at == ' ' || *scanner->at == '\t' || *scanner->at == '\n' ||
		*scanner->at == '\r'))
		scanner->at++;
}

static bool
take(struct scanner *scanner, uint8_t byte)
{
	if (scanner->at == scanner->end || *scanner->at != byte)
		return false;
	scanner->at++;
	return true;
}

static bool
take_word(struct scanner *scanner, const char *word)
{
	size_t length = strlen(word);

	if ((size_t)(scanner->end - scanner->at) < length ||
	    memcmp(scanner->at, word, length) != 0)
		return false;
	scanner->at += length;
	return true;
}

/* Strings. */

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

/* Reads what follows "\u": one code point, of one or two escapes. Surrogates must come
 * in pairs (RFC 8259 section 7, 8.2). */
static bool
read_unicode(const uint8_t **at, const uint8_t *end, uint32_t *ret_code)
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

static bool
scan_escape(struct scanner *scanner)
{
	uint32_t code;
	uint8_t byte;

	if (scanner->at == scanner->end)
		return false;
	byte = *scanner->at++;
	if (byte == 'u')
		return read_unicode(&scanner->at, scanner->end, &code);
	return byte && strchr("\"\\/bfnrt", byte) != NULL;
}

/* Reads from the opening quote to the closing one. */
static bool
scan_string(struct scanner *scanner, struct json_slice *ret_slice)
{
	const uint8_t *start = scanner->at;
	uint8_t all = 0; /* bits of all bytes, to tell whether any is not ASCII */

	if (!take(scanner, '"'))
		return false;
	while (scanner->at < scanner->end && *scanner->at != '"') {
		uint8_t byte = *scanner->at++;

		all |= byte;
		if (byte < 0x20 || (byte == '\\' && !scan_escape(scanner)))
			return false;
	}
	if (!take(scanner, '"'))
		return false;
	*ret_slice = (struct json_slice){ .start = start,
		.length = (size_t)(scanner->at - start) };
	return all < 0x80 || text_is_utf8((const char *)start, ret_slice->length);
}

/* Numbers. */

static bool
scan_digits(struct scanner *scanner)
{
	const uint8_t *start = scanner->at;

	while (scanner->at < scanner->end && *scanner->at >= '0' && *scanner->at <= '9')
		scanner->at++;
	return scanner->at > start;
}

static bool
scan_number(struct scanner *scanner)
{
	(void)take(scanner, '-');
	if (!take(scanner, '0') && !scan_digits(scanner))
		return false;
	if (take(scanner, '.') && !scan_digits(scanner))
		return false;
	if (take(scanner, 'e') || take(scanner, 'E')) {
		if (!take(scanner, '+'))
			(void)take(scanner, '-');
		return scan_digits(scanner);
	}
	return true;
}

/* Objects and arrays. */

static bool
name_is(struct json_slice name, const char *wanted)
{
	char decoded[64];
	size_t length = strlen(wanted);

	if (!memchr(name.start, '\\', name.length))
		return name.length == length + 2 &&
		    memcmp(name.start + 1, wanted, length) == 0;
	return json_slice_text(name, decoded, sizeof(decoded)) &&
	    strcmp(decoded, wanted) == 0;
}

/* Notes a member of the top (depth 1) or of one of its objects (depth 2). */
static void
note(struct scanner *scanner, struct json_slice name, struct json_slice value)
{
	size_t i;

	for (i = 0; i < scanner->wanted_count; i++) {
		struct json_wanted *wanted = &scanner->wanted[i];
		bool here = wanted->parent
		    ? scanner->depth == 2 && name_is(scanner->parent, wanted->parent)
		    : scanner->depth == 1;

		if (here && name_is(name, wanted->name))
			wanted->found = value;
	}
}

/* A later member of the same name takes the place of an earlier one with all that was
 * found in it. */
static void
forget_parent(struct scanner *scanner, struct json_slice name)
{
	size_t i;

	for (i = 0; i < scanner->wanted_count; i++)
		if (scanner->wanted[i].parent &&
		    name_is(name, scanner->wanted[i].parent))
			scanner->wanted[i].found = (struct json_slice){ .start = NULL };
}

static bool
scan_member(struct scanner *scanner)
{
	struct json_slice name;
	const uint8_t *start;

	skip_space(scanner);
	if (!scan_string(scanner, &name))
		return false;
	skip_space(scanner);
	if (!take(scanner, ':'))
		return false;
	skip_space(scanner);
	if (scanner->depth == 1) {
		scanner->parent = name;
		forget_parent(scanner, name);
	}
	start = scanner->at;
	if (!scan_value(scanner))
		return false;
	if (scanner->depth <= 2)
		note(scanner, name,
		    (struct json_slice){
			.start = start, .length = (size_t)(scanner->at - start) });
	skip_space(scanner);
	return true;
}

static bool
scan_element(struct scanner *scanner)
{
	skip_space(scanner);
	if (!scan_value(scanner))
		return false;
	skip_space(scanner);
	return true;
}

/* Reads parts between brackets, separated by commas. */
static bool
scan_parts(struct scanner *scanner, uint8_t close, bool (*scan)(struct scanner *))
{
	scanner->at++;
	if (++scanner->depth > JSON_SCAN_DEPTH_MAX)
		return false;
	skip_space(scanner);
	if (!take(scanner, close)) {
		do {
			if (!scan(scanner))
				return false;
		} while (take(scanner, ','));
		if (!take(scanner, close))
			return false;
	}
	scanner->depth--;
	return true;
}

static bool
scan_value(struct scanner *scanner)
{
	struct json_slice slice;

	if (scanner->at == scanner->end)
		return false;
	switch (*scanner->at) {
	case '{':
		return scan_parts(scanner, '}', scan_member);
	case '[':
		return scan_parts(scanner, ']', scan_element);
	case '"':
		return scan_string(scanner, &slice);
	case 't':
		return take_word(scanner, "true");
	case 'f':
		return take_word(scanner, "false");
	case 'n':
		return take_word(scanner, "null");
	default:
		return scan_number(scanner);
	}
}

bool
json_scan(
    const uint8_t *text, size_t length, struct json_wanted *wanted, size_t wanted_count)
{
	struct scanner scanner = { .at = text,
		.end = text + length,
		.wanted = wanted,
		.wanted_count = wanted_count,
		.parent = { .start = (const uint8_t *)"\"\"", .length = 2 } };
	size_t i;

	for (i = 0; i < wanted_count; i++)
		wanted[i].found = (struct json_slice){ .start = NULL };
	return scan_element(&scanner) && scanner.at == scanner.end;
}

/* Slices. */

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
	(void)read_unicode(at, end, &code);
	return put_utf8(code, bytes);
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
		(const char *)slice.start, slice.length, INT64_MAX, ret_number) &&
	    *ret_number > 0;
}
