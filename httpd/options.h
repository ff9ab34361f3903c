/*
 * The command line of streamhold-httpd.
 */
#ifndef HTTPD_OPTIONS_H
#define HTTPD_OPTIONS_H

#include <stdbool.h>
#include <sys/types.h>

#include "httpd/httpd.h"

struct options {
	enum httpd_role role;
	const char *config; /* --config, NULL: the default file */
	bool system;
	bool check;       /* -n: check the configuration and end */
	uid_t broker_uid; /* who may connect to the link */
};

/* Reads the command line. --help, --version, -Q and mistakes end the process. */
struct options options_read(int argc, char **argv);

#endif
