/*
 * The address to which a platform sent a browser, typed back by a person whose browser
 * could not reach it.
 */
#ifndef BROKER_CLI_PASTE_H
#define BROKER_CLI_PASTE_H

#include "common/secret.h"

/* Longest address that is taken; a terminal hands out lines of 4095 bytes. */
#define PASTE_MAX 4096

/* What is in it, decoded. Empty and NULL: not there. */
struct paste {
	struct secret state;
	struct secret code;
	char *error;
	char *error_description;
	char *iss;
};

/* Reads a whole address, or its query alone. A state that is not in the query is looked
 * for as the last part of the path (oauth.state_in_path). NULL, or a sentence that says
 * what is wrong with it; static. The caller calls paste_clear in both cases. */
const char *paste_read(const struct secret *address, struct paste *ret_paste);

/* Wipes and frees. */
void paste_clear(struct paste *paste);

#endif
