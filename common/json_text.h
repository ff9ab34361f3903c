/*
 * JSON values as text of malloc(3), whatever allocator jansson was given.
 */
#ifndef COMMON_JSON_TEXT_H
#define COMMON_JSON_TEXT_H

#include <jansson.h>

/* The shortest text of a value of any kind; NULL when it cannot be written, as for
 * NULL. The caller frees with free(3). */
char *json_text(const json_t *value);

#endif
