/*
 * The commands that errors name. Owns the two texts; options.c says which verb it is,
 * and everybody who reports a mistake asks.
 */
#include <stdio.h>
#include <string.h>

#include "broker/cli/next.h"

#define COMMAND_SIZE 64

static char help[COMMAND_SIZE] = "streamhold help";
static char list[COMMAND_SIZE] = "streamhold status";

void
next_verb(const struct verb *verb)
{
	int family = (int)strcspn(verb->name, " ");
	char name[COMMAND_SIZE];
	size_t i;

	(void)snprintf(help, sizeof(help), "streamhold help %s", verb->name);
	(void)snprintf(name, sizeof(name), "%.*s list", family, verb->name);
	for (i = 0; verbs[i].name; i++)
		if (strcmp(verbs[i].name, name) == 0)
			(void)snprintf(list, sizeof(list), "streamhold %.40s", name);
}

const char *
next_help(void)
{
	return help;
}

const char *
next_list(void)
{
	return list;
}
