/*
 * `streamhold help` and `streamhold version`.
 */
#include <stdio.h>
#include <string.h>

#include "broker/cli/options.h"
#include "broker/cli/out.h"
#include "broker/cli/talk.h"
#include "common/version.h"
#include "proto/proto.h"

/* The exit statuses, as the manual has them. */
static const char exit_help[] =
    "Exit status: 0 ok, 1 failure, 2 usage, 3 service not running, 4 login needed,\n"
    "5 no such thing, 6 platform refused or away, 7 degraded, 130 interrupted.\n";

static void
print_verb(const struct verb *verb)
{
	char head[80];

	(void)snprintf(head, sizeof(head), "%s %s", verb->name, verb->arguments);
	(void)printf("  %-34s %s\n", head, verb->help);
}

static void
print_all(void)
{
	size_t i;

	(void)printf(
	    "streamhold keeps platform logins and webhook events for your bots.\n"
	    "\nusage: streamhold VERB [WORDS] [OPTIONS]\n"
	    "       streamhold -n    checks the configuration, as `config check` does\n"
	    "\n");
	for (i = 0; verbs[i].name; i++)
		print_verb(&verbs[i]);
	(void)printf("\nOptions of every verb:\n");
	options_print(stdout, NULL);
	(void)printf("\n%s\nBegin with: streamhold up\n", exit_help);
}

/* Verbs whose first words are those typed: "app" shows all three of them. */
static size_t
print_matching(const char *first, const char *second)
{
	size_t length = strlen(first);
	size_t found = 0;
	size_t i;

	for (i = 0; verbs[i].name; i++) {
		const char *rest = verbs[i].name + length;

		if (strncmp(verbs[i].name, first, length) != 0 ||
		    (*rest != '\0' && *rest != ' ') ||
		    (second && *rest == ' ' && strcmp(rest + 1, second) != 0))
			continue;
		(void)printf("%susage: streamhold %s%s%s\n%s.\n", found++ ? "\n" : "",
		    verbs[i].name, *verbs[i].arguments ? " " : "", verbs[i].arguments,
		    verbs[i].help);
		options_print(stdout, &verbs[i]);
	}
	return found;
}

int
verb_help(struct cli *cli)
{
	const char *first = cli->word_count > 0 ? cli->words[0] : NULL;
	const char *second = cli->word_count > 1 ? cli->words[1] : NULL;

	if (first && strcmp(first, "help") == 0 && cli->help) {
		first = second;
		second = NULL;
	}
	if (!first) {
		print_all();
		return CLI_OK;
	}
	if (print_matching(first, second) > 0)
		return CLI_OK;
	talk_error("streamhold help", "there is no `%s`", first);
	return CLI_USAGE;
}

int
verb_version(struct cli *cli)
{
	struct out_json json;

	if (!cli->json) {
		version_print("streamhold");
		return CLI_OK;
	}
	out_json_start(&json);
	out_json_text(&json, "version", version_text());
	out_json_text(&json, "commit", version_commit());
	out_json_text(&json, "libraries", version_libraries());
	out_json_text(&json, "protocol", proto_schema_id());
	out_json_finish(&json);
	return CLI_OK;
}
