/*
 * Fuzzer of base64: a text that decodes is the one text of its bytes, room is kept to,
 * and any bytes come back from their text.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(int condition, const char *claim)
{
	if (condition)
		return;
	fprintf(stderr, "broken: %s\n", claim);
	abort();
}

static void
check_decoding(const char *text, size_t size)
{
	uint8_t *bytes = xmalloc(size);
	size_t length = SIZE_MAX;
	char *again;

	if (base64_decode(text, size, bytes, size, &length) < 0) {
		require(length == SIZE_MAX, "nothing is set on failure");
		free(bytes);
		return;
	}
	again = base64_encode(bytes, length);
	require(strlen(again) == size && memcmp(again, text, size) == 0,
	    "there is one text for each value");
	free(bytes);
	bytes = xmalloc(length);
	require(base64_decode(text, size, bytes, length, &length) == 0,
	    "as much room as bytes is enough");
	if (length)
		require(
		    base64_decode(text, size, bytes, length - 1, &length) == -ENOSPC,
		    "a byte less is not");
	free(bytes);
	free(again);
}

static void
check_encoding(const uint8_t *data, size_t size)
{
	char *text = base64_encode(data, size);
	char *url = xmalloc(BASE64URL_SIZE(size));
	uint8_t *bytes = xmalloc(size);
	size_t length;

	require(base64_decode(text, strlen(text), bytes, size, &length) == 0,
	    "what is encoded decodes");
	require(length == size && (!size || memcmp(bytes, data, size) == 0),
	    "to the same bytes");
	base64url_encode(data, size, url);
	require(strlen(url) + 1 == BASE64URL_SIZE(size), "the other text has its size");
	require(strspn(url,
		    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
		    "0123456789-_") == strlen(url),
	    "and its alphabet");
	free(text);
	free(url);
	free(bytes);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_decoding((const char *)data, size);
	check_encoding(data, size);
	(void)text_is_utf8((const char *)data, size);
	(void)text_is_username((const char *)data, size);
	(void)text_to_u64((const char *)data, size, UINT64_MAX, &(uint64_t){ 0 });
	return 0;
}
