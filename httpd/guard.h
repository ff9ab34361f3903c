/*
 * What is refused before anybody looks at the route's business: wrong names (DNS
 * rebinding), foreign web pages, too many requests, bodies of the wrong kind.
 */
#ifndef HTTPD_GUARD_H
#define HTTPD_GUARD_H

#include <stdbool.h>

#include "httpd/request.h"

struct httpd;

/* Works out which Host and Origin values belong to this front, from its real port and
 * the configured host. */
void guard_init(struct httpd *httpd);

/* Host, Origin, rate (design.md 9, "HTTP"). `callback`: a browser arriving from the
 * platform by top-level navigation is welcome. False: the request is answered. */
bool guard_request(struct request *request, bool callback);

/* Content-Type and Content-Encoding of a request that has a body, or must have one.
 * False: the request is answered. */
bool guard_body(struct request *request, bool needed);

#endif
