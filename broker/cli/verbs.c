/*
 * The table of contents of the command: every verb and its file's function.
 */
#include "broker/cli/cli.h"

const struct verb verbs[] = {
	{ "up", "", 0, 0, "check-only", "start everything in the foreground", verb_up },
	{ "version", "", 0, 0, "", "show the version", verb_version },
	{ "help", "[VERB]", 0, 2, "", "show this, or the help of a verb", verb_help },
	{ .name = NULL },
};
