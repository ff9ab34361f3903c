/*
 * What families of pages have in common: refusing a field, reading the body, and lists
 * of the broker's rows.
 */
#ifndef HTTPD_PAGE_PARTS_H
#define HTTPD_PAGE_PARTS_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "common/json_out.h"
#include "httpd/request.h"

/* 400 with a sentence that names the field and what is wrong with it. */
void page_refuse(struct request *request, const char *sentence);

/* Whether the text can be a user name; if not the request was answered. */
bool page_username(struct request *request, const char *text, size_t length);

/* Answers HEAD with an empty 200, for pages whose GET changes something. False: it is
 * no HEAD. */
bool page_head(struct request *request);

/* The JSON object in the body, ended with json_decref. NULL: the request is answered.
 */
json_t *page_object(struct request *request);

/*
 * Asks the broker request->msg and answers {"name":[...]}. `on_row` is called for each
 * row and at the end; it begins with page_list_row and adds one value. `name` stays.
 */
void page_list(struct request *request, const char *name, request_answer_fn *on_row);

/* Prepares *json for another value. False at the end: the list was answered. */
bool page_list_row(struct request *request, bool last, struct json_out *json);

/* A time in milliseconds, null when it is 0. */
void page_add_time(struct json_out *json, const char *key, uint64_t ms);

#endif
