/*
 * The listeners of a front: accepting, the cap on connections, and what happens when
 * descriptors run out.
 */
#ifndef HTTPD_LISTENER_H
#define HTTPD_LISTENER_H

#include "httpd/httpd.h"

struct listeners;

/* Takes the passed listeners named `http`. NULL when there is none. */
struct listeners *listeners_new(struct httpd *httpd);

/* Stops listening and closes. NULL is allowed. */
void listeners_free(struct listeners *listeners);

/* Accepts from here on. */
void listeners_start(struct listeners *listeners);

/* A connection was closed, or the cap was changed: accept again if there is room. */
void listeners_wake(struct listeners *listeners);

/* Addresses, separated by spaces, for the log and the broker. */
const char *listeners_addresses(const struct listeners *listeners);

/* The TCP port, 0 when there is none. */
uint16_t listeners_port(const struct listeners *listeners);

#endif
