/*
 * The Accept header (RFC 9110 section 12.5.1). Pure.
 */
#ifndef HTTPD_ACCEPT_H
#define HTTPD_ACCEPT_H

#include <stdbool.h>

#include "httpd/http_parse.h"

/* Whether a client that says this takes `type`, for instance "text/event-stream". Of
 * the ranges that fit the most exact one decides; what is ill-formed fits nothing. */
bool accept_allows(struct http_text accept, const char *type);

#endif
