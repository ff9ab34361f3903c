/*
 * The scanner: recursive descent over the text, pure, for hostile input. Called through
 * kick_event for each delivery. Fuzzed against jansson (tests/fuzz/fuzz_json_scan.c).
 */
#include <string.h>

#include "broker/events/json_scan.h"
#include "common/text.h"
#include "common/time.h"

struct scanner {
	const uint8_t *at;
	const uint8_t *end;
	unsigned depth;                 /* of values around the one being read */
	const struct json_shape *shape; /* of the value being read, NULL: any */
	const char *name;               /* of the member whose value it is */
	size_t base; /* slot of its object, NOWHERE: nothing is noted */
	struct json_found *found;
};

#define NOWHERE SIZE_MAX

/* Bytes of a time that is understood, with NUL. */
#define TIME_MAX 48

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

bool
json_name_is(struct json_slice name, const char *wanted, size_t length)
{
	char decoded[64];

	if (!memchr(name.start, '\\', name.length))
		return name.length == length + 2 &&
		    memcmp(name.start + 1, wanted, length) == 0;
	return json_slice_text(name, decoded, sizeof(decoded)) &&
	    strlen(decoded) == length && memcmp(decoded, wanted, length) == 0;
}

static const struct json_member *
find_member(const struct json_shape *shape, struct json_slice name)
{
	bool plain = !memchr(name.start, '\\', name.length);
	size_t i;

	for (i = 0; i < shape->count; i++) {
		const struct json_member *member = &shape->members[i];

		if (plain ? name.length == member->length + 2U &&
			    memcmp(name.start + 1, member->name, member->length) == 0
			  : json_name_is(name, member->name, member->length))
			return member;
	}
	return NULL;
}

/* Where a member's value is noted; NULL when it is not. */
static struct json_slice *
slot_of(const struct scanner *scanner, const struct json_member *member)
{
	size_t slot = scanner->base + member->slot;

	if (scanner->base == NOWHERE || slot >= scanner->found->count)
		return NULL;
	return &scanner->found->slots[slot];
}

/* A later member of the same name takes the place of an earlier one with all that was
 * found in it. */
static void
forget(struct json_found *found, struct json_slice old)
{
	size_t i;

	for (i = 0; i < found->count; i++)
		if (found->slots[i].start >= old.start &&
		    found->slots[i].start < old.start + old.length)
			found->slots[i] = (struct json_slice){ .start = NULL };
}

static void
wrong(struct scanner *scanner, const char *name)
{
	if (!scanner->found->wrong)
		scanner->found->wrong = name;
}

/* Reads the value of a member that is looked for: what is in it belongs to the shape
 * inside, and is noted from its slot on. */
static bool
scan_known(struct scanner *scanner, const struct json_member *member)
{
	struct json_slice *slot = slot_of(scanner, member);
	const struct scanner around = *scanner;
	struct json_slice value = { .start = scanner->at };

	if (slot && slot->start)
		forget(scanner->found, *slot);
	scanner->shape = member->inside;
	scanner->name = member->name;
	scanner->base =
	    slot && member->type == SCAN_OBJECT ? around.base + member->slot : NOWHERE;
	if (!scan_value(scanner))
		return false;
	scanner->shape = around.shape;
	scanner->name = around.name;
	scanner->base = around.base;
	value.length = (size_t)(scanner->at - value.start);
	if (slot)
		*slot = value;
	if (!json_slice_is(value, member->type))
		wrong(scanner, member->name);
	return true;
}

static bool
scan_other(struct scanner *scanner)
{
	const struct json_shape *shape = scanner->shape;
	bool good;

	scanner->shape = NULL;
	good = scan_value(scanner);
	scanner->shape = shape;
	return good;
}

/* Whether a member says that a person wants to be nobody. */
static bool
is_anonymous(struct json_slice name, const uint8_t *value)
{
	static const char wanted[] = "is_anonymous";

	return *value == 't' && json_name_is(name, wanted, sizeof(wanted) - 1);
}

static bool
scan_member(struct scanner *scanner)
{
	const struct json_member *member = NULL;
	struct json_slice name;
	const uint8_t *value;

	skip_space(scanner);
	if (!scan_string(scanner, &name))
		return false;
	skip_space(scanner);
	if (!take(scanner, ':'))
		return false;
	skip_space(scanner);
	value = scanner->at;
	if (scanner->shape)
		member = find_member(scanner->shape, name);
	if (!(member ? scan_known(scanner, member) : scan_other(scanner)))
		return false;
	if (is_anonymous(name, value))
		scanner->found->anonymous = true;
	skip_space(scanner);
	return true;
}

/* Elements are objects when there is a shape for what is in them. */
static bool
scan_element(struct scanner *scanner)
{
	skip_space(scanner);
	if (scanner->shape && scanner->at < scanner->end && *scanner->at != '{' &&
	    *scanner->at != 'n')
		wrong(scanner, scanner->name);
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
json_scan(const uint8_t *text, size_t length, const struct json_shape *shape,
    struct json_found *found)
{
	struct scanner scanner = { .at = text,
		.end = text + length,
		.shape = shape,
		.name = "",
		.found = found };
	size_t i;

	found->wrong = NULL;
	found->anonymous = false;
	for (i = 0; i < found->count; i++)
		found->slots[i] = (struct json_slice){ .start = NULL };
	skip_space(&scanner);
	if (shape && scanner.at < scanner.end && *scanner.at != '{')
		wrong(&scanner, "");
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

/* What is left begins with the opening bracket, with a comma, or with the closing
 * bracket, which is always its last byte. */
bool
json_slice_next(
    struct json_slice *at, struct json_slice *ret_name, struct json_slice *ret_value)
{
	struct json_found found = { .count = 0 };
	struct scanner scanner = { .at = at->start,
		.end = at->start ? at->start + at->length : NULL,
		.found = &found };

	if (at->length < 2)
		return false;
	scanner.at++;
	skip_space(&scanner);
	if (scanner.at == scanner.end - 1)
		return false;
	if (scanner.end[-1] == '}') {
		if (!scan_string(&scanner, ret_name))
			return false;
		skip_space(&scanner);
		if (!take(&scanner, ':'))
			return false;
		skip_space(&scanner);
	}
	ret_value->start = scanner.at;
	if (!scan_value(&scanner))
		return false;
	ret_value->length = (size_t)(scanner.at - ret_value->start);
	skip_space(&scanner);
	*at = (struct json_slice){ .start = scanner.at,
		.length = (size_t)(scanner.end - scanner.at) };
	return true;
}
