/*
 * The scanner: recursive descent over the text, pure, for hostile input. Called through
 * kick_event for each delivery. Fuzzed against jansson (tests/fuzz/fuzz_json_scan.c).
 */
#include <string.h>

#include "broker/events/json_scan.h"
#include "broker/events/json_scan_inner.h"
#include "common/text.h"

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

static bool
scan_escape(struct scanner *scanner)
{
	uint32_t code;
	uint8_t byte;

	if (scanner->at == scanner->end)
		return false;
	byte = *scanner->at++;
	if (byte == 'u')
		return json_read_unicode(&scanner->at, scanner->end, &code);
	return byte && strchr("\"\\/bfnrt", byte) != NULL;
}

/* Eight bytes at once. */
#define BYTES(byte) (UINT64_C(0x0101010101010101) * (byte))

/* High bits of bytes that are below 0x20, a quote, a backslash, or not ASCII: a byte
 * below n borrows when n is taken from it. The lowest one is right; a borrow may have
 * set others above it. */
static uint64_t
special_bits(uint64_t eight)
{
	const uint64_t quotes = eight ^ BYTES('"');
	const uint64_t slashes = eight ^ BYTES('\\');

	return (eight | (eight - BYTES(0x20)) | (quotes - BYTES(1)) |
		   (slashes - BYTES(1))) &
	    BYTES(0x80);
}

/* How many bytes come before the first one with its bit, in the order of memory. */
static size_t
bytes_before(uint64_t bits)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return (size_t)__builtin_ctzll(bits) / 8;
#else
	(void)bits;
	return 0; /* the caller looks at each byte */
#endif
}

/* Passes over bytes that stand for themselves, as long as there are eight to look at.
 */
static void
skip_plain(struct scanner *scanner)
{
	uint64_t eight;
	uint64_t special;

	while (scanner->end - scanner->at >= (ptrdiff_t)sizeof(eight)) {
		memcpy(&eight, scanner->at, sizeof(eight));
		special = special_bits(eight);
		if (special) {
			scanner->at += bytes_before(special);
			return;
		}
		scanner->at += sizeof(eight);
	}
}

/* Reads from the opening quote to the closing one. */
static bool
scan_string(struct scanner *scanner, struct json_slice *ret_slice)
{
	const uint8_t *start = scanner->at;
	uint8_t all = 0; /* bits of all bytes, to tell whether any is not ASCII */

	if (!take(scanner, '"'))
		return false;
	skip_plain(scanner);
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
	/* Of an array in the place of an object nothing is noted. */
	scanner->base = slot && member->type == SCAN_OBJECT &&
		scanner->at < scanner->end && *scanner->at == '{'
	    ? around.base + member->slot
	    : NOWHERE;
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
	if (shape && scanner.at < scanner.end && *scanner.at != '{') {
		wrong(&scanner, "");
		scanner.shape = NULL; /* nor is anything noted of it */
	}
	return scan_element(&scanner) && scanner.at == scanner.end;
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
