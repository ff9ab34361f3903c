/*
 * The state of one front. Holds no logic; each part is made by the file named after it.
 */
#ifndef HTTPD_HTTPD_H
#define HTTPD_HTTPD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/config.h"

struct event_base;
struct broker_link;
struct conns;
struct listeners;
struct rate;
struct streams;

enum httpd_role { HTTPD_API, HTTPD_WEBHOOK, HTTPD_ROLE_MAX };

/* What may change while the front runs: from the configuration first, then from the
 * broker's `settings`. */
struct httpd_settings {
	uint32_t rate_limit; /* requests a second per peer address, 0: off */
	uint32_t connections_max;
	size_t body_max; /* bytes of a request's body */
	/* Words separated by spaces, both owned. */
	char *allowed_hosts;
	char *allowed_origins;
};

struct httpd {
	struct config config;
	enum httpd_role role;
	struct httpd_settings settings;
	uint16_t port;           /* real TCP port, 0 when there is none */
	size_t connections_room; /* what the descriptor limit leaves */
	/* The names this front has by itself, separated by spaces; owned. */
	char *own_hosts;
	char *own_origins;
	struct event_base *base;
	struct listeners *listeners;
	struct conns *conns;
	struct broker_link *link;
	struct rate *rate;
	struct streams *streams; /* of the API front, else NULL */
	bool draining;           /* finishing what is in progress, accepting nothing */
};

/* "api" or "webhook". */
static inline const char *
httpd_role_name(enum httpd_role role)
{
	return role == HTTPD_API ? "api" : "webhook";
}

#endif
