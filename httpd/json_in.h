/*
 * Reads the JSON body of a request, strictly: one object, no key twice, valid UTF-8, no
 * NUL. What jansson allocates is wiped when it is freed, as bodies carry secrets.
 */
#ifndef HTTPD_JSON_IN_H
#define HTTPD_JSON_IN_H

#include <stddef.h>

#include <jansson.h>

/* Bytes of the sentence about a body that cannot be read. */
#define JSON_IN_ERROR_SIZE 160

/* Sets jansson's memory functions and seeds its tables, which opens a file: call it
 * once while the process still may. */
void json_in_init(void);

/* Reads one object. 0 and *ret_object, which the caller ends with json_decref; or
 * -EINVAL and a sentence in `error`, which never repeats bytes of the body. */
int json_in_object(const char *bytes, size_t length, json_t **ret_object,
    char error[static JSON_IN_ERROR_SIZE]);

#endif
