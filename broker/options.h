/*
 * The broker's command line.
 */
#ifndef BROKER_OPTIONS_H
#define BROKER_OPTIONS_H

#include <stdbool.h>
#include <sys/types.h>

struct options {
	const char *config; /* NULL: the default places */
	const char *admin_group;
	uid_t api_uid; /* who must be behind the links */
	uid_t webhook_uid;
	bool system;
	bool check;          /* -n: read the configuration and leave */
	bool check_database; /* look for damage and leave */
	bool json;           /* what that finds, as JSON */
};

/* Reads argv; prints help or version and exits, or exits with EXIT_CONFIG after saying
 * what is wrong. */
void options_read(int argc, char **argv, struct options *ret_options);

#endif
