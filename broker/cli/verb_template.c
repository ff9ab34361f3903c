/*
 * `streamhold config template`: a config.json to begin with. It is valid as it is and
 * changes nothing: every option is there with its default, and options that have none
 * are comments.
 */
#include <stdio.h>
#include <string.h>

#include "broker/cli/cli.h"
#include "common/config.h"

/* Columns of comment text. */
#define COMMENT_WIDTH 76

/* Made from the platforms' rows, which would be most of the file. */
#define PLATFORMS "platforms"

static const char head[] =
    "# Streamhold's configuration.\n"
    "#\n"
    "# Lines whose very first character is '#' are comments; everything else is JSON.\n"
    "# Every option stands here with its default, so all of them may be taken out. To\n"
    "# set one that is a comment, take out its '#' and mind the commas between "
    "options.\n"
    "# Try it with `streamhold config check FILE`; a running service reads it again "
    "on\n"
    "# `systemctl reload streamhold-broker` or on the signal HUP.\n"
    "{\n";

static const char platforms[] =
    "# Addresses and scopes of the platforms are in the section \"platforms\", which "
    "is\n"
    "# seldom needed. `streamhold config show` prints it whole. For instance:\n"
    "#  \"platforms\": { \"kick\": { \"default_scopes\": [\"user:read\"] } },\n"
    "\n";

/* A sentence as comment lines. */
static void
comment(const char *text)
{
	while (*text) {
		size_t length = strlen(text);

		if (length > COMMENT_WIDTH) {
			length = COMMENT_WIDTH;
			while (length > 0 && text[length] != ' ')
				length--;
			if (length == 0)
				length = strcspn(text, " ");
		}
		(void)printf("# %.*s\n", (int)length, text);
		text += length;
		text += *text == ' ';
	}
}

static size_t
section_length(const struct config_option *option)
{
	return strcspn(option->key, ".");
}

static bool
is_same_section(const struct config_option *a, const struct config_option *b)
{
	size_t length = section_length(a);

	return length == section_length(b) && strncmp(a->key, b->key, length) == 0;
}

static bool
is_unset(const struct config_option *option)
{
	return !option->text &&
	    (option->kind == CONFIG_TEXT || option->kind == CONFIG_URL ||
		option->kind == CONFIG_PATH);
}

static const char *
placeholder(const struct config_option *option)
{
	switch (option->kind) {
	case CONFIG_PATH:
		return "/absolute/path";
	case CONFIG_URL:
		return "https://example.com";
	default:
		return "text";
	}
}

static void
print_option(const struct config_option *option, bool comma)
{
	const char *name = option->key + section_length(option);
	const char *end = comma ? "," : "";

	comment(option->sentence);
	name += *name == '.';
	if (is_unset(option)) {
		(void)printf("#    \"%s\": \"%s\"%s\n", name, placeholder(option), end);
		return;
	}
	(void)printf("    \"%s\": ", name);
	(void)config_option_default(option, stdout);
	(void)printf("%s\n", end);
}

/* Unset ones first, so that the last option of a section is not a comment. */
static void
print_section(const struct config_option *options, size_t count)
{
	size_t left = count;
	int pass;
	size_t i;

	for (pass = 0; pass < 2; pass++)
		for (i = 0; i < count; i++)
			if (is_unset(&options[i]) == (pass == 0))
				print_option(&options[i], --left > 0);
}

int
verb_config_template(struct cli *cli)
{
	size_t count;
	const struct config_option *options = config_options(&count);
	size_t first;
	size_t next;

	(void)cli;
	(void)fputs(head, stdout);
	for (first = 0; first < count; first = next) {
		size_t length = section_length(&options[first]);
		bool last;

		for (next = first + 1; next < count; next++)
			if (!is_same_section(&options[first], &options[next]))
				break;
		last = next == count;
		if (strncmp(options[first].key, PLATFORMS ".", length + 1) == 0) {
			(void)fputs(platforms, stdout);
			continue;
		}
		if (options[first].key[length] == '\0') {
			comment(options[first].sentence);
			(void)printf("  \"%s\": ", options[first].key);
			(void)config_option_default(&options[first], stdout);
			(void)printf("%s\n", last ? "" : ",\n");
			continue;
		}
		(void)printf("  \"%.*s\": {\n", (int)length, options[first].key);
		print_section(&options[first], next - first);
		(void)printf("  }%s\n", last ? "" : ",\n");
	}
	(void)fputs("}\n", stdout);
	return CLI_OK;
}
