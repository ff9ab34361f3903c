/*
 * The table of every URL: which method and path lead to which page.
 */
#ifndef HTTPD_ROUTE_H
#define HTTPD_ROUTE_H

#include <stdio.h>

#include "httpd/http_parse.h"
#include "httpd/httpd.h"
#include "httpd/request.h"

/* Answers the request, or asks the broker and returns. The body is there. */
typedef void page_fn(struct request *request);

enum {
	ROUTE_BODY = 1,     /* must have a JSON body */
	ROUTE_SECRET = 2,   /* secrets pass through: wipe what was read and written */
	ROUTE_CALLBACK = 4, /* browsers come here from the platforms */
	ROUTE_SHARED = 8,   /* other methods are those of the next pattern that fits */
};

struct route {
	enum http_method method;
	/* Segments; ":platform" takes a platform's name, another ":word" any text. */
	const char *pattern;
	enum httpd_role role;
	unsigned flags;
	page_fn *page;
};

/* Looks at a request whose head is there: guards, route, method, platform, content
 * type. Either request->route is set and the body may be read, or the request is
 * answered. */
void route_head(struct request *request);

/* Runs the page of a request whose body is there. */
void route_page(struct request *request);

/* Prints the table: method, path, role. */
void route_print(FILE *file);

/* The path on which deliveries come; borrowed. */
void route_set_delivery_path(const char *path);

#endif
