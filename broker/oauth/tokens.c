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
	size_t length =
	    1 + 2 * LENGTH_SIZE + tokens->access.length + tokens->refresh.length;
	struct secret packed = secret_new(length);
	unsigned char *at = packed.bytes;

	*at++ = TOKENS_FORMAT;
	at = put(at, &tokens->access);
	(void)put(at, &tokens->refresh);
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
	struct secret third = SECRET_NONE;
	bool good;
	int format;

	if (packed->length < 1)
		return -EBADMSG;
	format = *at++;
	good = (format == TOKENS_FORMAT || format == TOKENS_FORMAT_OF_THREE) &&
	    get(&at, end, &tokens.access) && get(&at, end, &tokens.refresh) &&
	    (format == TOKENS_FORMAT || get(&at, end, &third)) && at == end;
	secret_clear(&third);
	if (!good) {
		tokens_clear(&tokens);
		return -EBADMSG;
	}
	*ret_tokens = tokens;
	return 0;
}
