/*
 * `streamhold config check|show|schema|template`: the configuration without a service.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/cli/out.h"
#include "broker/cli/talk.h"
#include "common/alloc.h"
#include "common/config.h"
#include "common/paths.h"

static void
find_file(const struct cli *cli, char **ret_path, bool *ret_must_exist)
{
	const char *option = cli->word_count > 0 ? cli->words[0] : cli->config;
	struct paths_env env;

	paths_env_read(&env);
	config_find_path(
	    option, paths_is_system(cli->system, &env), &env, ret_path, ret_must_exist);
}

/* ---- check ---- */

static void
json_problems(struct out_json *json, const char *name,
    const struct config_problem *problems, size_t count)
{
	size_t i;

	out_json_open(json, name, '[');
	for (i = 0; i < count && i < CONFIG_PROBLEMS_MAX; i++) {
		out_json_open(json, NULL, '{');
		out_json_number(json, "line", problems[i].line);
		out_json_text(json, "key", problems[i].key);
		out_json_text(json, "message", problems[i].sentence);
		out_json_close(json, '}');
	}
	out_json_close(json, ']');
}

static void
print_check_json(const char *path, bool valid, const struct config_error *error)
{
	struct out_json json;

	out_json_start(&json);
	out_json_text(&json, "file", path);
	out_json_flag(&json, "valid", valid);
	json_problems(&json, "errors", error->error, error->errors);
	json_problems(&json, "warnings", error->warning, error->warnings);
	out_json_finish(&json);
}

int
verb_config_check(struct cli *cli)
{
	struct config config = { .server = { .port = 0 } };
	struct config_error *error = xcalloc(1, sizeof(*error));
	char *path;
	bool must_exist;
	int result;

	find_file(cli, &path, &must_exist);
	result = config_load(path, must_exist, &config, error);
	if (cli->json)
		print_check_json(path, result == 0, error);
	else
		config_error_print(error, stderr);
	if (result < 0)
		talk_error("streamhold config template", "'%s' cannot be used", path);
	else if (!cli->json)
		(void)printf("%s: valid\n", path);
	if (result == 0)
		config_clear(&config);
	free(path);
	free(error);
	return result < 0 ? CLI_FAILURE : CLI_OK;
}

/* ---- show, schema ---- */

/* Runs a writer; with --json its JSON becomes a member, so that the answer carries its
 * version like all others. */
static int
write_json(const struct cli *cli, const char *name,
    int (*write)(const struct config *config, FILE *file), const struct config *config)
{
	struct out_json json;
	char *text = NULL;
	size_t length = 0;
	FILE *memory;
	int result;

	if (!cli->json)
		return write(config, stdout) == 0 ? CLI_OK : CLI_FAILURE;
	memory = open_memstream(&text, &length);
	if (!memory)
		abort();
	result = write(config, memory);
	(void)fclose(memory);
	while (length > 0 && text[length - 1] == '\n')
		length--;
	out_json_start(&json);
	out_json_raw(&json, name, text, length);
	out_json_finish(&json);
	free(text);
	return result == 0 ? CLI_OK : CLI_FAILURE;
}

static int
write_schema(const struct config *config, FILE *file)
{
	(void)config;
	return config_schema(file);
}

int
verb_config_show(struct cli *cli)
{
	struct config config;
	struct config_error *error = xcalloc(1, sizeof(*error));
	char *path;
	bool must_exist;
	int status = CLI_FAILURE;

	find_file(cli, &path, &must_exist);
	if (config_load(path, must_exist, &config, error) == 0) {
		config_error_print(error, stderr);
		status = write_json(cli, "config", config_show, &config);
		config_clear(&config);
	} else {
		config_error_print(error, stderr);
		talk_error("streamhold config check", "'%s' cannot be used", path);
	}
	free(path);
	free(error);
	return status;
}

int
verb_config_schema(struct cli *cli)
{
	return write_json(cli, "schema", write_schema, NULL);
}
