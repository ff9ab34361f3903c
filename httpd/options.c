/*
 * Reads the command line for main.c.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/process.h"
#include "common/version.h"
#include "httpd/options.h"
#include "httpd/route.h"
#include "httpd/sandbox.h"

enum { OPTION_ROLE = 256, OPTION_CONFIG, OPTION_SYSTEM, OPTION_BROKER_UID };

static const struct option long_options[] = {
	{ "role", required_argument, NULL, OPTION_ROLE },
	{ "config", required_argument, NULL, OPTION_CONFIG },
	{ "system", no_argument, NULL, OPTION_SYSTEM },
	{ "broker-uid", required_argument, NULL, OPTION_BROKER_UID },
	{ "version", no_argument, NULL, 'V' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static void
print_usage(FILE *file)
{
	(void)fputs(
	    "usage: streamhold-httpd --role api|webhook [options]\n"
	    "  --config FILE     configuration to read\n"
	    "  --system          system mode, as the units ask for it\n"
	    "  --broker-uid N    user that the broker runs as, by number or name\n"
	    "                    (default: own)\n"
	    "  -n                check the configuration and end\n"
	    "  -Q routes         print every URL: method, path, role\n"
	    "  -Q sandbox        print every system call it may make\n"
	    "  --version, --help\n"
	    "Its sockets are passed by `streamhold up` or by systemd units.\n",
	    file);
}

static _Noreturn void
usage_error(const char *sentence)
{
	(void)fprintf(stderr, "streamhold-httpd: %s\n", sentence);
	print_usage(stderr);
	exit(EXIT_CONFIG);
}

static enum httpd_role
read_role(const char *text)
{
	int role;

	for (role = 0; role < HTTPD_ROLE_MAX; role++)
		if (strcmp(text, httpd_role_name((enum httpd_role)role)) == 0)
			return (enum httpd_role)role;
	usage_error("--role must be api or webhook");
}

static uid_t
read_uid(const char *text)
{
	uid_t uid;

	if (process_user_id(text, &uid) < 0)
		usage_error("--broker-uid must be a user's number or name");
	return uid;
}

static _Noreturn void
print_table(const char *name)
{
	if (strcmp(name, "routes") == 0)
		route_print(stdout);
	else if (strcmp(name, "sandbox") == 0)
		sandbox_print(stdout);
	else
		usage_error("-Q knows: routes, sandbox");
	exit(EXIT_STOPPED);
}

struct options
options_read(int argc, char **argv)
{
	struct options options = { .role = HTTPD_ROLE_MAX, .broker_uid = geteuid() };
	int letter;

	/* getopt's own sentences name the program by its path. */
	opterr = 0;
	while ((letter = getopt_long(argc, argv, "nQ:hV", long_options, NULL)) != -1) {
		switch (letter) {
		case OPTION_ROLE:
			options.role = read_role(optarg);
			break;
		case OPTION_CONFIG:
			options.config = optarg;
			break;
		case OPTION_SYSTEM:
			options.system = true;
			break;
		case OPTION_BROKER_UID:
			options.broker_uid = read_uid(optarg);
			break;
		case 'n':
			options.check = true;
			break;
		case 'Q':
			print_table(optarg);
		case 'V':
			version_print("streamhold-httpd");
			exit(EXIT_STOPPED);
		case 'h':
			print_usage(stdout);
			exit(EXIT_STOPPED);
		default:
			usage_error("unknown option, or one without its value");
		}
	}
	if (optind < argc)
		usage_error("there are no further arguments");
	if (options.role == HTTPD_ROLE_MAX && !options.check)
		usage_error("--role is required");
	return options;
}
