/*
 * Foreign text for sentences. Pure; called by token_error.c and login_finish.c.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "broker/oauth/foreign.h"
#include "common/text.h"

#define ELLIPSIS "..."

/* U+0080 to U+009F are control characters too: C2 80 to C2 9F. */
static bool
is_plain(const unsigned char *at, bool utf8)
{
	if (at[0] == 0xc2 && utf8)
		return at[1] >= 0xa0;
	return at[0] >= 0x80 ? utf8 : at[0] >= 0x20 && at[0] != 0x7f;
}

/* Bytes of the character that starts here. */
static size_t
size_of(unsigned char first, bool utf8)
{
	if (!utf8 || first < 0xc0)
		return 1;
	return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

void
foreign_text(const char *text, char *out)
{
	size_t length = text ? strlen(text) : 0;
	bool utf8 = length > 0 && text_is_utf8(text, length);
	const size_t room = FOREIGN_SIZE - sizeof(ELLIPSIS);
	size_t used = 0;
	size_t i = 0;

	while (i < length) {
		const unsigned char *at = (const unsigned char *)text + i;
		size_t size = size_of(*at, utf8);
		bool plain = is_plain(at, utf8);
		size_t needed = plain ? size : 4 * size;
		size_t k;

		if (used + needed > room) {
			memcpy(out + used, ELLIPSIS, strlen(ELLIPSIS));
			used += strlen(ELLIPSIS);
			break;
		}
		if (plain)
			memcpy(out + used, at, size);
		for (k = 0; !plain && k < size; k++)
			snprintf(out + used + 4 * k, 5, "\\x%02x", at[k]);
		used += needed;
		i += size;
	}
	out[used] = '\0';
}
