/*
 * Fuzzer of the log: whatever is logged is one printable line of bounded length, and in
 * JSON an object. The first byte picks level and format.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <jansson.h>

#include "common/alloc.h"
#include "common/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int memory = -1;
static int standard_error = -1;

static void
require(int condition, const char *claim)
{
	if (condition)
		return;
	(void)dup2(standard_error, STDERR_FILENO);
	fprintf(stderr, "broken: %s\n", claim);
	abort();
}

static void
open_memory(void)
{
	standard_error = dup(STDERR_FILENO);
	memory = memfd_create("log", MFD_CLOEXEC);
	log_open("fuzz");
	/* At this level info and debug are never left out. */
	log_set_level(LOG_LEVEL_debug);
}

static void
check_line(const char *line, size_t length, int json)
{
	json_t *object;
	size_t i;

	require(length > 1 && length <= LOG_LINE_MAX, "a line has a bounded length");
	require(line[length - 1] == '\n', "a line ends");
	for (i = 0; i < length - 1; i++)
		require(line[i] >= ' ' && line[i] <= '~', "a line is printable");
	if (!json)
		return;
	object = json_loadb(line, length, JSON_REJECT_DUPLICATES, NULL);
	require(json_object_size(object) == 5, "a line is an object of five members");
	json_decref(object);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char line[2 * LOG_LINE_MAX];
	char *text;
	ssize_t length;

	if (memory < 0)
		open_memory();
	if (size < 1)
		return 0;
	log_set_format(data[0] & 1 ? LOG_FORMAT_json : LOG_FORMAT_text);
	text = xstrndup((const char *)data + 1, size - 1);
	(void)ftruncate(memory, 0);
	(void)lseek(memory, 0, SEEK_SET);
	(void)dup2(memory, STDERR_FILENO);
	if (data[0] & 2)
		log_info("fuzz", "%s", text);
	else
		log_debug("fuzz", "'%s' %d '%s'", log_quote(text), (int)size,
		    log_quote_n(data, size));
	(void)dup2(standard_error, STDERR_FILENO);
	length = pread(memory, line, sizeof(line), 0);
	require(length >= 0, "what was written can be read");
	check_line(line, (size_t)length, data[0] & 1);
	free(text);
	return 0;
}
