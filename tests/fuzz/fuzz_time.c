/*
 * Fuzzer of times: what is read is written in the one form of ours and read again as
 * the same, and lies within what four digits of a year can say.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/time.h"

#define DAY_MS 86400000LL

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(int condition, const char *claim)
{
	if (condition)
		return;
	fprintf(stderr, "broken: %s\n", claim);
	abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[TIME_TEXT_SIZE];
	int64_t ms = INT64_MIN;
	int64_t again;

	if (time_parse((const char *)data, size, &ms) < 0) {
		require(ms == INT64_MIN, "nothing is set on failure");
		return 0;
	}
	require(size >= 20 && size <= 35, "a time has its length");
	require(ms > -62167219200000LL - DAY_MS && ms < 253402300800000LL + DAY_MS,
	    "a time is within its years");
	time_format(ms, text);
	require(strlen(text) == 24, "what is written has its length");
	require(time_parse(text, 24, &again) == 0, "what is written can be read");
	require(again == ms || ms < -62167219200000LL || ms > 253402300799999LL,
	    "it is the same time");
	return 0;
}
