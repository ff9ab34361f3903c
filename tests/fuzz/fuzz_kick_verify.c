/*
 * Fuzzer of the signature check: nobody here has the private key, so whatever comes,
 * it is not good. The input is id, timestamp and signature, each ended by a line, and
 * then the body. Keys are fuzzed with the same bytes.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/events/kick_verify.h"
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

/* The next line as text; the caller frees. */
static char *
take_line(const uint8_t **data, size_t *size)
{
	const uint8_t *end = *size ? memchr(*data, '\n', *size) : NULL;
	size_t length = end ? (size_t)(end - *data) : *size;
	char *line = xstrndup((const char *)*data, length);

	*data += end ? length + 1 : length;
	*size -= end ? length + 1 : length;
	return line;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct kick_key *key;
	struct kick_key *read = NULL;
	char *id;
	char *timestamp;
	char *signature;
	size_t length;
	size_t decoded;

	if (!key)
		require(
		    kick_key_read(kick_public_key, strlen(kick_public_key), &key) == 0,
		    "the shipped key can be read");
	if (kick_key_read((const char *)data, size, &read) == 0)
		require(strlen(kick_key_id(read)) == 64, "a key has its name");
	kick_key_free(read);
	id = take_line(&data, &size);
	timestamp = take_line(&data, &size);
	signature = take_line(&data, &size);
	length = strlen(signature);
	/* As the front decodes it, else as it is. */
	if (base64_decode(signature, length, (uint8_t *)signature, length, &decoded) ==
	    0)
		length = decoded;
	require(kick_verify(key, id, timestamp, data, size, (uint8_t *)signature,
		    length) != KICK_GOOD,
	    "no forgery is accepted");
	free(id);
	free(timestamp);
	free(signature);
	return 0;
}
