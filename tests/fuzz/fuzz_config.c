/*
 * Fuzzer of the configuration reader: any bytes give either problems, every sentence of
 * which is one printable line, or a configuration that can be shown, read again with
 * the same values, and shown the same.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/config.h"

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
check_problem(const struct config_problem *problem)
{
	const char *at;

	require(problem->sentence[0], "a problem has a sentence");
	for (at = problem->sentence; *at; at++)
		require(*at >= ' ' && *at <= '~', "sentences are printable");
	for (at = problem->key; *at; at++)
		require(*at >= ' ' && *at <= '~', "keys are printable");
}

static void
check_error(const struct config_error *error, int code)
{
	size_t i;

	require((code == 0) == (error->errors == 0), "errors and the result agree");
	for (i = 0; i < error->errors && i < CONFIG_PROBLEMS_MAX; i++)
		check_problem(&error->error[i]);
	for (i = 0; i < error->warnings && i < CONFIG_PROBLEMS_MAX; i++)
		check_problem(&error->warning[i]);
}

static char *
show(const struct config *config, size_t *ret_size)
{
	char *text = NULL;
	FILE *file = open_memstream(&text, ret_size);

	require(file && config_show(config, file) == 0, "it can be shown");
	fclose(file);
	return text;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct config_error error;
	struct config config, again;
	size_t first_size, second_size;
	char *first, *second;
	int code;

	code = config_parse((const char *)data, size, "a\nb", &config, &error);
	check_error(&error, code);
	if (code != 0)
		return 0;
	first = show(&config, &first_size);
	code = config_parse(first, first_size, "again", &again, &error);
	require(code == 0, "what is shown can be read");
	require(config_diff(&config, &again, NULL, 0) == 0, "the values are the same");
	second = show(&again, &second_size);
	require(strcmp(first, second) == 0, "it is shown the same");
	free(first);
	free(second);
	config_clear(&config);
	config_clear(&again);
	return 0;
}
