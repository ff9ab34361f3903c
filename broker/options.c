/*
 * The broker's command line, read once at start.
 */
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/options.h"
#include "broker/sandbox.h"
#include "common/process.h"
#include "common/version.h"
#include "proto/proto.h"

static const char usage[] =
    "Usage: streamhold-broker [--config FILE] [--system] [-n]\n"
    "                         [--api-uid N] [--webhook-uid N] [--admin-group NAME]\n"
    "\n"
    "Keeps credentials, tokens and events. Started by `streamhold up` or systemd,\n"
    "which pass it the socket `admin`.\n"
    "\n"
    "  --config FILE      configuration, instead of the default places\n"
    "  --system           use the system's folders\n"
    "  --api-uid N        user of the API front, by number or name (default: own)\n"
    "  --webhook-uid N    user of the webhook front (default: own)\n"
    "  --admin-group NAME group whose members may use the admin socket\n"
    "  --check-database   read the whole database of a stopped broker and leave\n"
    "  --json             print what that finds as JSON\n"
    "  -n                 check the configuration and leave\n"
    "  -Q messages        print the protocol's messages and leave\n"
    "  -Q sandbox         print the system calls that are refused and leave\n"
    "  --version, --help\n";

enum {
	OPTION_CONFIG = 256,
	OPTION_SYSTEM,
	OPTION_API,
	OPTION_WEBHOOK,
	OPTION_GROUP,
	OPTION_CHECK,
	OPTION_JSON,
	OPTION_VERSION,
	OPTION_HELP
};

static const struct option long_options[] = {
	{ "config", required_argument, NULL, OPTION_CONFIG },
	{ "system", no_argument, NULL, OPTION_SYSTEM },
	{ "api-uid", required_argument, NULL, OPTION_API },
	{ "webhook-uid", required_argument, NULL, OPTION_WEBHOOK },
	{ "admin-group", required_argument, NULL, OPTION_GROUP },
	{ "check-database", no_argument, NULL, OPTION_CHECK },
	{ "json", no_argument, NULL, OPTION_JSON },
	{ "version", no_argument, NULL, OPTION_VERSION },
	{ "help", no_argument, NULL, OPTION_HELP },
	{ NULL, 0, NULL, 0 },
};

static void
refuse(const char *what)
{
	(void)fprintf(stderr, "streamhold-broker: %s\n%s", what, usage);
	exit(EXIT_CONFIG);
}

static uid_t
read_uid(const char *text)
{
	uid_t uid = 0;

	if (process_user_id(text, &uid) < 0)
		refuse("a user must be a number or the name of a user of this machine");
	return uid;
}

static void
print_table(const char *name)
{
	const struct proto_schema *schema;
	size_t i;

	if (strcmp(name, "sandbox") == 0) {
		broker_sandbox_print(stdout);
		exit(EXIT_STOPPED);
	}
	if (strcmp(name, "messages") != 0)
		refuse("-Q knows: messages, sandbox");
	for (i = 0; (schema = proto_schema_at(i)); i++)
		printf("%d %s\n", schema->type, schema->name);
	exit(EXIT_STOPPED);
}

void
options_read(int argc, char **argv, struct options *ret_options)
{
	struct options options = { .api_uid = getuid(), .webhook_uid = getuid() };
	int option;

	while ((option = getopt_long(argc, argv, "nQ:", long_options, NULL)) != -1) {
		switch (option) {
		case OPTION_CONFIG:
			options.config = optarg;
			break;
		case OPTION_SYSTEM:
			options.system = true;
			break;
		case OPTION_API:
			options.api_uid = read_uid(optarg);
			break;
		case OPTION_WEBHOOK:
			options.webhook_uid = read_uid(optarg);
			break;
		case OPTION_GROUP:
			options.admin_group = optarg;
			break;
		case OPTION_CHECK:
			options.check_database = true;
			break;
		case OPTION_JSON:
			options.json = true;
			break;
		case 'n':
			options.check = true;
			break;
		case 'Q':
			print_table(optarg);
			break;
		case OPTION_VERSION:
			version_print("streamhold-broker");
			exit(EXIT_STOPPED);
		case OPTION_HELP:
			(void)fputs(usage, stdout);
			exit(EXIT_STOPPED);
		default:
			refuse("that option is not known");
		}
	}
	if (optind < argc)
		refuse("no further arguments are expected");
	*ret_options = options;
}
