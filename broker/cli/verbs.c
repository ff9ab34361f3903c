/*
 * The table of contents of the command: every verb and its file's function.
 */
#include "broker/cli/cli.h"

const struct verb verbs[] = {
	{ "up", "", 0, 0, "check-only", "start everything in the foreground", verb_up },
	{ "status", "", 0, 0, "check",
	    "one word for everything, and what needs attention", verb_status },
	{ "app add", "PLATFORM", 1, 1, "client-id secret-stdin scopes",
	    "store a platform's client id and secret", verb_app_add },
	{ "app list", "", 0, 0, "", "list stored clients, without their secrets",
	    verb_app_list },
	{ "app remove", "PLATFORM", 1, 1, "yes", "remove a platform's client",
	    verb_app_remove },
	{ "login", "PLATFORM NAME", 2, 2, "adopt timeout no-browser qr paste",
	    "log an account in", verb_login },
	{ "logout", "PLATFORM/NAME", 1, 1, "yes", "revoke a login and erase it",
	    verb_logout },
	{ "accounts", "", 0, 0, "platform ask", "show the state of every login",
	    verb_accounts },
	{ "events list", "", 0, 0, "after limit type platform include-foreign",
	    "list events, oldest first", verb_events_list },
	{ "inspect", "", 0, 0, "", "show everything the broker knows about itself",
	    verb_inspect },
	{ "config check", "[FILE]", 0, 1, "", "look for mistakes in a config.json",
	    verb_config_check },
	{ "config show", "[FILE]", 0, 1, "", "show every option as it is in force",
	    verb_config_show },
	{ "config schema", "", 0, 0, "", "print the JSON Schema of config.json",
	    verb_config_schema },
	{ "config template", "", 0, 0, "",
	    "print a commented config.json to begin with", verb_config_template },
	{ "version", "", 0, 0, "", "show the version", verb_version },
	{ "help", "[VERB]", 0, 2, "", "show this, or the help of a verb", verb_help },
	{ .name = NULL },
};
