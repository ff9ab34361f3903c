/*
 * Where the other programs of Streamhold lie.
 */
#ifndef BROKER_CLI_PROGRAMS_H
#define BROKER_CLI_PROGRAMS_H

#include <stddef.h>

/* Their folder: that of this program in a build, and one of their own beside bin when
 * they are installed. 0 and `ret_folder` (size bytes), or a negative errno. */
int programs_folder(char *ret_folder, size_t size);

#endif
