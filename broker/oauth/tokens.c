/*
 * Tokens as one secret. Pure; called by the logins and by account_delete.c.
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "broker/oauth/tokens.h"
#include "common/alloc.h"

#define LENGTH_SIZE 4

void
tokens_clear(struct tokens *tokens)
{
	secret_clear(&tokens->access);
	secret_clear(&tokens->refresh);
	secret_clear(&tokens->previous);
}

static unsigned char *
put(unsigned char *at, const struct secret *token)
{
	at[0] = (unsigned char)(token->length >> 24);
	at[1] = (unsigned char)(token->length >> 16);
	at[2] = (unsigned char)(token->length >> 8);
	at[3] = (unsigned char)token->length;
	if (token->length)
		memcpy(at + LENGTH_SIZE, token->bytes, token->length);
	return at + LENGTH_SIZE + token->length;
}

struct secret
tokens_pack(const struct tokens *tokens)
{
	size_t length = 1 + 3 * LENGTH_SIZE + tokens->access.length +
	    tokens->refresh.length + tokens->previous.length;
	struct secret packed = { .bytes = xcalloc(1, length + 1), .length = length };
	unsigned char *at = packed.bytes;

	*at++ = TOKENS_FORMAT;
	at = put(at, &tokens->access);
	at = put(at, &tokens->refresh);
	(void)put(at, &tokens->previous);
	return packed;
}

/* Reads one token and moves on; false when the bytes end too early. */
static bool
get(const unsigned char **at, const unsigned char *end, struct secret *ret_token)
{
	size_t length;

	if (end - *at < LENGTH_SIZE)
		return false;
	length = (size_t)(*at)[0] << 24 | (size_t)(*at)[1] << 16 |
	    (size_t)(*at)[2] << 8 | (size_t)(*at)[3];
	*at += LENGTH_SIZE;
	if ((size_t)(end - *at) < length)
		return false;
	if (length)
		*ret_token = secret_copy(*at, length);
	*at += length;
	return true;
}

int
tokens_unpack(const struct secret *packed, struct tokens *ret_tokens)
{
	const unsigned char *at = packed->bytes;
	const unsigned char *end = at + packed->length;
	struct tokens tokens = { .access = SECRET_NONE };

	if (packed->length < 1 || *at++ != TOKENS_FORMAT)
		return -EBADMSG;
	if (!get(&at, end, &tokens.access) || !get(&at, end, &tokens.refresh) ||
	    !get(&at, end, &tokens.previous) || at != end) {
		tokens_clear(&tokens);
		return -EBADMSG;
	}
	*ret_tokens = tokens;
	return 0;
}
