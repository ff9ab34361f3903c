/*
 * The command's voice on standard error, and colours.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/cli/out.h"
#include "broker/cli/talk.h"

#define SENTENCE_MAX 4096

static const char *const sequences[] = {
	[TALK_PLAIN] = "",
	[TALK_BOLD] = "\033[1m",
	[TALK_GOOD] = "\033[32m",
	[TALK_WARN] = "\033[33m",
	[TALK_BAD] = "\033[31m",
	[TALK_DIM] = "\033[2m",
};

void
talk_open(struct cli *cli)
{
	const char *no_color = getenv("NO_COLOR");
	const char *terminal = getenv("TERM");

	cli->color = !cli->no_color && !(no_color && *no_color) &&
	    isatty(STDOUT_FILENO) && terminal && strcmp(terminal, "dumb") != 0;
}

__attribute__((format(printf, 2, 0))) static void
say(const char *prefix, const char *format, va_list arguments)
{
	char sentence[SENTENCE_MAX];
	char *text;

	(void)vsnprintf(sentence, sizeof(sentence), format, arguments);
	text = out_escape(sentence, strlen(sentence));
	(void)fflush(stdout);
	(void)fprintf(stderr, "%s%s\n", prefix, text);
	free(text);
}

void
talk(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say("", format, arguments);
	va_end(arguments);
}

void
talk_next(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say("  -> ", format, arguments);
	va_end(arguments);
}

void
talk_error(const char *next, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say("streamhold: ", format, arguments);
	va_end(arguments);
	if (next)
		talk_next("%s", next);
}

const char *
talk_on(const struct cli *cli, enum talk_color color)
{
	return cli->color ? sequences[color] : "";
}

const char *
talk_off(const struct cli *cli, enum talk_color color)
{
	return cli->color && color != TALK_PLAIN ? "\033[0m" : "";
}
