/*
 * The bounds walk: is this exactly one MessagePack value whose declared sizes fit?
 *
 * It allocates nothing and recurses at most PROTO_DEPTH_MAX deep. Only what passes is
 * given to msgpack-c. Reference: the MessagePack specification, "Formats".
 */
#include "proto/proto.h"

struct walker {
	const uint8_t *at;
	const uint8_t *end;
};

static bool
skip(struct walker *walker, uint64_t count)
{
	if (count > (uint64_t)(walker->end - walker->at))
		return false;
	walker->at += count;
	return true;
}

/* Reads a big-endian number of 1, 2 or 4 bytes. */
static bool
read_size(struct walker *walker, unsigned width, uint64_t *ret_size)
{
	uint64_t size = 0;

	if ((uint64_t)(walker->end - walker->at) < width)
		return false;
	while (width-- > 0)
		size = size << 8 | *walker->at++;
	*ret_size = size;
	return true;
}

static bool walk_value(struct walker *walker, unsigned depth);

/* Each element takes a byte at least, so a count beyond the bytes left is a lie. */
static bool
walk_values(struct walker *walker, uint64_t count, unsigned depth)
{
	if (depth == 0 || count > (uint64_t)(walker->end - walker->at))
		return false;
	while (count-- > 0)
		if (!walk_value(walker, depth - 1))
			return false;
	return true;
}

/* Formats 0xc0 to 0xdf. */
static bool
walk_marked(struct walker *walker, uint8_t mark, unsigned depth)
{
	uint64_t size = 0;

	switch (mark) {
	case 0xc0: /* nil */
	case 0xc2: /* false */
	case 0xc3: /* true */
		return true;
	case 0xc4: /* bin 8, 16, 32 */
	case 0xc5:
	case 0xc6:
		return read_size(walker, 1U << (mark - 0xc4), &size) &&
		    skip(walker, size);
	case 0xcc: /* uint 8, 16, 32, 64 */
	case 0xcd:
	case 0xce:
	case 0xcf:
		return skip(walker, 1ULL << (mark - 0xcc));
	case 0xd0: /* int 8, 16, 32, 64 */
	case 0xd1:
	case 0xd2:
	case 0xd3:
		return skip(walker, 1ULL << (mark - 0xd0));
	case 0xd9: /* str 8, 16, 32 */
	case 0xda:
	case 0xdb:
		return read_size(walker, 1U << (mark - 0xd9), &size) &&
		    skip(walker, size);
	case 0xdc: /* array 16, 32 */
	case 0xdd:
		return read_size(walker, 2U << (mark - 0xdc), &size) &&
		    walk_values(walker, size, depth);
	default: /* extensions, floats and maps: no message has any */
		return false;
	}
}

static bool
walk_value(struct walker *walker, unsigned depth)
{
	uint8_t mark;

	if (walker->at == walker->end)
		return false;
	mark = *walker->at++;
	if (mark <= 0x7f || mark >= 0xe0) /* small integers */
		return true;
	if (mark <= 0x8f) /* small map */
		return false;
	if (mark <= 0x9f) /* small array */
		return walk_values(walker, mark & 0x0f, depth);
	if (mark <= 0xbf) /* small str */
		return skip(walker, mark & 0x1f);
	return walk_marked(walker, mark, depth);
}

bool
proto_walk(const uint8_t *body, size_t length)
{
	struct walker walker = { .at = body, .end = body + length };

	return walk_value(&walker, PROTO_DEPTH_MAX) && walker.at == walker.end;
}
